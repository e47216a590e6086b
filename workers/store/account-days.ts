// The columns of `account_days` and how a batch of the Ledger adds to them. The statement is run
// among the others of its batch (ledger-batches.ts), under the same guard.

import type { AccountDay } from '../domain/ledger/account-days';

const KEY = ['day', 'account_id'] as const;
const SUMS = [
  'requests',
  'moves',
  'moved_nanos',
  'absorbed_attempts',
  'absorbed_nanos',
  'account_nanos',
] as const;

/** In the order of `accountDayValues`. */
export const ACCOUNT_DAY_COLUMNS = [...KEY, ...SUMS] as const;

/** What follows the insert: a day that is there already is added to. */
export const ADD_TO_ACCOUNT_DAY =
  `ON CONFLICT (${KEY.join(', ')}) DO UPDATE SET ` +
  SUMS.map((name) => `${name} = account_days.${name} + excluded.${name}`).join(', ');

/** One row of the parameter. */
export function accountDayValues(day: AccountDay): readonly (string | number)[] {
  const values: Readonly<Record<(typeof ACCOUNT_DAY_COLUMNS)[number], string | number>> = {
    day: day.day,
    account_id: day.accountId,
    requests: day.requests,
    moves: day.moves,
    moved_nanos: day.movedNanos,
    absorbed_attempts: day.absorbedAttempts,
    absorbed_nanos: day.absorbedNanos,
    account_nanos: day.accountNanos,
  };
  return ACCOUNT_DAY_COLUMNS.map((name) => values[name]);
}
