import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addHistograms,
  bucketOf,
  bucketStartMs,
  emptyHistogram,
  HISTOGRAM_BUCKETS,
  histogramOf,
  percentilesMs,
  sumHistograms,
} from './histogram';

const durations = fc.oneof(fc.nat(100), fc.nat(60_000), fc.nat(2 ** 22 - 1));

describe('a bucket', () => {
  it('holds the durations from its start up to the start of the next', () => {
    fc.assert(
      fc.property(durations, (ms) => {
        const bucket = bucketOf(ms);
        expect(bucketStartMs(bucket)).toBeLessThanOrEqual(ms);
        expect(bucketStartMs(bucket + 1)).toBeGreaterThan(ms);
      }),
    );
  });

  it('is never wider than a quarter of its start, and exact below 8 ms', () => {
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket += 1) {
      const [start, end] = [bucketStartMs(bucket), bucketStartMs(bucket + 1)];
      expect(end - start).toBeLessThanOrEqual(Math.max(1, start / 4));
    }
  });

  it('is the last one for what is longer than 70 minutes, the first for what is below 0', () => {
    for (const ms of [2 ** 22, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, Infinity]) {
      expect(bucketOf(ms)).toBe(HISTOGRAM_BUCKETS - 1);
    }
    expect(bucketOf(-5)).toBe(0);
    expect(bucketOf(7.9)).toBe(7);
  });
});

describe('a histogram', () => {
  it('counts each duration once, in any order and any grouping', () => {
    fc.assert(
      fc.property(fc.array(durations), fc.nat(), (list, cut) => {
        const sum = (part: readonly number[]) =>
          part.map((ms) => histogramOf(ms)).reduce(addHistograms, emptyHistogram());
        const at = list.length === 0 ? 0 : cut % list.length;
        const whole = sum(list);
        expect(addHistograms(sum(list.slice(at)), sum(list.slice(0, at)))).toEqual(whole);
        expect(sumHistograms(list.map((ms) => histogramOf(ms)))).toEqual(whole);
        expect(whole.reduce((total, count) => total + count, 0)).toBe(list.length);
        expect(JSON.parse(JSON.stringify(whole))).toEqual(whole);
      }),
    );
  });

  it('takes out what it took in, and counts nothing that is not known', () => {
    expect(addHistograms(histogramOf(1_234), histogramOf(1_234, -1))).toEqual(emptyHistogram());
    expect(histogramOf(null)).toEqual(emptyHistogram());
    expect(emptyHistogram()).toHaveLength(HISTOGRAM_BUCKETS);
  });
});

describe('a percentile', () => {
  it('lies in the bucket of the true one, however the durations were counted', () => {
    const percent = fc.constantFrom(1, 50, 95, 99, 100);
    const lists = fc.array(durations, { minLength: 1 });
    fc.assert(
      fc.property(lists, percent, (list, percent) => {
        const sum = list.map((ms) => histogramOf(ms)).reduce(addHistograms);
        const sorted = list.toSorted((a, b) => a - b);
        const index = Math.max(0, Math.ceil((list.length * percent) / 100) - 1);
        const [found, same] = percentilesMs(sum, [percent, percent]);
        expect(bucketOf(found ?? -1)).toBe(bucketOf(sorted[index] ?? -1));
        expect(same).toBe(found);
      }),
    );
  });

  it('is none where nothing was counted or all was taken back', () => {
    expect(percentilesMs(emptyHistogram(), [50, 99])).toEqual([null, null]);
    expect(percentilesMs(histogramOf(5, -1), [50])).toEqual([null]);
    expect(percentilesMs([], [99])).toEqual([null]);
  });
});
