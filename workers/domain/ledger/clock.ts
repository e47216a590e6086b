// The object's clock: never behind what it has shown before. A wall clock that leaps ahead while
// requests are open is used but not remembered, so that one bad reading cannot freeze time.

import { HOUR_MS } from '../time';

export interface ClockReading {
  /** Unix ms. */
  readonly now: number;
  /** What to keep as last seen. */
  readonly lastSeenAt: number;
  /** The wall clock leapt by more than an hour while something was open. */
  readonly leapt: boolean;
}

/**
 * Last seen at waking: the latest of the wall clock and what is stored (all Unix ms). A stored time
 * more than an hour ahead was a bad reading and is not believed again.
 */
export function lastSeenAtWaking(wallClock: number, stored: readonly number[]): number {
  const believed = stored.filter((time) => time - wallClock <= HOUR_MS);
  return believed.reduce((latest, time) => Math.max(latest, time), wallClock);
}

/** Reads the clock: `wallClock` in Unix ms, `lastSeenAt` from the reading before (0: none). */
export function readClock(state: {
  readonly wallClock: number;
  readonly lastSeenAt: number;
  readonly openRequests: number;
}): ClockReading {
  const now = Math.max(state.wallClock, state.lastSeenAt);
  const leapt = state.openRequests > 0 && state.lastSeenAt > 0 && now - state.lastSeenAt > HOUR_MS;
  return { now, lastSeenAt: leapt ? state.lastSeenAt : now, leapt };
}
