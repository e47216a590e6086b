// What closed requests and corrections add to the days of accounts: how many requests each
// answered and what they cost it, what moves cost, and what it was paid for answers that nobody
// got. A request is dated by its admit, in UTC. It knows no table: store/account-days.ts does.

import type { AccountId } from '../ids';
import type { Nanos } from '../money';
import { addNanos, nanos, ZERO_NANOS } from '../money';
import { HOUR_MS } from '../time';
import type { Happened } from './rollup';
import type { RequestRow } from './row';

const DAY_MS = 24 * HOUR_MS;

/** To be added to one day of one account; every figure may be negative, after a correction. */
export interface AccountDay {
  /** Unix ms at which the day (UTC) begins. */
  readonly day: number;
  readonly accountId: AccountId;
  /** That it answered last, whatever it said. */
  readonly requests: number;
  /** Of these, those of conversations whose cache another account had, and what that cost. */
  readonly moves: number;
  readonly movedNanos: Nanos;
  /** Its attempts that nobody got an answer of, and what they may have cost it. */
  readonly absorbedAttempts: number;
  readonly absorbedNanos: Nanos;
  /** What its answers are said to have cost it. */
  readonly accountNanos: Nanos;
}

/** The days' changes, one a day and account; none that changes nothing. */
export function accountDays({ rows, corrections }: Happened): readonly AccountDay[] {
  const days = new Map<string, AccountDay>();
  const add = (row: RequestRow, times: 1 | -1): void => {
    for (const part of partsOf(row, times)) {
      const name = `${part.day} ${part.accountId}`;
      const known = days.get(name);
      days.set(name, known === undefined ? part : added(known, part));
    }
  };
  for (const row of rows) add(row, 1);
  for (const { before, after } of corrections) {
    add(before, -1);
    add(after, 1);
  }
  return [...days.values()].filter(changesSomething);
}

/** The part of the account that answered, and of each whose attempt was absorbed. */
function partsOf(row: RequestRow, times: 1 | -1): readonly AccountDay[] {
  const { closed, known, admittedAt } = row;
  if (closed === null) return [];
  const day = Math.floor(admittedAt / DAY_MS) * DAY_MS;
  const absorbed = closed.attempts.flatMap(({ accountId, absorbedNanos = ZERO_NANOS }) =>
    absorbedNanos === ZERO_NANOS
      ? []
      : [
          {
            ...nothing(day, accountId),
            absorbedAttempts: times,
            absorbedNanos: nanos(absorbedNanos * times),
          },
        ],
  );
  const { accountId, movedNanos = ZERO_NANOS, accountNanos = known?.costNanos } = closed;
  if (accountId === null) return absorbed;
  const answered: AccountDay = {
    ...nothing(day, accountId),
    requests: times,
    moves: movedNanos > 0 ? times : 0,
    movedNanos: nanos(movedNanos * times),
    accountNanos: nanos((accountNanos ?? ZERO_NANOS) * times),
  };
  return [answered, ...absorbed];
}

function nothing(day: number, accountId: AccountId): AccountDay {
  return {
    day,
    accountId,
    requests: 0,
    moves: 0,
    movedNanos: ZERO_NANOS,
    absorbedAttempts: 0,
    absorbedNanos: ZERO_NANOS,
    accountNanos: ZERO_NANOS,
  };
}

function added(a: AccountDay, b: AccountDay): AccountDay {
  return {
    ...a,
    requests: a.requests + b.requests,
    moves: a.moves + b.moves,
    movedNanos: addNanos(a.movedNanos, b.movedNanos),
    absorbedAttempts: a.absorbedAttempts + b.absorbedAttempts,
    absorbedNanos: addNanos(a.absorbedNanos, b.absorbedNanos),
    accountNanos: addNanos(a.accountNanos, b.accountNanos),
  };
}

function changesSomething({ day: _day, accountId: _account, ...figures }: AccountDay): boolean {
  return Object.values(figures).some((figure) => figure !== 0);
}
