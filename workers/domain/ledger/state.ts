// The wallet's state in memory: a fold over rows and entries, nothing that cannot be rebuilt.
// A checkpoint is the same fold cut off at a row; waking is the checkpoint and the rows after it.

import type { KeyId, RequestId } from '../ids';
import type { BudgetBook, BudgetJson } from '../limits/budget';
import { bookFromJson, bookToJson, emptyBook, rezoned } from '../limits/budget';
import type { CountersJson } from '../limits/counters';
import type { Nanos } from '../money';
import { addNanos, subtractNanos, ZERO_NANOS } from '../money';
import { lastSeenAtWaking } from './clock';
import type { KnownConversation, KnownConversations } from './conversation';
import {
  conversationKeyOf,
  conversationOfRow,
  fromJson,
  giveBack,
  learn,
  noConversations,
  take,
  toJson,
} from './conversation';
import type { Counted } from './counting';
import {
  countClosed,
  countCorrected,
  countersForCheckpoint,
  countersFromCheckpoint,
  countRow,
  forgetWindows,
} from './counting';
import { heldBy, overrunOfRow, waryAfter } from './held';
import { postingsOfEntry, postingsOfRow, sumOf } from './posting';
import type { Correction, Entry, RequestRow } from './row';
import type { KnownThings, ThingsJson } from './things';
import { learnMade, learnUsed, noThings, thingsFromJson, thingsToJson } from './things';
import type { WarmBook, WarmConversation } from './warm';
import { learnWarm, warmFromJson, warmToJson } from './warm';

export interface KeyTotals {
  usedNanos: Nanos;
  requests: number;
  /** What requests cost above what was set aside for them. */
  overrunNanos: Nanos;
  /** Unix ms of the first metered request; null: none yet. */
  firstUsedAt: number | null;
}

/** Mutable on purpose: one object, one writer, folded in place. */
export interface WalletState extends Counted {
  balanceNanos: Nanos;
  /** Highest row number given out. */
  lastSeq: number;
  /** Highest entry number folded. */
  lastEntry: number;
  /** Open requests by row number. */
  readonly open: Map<number, RequestRow>;
  readonly openSeqs: Map<RequestId, number>;
  /** What they hold together. */
  heldNanos: Nanos;
  readonly conversations: KnownConversations;
  /** Which account answered each conversation last. */
  readonly warm: WarmBook;
  /** Which account holds what. */
  readonly things: KnownThings;
  /** Unix ms until which every text byte is held as a token; 0: never. */
  waryUntil: number;
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
  readonly keys: readonly (readonly [KeyId, SavedTotals])[];
  readonly lastSeenAt: number;
  /** Absent from an older checkpoint, as what follows. */
  readonly conversations?: readonly KnownConversation[];
  readonly waryUntil?: number;
  /** Windows by holder. */
  readonly counters?: readonly (readonly [string, CountersJson])[];
  readonly book?: BudgetJson;
  readonly warm?: readonly WarmConversation[];
  readonly things?: ThingsJson;
}

type SavedTotals = Pick<KeyTotals, 'usedNanos' | 'requests'> & Partial<KeyTotals>;

/** A wallet in which nothing has happened, whose days are those of the zone (IANA name). */
export function emptyState(timeZone = 'UTC'): WalletState {
  return {
    balanceNanos: ZERO_NANOS,
    lastSeq: 0,
    lastEntry: 0,
    open: new Map(),
    openSeqs: new Map(),
    heldNanos: ZERO_NANOS,
    conversations: noConversations(),
    warm: new Map(),
    things: noThings(),
    waryUntil: 0,
    counters: new Map(),
    book: emptyBook(timeZone),
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
  /** IANA name; of a book that has none yet. */
  readonly timeZone?: string;
}

/** The state that was lost with the memory: a checkpoint and what came after it. */
export function rebuild(stored: Stored): WalletState {
  const { checkpoint, rows, entries, wallClock, timeZone } = stored;
  const state = checkpoint === null ? emptyState(timeZone) : stateOf(checkpoint, stored);
  const firstClosed = new Map<number, RequestRow>();
  for (const { change } of entries) {
    if (change && !firstClosed.has(change.before.seq)) {
      firstClosed.set(change.before.seq, change.before);
    }
  }
  for (const row of rows) {
    if (row.outcome === null) foldOpened(state, row);
    // A correction rewrites its row, and its entry says what that changes.
    else foldClosed(state, firstClosed.get(row.seq) ?? row);
  }
  for (const entry of entries) foldEntry(state, entry);
  const closings = rows.map((row) => row.outcome?.closedAt ?? row.admittedAt);
  const times = [state.lastSeenAt, ...closings, ...entries.map((entry) => entry.at)];
  const lastSeenAt = lastSeenAtWaking(wallClock, times);
  // Windows that a misread clock has emptied are no good; the rows bring them back at their use.
  if (lastSeenAt < state.lastSeenAt) forgetWindows(state);
  state.lastSeenAt = lastSeenAt;
  return state;
}

/** The fold up to a checkpoint; its open rows are folded as rows after it. */
function stateOf(checkpoint: Checkpoint, stored: Stored): WalletState {
  const { book, lastSeenAt } = checkpoint;
  return {
    ...emptyState(stored.timeZone),
    ...(book === undefined ? {} : { book: bookOf(book, checkpoint, stored) }),
    counters: countersFromCheckpoint(checkpoint.counters),
    balanceNanos: checkpoint.balanceNanos,
    lastSeq: checkpoint.seq,
    lastEntry: checkpoint.entry,
    conversations: fromJson(checkpoint.conversations),
    warm: warmFromJson(checkpoint.warm),
    things: thingsFromJson(checkpoint.things),
    waryUntil: checkpoint.waryUntil ?? 0,
    keys: new Map(checkpoint.keys.map(([id, totals]) => [id, { ...NOTHING_USED, ...totals }])),
    lastSeenAt,
  };
}

/** In the zone that is in force: the rows after the checkpoint are dated in it, each for itself. */
function bookOf(
  saved: BudgetJson,
  { seq, lastSeenAt }: Checkpoint,
  { timeZone, rows, wallClock }: Stored,
): BudgetBook {
  const book = bookFromJson(saved);
  if (timeZone === undefined || book.timeZone === timeZone) return book;
  // A time that is not believed is not the one at which its sums were running.
  const savedAt = Math.min(lastSeenAt, lastSeenAtWaking(wallClock, [lastSeenAt]));
  const ran = rows.filter((row) => row.seq <= seq).map(({ admittedAt }) => admittedAt);
  const since = Math.min(savedAt, ...ran);
  // Its clock may have been behind its rows; the next one that was admitted is not.
  const next = rows.find((row) => row.seq > seq && row.opened !== null);
  return rezoned(book, timeZone, {
    since,
    until: Math.max(savedAt, next?.admittedAt ?? wallClock),
  });
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
    conversations: toJson(state.conversations),
    warm: warmToJson(state.warm),
    things: thingsToJson(state.things),
    waryUntil: state.waryUntil,
    counters: countersForCheckpoint(state),
    book: bookToJson(state.book),
  };
}

/** Folds a row that admit has just opened, that has changed while open, or is open at waking. */
export function foldOpened(state: WalletState, row: RequestRow): void {
  const before = state.open.get(row.seq);
  const released = before === undefined ? ZERO_NANOS : heldBy(before);
  state.heldNanos = addNanos(subtractNanos(state.heldNanos, released), heldBy(row));
  const conversation = conversationKeyOf(row);
  const isNew = row.seq > state.lastSeq;
  countRow(state, row, { before: before ?? null, isNew });
  if (before === undefined && conversation !== null) take(state.conversations, conversation);
  if (before === undefined) learnUsed(state.things, row);
  if (isNew) totalsOf(state, row.keyId).firstUsedAt ??= row.admittedAt;
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
  const overrunNanos = addNanos(totals.overrunNanos, overrunOfRow(row, row.outcome.costNanos));
  const was = { before: state.open.get(row.seq) ?? null, isNew: row.seq > state.lastSeq };
  countClosed(state, row, was);
  release(state, row.seq);
  state.lastSeq = Math.max(state.lastSeq, row.seq);
  state.open.delete(row.seq);
  state.openSeqs.delete(row.requestId);
  state.balanceNanos = balanceNanos;
  totals.usedNanos = usedNanos;
  totals.overrunNanos = overrunNanos;
  if (was.isNew && row.opened !== null) totals.firstUsedAt ??= row.admittedAt;
  totals.requests += 1;
  state.closedSinceCheckpoint += 1;
  // At waking it was never folded as open.
  learnUsed(state.things, row);
  noteFigures(state, row, row.outcome.closedAt);
}

/** What an open row held is free again; a row that was not open held nothing. */
function release(state: WalletState, seq: number): void {
  const open = state.open.get(seq);
  if (open === undefined) return;
  state.heldNanos = subtractNanos(state.heldNanos, heldBy(open));
  const conversation = conversationKeyOf(open);
  if (conversation !== null) giveBack(state.conversations, conversation);
}

/** What a row's figures teach for later requests; `now` in Unix ms. */
function noteFigures(state: WalletState, row: RequestRow, now: number): void {
  const conversation = conversationOfRow(row);
  if (conversation !== null) learn(state.conversations, conversation);
  learnWarm(state.warm, row);
  learnMade(state.things, row, now);
  state.waryUntil = Math.max(state.waryUntil, waryAfter(row, now) ?? 0);
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
    if (entry.change !== undefined)
      foldCorrection(state, totals, { change: entry.change, at: entry.at });
  }
  state.lastEntry = entry.n;
  state.balanceNanos = balanceNanos;
}

/** The overrun of the key and what later requests learn, by the figures that are known now. */
function foldCorrection(
  state: WalletState,
  totals: KeyTotals,
  { change: { before, after }, at }: { readonly change: Correction; readonly at: number },
): void {
  const passed = (row: RequestRow): Nanos =>
    row.known === null ? ZERO_NANOS : overrunOfRow(row, row.known.costNanos);
  const overrunNanos = subtractNanos(totals.overrunNanos, passed(before));
  totals.overrunNanos = addNanos(overrunNanos, passed(after));
  countCorrected(state, { before, after });
  noteFigures(state, after, at);
}

/** The row of `requestId` among the open ones. */
export function openRowOf(state: WalletState, requestId: RequestId): RequestRow | null {
  const seq = state.openSeqs.get(requestId);
  return seq === undefined ? null : (state.open.get(seq) ?? null);
}

function totalsOf(state: WalletState, keyId: KeyId): KeyTotals {
  const known = state.keys.get(keyId);
  if (known !== undefined) return known;
  const fresh = { ...NOTHING_USED };
  state.keys.set(keyId, fresh);
  return fresh;
}

const NOTHING_USED: Readonly<KeyTotals> = {
  usedNanos: ZERO_NANOS,
  requests: 0,
  overrunNanos: ZERO_NANOS,
  firstUsedAt: null,
};
