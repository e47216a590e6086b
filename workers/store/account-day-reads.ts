// What accounts cost by day (UTC) beside what users paid: moves, attempts that nobody paid for, and
// what the account is said to have cost. The wallets' objects bring it (account-days.ts). What
// users paid is in the rollups (usage.ts).

import type { AccountId } from '../domain/ids';
import type { Nanos } from '../domain/money';
import { nanos } from '../domain/money';
import type { Span } from '../domain/usage/timeline';

export interface AccountDayRow {
  /** Unix ms at which the day begins. */
  readonly day: number;
  readonly accountId: AccountId;
  readonly moves: number;
  readonly movedNanos: Nanos;
  readonly absorbedAttempts: number;
  readonly absorbedNanos: Nanos;
  /** Of its answers; what was absorbed comes on top. */
  readonly accountNanos: Nanos;
}

const QUERY =
  'SELECT day, account_id AS accountId, moves, moved_nanos AS movedNanos, ' +
  'absorbed_attempts AS absorbedAttempts, absorbed_nanos AS absorbedNanos, ' +
  'account_nanos AS accountNanos FROM account_days ' +
  'WHERE day >= ?1 AND day < ?2 AND (?3 IS NULL OR account_id = ?3)';

/** Those of whole days in the range, of one account or of all. Throws as D1 does. */
export async function readAccountDays(
  d1: D1Database,
  { startsAt, endsAt }: Span,
  accountId: AccountId | null,
): Promise<readonly AccountDayRow[]> {
  const { results } = await d1
    .withSession('first-primary')
    .prepare(QUERY)
    .bind(startsAt, endsAt, accountId)
    .all<AccountDayRow>();
  return results.map((row) => ({
    ...row,
    movedNanos: nanos(row.movedNanos),
    absorbedNanos: nanos(row.absorbedNanos),
    accountNanos: nanos(row.accountNanos),
  }));
}
