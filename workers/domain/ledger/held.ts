// What a request's row says of its hold: how much it takes from the balance, what of the cost
// passed it, how it changes while the request runs. The arithmetic is hold.ts; which requests are
// let in, admission.ts.

import type { Nanos } from '../money';
import { addNanos, nanos, ZERO_NANOS } from '../money';
import { priceUsage } from '../pricing/price';
import type { UsageFlag } from '../usage/tokens';
import type { ExtendAnswer, ExtendCall, LeaseHold, ProgressCall } from './calls';
import { promptTokensOf } from './conversation';
import { LEASE_MS } from './decide';
import {
  afterMessageStart,
  extendHold,
  holdTotal,
  overrunOf,
  TOOL_RESULT_TOKENS,
  wariness,
  WARY_MS,
} from './hold';
import type { LeftForOutput } from './limited';
import type { Progress, RequestRow, RowHold } from './row';

/** What the open row takes from what is available. */
export function heldBy({ hold, progress }: RequestRow): Nanos {
  return hold === undefined ? ZERO_NANOS : holdTotal(hold.parts, progress?.costNanos ?? ZERO_NANOS);
}

/**
 * What of a row's cost is above what was set aside for it; of a row without a hold nothing. What a
 * report of less input gave back to others no longer stands for its output.
 */
export function overrunOfRow({ hold }: RequestRow, costNanos: Nanos): Nanos {
  if (hold === undefined) return ZERO_NANOS;
  const { inputNanos, toolsNanos, outputNanos } = hold.parts;
  const asideNanos = nanos(Math.min(hold.setAsideNanos, addNanos(inputNanos, toolsNanos)));
  return overrunOf({ costNanos, boundNanos: addNanos(asideNanos, outputNanos) });
}

/** Until when (Unix ms) the wallet is wary after these figures; null: they do not make it so. */
export function waryAfter(row: RequestRow, now: number): number | null {
  const { hold } = row;
  if (hold === undefined) return null;
  const trueInputNanos = trueInputOf(row);
  if (trueInputNanos === null) return passesAtOtherTerms(row, hold) ? now + WARY_MS : null;
  return wariness({ trueInputNanos, boundInputNanos: hold.boundNanos, now });
}

/**
 * Whether another model, or the same at terms without a price, has read clearly more than was
 * bounded. Its prices say nothing of the bound, and it may count the same text by 30 % more.
 */
function passesAtOtherTerms({ opened, closed, known }: RequestRow, hold: RowHold): boolean {
  if (opened === null || closed === null || known?.certainty !== 'reported') return false;
  const { usage } = closed;
  if (!usage.flags.every((flag) => OTHER_TERMS.has(flag))) return false;
  const toolTokens = opened.sizes.serverToolUses * TOOL_RESULT_TOKENS;
  return promptTokensOf(usage) * 10 > (hold.inputTokens + toolTokens) * 13;
}

const OTHER_TERMS: ReadonlySet<UsageFlag> = new Set([
  'model-differs',
  'model-unknown',
  'priced-by-ceiling',
  'terms-unknown',
]);

/** Input and server tools as reported; null: not known as simply that. */
function trueInputOf({ opened, closed, known, admittedAt }: RequestRow): Nanos | null {
  if (opened === null || closed === null || known?.certainty !== 'reported') return null;
  const { usage } = closed;
  // Served by another model, or at other terms: the bound was not of these prices.
  if (usage.flags.length > 0) return null;
  const entries = usage.entries.map((entry) => ({
    ...entry,
    counts: { ...entry.counts, output: 0 },
  }));
  const asked = opened.price;
  const catalogue = { version: opened.pricesVersion, rows: [asked], aliases: {} };
  const priced = priceUsage({ entries, flags: [] }, { asked, catalogue, at: admittedAt });
  return priced.flags.length > 0 ? null : priced.costNanos;
}

/** What the Worker is told of the hold. */
export function leaseHoldOf(hold: RowHold): LeaseHold {
  const { parts, outputTokensMax, outputPicosPerToken, boundNanos, reportInput } = hold;
  const { heldOutputTokensUpTo } = parts;
  return { heldOutputTokensUpTo, outputTokensMax, outputPicosPerToken, boundNanos, reportInput };
}

/** The open row after a sign of life at `now` (Unix ms); null: an older sign, nothing changes. */
export function rowAfterProgress(
  row: RequestRow,
  call: ProgressCall,
  now: number,
): RequestRow | null {
  if (row.progress !== null && row.progress.n >= call.n) return null;
  const { inputNanos } = call;
  const alive = { ...row, leaseUntil: leaseAfter(row, now), progress: progressOf(call) };
  if (row.hold === undefined || inputNanos === undefined) return alive;
  const parts = afterMessageStart(row.hold.parts, { inputNanos });
  return { ...alive, hold: { ...row.hold, parts } };
}

/** Never shorter than it was: behind a clock that went back, its alarm would come too late. */
function leaseAfter({ leaseUntil }: RequestRow, now: number): number {
  return Math.max(leaseUntil, now + LEASE_MS);
}

function progressOf({ n, costNanos, dispatched, usage, accountId }: ProgressCall): Progress {
  const progress = { n, costNanos, dispatched };
  if (usage === undefined && accountId === undefined) return progress;
  const told = usage === undefined ? {} : { usage };
  return { ...progress, details: accountId === undefined ? told : { ...told, accountId } };
}

/**
 * The answer to an open request that asks for more output, and its row when that changes it. What
 * is left of credit and of every limit caps it; where credit alone would refuse it, credit does.
 */
export function decideExtend(
  row: RequestRow,
  call: ExtendCall,
  known: LeftForOutput & {
    /** Unix ms. */
    readonly now: number;
  },
): { readonly answer: ExtendAnswer; readonly row: RequestRow | null } {
  const { hold } = row;
  const asked = call.heldOutputTokensUpTo;
  // Nothing is held for it, so nothing is kept from it.
  if (hold === undefined) {
    return { answer: { state: 'held', heldOutputTokensUpTo: asked }, row: null };
  }
  const { parts, outputPicosPerToken, outputTokensMax } = hold;
  const upToTokens = Math.min(asked, outputTokensMax);
  const { creditNanos, limitNanos = null, limitTokens = null, now } = known;
  if (upToTokens <= parts.heldOutputTokensUpTo) {
    const { heldOutputTokensUpTo } = parts;
    return { answer: { state: 'held', heldOutputTokensUpTo }, row: null };
  }
  const payable = extendHold(parts, {
    upToTokens,
    outputPicosPerToken,
    availableNanos: creditNanos,
  });
  if (payable.do === 'refuse') return { answer: { state: 'refused' }, row: null };
  const decision = extendHold(parts, {
    upToTokens: Math.min(upToTokens, parts.heldOutputTokensUpTo + (limitTokens ?? Infinity)),
    outputPicosPerToken,
    availableNanos: limitNanos === null || limitNanos > creditNanos ? creditNanos : limitNanos,
  });
  const isMore =
    decision.do === 'grant' && decision.hold.heldOutputTokensUpTo > parts.heldOutputTokensUpTo;
  if (!isMore) return { answer: { state: 'stop', closing: 'cut-by-limit' }, row: null };
  const { heldOutputTokensUpTo } = decision.hold;
  const answer = { state: 'held', heldOutputTokensUpTo } as const;
  const leaseUntil = leaseAfter(row, now);
  return { answer, row: { ...row, leaseUntil, hold: { ...hold, parts: decision.hold } } };
}
