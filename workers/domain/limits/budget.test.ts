import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nanos } from '../money';
import type { BudgetBook, BudgetJson, BudgetPosting } from './budget';
import {
  bookFromJson,
  bookToJson,
  budgetFigure,
  emptyBook,
  fitsBudget,
  postToBook,
  remainingNanos,
  rezoned,
} from './budget';
import { periodAt } from './calendar';
import type { BudgetPeriod } from './limit-set';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Noon in Berlin, a Monday. */
const NOON = Date.UTC(2026, 10, 23, 11);
const AT_NOON = { since: NOON, until: NOON };
const ZONE = 'Europe/Berlin';

interface Shown {
  readonly period: BudgetPeriod;
  readonly now: number;
  readonly family?: string;
  readonly holder?: string;
}

function figure(book: BudgetBook, { period, now, family, holder = 'key' }: Shown) {
  const limit = { period, limitNanos: nanos(1_000), ...(family === undefined ? {} : { family }) };
  return budgetFigure(book, holder, { limit, now });
}

function post(book: BudgetBook, posting: Partial<BudgetPosting> & { readonly at: number }): void {
  postToBook(book, { holders: ['key', 'user', 'wallet'], family: 'opus', ...posting });
}

describe('a budget', () => {
  it('counts what was spent and is held in the period of its admit, in the zone of its owner', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(300), heldNanos: nanos(100) });
    // Half past midnight in Berlin, still Monday in UTC.
    const next = Date.UTC(2026, 10, 23, 23, 30);
    post(book, { at: next, spentNanos: nanos(40) });
    expect(figure(book, { period: 'day', now: NOON })).toEqual({
      period: 'day',
      family: null,
      limitNanos: 1_000,
      spentNanos: 300,
      heldNanos: 100,
      resetsAt: Date.UTC(2026, 10, 23, 23),
    });
    expect(figure(book, { period: 'day', now: next }).spentNanos).toBe(40);
    expect(figure(book, { period: 'week', now: next }).spentNanos).toBe(340);
    expect(figure(book, { period: 'month', now: next }).spentNanos).toBe(340);
    expect(figure(book, { period: 'total', now: next })).toMatchObject({
      spentNanos: 340,
      resetsAt: null,
    });
  });

  it('counts every model, or those of its family alone', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(300) });
    post(book, { at: NOON, spentNanos: nanos(50), family: 'haiku' });
    post(book, { at: NOON, spentNanos: nanos(7), family: null });
    const spent = [undefined, 'opus', 'haiku', 'sonnet'].map(
      (family) =>
        figure(book, { period: 'day', now: NOON, ...(family === undefined ? {} : { family }) })
          .spentNanos,
    );
    expect(spent).toEqual([357, 300, 50, 0]);
  });

  it('is named in a checkpoint by holder, period and family, and has none without a family', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(7), family: null, holders: ['key'] });
    const every = ['key|total|', 'key|day|', 'key|week|', 'key|month|'];
    const names = () => bookToJson(book).sums.map(([name]) => name);
    expect(names().toSorted()).toEqual(every.toSorted());
    post(book, { at: NOON, spentNanos: nanos(7), holders: ['key'] });
    const opus = every.map((name) => `${name}opus`);
    expect(names().toSorted()).toEqual([...every, ...opus].toSorted());
  });

  it('keeps the holders apart', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(300), holders: ['key', 'wallet'] });
    post(book, { at: NOON, spentNanos: nanos(50), holders: ['key2', 'wallet'] });
    const spent = ['key', 'key2', 'wallet', 'user'].map(
      (holder) => figure(book, { period: 'total', now: NOON, holder }).spentNanos,
    );
    expect(spent).toEqual([300, 50, 350, 0]);
  });

  it('fits what is left beside what is spent and held, to the last nano-dollar', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(300), heldNanos: nanos(100) });
    const day = figure(book, { period: 'day', now: NOON });
    expect(remainingNanos(day)).toBe(600);
    expect([fitsBudget(day, nanos(600)), fitsBudget(day, nanos(601))]).toEqual([true, false]);
    post(book, { at: NOON, spentNanos: nanos(900), heldNanos: nanos(-100) });
    expect(remainingNanos(figure(book, { period: 'day', now: NOON }))).toBe(-200);
  });

  it('adds a late closing to its old day, not to the running one', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON + DAY_MS, spentNanos: nanos(5) });
    post(book, { at: NOON, spentNanos: nanos(300) });
    post(book, { at: NOON - 9 * DAY_MS, spentNanos: nanos(70) });
    expect(figure(book, { period: 'day', now: NOON + DAY_MS }).spentNanos).toBe(5);
    expect(figure(book, { period: 'day', now: NOON }).spentNanos).toBe(300);
    expect(figure(book, { period: 'total', now: NOON }).spentNanos).toBe(375);
  });

  it('keeps the latest of its days, in whatever order they come', () => {
    const book = emptyBook(ZONE);
    for (const day of [3, 1, 2, 0]) {
      post(book, { at: NOON + day * DAY_MS, spentNanos: nanos(10 + day) });
    }
    const kept = bookFromJson(bookToJson(book));
    const spent = [0, 1, 2, 3].map(
      (day) => figure(kept, { period: 'day', now: NOON + day * DAY_MS }).spentNanos,
    );
    expect(spent).toEqual([0, 11, 12, 13]);
    const days = book.sums.get('key|day|')?.map(({ startsAt }) => startsAt) ?? [];
    expect(days).toEqual(days.toSorted((a, b) => a - b));
  });

  it('keeps two days apart whose requests begin and end in turns', () => {
    const book = emptyBook(ZONE);
    const [before, after] = [NOON + 12 * HOUR_MS - 1, NOON + 12 * HOUR_MS];
    for (let turn = 0; turn < 3; turn += 1) {
      post(book, { at: before, heldNanos: nanos(100) });
      post(book, { at: after, heldNanos: nanos(7) });
      expect(figure(book, { period: 'day', now: before }).heldNanos).toBe(100);
      expect(figure(book, { period: 'day', now: after, family: 'opus' }).heldNanos).toBe(7);
      post(book, { at: before, heldNanos: nanos(-100), spentNanos: nanos(90) });
      post(book, { at: after, heldNanos: nanos(-7), spentNanos: nanos(5) });
    }
    expect(figure(book, { period: 'day', now: before })).toMatchObject({ spentNanos: 270 });
    expect(figure(book, { period: 'day', now: after })).toMatchObject({ spentNanos: 15 });
    expect(figure(book, { period: 'week', now: after })).toMatchObject({
      spentNanos: 285,
      heldNanos: 0,
    });
    const lengths = [...book.sums.values()].map((sums) => sums.length);
    expect(lengths.toSorted((a, b) => a - b)).toEqual([
      ...Array.from({ length: 18 }, () => 1),
      ...Array.from({ length: 6 }, () => 2),
    ]);
  });

  it('finds the running period again after a leap of the clock that is not remembered', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(300) });
    post(book, { at: NOON + 400 * DAY_MS, spentNanos: nanos(1) });
    post(book, { at: NOON + DAY_MS, spentNanos: nanos(20) });
    expect(figure(book, { period: 'day', now: NOON }).spentNanos).toBe(300);
    expect(figure(book, { period: 'day', now: NOON + DAY_MS }).spentNanos).toBe(20);
  });

  it('holds a bounded number of periods however long it runs', () => {
    const book = emptyBook(ZONE);
    for (let day = 0; day < 800; day += 1) {
      post(book, { at: NOON + day * DAY_MS, spentNanos: nanos(1) });
    }
    expect(book.sums.size).toBe(3 * 4 * 2);
    expect(Math.max(...[...book.sums.values()].map((sums) => sums.length))).toBe(3);
    expect(Math.max(...[...book.recent.values()].map((periods) => periods.length))).toBe(3);
    expect(book.dates.length).toBe(3);
    expect(figure(book, { period: 'total', now: NOON }).spentNanos).toBe(800);
  });

  it('posts nothing at all when one sum leaves the safe integers', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(Number.MAX_SAFE_INTEGER), holders: ['wallet'] });
    expect(() => post(book, { at: NOON, spentNanos: nanos(1) })).toThrow(RangeError);
    expect(figure(book, { period: 'day', now: NOON }).spentNanos).toBe(0);
    const holding = { at: NOON, heldNanos: nanos(Number.MAX_SAFE_INTEGER), holders: ['user'] };
    post(book, holding);
    expect(() => post(book, { at: NOON, heldNanos: nanos(1) })).toThrow(RangeError);
    expect(figure(book, { period: 'day', now: NOON }).heldNanos).toBe(0);
  });

  it('is the plain sum of what was admitted in its period, whatever the order', () => {
    const times = fc.integer({ min: Date.UTC(2026, 9, 20), max: Date.UTC(2026, 9, 28) });
    const postings = fc.array(fc.record({ at: times, spent: fc.nat(1_000) }), { maxLength: 30 });
    const zones = fc.constantFrom('UTC', ZONE, 'Asia/Kolkata', 'America/New_York');
    fc.assert(
      fc.property(postings, times, zones, (postings, now, zone) => {
        const book = emptyBook(zone);
        for (const { at, spent } of postings) post(book, { at, spentNanos: nanos(spent) });
        const json: unknown = JSON.parse(JSON.stringify(bookToJson(book)));
        const restored = bookFromJson(json as BudgetJson);
        for (const period of ['week', 'month'] as const) {
          const { startsAt, endsAt } = periodAt(period, now, zone);
          const spent = postings
            .filter(({ at }) => startsAt <= at && at < endsAt)
            .reduce((sum, each) => sum + each.spent, 0);
          const shown = figure(book, { period, now });
          expect(shown).toMatchObject({ spentNanos: spent, resetsAt: endsAt });
          expect(figure(restored, { period, now })).toEqual(shown);
        }
      }),
    );
  });

  it('comes back from a checkpoint without holds, which its open rows bring back', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(300), heldNanos: nanos(100) });
    const restored = bookFromJson(bookToJson(book));
    expect(figure(restored, { period: 'day', now: NOON })).toMatchObject({
      spentNanos: 300,
      heldNanos: 0,
    });
    post(restored, { at: NOON, heldNanos: nanos(100) });
    expect(bookToJson(restored)).toEqual(bookToJson(book));
    expect(restored.sums).toEqual(book.sums);
  });

  it('forgets nothing that was spent when its owner moves to another zone', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON - DAY_MS, spentNanos: nanos(70) });
    post(book, { at: NOON, spentNanos: nanos(300), heldNanos: nanos(100) });
    for (const zone of ['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'UTC']) {
      const moved = rezoned(book, zone, AT_NOON);
      const day = figure(moved, { period: 'day', now: NOON });
      expect(day.spentNanos).toBeGreaterThanOrEqual(300);
      expect(day.heldNanos).toBe(0);
      expect(day.resetsAt).toBe(periodAt('day', NOON, zone).endsAt);
      expect(figure(moved, { period: 'month', now: NOON }).spentNanos).toBe(370);
      expect(figure(moved, { period: 'total', now: NOON }).spentNanos).toBe(370);
    }
    const same = rezoned(book, ZONE, AT_NOON);
    expect(figure(same, { period: 'day', now: NOON }).spentNanos).toBe(300);
  });

  it('takes over nothing that is dated after the running period when its zone changes', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(300) });
    post(book, { at: NOON + DAY_MS, spentNanos: nanos(40) });
    const same = rezoned(book, ZONE, AT_NOON);
    expect(figure(same, { period: 'day', now: NOON }).spentNanos).toBe(300);
    expect(figure(same, { period: 'week', now: NOON }).spentNanos).toBe(340);
  });

  it('keeps what is dated ahead for its own days in the other zone', () => {
    const book = emptyBook('UTC');
    // 21:00 on the day after, in Berlin; in Tokyo it is the day after that.
    const ahead = NOON + 33 * HOUR_MS;
    post(book, { at: ahead, spentNanos: nanos(40) });
    const moved = rezoned(book, 'Asia/Tokyo', AT_NOON);
    expect(figure(moved, { period: 'day', now: NOON }).spentNanos).toBe(0);
    expect(figure(moved, { period: 'day', now: ahead }).spentNanos).toBe(40);
    expect(figure(moved, { period: 'total', now: NOON }).spentNanos).toBe(40);
  });

  it('takes over into the day that has begun since the clock was last believed', () => {
    const book = emptyBook('UTC');
    post(book, { at: NOON + 5 * HOUR_MS, spentNanos: nanos(40) });
    // In Tokyo the next day has begun at 15:00 UTC.
    const moved = rezoned(book, 'Asia/Tokyo', { since: NOON, until: NOON + 6 * HOUR_MS });
    expect(figure(moved, { period: 'day', now: NOON + 6 * HOUR_MS }).spentNanos).toBe(40);
  });

  it('is whole again at the instant of its reset, and not a millisecond before', () => {
    const book = emptyBook(ZONE);
    post(book, { at: NOON, spentNanos: nanos(300) });
    const resetsAt = figure(book, { period: 'day', now: NOON }).resetsAt ?? 0;
    expect(figure(book, { period: 'day', now: resetsAt - 1 }).spentNanos).toBe(300);
    expect(figure(book, { period: 'day', now: resetsAt }).spentNanos).toBe(0);
  });
});
