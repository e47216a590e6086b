// Hands the Pool what accounts have cost today and this month (UTC) by the sums of D1, every five
// minutes: they correct what isolates have told.

import type { SpendSum } from '../domain/health/calls';
import type { AccountId } from '../domain/ids';
import { addNanos, ZERO_NANOS } from '../domain/money';
import { HOUR_MS, MINUTE_MS } from '../domain/time';
import { poolOf } from '../platform/objects';
import type { AccountDayRow } from '../store/account-day-reads';
import { readAccountDays } from '../store/account-day-reads';

const EVERY_MINUTES = 5;
const DAY_MS = 24 * HOUR_MS;

/** Does nothing but in every fifth minute. `now` in Unix ms. Throws as D1 and the Pool do. */
export async function correctSpend(env: Env, now: number): Promise<void> {
  if (Math.floor(now / MINUTE_MS) % EVERY_MINUTES !== 0) return;
  const answer = await poolOf(env).snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') return;
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  const date = new Date(now);
  const startsAt = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
  const rows = await readAccountDays(env.DB, { startsAt, endsAt: today + DAY_MS }, null);
  const byId = Map.groupBy(rows, ({ accountId }) => accountId);
  const sums = answer.value.accounts.map(({ id }) => sumOf(id, byId.get(id) ?? [], today));
  await poolOf(env).spentAsOf({ asOf: now, sums });
}

function sumOf(accountId: AccountId, days: readonly AccountDayRow[], today: number): SpendSum {
  const costOf = ({ accountNanos, absorbedNanos }: AccountDayRow) =>
    addNanos(accountNanos, absorbedNanos);
  const ofToday = days.filter(({ day }) => day === today);
  return {
    accountId,
    dayNanos: addNanos(ZERO_NANOS, ...ofToday.map(costOf)),
    monthNanos: addNanos(ZERO_NANOS, ...days.map(costOf)),
  };
}
