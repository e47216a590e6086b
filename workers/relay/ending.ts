// How a request ended, and what is to be paid for it: plain functions of what the meter read.
// What is not known is estimated in the relay's favour of truth: never zero, never below what was
// delivered (ledger.md §3).

import type { Certainty, Closing, Lease, RequestSizes } from '../domain/ledger/calls';
import { TOOL_RESULT_TOKENS } from '../domain/ledger/hold';
import type { Nanos } from '../domain/money';
import { addNanos, ZERO_NANOS } from '../domain/money';
import { outputTokensDelivered } from '../domain/pricing/estimate';
import { priceUsage } from '../domain/pricing/price';
import type { Snapshot } from '../domain/snapshot';
import { SECOND_MS } from '../domain/time';
import type { TokenCounts, Usage, UsageEntry, UsageFlag } from '../domain/usage/tokens';
import { NO_TOKENS } from '../domain/usage/tokens';
import type { MeterReading, ServerToolCalls } from '../protocols/protocol';
import type { Kept } from './kept';

/**
 * `whole`: the upstream closed; `cut`: it broke off; `left`: the client did; `drained`: it did, and
 * the answer was read on without it; else the relay.
 */
export type How = 'whole' | 'cut' | 'left' | 'drained' | StopWord;

/** Why the relay itself ended an answer. */
export type StopWord = 'revoked' | 'stopped' | 'cut-by-limit' | 'cut-by-credit';

export interface Ending extends Kept {
  readonly closing: Exclude<Closing, 'recovered'>;
  readonly certainty: Exclude<Certainty, 'recovered'>;
  readonly usage: Usage;
  readonly costNanos: Nanos;
}

const NO_USAGE: Usage = { entries: [], flags: [] };

/** Costs nothing, and that is certain. */
export function freeEnding(closing: Ending['closing']): Ending {
  return { closing, certainty: 'reported', usage: NO_USAGE, costNanos: ZERO_NANOS };
}

/** Ended before any header came: the upstream has most likely read the prompt. */
export function leftBeforeHeaders(lease: Lease, closing: 'client-left' | StopWord): Ending {
  const usage: Usage = { entries: [], flags: ['estimated'] };
  const costNanos = lease.likelyInputNanos;
  return { closing, certainty: 'estimated', usage, costNanos };
}

export interface Priced {
  readonly lease: Lease;
  readonly snapshot: Snapshot;
  /** null for requests without a body. */
  readonly body: {
    readonly essentials: { readonly sizes: Pick<RequestSizes, 'maxTokens'> };
  } | null;
}

export interface Answered extends Read {
  readonly status: number;
  readonly how: How;
}

/** What the meter knows of an answer. */
export interface Read {
  readonly reading: MeterReading;
  /** Of all blocks since the last cumulative count; no byte tells how many tokens they hold. */
  readonly hiddenThinkingMs: number;
}

/** Tokens a second that models usually think at: what an unseen block is charged with. */
const USUAL_TOKENS_PER_SECOND = 60;

/** The ending of an answer that began: `status` of its headers, `reading` of its body. */
export function endingOf(answered: Answered, priced: Priced): Ending {
  const { status, how, reading } = answered;
  if (status >= 500) return freeEnding('upstream-failed');
  if (status >= 400) return freeEnding('upstream-refused');
  if (reading.error !== null && !reading.started) return freeEnding('upstream-failed');
  const closing = closingOf(how, reading);
  if (isReported(reading) && reading.usage !== null) {
    return { closing, certainty: 'reported', ...price(reading.usage, priced) };
  }
  const isWhole = reading.finished || (how === 'whole' && reading.error === null);
  const flag = isWhole ? 'usage-missing' : 'estimated';
  return { closing, certainty: 'estimated', ...estimate(answered, priced, flag) };
}

/** What an answer that is still running has cost so far. */
export function costSoFar(read: Read, priced: Priced): Nanos {
  return estimate(read, priced, 'estimated').costNanos;
}

/** What the input costs as the upstream has reported it so far; null: it has not yet. */
export function inputSoFar({ reading }: Read, priced: Priced): Nanos | null {
  const entries = reading.usage?.entries ?? [];
  if (!reading.started || entries.every(({ counts }) => promptOf(counts) === 0)) return null;
  const inputs = entries.map((entry) => ({ ...entry, counts: { ...entry.counts, output: 0 } }));
  return price({ entries: inputs, flags: [] }, priced).costNanos;
}

/** Whether the upstream has told all that is to be paid. */
function isReported(reading: MeterReading): boolean {
  const { finished, error, flags } = reading;
  const isReadable = !flags.includes('usage-missing') && !flags.includes('usage-absurd');
  return finished && error === null && isReadable;
}

function closingOf(how: How, reading: MeterReading): Ending['closing'] {
  if (how === 'whole') return reading.error === null ? 'completed' : 'upstream-failed';
  if (how === 'cut') return 'upstream-failed';
  // Who leaves after the last event has had everything.
  if (how === 'drained') return 'client-left';
  if (how === 'left') return reading.finished ? 'completed' : 'client-left';
  return how;
}

function estimate(
  read: Read,
  priced: Priced,
  flag: UsageFlag,
): Pick<Ending, 'usage' | 'costNanos'> {
  const { lease } = priced;
  const reading = believable(read.reading);
  const output = outputSoFar({ ...read, reading }, priced);
  const known = reading.usage?.entries ?? [];
  const terms = { speed: null, geo: null, tier: null };
  const asked: UsageEntry = { model: lease.model ?? '', counts: NO_TOKENS, terms };
  const entries = withOutput(known.length > 0 ? known : [asked], output);
  const all = withTools(entries, reading.serverTools);
  const delivered = price({ entries: all, flags: reading.flags.concat(flag) }, priced);
  // No prompt is empty: one that was not reported is charged as it most likely was.
  if (entries.some(({ counts }) => promptOf(counts) > 0)) return delivered;
  return { ...delivered, costNanos: addNanos(delivered.costNanos, lease.likelyInputNanos) };
}

/** Figures above what any model can produce say nothing: they count as not given. */
function believable(reading: MeterReading): MeterReading {
  if (!reading.flags.includes('usage-absurd')) return reading;
  return { ...reading, usage: null, reportedOutputTokens: 0 };
}

function promptOf(counts: TokenCounts): number {
  return counts.input + counts.cacheRead + counts.cacheWrite5m + counts.cacheWrite1h;
}

/**
 * Never below what was reported, nor below what was delivered and thought; but what is only guessed
 * stays within the tokens that the request allowed.
 */
export function outputSoFar({ reading, hiddenThinkingMs }: Read, { body }: Priced): number {
  const { reportedOutputTokens: reportedOutput, deliveredBytes, estimatedThinkingTokens } = reading;
  const delivered = outputTokensDelivered({ reportedOutput: 0, deliveredBytes });
  const unseen = Math.ceil((hiddenThinkingMs / SECOND_MS) * USUAL_TOKENS_PER_SECOND);
  const guessed = delivered + Math.max(estimatedThinkingTokens, unseen);
  const allowed = body?.essentials.sizes.maxTokens ?? Number.POSITIVE_INFINITY;
  return Math.max(reportedOutput, Math.min(guessed, allowed));
}

/** Raises the last entry's output (the one being written) so that the sum is at least `output`. */
function withOutput(entries: readonly UsageEntry[], output: number): readonly UsageEntry[] {
  const sum = entries.reduce((total, entry) => total + entry.counts.output, 0);
  const last = entries.at(-1);
  if (last === undefined || sum >= output) return entries;
  const counts = { ...last.counts, output: last.counts.output + output - sum };
  return [...entries.slice(0, -1), { ...last, counts }];
}

/** Adds to the last entry the calls of tools that the reported figures do not hold. */
function withTools(
  entries: readonly UsageEntry[],
  { searches, unreportedCalls }: ServerToolCalls,
): readonly UsageEntry[] {
  const last = entries.at(-1);
  if (last === undefined) return entries;
  const told = entries.reduce((total, { counts }) => total + counts.webSearches, 0);
  const counts = {
    ...last.counts,
    input: last.counts.input + unreportedCalls * TOOL_RESULT_TOKENS,
    webSearches: last.counts.webSearches + Math.max(0, searches - told),
  };
  return [...entries.slice(0, -1), { ...last, counts }];
}

/** What calls of tools beyond the `heldCalls` that are held for cost, as so many output tokens. */
export function toolsAsOutput({ reading }: Read, priced: Priced, heldCalls: number): number {
  const { calls, searches } = reading.serverTools;
  const extra = Math.max(0, calls - heldCalls);
  if (extra === 0) return 0;
  const input = extra * TOOL_RESULT_TOKENS;
  const cost = costOf({ input, webSearches: Math.min(searches, extra) }, priced);
  const outputCost = costOf({ output: TOOL_RESULT_TOKENS }, priced);
  return outputCost === 0 ? 0 : Math.ceil((cost * TOOL_RESULT_TOKENS) / outputCost);
}

function costOf(counts: Partial<TokenCounts>, priced: Priced): Nanos {
  const terms = { speed: null, geo: null, tier: null };
  const model = priced.lease.model ?? '';
  const entry: UsageEntry = { model, counts: { ...NO_TOKENS, ...counts }, terms };
  return price({ entries: [entry], flags: [] }, priced).costNanos;
}

function price(usage: Usage, { lease, snapshot }: Priced): Pick<Ending, 'usage' | 'costNanos'> {
  if (lease.price === null) return { usage, costNanos: ZERO_NANOS };
  const priced = priceUsage(usage, {
    asked: lease.price,
    catalogue: snapshot.catalogue,
    at: lease.admittedAt,
  });
  return { usage: { ...usage, flags: priced.flags }, costNanos: priced.costNanos };
}
