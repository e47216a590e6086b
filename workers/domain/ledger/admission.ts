// Whether a request is let in, and with what hold: the one decision before dispatch. A plain
// function of what is stored; the object loads, calls and stores.

import type { RelayError } from '../errors';
import type { AccountId } from '../ids';
import type { Nanos } from '../money';
import { addNanos, subtractNanos, ZERO_NANOS } from '../money';
import type { Catalogue, PriceRow } from '../pricing/catalogue';
import { likelyPromptTokens } from '../pricing/estimate';
import { priceAsked } from '../pricing/find';
import type { Result } from '../result';
import { fail, ok } from '../result';
import { usableUntil } from '../limits/limit-set';
import type { LimitedCall } from '../limits/limits';
import { checkScope, decideLimits, HELD_RETRY_MS, tokensLeft } from '../limits/limits';
import type { AdmitCall } from './calls';
import { recall } from './conversation';
import type { Copies } from './decide';
import { checkKey } from './decide';
import type { Bounds, Hold, HoldDecision } from './hold';
import { boundsOf, decideHold, holdTotal, isLargeHold, leastHold } from './hold';
import { availableWithin, limitFactsOf, scopedCallOf } from './limited';
import type { RowHold, Ties } from './row';
import type { WalletState } from './state';
import { holderOf, usesToNote } from './things';
import { warmFor } from './warm';

/** What a request that may run is priced with, and what is held for it. */
export interface Admission {
  /** null where the request names no model. */
  readonly model: string | null;
  readonly price: PriceRow | null;
  readonly likelyInputNanos: Nanos;
  /** null for class `free`, which costs nothing. */
  readonly hold: RowHold | null;
  readonly ties: Ties;
}

export interface AdmitFacts {
  readonly copies: Copies;
  readonly catalogue: Catalogue;
  readonly state: WalletState;
  /** Unix ms by the object's clock. */
  readonly now: number;
}

/** Key, models, held ids, limits, credit, in this order. */
export function decideAdmit(call: AdmitCall, known: AdmitFacts): Result<Admission, RelayError> {
  const sentHash = call.by === 'session' ? null : call.keyHash;
  const refusal = checkKey(known.copies, sentHash, known.now) ?? checkLife(known);
  if (refusal !== null) return fail(refusal);
  const fallbacks: PriceRow[] = [];
  for (const model of call.fallbackModels) {
    const price = priceOf(model, known);
    if (price === null) return fail({ kind: 'unknown-model', model });
    fallbacks.push(price);
  }
  const holder = holderOf(known.state.things, call.heldIds, known.now);
  if (!holder.ok) return holder;
  if (call.model === null && call.class === 'metered') {
    // Without a model there is no price, no row and so nobody who pays.
    return fail({ kind: 'bad-request', message: 'model: Field required' });
  }
  const price = call.model === null ? null : priceOf(call.model, known);
  if (price === null && call.model !== null) {
    return fail({ kind: 'unknown-model', model: call.model });
  }
  const ties = tiesOf(call, known, { owner: holder.value, model: price?.model ?? null });
  if (price === null || call.class === 'free') return admitFree(call, known, { price, ties });
  return admitMetered(call, { ...known, price, fallbacks, ties });
}

/** The accounts that the request has to do with. */
function tiesOf(
  call: AdmitCall,
  { state, now }: AdmitFacts,
  { owner, model }: { readonly owner: AccountId | null; readonly model: string | null },
): Ties {
  const { conversation: tag, heldIds } = call;
  const warm = tag === null || model === null ? null : warmFor(state.warm, { tag, model }, now);
  const usedIds = usesToNote(state.things, heldIds, now);
  return {
    ...(owner === null ? {} : { owner }),
    ...(usedIds.length === 0 ? {} : { usedIds }),
    ...(warm === null ? {} : { warm }),
  };
}

/** A life that began with the first use may be over. */
function checkLife({ copies: { key }, state, now }: AdmitFacts): RelayError | null {
  const { limits = {}, expiresAt } = key;
  const firstUsedAt = state.keys.get(key.id)?.firstUsedAt ?? null;
  const until = usableUntil({ limits, expiresAt, firstUsedAt });
  return until !== null && until <= now ? { kind: 'unauthenticated', why: 'expired' } : null;
}

function admitFree(
  call: AdmitCall,
  { copies: { key } }: AdmitFacts,
  known: Pick<Admission, 'price' | 'ties'>,
): Result<Admission, RelayError> {
  const model = known.price?.model ?? null;
  const refusal = checkScope(key.limits ?? {}, scopedCallOf(call, model === null ? [] : [model]));
  return refusal === null ? ok({ ...FREE, model, ...known }) : fail(refusal);
}

const FREE = { likelyInputNanos: ZERO_NANOS, hold: null } as const;

function priceOf(model: string, { catalogue, now }: AdmitFacts): PriceRow | null {
  return priceAsked(catalogue, model, now);
}

interface MeteredFacts extends AdmitFacts {
  readonly price: PriceRow;
  readonly fallbacks: readonly PriceRow[];
  readonly ties: Ties;
}

function admitMetered(call: AdmitCall, known: MeteredFacts): Result<Admission, RelayError> {
  const { price, fallbacks, state, now, copies, ties } = known;
  const { model } = price;
  const { sizes, asked = null, conversation: tag } = call;
  const conversation = tag === null ? null : recall(state.conversations, { tag, model });
  const isWary = now < state.waryUntil;
  const bounds = boundsOf({ sizes, asked, price, fallbacks, conversation, isWary });
  const facts = limitFactsOf(copies, state, now);
  const likelyTokens = likelyPromptTokens(sizes, conversation);
  const limited = limitedCall(call, { bounds, likelyTokens, rows: [price, ...fallbacks] });
  const refusal = decideLimits({ ...facts, call: limited });
  if (refusal !== null) return fail(refusal);

  const { balanceNanos, heldNanos } = state;
  const left = tokensLeft(facts) ?? Infinity;
  const question = { bounds, stream: sizes.stream, heldNanos, tokensLeft: left };
  const decision = decideHold({ ...question, balanceNanos, openMetered: state.open.size });
  if (decision.do !== 'hold') return fail(refusalOf(decision, balanceNanos));
  const available = availableWithin(state, { ...facts, families: limited.families });
  // The limits were asked before: what they leave is enough, for a holder that runs nothing else.
  const within = { ...question, balanceNanos: addNanos(available, heldNanos), openMetered: 0 };
  const isLimited = available < subtractNanos(balanceNanos, heldNanos);
  const capped = isLimited ? decideHold(within) : decision;
  if (capped.do !== 'hold') return fail(refusalOf(capped, balanceNanos));
  const { hold } = capped;
  const besideNanos = subtractNanos(available, holdTotal(hold, ZERO_NANOS));
  const { likelyInputNanos } = bounds;
  return ok({ model, price, likelyInputNanos, ties, hold: rowHold(hold, bounds, besideNanos) });
}

function limitedCall(
  call: AdmitCall,
  asks: {
    readonly bounds: Bounds;
    readonly likelyTokens: number;
    /** Of the asked model and of every fallback. */
    readonly rows: readonly PriceRow[];
  },
): LimitedCall {
  const { bounds, likelyTokens, rows } = asks;
  const { outputTokens, neededNanos, holdNanos } = leastHold(bounds, call.sizes.stream);
  const inputTokens = Math.max(likelyTokens, bounds.inputTokens);
  return {
    ...scopedCallOf(
      call,
      rows.map(({ model }) => model),
    ),
    families: [...new Set(rows.map(({ family }) => family))],
    tokens: { needed: likelyTokens + outputTokens, hold: inputTokens + outputTokens },
    cost: { needed: neededNanos, hold: Math.max(neededNanos, holdNanos) },
  };
}

function refusalOf(
  decision: Exclude<HoldDecision, { readonly do: 'hold' }>,
  balanceNanos: Nanos,
): RelayError {
  const { neededNanos, neededAsStreamNanos, availableNanos } = decision;
  if (decision.do === 'held') {
    const wait = { spanMs: null, retryAfterMs: HELD_RETRY_MS };
    return { kind: 'rate-limited', scope: 'wallet', what: 'cost', limit: balanceNanos, ...wait };
  }
  const asStream = neededAsStreamNanos < neededNanos ? { neededAsStreamNanos } : {};
  return { kind: 'out-of-credit', neededNanos, availableNanos, ...asStream };
}

/** `besideNanos`: what is available beside the hold. */
function rowHold(parts: Hold, bounds: Bounds, besideNanos: Nanos): RowHold {
  const { inputTokens, inputNanos, toolsNanos, outputTokensMax, outputPicosPerToken } = bounds;
  return {
    parts,
    boundNanos: addNanos(inputNanos, toolsNanos),
    setAsideNanos: addNanos(parts.inputNanos, parts.toolsNanos),
    inputTokens,
    outputTokensMax,
    outputPicosPerToken,
    reportInput: isLargeHold(parts, besideNanos),
  };
}
