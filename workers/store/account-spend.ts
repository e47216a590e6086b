// What accounts have cost by the rollups: one range of slots, summed up by account. It is what users
// were charged; what an account itself is said to cost, its caller makes of it.

import type { AccountId } from '../domain/ids';
import type { Nanos } from '../domain/money';
import { nanos } from '../domain/money';

export interface AccountSpend {
  readonly accountId: AccountId;
  readonly dayNanos: Nanos;
  /** Of all slots that were asked for. */
  readonly monthNanos: Nanos;
}

const SUMS =
  'SELECT account_id AS id, sum(CASE WHEN slot >= ?2 THEN cost_nanos ELSE 0 END) AS day, ' +
  "sum(cost_nanos) AS month FROM rollups WHERE slot >= ?1 AND account_id <> '' " +
  'GROUP BY account_id';

/** Since two instants (Unix ms), both at the beginning of a slot. Throws as D1 does. */
export async function spendByAccount(
  d1: D1Database,
  { since, daySince }: { readonly since: number; readonly daySince: number },
): Promise<readonly AccountSpend[]> {
  const { results } = await d1
    .withSession('first-primary')
    .prepare(SUMS)
    .bind(since, daySince)
    .all<{ id: AccountId; day: number; month: number }>();
  return results.map(({ id, day, month }) => ({
    accountId: id,
    dayNanos: nanos(day),
    monthNanos: nanos(month),
  }));
}
