import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WindowCounter, WindowEntry } from './window';
import {
  BUCKETS_MAX,
  addToWindow,
  emptyAt,
  emptyWindow,
  fitsWindow,
  pruneWindow,
  retryAfterMs,
  sumAt,
  windowFromJson,
  windowToJson,
} from './window';

const START = 1_800_000_000_000;
const DAY_MS = 86_400_000;
const spans = fc.oneof(
  fc.integer({ min: 1_000, max: 5_000 }),
  fc.constantFrom(1_000, 60_000, 3_600_000, DAY_MS),
  fc.integer({ min: 1_000, max: DAY_MS }),
);

interface Fact {
  readonly at: number;
  readonly amount: number;
}

/** What the list says: half-open window, every entry at its own date. */
function exactSum(entries: readonly Fact[], spanMs: number, now: number): number {
  return entries.reduce((sum, { at, amount }) => (at + spanMs > now ? sum + amount : sum), 0);
}

function tolerance({ spanMs }: WindowCounter): number {
  return Math.ceil(spanMs / 999) - 1;
}

describe('a sliding window', () => {
  const steps = fc.array(
    fc.record({
      // Parts of the span; 0: the clock stands still.
      passes: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1.2, noNaN: true })),
      late: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1.2, noNaN: true })),
      amount: fc.nat(1_000),
    }),
    { maxLength: 60 },
  );

  it('never counts less than the true window, nor what left it a thousandth ago', () => {
    fc.assert(
      fc.property(spans, steps, (spanMs, steps) => {
        const counter = emptyWindow(spanMs);
        const entries: Fact[] = [];
        let now = START;
        for (const { passes, late, amount } of steps) {
          now += Math.floor(passes * spanMs);
          const at = now - Math.floor(late * spanMs);
          addToWindow(counter, { at, amount, seenAt: now });
          entries.push({ at, amount });
          const sum = sumAt(counter, now);
          expect(sum).toBeGreaterThanOrEqual(exactSum(entries, spanMs, now));
          expect(sum).toBeLessThanOrEqual(exactSum(entries, spanMs, now - tolerance(counter)));
          expect(counter.buckets.length).toBeLessThanOrEqual(BUCKETS_MAX);
          expect(counter.buckets).toEqual(counter.buckets.toSorted((a, b) => a - b));
        }
      }),
    );
  });

  it('admits at most the limit in every window, at whatever times it is asked', () => {
    fc.assert(
      fc.property(spans, fc.integer({ min: 1, max: 2_000 }), steps, (spanMs, limit, steps) => {
        const counter = emptyWindow(spanMs);
        const admitted: Fact[] = [];
        let now = START;
        for (const { passes, amount } of steps) {
          now += Math.floor(passes * spanMs);
          if (!fitsWindow(counter, { limit, amount, now })) continue;
          addToWindow(counter, { at: now, amount, seenAt: now });
          admitted.push({ at: now, amount });
        }
        for (const { at: end } of admitted) {
          const within = admitted.filter(({ at }) => at <= end);
          expect(exactSum(within, spanMs, end)).toBeLessThanOrEqual(limit);
        }
      }),
    );
  });

  it('says when a refused amount fits: then it does, a millisecond before it does not', () => {
    fc.assert(
      fc.property(spans, steps, fc.nat(3_000), (spanMs, steps, limit) => {
        const counter = emptyWindow(spanMs);
        let now = START;
        for (const { passes, late, amount } of steps) {
          now += Math.floor(passes * spanMs);
          addToWindow(counter, { at: now - Math.floor(late * spanMs), amount, seenAt: now });
          const waitMs = retryAfterMs(counter, { limit, amount, now });
          if (amount > limit) {
            expect(waitMs).toBe(null);
            continue;
          }
          const then = now + (waitMs ?? Number.NaN);
          expect(fitsWindow(counter, { limit, amount, now: then })).toBe(true);
          if (waitMs === 0) continue;
          expect(fitsWindow(counter, { limit, amount, now: then - 1 })).toBe(false);
        }
      }),
    );
  });

  it('waits for nothing that was taken back altogether', () => {
    const counter = emptyWindow(60_000);
    addToWindow(counter, { at: START, amount: 5, seenAt: START });
    const end = emptyAt(counter, START);
    addToWindow(counter, { at: START + 30_000, amount: 7, seenAt: START + 30_000 });
    addToWindow(counter, { at: START + 30_000, amount: -7, seenAt: START + 31_000 });
    expect(emptyAt(counter, START + 31_000)).toBe(end);
    expect(counter.sum).toBe(5);
  });

  it('comes back from a checkpoint as it was', () => {
    fc.assert(
      fc.property(spans, steps, (spanMs, steps) => {
        const counter = emptyWindow(spanMs);
        let now = START;
        for (const { passes, amount } of steps) {
          now += Math.floor(passes * spanMs);
          addToWindow(counter, { at: now, amount, seenAt: now });
        }
        const json: unknown = JSON.parse(JSON.stringify(windowToJson(counter)));
        expect(windowFromJson(json as ReturnType<typeof windowToJson>)).toEqual(counter);
      }),
    );
  });

  it('takes exactly the limit of 10,000 requests that come at once', () => {
    const counter = emptyWindow(60_000);
    let admitted = 0;
    for (let request = 0; request < 10_000; request += 1) {
      if (!fitsWindow(counter, { limit: 137, amount: 1, now: START })) continue;
      addToWindow(counter, { at: START, amount: 1, seenAt: START });
      admitted += 1;
    }
    expect(admitted).toBe(137);
    expect(sumAt(counter, START + 59_999)).toBe(137);
    expect(sumAt(counter, START + 60_061)).toBe(0);
  });

  it('stays within its buckets and a few kilobytes through a busy day', () => {
    const counter = emptyWindow(DAY_MS);
    const stepMs = 7_919;
    let most = 0;
    for (let step = 0; step * stepMs < 2 * DAY_MS; step += 1) {
      const now = START + step * stepMs;
      addToWindow(counter, { at: now, amount: 1, seenAt: now });
      most = Math.max(most, counter.buckets.length);
      // None was merged: nothing counts longer than a bucket lasts.
      const longestMs = DAY_MS + tolerance(counter);
      expect(sumAt(counter, now)).toBeLessThanOrEqual(Math.ceil(longestMs / stepMs));
    }
    expect(most).toBe(BUCKETS_MAX);
    expect(JSON.stringify(windowToJson(counter)).length).toBeLessThan(10_000);
  });

  it('counts an entry from before in its old bucket, and one that has left it nowhere', () => {
    const counter = emptyWindow(60_000);
    const seenAt = START + 100_000;
    addToWindow(counter, { at: seenAt, amount: 1, seenAt });
    addToWindow(counter, { at: seenAt - 50_000, amount: 5, seenAt });
    addToWindow(counter, { at: seenAt - 60_100, amount: 9, seenAt });
    expect([sumAt(counter, seenAt), sumAt(counter, seenAt + 11_000)]).toEqual([6, 1]);
    expect(emptyAt(counter, seenAt)).toBeGreaterThanOrEqual(seenAt + 60_000);
    expect(emptyAt(counter, seenAt + 70_000)).toBe(seenAt + 70_000);
  });

  it.each([1_000, 1_001, 60_000, DAY_MS])(
    'of %d ms counts the last millisecond of a bucket for just its span',
    (spanMs) => {
      const counter = emptyWindow(spanMs);
      const at = Math.ceil(START / counter.bucketMs) * counter.bucketMs - 1;
      addToWindow(counter, { at, amount: 1, seenAt: at });
      expect([sumAt(counter, at + spanMs - 1), sumAt(counter, at + spanMs)]).toEqual([1, 0]);
      expect(retryAfterMs(counter, { limit: 1, amount: 1, now: at })).toBe(spanMs);
    },
  );

  it('waits as long for what is left when a correction has left the window alone', () => {
    const counter = emptyWindow(60_000);
    addToWindow(counter, { at: START, amount: -5, seenAt: START });
    addToWindow(counter, { at: START + 40_000, amount: 10, seenAt: START });
    const question = { limit: 8, amount: 1, now: START + 70_000 };
    expect(fitsWindow(counter, question)).toBe(false);
    expect(retryAfterMs(counter, question)).toBeGreaterThanOrEqual(30_000);
  });

  it('takes back what a correction says, at the date of the entry', () => {
    const counter = emptyWindow(60_000);
    addToWindow(counter, { at: START, amount: 500, seenAt: START });
    addToWindow(counter, { at: START, amount: -200, seenAt: START + 30_000 });
    expect(sumAt(counter, START + 30_000)).toBe(300);
    pruneWindow(counter, START + 61_000);
    expect(counter).toEqual(emptyWindow(60_000));
  });

  it('forgets nothing over a leap of the clock that is not remembered', () => {
    const counter = emptyWindow(60_000);
    addToWindow(counter, { at: START, amount: 5, seenAt: START });
    addToWindow(counter, { at: START + DAY_MS, amount: 1, seenAt: START });
    expect(sumAt(counter, START + 1)).toBe(6);
  });

  it('counts the oldest longer, never less, when dates ahead ask for more buckets', () => {
    const counter = emptyWindow(1_000);
    for (let ahead = 0; ahead < 3_000; ahead += 2) {
      addToWindow(counter, { at: START + ahead, amount: 1, seenAt: START });
    }
    expect(counter.buckets).toHaveLength(BUCKETS_MAX);
    expect(sumAt(counter, START)).toBe(1_500);
    expect(counter.amounts.reduce((a, b) => a + b)).toBe(1_500);
  });

  it('counts each entry at its date, in whatever order they come', () => {
    const dates = fc.array(fc.integer({ min: 0, max: 59_999 }), { maxLength: 40 });
    fc.assert(
      fc.property(dates, fc.integer({ min: 0, max: 120_000 }), (list, later) => {
        const counter = emptyWindow(60_000);
        const entries = list.map((after, index) => ({ at: START + after, amount: index + 1 }));
        for (const entry of entries) addToWindow(counter, { ...entry, seenAt: START });
        const numbers = entries.map(({ at }) => Math.floor(at / counter.bucketMs));
        expect(counter.buckets).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
        const now = START + later;
        // Each as if it had come at the end of its bucket.
        const counted = entries.map(({ amount }, index) => {
          return { at: ((numbers[index] ?? 0) + 1) * counter.bucketMs - 1, amount };
        });
        expect(sumAt(counter, now)).toBe(exactSum(counted, 60_000, now));
      }),
    );
  });

  it('keeps no bucket for nothing, nor for what has left it', () => {
    const counter = emptyWindow(60_000);
    addToWindow(counter, { at: START, amount: 0, seenAt: START });
    expect(counter).toEqual(emptyWindow(60_000));
    const at = Math.ceil(START / counter.bucketMs) * counter.bucketMs - 1;
    addToWindow(counter, { at, amount: 5, seenAt: at + 60_000 });
    expect(counter).toEqual(emptyWindow(60_000));
    addToWindow(counter, { at, amount: 5, seenAt: at + 59_999 });
    expect(counter.sum).toBe(5);
    pruneWindow(counter, at + 59_999);
    expect(counter.sum).toBe(5);
    pruneWindow(counter, at + 60_000);
    expect(counter).toEqual(emptyWindow(60_000));
  });

  it('is empty when its last entry has left, and now when it has none', () => {
    const counter = emptyWindow(60_000);
    expect(emptyAt(counter, START)).toBe(START);
    const lastAt = Math.ceil(START / counter.bucketMs) * counter.bucketMs - 1;
    for (const before of [40_000, 20_000, 0]) {
      addToWindow(counter, { at: lastAt - before, amount: 1, seenAt: lastAt });
    }
    expect(emptyAt(counter, lastAt)).toBe(lastAt + 60_000);
  });

  it.each([999, 0, -1, 1_000.5, Number.NaN])('refuses a span of %d ms', (spanMs) => {
    const refusal = new RangeError(`not the span of a window: ${spanMs}`);
    expect(() => emptyWindow(spanMs)).toThrow(refusal);
  });

  it('refuses what is not a safe integer, and counts nothing of it', () => {
    const counter = emptyWindow(1_000);
    const entry: WindowEntry = { at: START, amount: Number.MAX_SAFE_INTEGER, seenAt: START };
    addToWindow(counter, entry);
    expect(() => addToWindow(counter, { ...entry, amount: 1 })).toThrow(RangeError);
    const refusal = new RangeError('not an amount that can be counted: 0.5');
    expect(() => addToWindow(counter, { ...entry, amount: 0.5 })).toThrow(refusal);
    expect(counter.sum).toBe(Number.MAX_SAFE_INTEGER);
  });
});
