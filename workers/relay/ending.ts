// How a request ended, and what is to be paid for it: plain functions of what the meter read.
// What is not known is estimated in the relay's favour of truth: never zero, never below what was
// delivered (ledger.md §3).

import type { Certainty, Closing, Lease } from '../domain/ledger/calls';
import type { Nanos } from '../domain/money';
import { addNanos, ZERO_NANOS } from '../domain/money';
import { outputTokensDelivered } from '../domain/pricing/estimate';
import { priceUsage } from '../domain/pricing/price';
import type { Snapshot } from '../domain/snapshot';
import type { Usage, UsageEntry } from '../domain/usage/tokens';
import { NO_TOKENS } from '../domain/usage/tokens';
import type { MeterReading } from '../protocols/protocol';

/** `whole`: the upstream closed; `cut`: it broke off; `left`: the client did; else the relay. */
export type How = 'whole' | 'cut' | 'left' | 'revoked' | 'stopped' | 'cut-by-limit';

export interface Ending {
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
export function leftBeforeHeaders(
  lease: Lease,
  closing: 'client-left' | Extract<How, 'revoked' | 'stopped' | 'cut-by-limit'>,
): Ending {
  const usage: Usage = { entries: [], flags: ['estimated'] };
  const costNanos = lease.likelyInputNanos;
  return { closing, certainty: 'estimated', usage, costNanos };
}

export interface Priced {
  readonly lease: Lease;
  readonly snapshot: Snapshot;
}

/** The ending of an answer that began: `status` of its headers, `reading` of its body. */
export function endingOf(
  answered: { readonly status: number; readonly how: How; readonly reading: MeterReading },
  priced: Priced,
): Ending {
  const { status, how, reading } = answered;
  if (status >= 500) return freeEnding('upstream-failed');
  if (status >= 400) return freeEnding('upstream-refused');
  if (reading.error !== null && !reading.started) return freeEnding('upstream-failed');
  const closing = closingOf(how, reading);
  if (reading.finished && reading.usage !== null && reading.error === null) {
    return { closing, certainty: 'reported', ...price(reading.usage, priced) };
  }
  return { closing, certainty: 'estimated', ...estimate(reading, priced) };
}

/** What an answer that is still running has cost so far. */
export function costSoFar(reading: MeterReading, priced: Priced): Nanos {
  return estimate(reading, priced).costNanos;
}

function closingOf(how: How, reading: MeterReading): Ending['closing'] {
  if (how === 'whole') return reading.error === null ? 'completed' : 'upstream-failed';
  if (how === 'cut') return 'upstream-failed';
  // Who leaves after the last event has had everything.
  if (how === 'left') return reading.finished ? 'completed' : 'client-left';
  return how;
}

function estimate(reading: MeterReading, priced: Priced): Pick<Ending, 'usage' | 'costNanos'> {
  const { lease } = priced;
  const output = outputTokensDelivered({
    reportedOutput: reading.reportedOutputTokens,
    deliveredBytes: reading.deliveredBytes,
  });
  const known = reading.usage?.entries ?? [];
  const flags = reading.finished ? (['usage-missing'] as const) : (['estimated'] as const);
  if (known.length > 0) {
    const usage = { entries: withOutput(known, output), flags: reading.flags.concat(flags) };
    return price(usage, priced);
  }
  // Nothing was reported: the likely input, and what was delivered.
  const counts = { ...NO_TOKENS, output };
  const terms = { speed: null, geo: null, tier: null };
  const entry: UsageEntry = { model: lease.model ?? '', counts, terms };
  const delivered = price({ entries: [entry], flags: reading.flags.concat(flags) }, priced);
  return { ...delivered, costNanos: addNanos(delivered.costNanos, lease.likelyInputNanos) };
}

/** Raises the last entry's output (the one being written) so that the sum is at least `output`. */
function withOutput(entries: readonly UsageEntry[], output: number): readonly UsageEntry[] {
  const sum = entries.reduce((total, entry) => total + entry.counts.output, 0);
  const last = entries.at(-1);
  if (last === undefined || sum >= output) return entries;
  const counts = { ...last.counts, output: last.counts.output + output - sum };
  return [...entries.slice(0, -1), { ...last, counts }];
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
