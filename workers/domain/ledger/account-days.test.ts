import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idOf, NOW, ownerOf } from '../../../tests/support/ledger';
import { nanos } from '../money';
import { HOUR_MS } from '../time';
import type { AccountDay } from './account-days';
import { accountDays } from './account-days';
import type { Attempt } from './calls';
import type { Closed, RequestRow } from './row';

const [A, B, C] = [idOf('account', 1), idOf('account', 2), idOf('account', 3)];
const OWNER_ID = ownerOf(1).userId;
const DAY_MS = 24 * HOUR_MS;
const DAY = Math.floor(NOW / DAY_MS) * DAY_MS;

function attempt(accountId: Attempt['accountId'], absorbed = 0): Attempt {
  const absorbedNanos = absorbed === 0 ? {} : { absorbedNanos: nanos(absorbed) };
  return { accountId, status: 200, outcome: 'answered', durationMs: 1, ...absorbedNanos };
}

/** As much of a closed row as this reads. */
function row(
  closed: Partial<Pick<Closed, 'accountId' | 'attempts' | 'movedNanos' | 'accountNanos'>> | null,
  { costNanos = 100, admittedAt = NOW } = {},
): RequestRow {
  const details = closed === null ? null : { accountId: A, attempts: [], ...closed };
  return { admittedAt, known: { costNanos }, closed: details } as unknown as RequestRow;
}

function daysOf(rows: readonly RequestRow[], corrections: [RequestRow, RequestRow][] = []) {
  const changes = corrections.map(([before, after]) => ({ before, after }));
  return accountDays({ rows, corrections: changes, ownerId: OWNER_ID });
}

const NOTHING = {
  day: DAY,
  requests: 0,
  moves: 0,
  movedNanos: 0,
  absorbedAttempts: 0,
  absorbedNanos: 0,
  accountNanos: 0,
};

describe('the day of an account', () => {
  it('counts what it answered, at what it is said to cost, else at what the user paid', () => {
    expect(daysOf([row({}), row({ accountNanos: nanos(30) })])).toEqual([
      { ...NOTHING, accountId: A, requests: 2, accountNanos: 130 },
    ]);
  });

  it('is that of the admit, in UTC', () => {
    const late = row({}, { admittedAt: DAY + DAY_MS - 1 });
    const next = row({}, { admittedAt: DAY + DAY_MS });
    expect(daysOf([late, next]).map(({ day }) => day)).toEqual([DAY, DAY + DAY_MS]);
  });

  it('has the moves to it that cost something', () => {
    const rows = [row({ movedNanos: nanos(7) }), row({ movedNanos: nanos(5) }), row({})];
    expect(daysOf(rows)).toMatchObject([{ requests: 3, moves: 2, movedNanos: 12 }]);
  });

  it('has its own absorbed attempts, and none of the account that answered instead', () => {
    const attempts = [attempt(B, 40), attempt(C), attempt(B, 2), attempt(A)];
    const absorbed = { ...NOTHING, accountId: B, absorbedAttempts: 2, absorbedNanos: 42 };
    expect(daysOf([row({ attempts })])).toEqual([
      { ...NOTHING, accountId: A, requests: 1, accountNanos: 100 },
      absorbed,
    ]);
    expect(daysOf([row({ accountId: null, attempts })])).toEqual([absorbed]);
  });

  it('has nothing of requests that no account was called for', () => {
    expect(daysOf([row(null), row({ accountId: null })])).toEqual([]);
  });

  it('loses by a correction what the row was, and gains what it is', () => {
    const before = row({ movedNanos: nanos(9), attempts: [attempt(B, 4)] });
    const after = row({ attempts: [attempt(B, 4)], accountNanos: nanos(1) });
    expect(daysOf([], [[before, after]])).toEqual([
      { ...NOTHING, accountId: A, moves: -1, movedNanos: -9, accountNanos: -99 },
    ]);
    expect(daysOf([], [[before, before]])).toEqual([]);
  });

  it('comes to the same whether a row is corrected in its batch, later or never was other', () => {
    const part = fc.record({
      accountId: fc.constantFrom(A, B, null),
      movedNanos: fc.constantFrom(undefined, nanos(3), nanos(8)),
      accountNanos: fc.constantFrom(undefined, nanos(0), nanos(50)),
      absorbed: fc.array(fc.tuple(fc.constantFrom(A, B), fc.integer({ min: 0, max: 9 }))),
      costNanos: fc.nat(1_000),
    });
    const made = part.map(({ absorbed, movedNanos, accountNanos, accountId, costNanos }) =>
      row(
        {
          accountId,
          attempts: absorbed.map(([account, amount]) => attempt(account, amount)),
          ...(movedNanos === undefined ? {} : { movedNanos }),
          ...(accountNanos === undefined ? {} : { accountNanos }),
        },
        { costNanos },
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(made, made)), (pairs) => {
        const finals = daysOf(pairs.map(([, after]) => after));
        const together = daysOf(
          pairs.map(([before]) => before),
          pairs,
        );
        const apart = [...daysOf(pairs.map(([before]) => before)), ...daysOf([], pairs)];
        expect(summed(together)).toEqual(summed(finals));
        expect(summed(apart)).toEqual(summed(finals));
      }),
      { seed: 5, numRuns: 200 },
    );
  });
});

/** By account, what is not zero. */
function summed(days: readonly AccountDay[]): unknown {
  const sums: Record<string, Record<string, number>> = {};
  for (const { day: _day, accountId, ...figures } of days) {
    const sum = (sums[accountId] ??= {});
    for (const [name, by] of Object.entries(figures)) sum[name] = (sum[name] ?? 0) + by;
  }
  const plain = Object.entries(sums).map(([account, sum]) => [
    account,
    Object.entries(sum).filter(([, figure]) => figure !== 0),
  ]);
  return Object.fromEntries(plain.filter(([, figures]) => (figures?.length ?? 0) > 0));
}
