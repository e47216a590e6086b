// What an account is said to have cost today and this month (UTC), counted from isolates' reports
// and corrected by the sums of D1, which come a minute or two late.

import type { Nanos } from '../money';
import { nanos, ZERO_NANOS } from '../money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../time';
import type { SpendSum } from './calls';

const DAY_MS = 24 * HOUR_MS;
/** What was told so short before D1's sums were taken may not be in them. */
const LATE_MS = 2 * MINUTE_MS;
const PART_MS = 30 * SECOND_MS;
/** Enough for LATE_MS and for sums that are a minute old. */
const PARTS_KEPT = 8;

export interface Spend {
  /** Number of the UTC day. */
  readonly day: number;
  readonly dayNanos: Nanos;
  readonly month: string;
  readonly monthNanos: Nanos;
  /** What was told lately: the number of the half minute, and how much. */
  readonly recent: readonly (readonly [at: number, nanos: number])[];
}

/** Nothing spent in the day and month of `now` (Unix ms). */
function unspent(now: number): Spend {
  return {
    day: Math.floor(now / DAY_MS),
    dayNanos: ZERO_NANOS,
    month: new Date(now).toISOString().slice(0, 7),
    monthNanos: ZERO_NANOS,
    recent: [],
  };
}

/** What of `spend` is of the day and the month of `now` (Unix ms). */
export function spentAt(spend: Spend | undefined, now: number): Spend {
  const fresh = unspent(now);
  if (spend === undefined || spend.month !== fresh.month) return fresh;
  if (spend.day === fresh.day) return spend;
  const { monthNanos, recent } = spend;
  return { ...fresh, monthNanos, recent };
}

/** With a cost that was told at `now` (Unix ms). */
export function withCost(spend: Spend | undefined, costNanos: Nanos, now: number): Spend {
  const before = spentAt(spend, now);
  const part = Math.floor(now / PART_MS);
  const kept = before.recent.filter(([at]) => at !== part && at > part - PARTS_KEPT);
  const [, same = 0] = before.recent.find(([at]) => at === part) ?? [];
  return {
    ...before,
    dayNanos: sum(before.dayNanos, costNanos),
    monthNanos: sum(before.monthNanos, costNanos),
    recent: [...kept, [part, same + costNanos]],
  };
}

/**
 * Corrected by what D1 says as of `asOf`, with what came since or may have come too late for it;
 * rather too high. Sums of another day change nothing.
 */
export function correctedBy(
  spend: Spend | undefined,
  sums: Pick<SpendSum, 'dayNanos' | 'monthNanos'>,
  { asOf, now }: { readonly asOf: number; readonly now: number },
): Spend {
  const before = spentAt(spend, now);
  if (Math.floor(asOf / DAY_MS) !== before.day) return before;
  const since = Math.floor((asOf - LATE_MS) / PART_MS);
  const late = before.recent.reduce((total, [at, told]) => total + (at >= since ? told : 0), 0);
  const dayNanos = sum(sums.dayNanos, late);
  return { ...before, dayNanos, monthNanos: sum(sums.monthNanos, late) };
}

/** Never below nothing, never beyond what a number can hold. */
function sum(...amounts: readonly number[]): Nanos {
  const total = amounts.reduce((one, other) => one + other, 0);
  return nanos(Math.max(0, Math.min(Math.trunc(total), Number.MAX_SAFE_INTEGER)));
}
