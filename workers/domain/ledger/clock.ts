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

/** Reads the clock: `wallClock` in Unix ms, `lastSeenAt` from the reading before (0: none). */
export function readClock(state: {
  readonly wallClock: number;
  readonly lastSeenAt: number;
  readonly openRequests: number;
}): ClockReading {
  const now = Math.max(state.wallClock, state.lastSeenAt);
  const leapt =
    state.openRequests > 0 && state.lastSeenAt > 0 && now - state.lastSeenAt > HOUR_MS;
  return { now, lastSeenAt: leapt ? state.lastSeenAt : now, leapt };
}
