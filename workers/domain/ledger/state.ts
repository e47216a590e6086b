// The wallet's state in memory: a fold over rows and entries, nothing that cannot be rebuilt.
// A checkpoint is the same fold cut off at a row; waking is the checkpoint and the rows after it.

import type { KeyId, RequestId } from '../ids';
import type { Nanos } from '../money';
import { addNanos, subtractNanos, ZERO_NANOS } from '../money';
import { lastSeenAtWaking } from './clock';
import { postingsOfEntry, postingsOfRow, sumOf } from './posting';
import type { Entry, RequestRow } from './row';

export interface KeyTotals {
  usedNanos: Nanos;
  requests: number;
}

/** Mutable on purpose: one object, one writer, folded in place. */
export interface WalletState {
  balanceNanos: Nanos;
  /** Highest row number given out. */
  lastSeq: number;
  /** Highest entry number folded. */
  lastEntry: number;
  /** Open requests by row number. */
  readonly open: Map<number, RequestRow>;
  readonly openSeqs: Map<RequestId, number>;
  readonly keys: Map<KeyId, KeyTotals>;
  /** Latest clock reading; the clock never goes back. */
  lastSeenAt: number;
  /** Rows closed since the checkpoint. */
  closedSinceCheckpoint: number;
}

/** JSON of a fold: what a checkpoint row holds. */
export interface Checkpoint {
  readonly seq: number;
  readonly entry: number;
  readonly openSeqs: readonly number[];
  readonly balanceNanos: Nanos;
  readonly keys: readonly (readonly [KeyId, KeyTotals])[];
  readonly lastSeenAt: number;
}

/** A wallet in which nothing has happened. */
export function emptyState(): WalletState {
  return {
    balanceNanos: ZERO_NANOS,
    lastSeq: 0,
    lastEntry: 0,
    open: new Map(),
    openSeqs: new Map(),
    keys: new Map(),
    lastSeenAt: 0,
    closedSinceCheckpoint: 0,
  };
}

/** What is read at waking. */
export interface Stored {
  readonly checkpoint: Checkpoint | null;
  /** Rows above the checkpoint's highest and those that were open at it, by number. */
  readonly rows: readonly RequestRow[];
  /** Entries above the checkpoint's highest, by number. */
  readonly entries: readonly Entry[];
  /** Unix ms at waking. */
  readonly wallClock: number;
}

/** The state that was lost with the memory: a checkpoint and what came after it. */
export function rebuild({ checkpoint, rows, entries, wallClock }: Stored): WalletState {
  const state = checkpoint === null ? emptyState() : stateOf(checkpoint);
  for (const row of rows) {
    if (row.outcome === null) foldOpened(state, row);
    else foldClosed(state, row);
  }
  for (const entry of entries) foldEntry(state, entry);
  const closings = rows.map((row) => row.outcome?.closedAt ?? row.admittedAt);
  const times = [state.lastSeenAt, ...closings, ...entries.map((entry) => entry.at)];
  state.lastSeenAt = lastSeenAtWaking(wallClock, times);
  return state;
}

/** The fold up to a checkpoint; its open rows are folded as rows after it. */
function stateOf(checkpoint: Checkpoint): WalletState {
  return {
    ...emptyState(),
    balanceNanos: checkpoint.balanceNanos,
    lastSeq: checkpoint.seq,
    lastEntry: checkpoint.entry,
    keys: new Map(checkpoint.keys.map(([id, totals]) => [id, { ...totals }])),
    lastSeenAt: checkpoint.lastSeenAt,
  };
}

/** The state as a checkpoint. */
export function checkpointOf(state: WalletState): Checkpoint {
  return {
    seq: state.lastSeq,
    entry: state.lastEntry,
    openSeqs: [...state.open.keys()],
    balanceNanos: state.balanceNanos,
    keys: [...state.keys].map(([id, totals]) => [id, { ...totals }] as const),
    lastSeenAt: state.lastSeenAt,
  };
}

/** Folds a row that admit has just opened, or that is open at waking. */
export function foldOpened(state: WalletState, row: RequestRow): void {
  state.lastSeq = Math.max(state.lastSeq, row.seq);
  state.open.set(row.seq, row);
  state.openSeqs.set(row.requestId, row.seq);
}

/**
 * Folds a row's first closing. The caller has checked that it was not folded before. Throws, with
 * nothing folded, when an amount leaves the safe integers: then it may not be stored either.
 */
export function foldClosed(state: WalletState, row: RequestRow): void {
  if (row.outcome === null) throw new Error(`row ${row.seq} is not closed`);
  const postings = postingsOfRow(row);
  if (sumOf(postings) !== 0) throw new Error(`postings of row ${row.seq} do not sum to zero`);
  const totals = totalsOf(state, row.keyId);
  const balanceNanos = subtractNanos(state.balanceNanos, row.outcome.costNanos);
  const usedNanos = addNanos(totals.usedNanos, row.outcome.costNanos);
  state.lastSeq = Math.max(state.lastSeq, row.seq);
  state.open.delete(row.seq);
  state.openSeqs.delete(row.requestId);
  state.balanceNanos = balanceNanos;
  totals.usedNanos = usedNanos;
  totals.requests += 1;
  state.closedSinceCheckpoint += 1;
}

/**
 * Folds an entry; one already folded (by number) changes nothing. Throws, with nothing folded, when
 * an amount leaves the safe integers: then it may not be stored either.
 */
export function foldEntry(state: WalletState, entry: Entry): void {
  if (entry.n <= state.lastEntry) return;
  if (sumOf(postingsOfEntry(entry)) !== 0) {
    throw new Error(`postings of entry ${entry.entryId} do not sum to zero`);
  }
  const balanceNanos = addNanos(state.balanceNanos, entry.amountNanos);
  if (entry.kind === 'correction' && entry.keyId !== null) {
    const totals = totalsOf(state, entry.keyId);
    totals.usedNanos = subtractNanos(totals.usedNanos, entry.amountNanos);
  }
  state.lastEntry = entry.n;
  state.balanceNanos = balanceNanos;
}

/** The row of `requestId` among the open ones. */
export function openRowOf(state: WalletState, requestId: RequestId): RequestRow | null {
  const seq = state.openSeqs.get(requestId);
  return seq === undefined ? null : (state.open.get(seq) ?? null);
}

function totalsOf(state: WalletState, keyId: KeyId): KeyTotals {
  const known = state.keys.get(keyId);
  if (known !== undefined) return known;
  const fresh = { usedNanos: ZERO_NANOS, requests: 0 };
  state.keys.set(keyId, fresh);
  return fresh;
}
