// What leaves the wallet together: a batch names closed rows and entries by their numbers and never
// changes. What is in no batch yet follows from how far the last one came, so nothing else has to
// be kept for it. Sending is not here.

import type { UserId } from '../ids';
import type { Nanos } from '../money';
import type { WalletState } from './state';

/** Rows and entries of one batch. */
export const BATCH_ITEMS_MAX = 500;

/** How far batches have come. */
export interface Mark {
  /** Every row up to this number is in a batch, but those of `left`. */
  readonly seq: number;
  /** Every entry up to this number is in a batch. */
  readonly entry: number;
  /** Rows up to `seq` that are in no batch: they were open. Rising. */
  readonly left: readonly number[];
}

/** Before the first batch. */
export const FIRST_MARK: Mark = { seq: 0, entry: 0, left: [] };

/** Frozen when it is cut. */
export interface Batch {
  /** Numbers of closed rows, rising. */
  readonly seqs: readonly number[];
  /** Numbers of entries, rising. */
  readonly entries: readonly number[];
  /** Of the wallet when the batch was cut. */
  readonly balanceNanos: Nanos;
  /** Unix ms by the object's clock. */
  readonly cutAt: number;
  /** The wallet's owner then: whose the rows are that do not say it themselves. */
  readonly ownerId: UserId;
  /** How far batches have come with this one. */
  readonly mark: Mark;
}

type Progressed = Pick<WalletState, 'lastSeq' | 'lastEntry' | 'balanceNanos'> & {
  /** Open rows by number. */
  readonly open: { readonly size: number; has(seq: number): boolean };
};

/** How many closed rows and entries are in no batch. */
export function pendingCount(mark: Mark, state: Progressed): number {
  // Every open row is above the mark or left behind by it.
  const rows = state.lastSeq - mark.seq + mark.left.length - state.open.size;
  return rows + state.lastEntry - mark.entry;
}

/** The next batch, oldest first, of at most `max` items; null when nothing is pending. */
export function cutBatch(
  mark: Mark,
  state: Progressed,
  facts: { readonly now: number; readonly ownerId: UserId; readonly max?: number },
): Batch | null {
  const { now, ownerId, max = BATCH_ITEMS_MAX } = facts;
  const seqs: number[] = [];
  const left: number[] = [];
  const sort = (seq: number): void => {
    const isTaken = seqs.length < max && !state.open.has(seq);
    (isTaken ? seqs : left).push(seq);
  };
  mark.left.forEach(sort);
  let { seq, entry } = mark;
  while (seq < state.lastSeq && seqs.length < max) sort((seq += 1));
  const entries: number[] = [];
  while (entry < state.lastEntry && seqs.length + entries.length < max) entries.push((entry += 1));
  if (seqs.length + entries.length === 0) return null;
  const { balanceNanos } = state;
  return { seqs, entries, balanceNanos, cutAt: now, ownerId, mark: { seq, entry, left } };
}

/** Rows below this number are in batches before `batch`. */
export function firstSeqFrom({ seqs, mark }: Batch): number {
  return Math.min(seqs[0] ?? Infinity, mark.left[0] ?? Infinity, mark.seq + 1);
}
