// What a key, a user and a wallet have spent and hold in the running day, week and month, and in
// all, together and by model family. Folded from rows, each dated by its admit. It does not know
// the limits: every sum is kept, so that a limit set today counts what was spent this morning.

import type { Nanos } from '../money';
import { addNanos, nanos, subtractNanos, ZERO_NANOS } from '../money';
import type { CalendarPeriod, Period } from './calendar';
import { periodAt } from './calendar';
import type { BudgetLimit, BudgetPeriod } from './limit-set';

/** A running period, the one before, and one that a leaping clock may have shown. */
const PERIODS_KEPT = 3;
const CALENDAR_PERIODS: readonly CalendarPeriod[] = ['day', 'week', 'month'];
const PERIODS: readonly BudgetPeriod[] = ['total', ...CALENDAR_PERIODS];
/** The family of sums that count every model. */
const EVERY_MODEL = '';
const ALL_TIME: Period = { startsAt: 0, endsAt: Number.MAX_SAFE_INTEGER };

export interface BudgetSum extends Period {
  spentNanos: Nanos;
  heldNanos: Nanos;
}

/** Mutable on purpose: one object, one writer, folded in place. */
export interface BudgetBook {
  /** IANA name. */
  readonly timeZone: string;
  /** By `holder|period|family`, each list ascending by `startsAt`. */
  readonly sums: Map<string, BudgetSum[]>;
  /** The latest periods that were looked up: finding one takes far longer than a sum. */
  readonly recent: Map<CalendarPeriod, Period[]>;
  /** The same of all kinds together, the latest looked up first. */
  dates: readonly Dates[];
  /** By holder and family: the sums posted to last, found without making their names. */
  readonly lines: Map<string, Map<string, Line>>;
}

/** The periods that hold every instant from `startsAt` until `endsAt`. */
interface Dates extends Period {
  /** In the order of PERIODS. */
  readonly periods: readonly Period[];
}

/** One holder's sums of one family in these periods, in the same order. */
interface Line {
  readonly dates: Dates;
  readonly sums: readonly BudgetSum[];
}

/** What a checkpoint keeps: without holds, which open rows bring back. */
export interface BudgetJson {
  readonly timeZone: string;
  readonly sums: readonly (readonly [
    string,
    readonly (readonly [startsAt: number, endsAt: number, spentNanos: Nanos])[],
  ])[];
}

export interface BudgetPosting {
  /** Ids of key, user and wallet. */
  readonly holders: readonly string[];
  /** null: not known. */
  readonly family: string | null;
  /** Unix ms of admit, whenever it is posted. */
  readonly at: number;
  /** What was spent more, or (negative) less, by a correction. */
  readonly spentNanos?: Nanos;
  /** What is held more, or (negative) less. */
  readonly heldNanos?: Nanos;
}

/** How a budget stands. */
export interface BudgetFigure {
  readonly period: BudgetPeriod;
  /** null: of all models. */
  readonly family: string | null;
  readonly limitNanos: Nanos;
  readonly spentNanos: Nanos;
  readonly heldNanos: Nanos;
  /** Unix ms; null: never (`total`). */
  readonly resetsAt: number | null;
}

/** A book in which nothing was spent. */
export function emptyBook(timeZone: string): BudgetBook {
  return { timeZone, sums: new Map(), recent: new Map(), dates: [], lines: new Map() };
}

/**
 * Adds to every sum that the posting belongs to. Throws RangeError, with nothing posted, when a sum
 * leaves the safe integers.
 */
export function postToBook(book: BudgetBook, posting: BudgetPosting): void {
  const { holders, family, at, spentNanos = ZERO_NANOS, heldNanos = ZERO_NANOS } = posting;
  const dates = datesAt(book, at);
  const lines: Line[] = [];
  for (const holder of holders) {
    lines.push(lineOf(book, holder, { family: EVERY_MODEL, dates }));
    if (family !== null) lines.push(lineOf(book, holder, { family, dates }));
  }
  for (const { sums } of lines) {
    for (const sum of sums) {
      nanos(sum.spentNanos + spentNanos);
      nanos(sum.heldNanos + heldNanos);
    }
  }
  for (const { sums } of lines) {
    for (const sum of sums) {
      sum.spentNanos = nanos(sum.spentNanos + spentNanos);
      sum.heldNanos = nanos(sum.heldNanos + heldNanos);
    }
  }
}

/** How `holder` (an id) stands against `limit` at `now` (Unix ms). */
export function budgetFigure(
  book: BudgetBook,
  holder: string,
  { limit, now }: { readonly limit: BudgetLimit; readonly now: number },
): BudgetFigure {
  const { period, limitNanos, family = null } = limit;
  const dates = datesAt(book, now);
  const place = PERIODS.indexOf(period);
  const line = book.lines.get(holder)?.get(family ?? EVERY_MODEL);
  const sum =
    line !== undefined && line.dates === dates
      ? line.sums[place]
      : book.sums
          .get(nameOf(holder, period, family ?? EVERY_MODEL))
          ?.find(({ startsAt }) => startsAt === dates.periods[place]?.startsAt);
  return {
    period,
    family,
    limitNanos,
    spentNanos: sum?.spentNanos ?? ZERO_NANOS,
    heldNanos: sum?.heldNanos ?? ZERO_NANOS,
    resetsAt: period === 'total' ? null : (dates.periods[place]?.endsAt ?? null),
  };
}

/** What may still be held; negative when more was spent than the limit. */
export function remainingNanos({ limitNanos, spentNanos, heldNanos }: BudgetFigure): Nanos {
  return subtractNanos(subtractNanos(limitNanos, spentNanos), heldNanos);
}

/** Whether the budget can bear the amount beside what is spent and held. */
export function fitsBudget(figure: BudgetFigure, amountNanos: Nanos): boolean {
  return remainingNanos(figure) >= amountNanos;
}

/** What the clock said (Unix ms): the earliest and the latest that may be true. */
export interface TimeSpan {
  readonly since: number;
  readonly until: number;
}

/**
 * The book in another time zone, with nothing held: open rows post their holds again. A running
 * period takes over all sums that reach into it, so that nothing spent is forgotten by a change of
 * zone; what was spent in the period before may count once more. Earlier sums stay as they are: the
 * running period of a third zone may reach into them. What is dated ahead stays ahead.
 */
export function rezoned(book: BudgetBook, timeZone: string, now: TimeSpan): BudgetBook {
  const changed = emptyBook(timeZone);
  for (const [name, sums] of book.sums) {
    const period = CALENDAR_PERIODS.find((each) => name.split('|')[1] === each);
    const datesAt = (at: number): Period =>
      period === undefined ? ALL_TIME : periodOf(changed, period, at);
    const running: BudgetSum = { ...datesAt(now.since), ...NOTHING };
    const earlier: BudgetSum[] = [];
    const taken = new Map([[running.startsAt, running]]);
    for (const sum of sums) {
      if (sum.endsAt <= running.startsAt) earlier.push({ ...sum, heldNanos: ZERO_NANOS });
      else takeOver(taken, sum, { datesAt, now, from: running });
    }
    const later = [...taken.values()].toSorted((a, b) => a.startsAt - b.startsAt);
    changed.sums.set(name, [...earlier.slice(1 - PERIODS_KEPT), ...later]);
  }
  return changed;
}

const NOTHING = { spentNanos: ZERO_NANOS, heldNanos: ZERO_NANOS } as const;

/** Into each period that it reaches into: of those begun, and for a sum dated ahead of all. */
function takeOver(
  taken: Map<number, BudgetSum>,
  sum: BudgetSum,
  known: {
    readonly datesAt: (at: number) => Period;
    readonly now: TimeSpan;
    /** The first one. */
    readonly from: Period;
  },
): void {
  const { datesAt, now, from } = known;
  const isAhead = sum.startsAt > now.until;
  let dates: Period = sum.startsAt < from.endsAt ? from : datesAt(sum.startsAt);
  while (dates.startsAt < sum.endsAt && (dates.startsAt <= now.until || isAhead)) {
    const into = taken.get(dates.startsAt) ?? { ...dates, ...NOTHING };
    into.spentNanos = addNanos(into.spentNanos, sum.spentNanos);
    taken.set(dates.startsAt, into);
    if (dates.endsAt >= sum.endsAt) break;
    dates = datesAt(dates.endsAt);
  }
}

/** The book for a checkpoint. */
export function bookToJson({ timeZone, sums }: BudgetBook): BudgetJson {
  return {
    timeZone,
    sums: [...sums].map(([name, list]) => [
      name,
      list.map(({ startsAt, endsAt, spentNanos }) => [startsAt, endsAt, spentNanos] as const),
    ]),
  };
}

/** The book that `bookToJson` wrote down, with nothing held. */
export function bookFromJson({ timeZone, sums }: BudgetJson): BudgetBook {
  const book = emptyBook(timeZone);
  for (const [name, list] of sums) {
    const restored = list.map(([startsAt, endsAt, spentNanos]) => ({
      startsAt,
      endsAt,
      spentNanos: nanos(spentNanos),
      heldNanos: ZERO_NANOS,
    }));
    book.sums.set(name, restored);
  }
  return book;
}

/** The sums to post to; the line is kept, so that the next posting finds it again. */
function lineOf(
  book: BudgetBook,
  holder: string,
  { family, dates }: { readonly family: string; readonly dates: Dates },
): Line {
  let families = book.lines.get(holder);
  if (families === undefined) {
    families = new Map();
    book.lines.set(holder, families);
  }
  const known = families.get(family);
  if (known !== undefined && known.dates === dates) return known;
  const sums = PERIODS.map((period, place) =>
    sumOf(book, nameOf(holder, period, family), dates.periods[place] ?? ALL_TIME),
  );
  const line = { dates, sums };
  families.set(family, line);
  return line;
}

function nameOf(holder: string, period: BudgetPeriod, family: string): string {
  return `${holder}|${period}|${family}`;
}

/** The sum of that period; one older than all that are kept is counted and dropped. */
function sumOf(book: BudgetBook, name: string, dates: Period): BudgetSum {
  const sums = book.sums.get(name) ?? [];
  const known = sums.find(({ startsAt }) => startsAt === dates.startsAt);
  if (known !== undefined) return known;
  const fresh: BudgetSum = { ...dates, spentNanos: ZERO_NANOS, heldNanos: ZERO_NANOS };
  const kept = [...sums, fresh].toSorted((a, b) => a.startsAt - b.startsAt).slice(-PERIODS_KEPT);
  book.sums.set(name, kept);
  return fresh;
}

/** The periods that hold `at` (Unix ms): as long as they are the same ones, the same object. */
function datesAt(book: BudgetBook, at: number): Dates {
  for (const known of book.dates) {
    if (known.startsAt <= at && at < known.endsAt) return known;
  }
  const periods = PERIODS.map((period) =>
    period === 'total' ? ALL_TIME : periodOf(book, period, at),
  );
  const startsAt = Math.max(...periods.map((each) => each.startsAt));
  const endsAt = Math.min(...periods.map((each) => each.endsAt));
  const dates = { startsAt, endsAt, periods };
  book.dates = [dates, ...book.dates.slice(0, PERIODS_KEPT - 1)];
  return dates;
}

function periodOf(book: BudgetBook, period: CalendarPeriod, at: number): Period {
  const recent = book.recent.get(period) ?? [];
  const known = recent.find(({ startsAt, endsAt }) => startsAt <= at && at < endsAt);
  if (known !== undefined) return known;
  const found = periodAt(period, at, book.timeZone);
  book.recent.set(period, [found, ...recent.slice(0, PERIODS_KEPT - 1)]);
  return found;
}
