// A circuit breaker: closed while enough of what it counts goes well, open when half of it fails,
// and then half open, when a few probes decide. It calls nobody, gives no permits out (health/
// permits.ts does) and knows no account: what is counted here, its owner decides.

import { SECOND_MS } from '../time';

const BUCKET_MS = SECOND_MS;
/** Calls of the last 30 s decide. */
const BUCKETS = 30;
/** Fewer calls than this say nothing: one bad minute of a quiet night closes no account. */
export const VOLUME_MIN = 5;
/**
 * How long no call is let through. Always the same, not doubled from time to time: after a long
 * outage a recovered account is back as soon as after a short one, and the probes cost three calls.
 */
export const OPEN_MS = 30 * SECOND_MS;
/** So many good probes close it; no more are ever let through at a time. */
export const PROBES = 3;

/** Calls that ended within one second. */
interface Bucket {
  /** Number of the second. */
  readonly at: number;
  readonly good: number;
  readonly bad: number;
}

/** Since it opened. */
interface Opening {
  /** Unix ms of the first of the openings that followed each other without closing between. */
  readonly since: number;
  /** Unix ms of this one: names it, so that probes of an earlier one decide nothing. */
  readonly at: number;
  /** Unix ms at which probes begin. */
  readonly until: number;
  /** Probes under way. */
  readonly running: number;
  /** Probes that were good. */
  readonly good: number;
}

export interface Breaker {
  /** Ascending, at most 30; empty while it is open. */
  readonly buckets: readonly Bucket[];
  /** null: closed. */
  readonly opening: Opening | null;
}

/** Closed, and nothing counted. */
export const CLOSED: Breaker = { buckets: [], opening: null };

export type Phase = 'closed' | 'open' | 'half-open';

/** What it lets through at `now` (Unix ms): everything, nothing, or probes. */
export function phaseOf({ opening }: Breaker, now: number): Phase {
  if (opening === null) return 'closed';
  return now < opening.until ? 'open' : 'half-open';
}

/**
 * With calls that have ended by `now` (Unix ms). Once it is open only probes count: whatever else
 * ends now began before, or in an isolate that had not heard.
 */
export function withCalls(
  breaker: Breaker,
  calls: Readonly<Record<'good' | 'bad', number>>,
  now: number,
): Breaker {
  if (breaker.opening !== null || calls.good + calls.bad === 0) return breaker;
  const buckets = added(recent(breaker.buckets, now), calls, now);
  const good = buckets.reduce((sum, bucket) => sum + bucket.good, 0);
  const bad = buckets.reduce((sum, bucket) => sum + bucket.bad, 0);
  const isFailing = good + bad >= VOLUME_MIN && bad >= good;
  return isFailing ? opened(now) : { buckets, opening: null };
}

function recent(buckets: readonly Bucket[], now: number): readonly Bucket[] {
  const oldest = Math.floor(now / BUCKET_MS) - BUCKETS;
  return buckets.filter(({ at }) => at > oldest);
}

/** A clock that goes back adds to the latest second. */
function added(
  buckets: readonly Bucket[],
  { good, bad }: Readonly<Record<'good' | 'bad', number>>,
  now: number,
): readonly Bucket[] {
  const at = Math.floor(now / BUCKET_MS);
  const last = buckets.at(-1);
  if (last === undefined || last.at < at) return [...buckets, { at, good, bad }];
  return [...buckets.slice(0, -1), { at: last.at, good: last.good + good, bad: last.bad + bad }];
}

/** Open from `now` (Unix ms) on. */
function opened(now: number): Breaker {
  const opening = { since: now, at: now, until: now + OPEN_MS, running: 0, good: 0 };
  return { buckets: [], opening };
}

/** As it was kept, with no probe under way. */
export function reopened(kept: Pick<Opening, 'since' | 'at' | 'until'>): Breaker {
  const { since, at, until } = kept;
  return { buckets: [], opening: { since, at, until, running: 0, good: 0 } };
}

/** Whether one more probe may go; `isEarly`: also before it is half open, as the last resort. */
export function mayProbe(breaker: Breaker, now: number, isEarly: boolean): boolean {
  const { opening } = breaker;
  if (opening === null || opening.running + opening.good >= PROBES) return false;
  return isEarly || now >= opening.until;
}

/** With one more probe under way; ask `mayProbe` first. */
export function withProbe(breaker: Breaker): Breaker {
  const { opening } = breaker;
  if (opening === null) return breaker;
  return { ...breaker, opening: { ...opening, running: opening.running + 1 } };
}

/** How a probe ended. */
export interface ProbeEnd {
  /** `at` of the opening that it was let through in. */
  readonly at: number;
  /** null: it told nothing, and its place is free again. */
  readonly isGood: boolean | null;
}

/**
 * With a probe that has ended at `now` (Unix ms). The last good one closes it; a bad one opens it
 * anew. One that went early, as the last resort: good, it begins the probes at once; bad, it
 * changes nothing.
 */
export function withProbeEnd(breaker: Breaker, end: ProbeEnd, now: number): Breaker {
  const { opening } = breaker;
  if (opening === null || opening.at !== end.at || opening.running === 0) return breaker;
  const running = opening.running - 1;
  if (end.isGood === true) {
    const good = opening.good + 1;
    if (good >= PROBES) return CLOSED;
    const until = Math.min(opening.until, now);
    return { ...breaker, opening: { ...opening, running, good, until } };
  }
  if (end.isGood === null || now < opening.until) {
    return { ...breaker, opening: { ...opening, running } };
  }
  // Two openings never bear the same instant.
  const at = Math.max(now, opening.at + 1);
  const again = { since: opening.since, at, until: now + OPEN_MS, running: 0, good: 0 };
  return { buckets: [], opening: again };
}

/** Whether nothing would be lost with it. */
export function isIdle(breaker: Breaker, now: number): boolean {
  return breaker.opening === null && recent(breaker.buckets, now).length === 0;
}
