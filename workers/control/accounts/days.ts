// What accounts did and cost by day (UTC): usage as users paid it, beside what only the relay knows
// of the account. Both are sums of D1, a batch behind the wallets' objects.

import type { AccountDay, AccountDays, AccountSums } from '../contract/account-days';
import { figuresOf } from '../usage/told';
import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Call } from '../visit';
import type { AccountId } from '../../domain/ids';
import { addNanos, nanos, ZERO_NANOS } from '../../domain/money';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import { HOUR_MS } from '../../domain/time';
import type { Figures } from '../../domain/usage/figures';
import { addFigures, NO_FIGURES } from '../../domain/usage/figures';
import type { Span } from '../../domain/usage/timeline';
import type { AccountDayRow } from '../../store/account-day-reads';
import { readAccountDays } from '../../store/account-day-reads';
import { labelsOf, readUsage } from '../../store/usage';

const DAY_MS = 24 * HOUR_MS;
const DAYS_USUAL = 30;
const DAYS_MAX = 92;

interface Asked {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/** The whole days (UTC) that hold what was asked for; absent: the last 30. */
export function daysAsked({ from, to }: Asked, now: number): Result<Span, Refused> {
  const endsAt = Math.ceil((to ?? now + 1) / DAY_MS) * DAY_MS;
  const startsAt =
    from === undefined ? endsAt - DAYS_USUAL * DAY_MS : Math.floor(from / DAY_MS) * DAY_MS;
  if (startsAt >= endsAt) return refused('not-valid', { fields: { to: 'is not after `from`' } });
  if (endsAt - startsAt > DAYS_MAX * DAY_MS) {
    return refused('not-valid', { fields: { from: `is more than ${DAYS_MAX} days before` } });
  }
  return ok({ startsAt, endsAt });
}

/** What one account, or (null) every account, did in the range. Throws as D1 does. */
export async function reportDays(
  { env }: Pick<Call, 'env'>,
  range: Span,
  accountId: AccountId | null,
): Promise<AccountDays> {
  const count = (range.endsAt - range.startsAt) / DAY_MS;
  const spans = Array.from({ length: count }, (_, index) => {
    const startsAt = range.startsAt + index * DAY_MS;
    return { startsAt, endsAt: startsAt + DAY_MS };
  });
  const filter = accountId === null ? {} : { accountId };
  const [usage, rows] = await Promise.all([
    readUsage(env.DB, { spans, group: 'account', filter, isTimeless: true }),
    readAccountDays(env.DB, range, accountId),
  ]);
  const cells = new Map<string, Cell>();
  for (const { span, name, times: _, ...figures } of usage) {
    // Requests that came to no account have none.
    const startsAt = spans[span]?.startsAt;
    if (name === '' || startsAt === undefined) continue;
    // Account ids are all that the rollups have there.
    add(cells, { ...NOTHING, startsAt, accountId: name as AccountId, figures });
  }
  for (const { day, ...own } of rows) {
    add(cells, { ...NOTHING, ...own, startsAt: day, figures: NO_FIGURES });
  }
  const sorted = [...cells.values()].toSorted(byDay);
  const names = await labelsOf(env.DB, 'account', [...new Set(sorted.map((one) => one.accountId))]);
  const items = sorted.map((cell): AccountDay => {
    const day = new Date(cell.startsAt).toISOString().slice(0, 10);
    const { accountId: id } = cell;
    return { day, accountId: id, name: names.get(id) ?? null, ...sumsOf(cell) };
  });
  const totals = sumsOf(sorted.reduce(together, NO_CELL));
  return { from: range.startsAt, to: range.endsAt, items, totals };
}

interface Cell extends Omit<AccountDayRow, 'day'> {
  readonly startsAt: number;
  readonly figures: Figures;
}

const NOTHING = {
  moves: 0,
  movedNanos: ZERO_NANOS,
  absorbedAttempts: 0,
  absorbedNanos: ZERO_NANOS,
  accountNanos: ZERO_NANOS,
} as const;
const NO_CELL: Cell = { ...NOTHING, startsAt: 0, accountId: 'acc_', figures: NO_FIGURES };

function add(cells: Map<string, Cell>, cell: Cell): void {
  const name = `${cell.startsAt} ${cell.accountId}`;
  const known = cells.get(name);
  cells.set(name, known === undefined ? cell : together(cell, known));
}

/** Both together, under the name of the first. */
function together(one: Cell, other: Cell): Cell {
  return {
    ...one,
    figures: addFigures(one.figures, other.figures),
    moves: one.moves + other.moves,
    movedNanos: addNanos(one.movedNanos, other.movedNanos),
    absorbedAttempts: one.absorbedAttempts + other.absorbedAttempts,
    absorbedNanos: addNanos(one.absorbedNanos, other.absorbedNanos),
    accountNanos: addNanos(one.accountNanos, other.accountNanos),
  };
}

/** The newest day first; in it what users paid most for. */
function byDay(one: Cell, other: Cell): number {
  if (one.startsAt !== other.startsAt) return other.startsAt - one.startsAt;
  const cost = other.figures.costNanos - one.figures.costNanos;
  return cost === 0 ? one.accountId.localeCompare(other.accountId) : cost;
}

function sumsOf({ figures, startsAt: _s, accountId: _a, ...own }: Cell): AccountSums {
  const { requests, errors: failures, tokens, costNanos } = figuresOf(figures);
  const { input, cacheWrite5m, cacheWrite1h, cacheRead } = tokens;
  const prompt = input + cacheWrite5m + cacheWrite1h + cacheRead;
  // A share for people, to a hundredth of a percent; no money is made of it.
  const cacheHitShare = prompt === 0 ? null : Math.round((cacheRead / prompt) * 10_000) / 10_000;
  return { requests, failures, tokens, cacheHitShare, costNanos: nanos(costNanos), ...own };
}
