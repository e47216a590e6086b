// How long somebody who failed must wait before the next attempt: the rule of the Throttle objects.
// It knows of no storage and no subject; what an attempt is, its caller decides.

import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../time';

/**
 * What is counted. `name`: a login name, or a person. Anybody can fail for a name, so its delay
 * stays short: whoever guesses from one address is kept away by the address long before.
 */
export type SubjectKind = 'name' | 'address';

/** This many failures cost nothing; the next attempt after them waits. */
export const FREE_FAILURES = 3;
/** Without a failure for this long all are forgotten. */
export const FORGET_AFTER_MS = HOUR_MS;
const FIRST_DELAY_MS = SECOND_MS;
const DELAY_MS_MAX: Readonly<Record<SubjectKind, number>> = {
  name: 30 * SECOND_MS,
  address: 15 * MINUTE_MS,
};

/** Attempts that failed, or have not yet ended. */
export interface Failures {
  readonly count: number;
  /** Unix ms of the last one. */
  readonly lastAt: number;
}

export const NO_FAILURES: Failures = { count: 0, lastAt: 0 };

/** The wait after `count` failures in ms: 0 for the first ones, then doubling up to the most. */
export function delayMs(count: number, kind: SubjectKind): number {
  if (count < FREE_FAILURES) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (count - FREE_FAILURES), DELAY_MS_MAX[kind]);
}

/** What of `failures` still counts at `now` (Unix ms). */
export function remembered(failures: Failures, now: number): Failures {
  return now - failures.lastAt >= FORGET_AFTER_MS ? NO_FAILURES : failures;
}

/**
 * Ms until the next attempt is allowed at `now` (Unix ms); 0: now. Never longer than the delay
 * itself, also when the clock was set back.
 */
export function waitMs(failures: Failures, kind: SubjectKind, now: number): number {
  const { count, lastAt } = remembered(failures, now);
  const delay = delayMs(count, kind);
  return Math.min(delay, Math.max(0, lastAt + delay - now));
}

/** With one attempt more, at `now` (Unix ms). */
export function withAttempt(failures: Failures, now: number): Failures {
  return { count: remembered(failures, now).count + 1, lastAt: now };
}

/**
 * With one attempt less that was no failure. `lastAt`: of the failure before it, where nothing was
 * attempted since; absent: stays.
 */
export function withoutAttempt(failures: Failures, lastAt = failures.lastAt): Failures {
  return failures.count <= 1 ? NO_FAILURES : { count: failures.count - 1, lastAt };
}
