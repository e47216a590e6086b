// Hands the Pool what accounts have cost by the sums of D1, which correct what isolates have told:
// the day's every five minutes, the month's with them once an hour, because they read more.

import type { SpendSum } from '../domain/health/calls';
import type { Nanos } from '../domain/money';
import { divideUp, nanos, ZERO_NANOS } from '../domain/money';
import type { SnapshotAccount } from '../domain/snapshot';
import { HOUR_MS, MINUTE_MS } from '../domain/time';
import { poolOf } from '../platform/objects';
import { spendByAccount } from '../store/account-spend';

const EVERY_MINUTES = 5;
const DAY_MS = 24 * HOUR_MS;

/** Does nothing but in every fifth minute. `now` in Unix ms. Throws as D1 and the Pool do. */
export async function correctSpend(env: Env, now: number): Promise<void> {
  const minute = Math.floor(now / MINUTE_MS);
  if (minute % EVERY_MINUTES !== 0) return;
  const hasMonths = minute % 60 === 0;
  const date = new Date(now);
  const daySince = Math.floor(now / DAY_MS) * DAY_MS;
  const monthSince = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
  const answer = await poolOf(env).snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') return;
  const since = hasMonths ? monthSince : daySince;
  const spent = await spendByAccount(env.DB, { since, daySince });
  const byId = new Map(spent.map((row) => [row.accountId, row]));
  const sums = answer.value.accounts.flatMap((account) => sumOf(account, byId.get(account.id)));
  await poolOf(env).spentAsOf({ asOf: now, sums, hasMonths });
}

/** Nothing for an account with prices of its own: what users paid says little of what it costs. */
function sumOf(
  { id: accountId, costFactor, ownPrices }: SnapshotAccount,
  spent: Omit<SpendSum, 'accountId'> | undefined,
): readonly SpendSum[] {
  if (ownPrices.length > 0) return [];
  const [numerator, denominator] = costFactor;
  const cost = (paidNanos: Nanos): Nanos => {
    const dividend = BigInt(paidNanos) * BigInt(numerator);
    return nanos(Number(divideUp(dividend, BigInt(denominator))));
  };
  const { dayNanos, monthNanos } = spent ?? { dayNanos: ZERO_NANOS, monthNanos: ZERO_NANOS };
  return [{ accountId, dayNanos: cost(dayNanos), monthNanos: cost(monthNanos) }];
}
