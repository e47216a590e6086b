// A histogram of durations with fixed, log-scaled buckets: any two add up bucket by bucket, here
// and in SQL. Counts may be negative in a difference. It keeps no exact value.

/** Counts, one a bucket: always HISTOGRAM_BUCKETS of them. Its JSON is what is stored. */
export type Histogram = readonly number[];

/** Up to 8 ms a bucket a millisecond; above, four buckets a doubling, up to 70 minutes. */
export const HISTOGRAM_BUCKETS = 84;
const EXACT_BUCKETS = 8;
const EXACT_BITS = 3;
/** Longer durations than this are counted as this one (ms). */
const LONGEST_MS = 2 ** 22 - 1;

/** A histogram of nothing. */
export function emptyHistogram(): Histogram {
  return Array.from({ length: HISTOGRAM_BUCKETS }, () => 0);
}

/** `times` durations of `durationMs`; null (not known) is counted nowhere. */
export function histogramOf(durationMs: number | null, times = 1): Histogram {
  if (durationMs === null) return emptyHistogram();
  const bucket = bucketOf(durationMs);
  return Array.from({ length: HISTOGRAM_BUCKETS }, (_, index) => (index === bucket ? times : 0));
}

/** Both together. */
export function addHistograms(a: Histogram, b: Histogram): Histogram {
  return Array.from({ length: HISTOGRAM_BUCKETS }, (_, index) => (a[index] ?? 0) + (b[index] ?? 0));
}

/** All together. */
export function sumHistograms(histograms: readonly Histogram[]): Histogram {
  const sum = [...emptyHistogram()];
  for (const histogram of histograms) {
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket += 1) {
      sum[bucket] = (sum[bucket] ?? 0) + (histogram[bucket] ?? 0);
    }
  }
  return sum;
}

/** The bucket that counts `durationMs`; below zero counts as zero. */
export function bucketOf(durationMs: number): number {
  const whole = Math.floor(Math.min(Math.max(durationMs, 0), LONGEST_MS));
  if (whole < EXACT_BUCKETS) return whole;
  const exponent = 31 - Math.clz32(whole);
  // The two bits after the leading one: a quarter of a doubling.
  const quarter = (whole >> (exponent - 2)) & 3;
  return EXACT_BUCKETS + (exponent - EXACT_BITS) * 4 + quarter;
}

/** The shortest duration (ms) that `bucket` counts; of the one after the last, where it ends. */
export function bucketStartMs(bucket: number): number {
  if (bucket < EXACT_BUCKETS) return bucket;
  const quarters = bucket - EXACT_BUCKETS;
  return (4 + (quarters % 4)) * 2 ** (EXACT_BITS - 2 + Math.floor(quarters / 4));
}

/**
 * The durations (ms) that so many percent of 100 do not pass, each at most a quarter away from the
 * true one; null where nothing is counted. `percents` rise. Buckets below zero, as a difference may
 * have, count as none.
 */
export function percentilesMs(
  histogram: Histogram,
  percents: readonly number[],
): readonly (number | null)[] {
  let total = 0;
  for (const count of histogram) if (count > 0) total += count;
  let [bucket, below] = [0, 0];
  return percents.map((percent) => {
    if (total === 0) return null;
    const rank = Math.max(1, Math.ceil((total * percent) / 100));
    while (below + Math.max(0, histogram[bucket] ?? 0) < rank) {
      below += Math.max(0, histogram[bucket] ?? 0);
      bucket += 1;
    }
    const [start, end] = [bucketStartMs(bucket), bucketStartMs(bucket + 1)];
    // As if those of a bucket were spread evenly over it.
    return Math.floor(start + ((end - start) * (rank - below - 0.5)) / (histogram[bucket] ?? 1));
  });
}
