// Sliding windows in at most 1,000 buckets. An entry counts as if it had come at its bucket's last
// millisecond, so "at most L in any window" always holds, and a refusal comes at most a thousandth
// of the window early. It does not know what it counts, nor whose; holds are the caller's.
// A window is half-open: entries at t and at t + span are never in the same one.

export const BUCKETS_MAX = 1_000;

/** Mutable on purpose: one object, one writer, counted in place. */
export interface WindowCounter {
  readonly spanMs: number;
  readonly bucketMs: number;
  /** Numbers of the buckets that hold something, ascending: Unix ms / bucketMs, rounded down. */
  readonly buckets: number[];
  /** What each of them holds. */
  readonly amounts: number[];
  /** Sum of `amounts`. */
  sum: number;
}

/** What a checkpoint keeps of a counter. */
export interface WindowJson {
  readonly spanMs: number;
  /** Number of the first bucket; the others stand as distances from it. */
  readonly first: number;
  readonly offsets: readonly number[];
  readonly amounts: readonly number[];
}

export interface WindowEntry {
  /** Unix ms of admit, whenever it is counted. */
  readonly at: number;
  /** Whole; negative only to take back what was counted at the same `at`. */
  readonly amount: number;
  /** Unix ms that the clock remembers: what has left the window by then is forgotten. */
  readonly seenAt: number;
}

export interface WindowQuestion {
  readonly limit: number;
  /** What is asked for, and what others in flight hold. */
  readonly amount: number;
  /** Unix ms. */
  readonly now: number;
}

/** A window in which nothing has happened; `spanMs` whole, from 1 s on (else RangeError). */
export function emptyWindow(spanMs: number): WindowCounter {
  if (!Number.isSafeInteger(spanMs) || spanMs < BUCKETS_MAX) {
    throw new RangeError(`not the span of a window: ${spanMs}`);
  }
  // 999 whole buckets cover the span; the one that is being filled makes it 1,000.
  const bucketMs = Math.ceil(spanMs / (BUCKETS_MAX - 1));
  return { spanMs, bucketMs, buckets: [], amounts: [], sum: 0 };
}

/**
 * Counts an entry in the bucket of its date, however late it comes. Throws RangeError, with nothing
 * counted, when the amount or the sum leaves the safe integers.
 */
export function addToWindow(counter: WindowCounter, { at, amount, seenAt }: WindowEntry): void {
  if (!Number.isSafeInteger(amount) || !Number.isSafeInteger(counter.sum + amount)) {
    throw new RangeError(`not an amount that can be counted: ${amount}`);
  }
  pruneWindow(counter, seenAt);
  const bucket = Math.floor(at / counter.bucketMs);
  if (amount === 0 || leavesAt(counter, bucket) <= seenAt) return;
  const index = indexOf(counter.buckets, bucket);
  if (counter.buckets[index] === bucket) {
    const left = (counter.amounts[index] ?? 0) + amount;
    counter.amounts[index] = left;
    // Taken back altogether: nothing is left that a window could wait for.
    if (left === 0) removeFrom(counter, index, 1);
  } else if (index === counter.buckets.length) {
    counter.buckets.push(bucket);
    counter.amounts.push(amount);
  } else {
    counter.buckets.splice(index, 0, bucket);
    counter.amounts.splice(index, 0, amount);
  }
  counter.sum += amount;
  if (counter.buckets.length > BUCKETS_MAX) mergeOldest(counter);
}

/**
 * What the window that ends at `now` (Unix ms) holds. Entries dated after `now` count too: with
 * them, what is admitted at `now` fits every window that it will be in.
 */
export function sumAt(counter: WindowCounter, now: number): number {
  let sum = counter.sum;
  for (let index = 0; index < counter.buckets.length; index += 1) {
    if (leavesAt(counter, counter.buckets[index] ?? 0) > now) break;
    sum -= counter.amounts[index] ?? 0;
  }
  return sum;
}

/** Whether the amount fits now. */
export function fitsWindow(
  counter: WindowCounter,
  { limit, amount, now }: WindowQuestion,
): boolean {
  return sumAt(counter, now) + amount <= limit;
}

/** How long (ms) until the amount fits, if nothing else comes; 0: now; null: it never does. */
export function retryAfterMs(
  counter: WindowCounter,
  { limit, amount, now }: WindowQuestion,
): number | null {
  if (amount > limit) return null;
  let sum = counter.sum + amount;
  let waitMs = 0;
  for (let index = 0; index < counter.buckets.length; index += 1) {
    const leaves = leavesAt(counter, counter.buckets[index] ?? 0);
    if (sum <= limit && leaves > now) break;
    sum -= counter.amounts[index] ?? 0;
    waitMs = Math.max(0, leaves - now);
  }
  return waitMs;
}

/** Unix ms at which the window is empty if nothing else comes; `now` when it is empty now. */
export function emptyAt(counter: WindowCounter, now: number): number {
  const last = counter.buckets.at(-1);
  return last === undefined ? now : Math.max(now, leavesAt(counter, last));
}

/** Forgets what has left the window by `seenAt` (Unix ms that the clock remembers). */
export function pruneWindow(counter: WindowCounter, seenAt: number): void {
  let gone = 0;
  while (gone < counter.buckets.length) {
    if (leavesAt(counter, counter.buckets[gone] ?? 0) > seenAt) break;
    counter.sum -= counter.amounts[gone] ?? 0;
    gone += 1;
  }
  if (gone === 0) return;
  removeFrom(counter, 0, gone);
}

/** The counter for a checkpoint. */
export function windowToJson({ spanMs, buckets, amounts }: WindowCounter): WindowJson {
  const first = buckets[0] ?? 0;
  return { spanMs, first, offsets: buckets.map((bucket) => bucket - first), amounts: [...amounts] };
}

/** The counter that `windowToJson` wrote down. */
export function windowFromJson({ spanMs, first, offsets, amounts }: WindowJson): WindowCounter {
  const sum = amounts.reduce((total, amount) => total + amount, 0);
  const buckets = offsets.map((offset) => first + offset);
  return { ...emptyWindow(spanMs), buckets, amounts: [...amounts], sum };
}

/** Unix ms from which on the bucket's entries are no longer in the window. */
function leavesAt(counter: WindowCounter, bucket: number): number {
  return (bucket + 1) * counter.bucketMs - 1 + counter.spanMs;
}

/** Where `bucket` stands in the ascending list, or would stand. New ones come last. */
function indexOf(buckets: readonly number[], bucket: number): number {
  const last = buckets.at(-1);
  if (last === undefined || bucket > last) return buckets.length;
  if (bucket === last) return buckets.length - 1;
  let low = 0;
  let high = buckets.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((buckets[middle] ?? 0) < bucket) low = middle + 1;
    else high = middle;
  }
  return low;
}

function removeFrom({ buckets, amounts }: WindowCounter, index: number, count: number): void {
  buckets.splice(index, count);
  amounts.splice(index, count);
}

/** Dates that the clock has not reached yet can ask for more buckets: the oldest counts longer. */
function mergeOldest({ buckets, amounts }: WindowCounter): void {
  const [oldest = 0, second = 0] = amounts;
  buckets.shift();
  amounts.splice(0, 2, oldest + second);
}
