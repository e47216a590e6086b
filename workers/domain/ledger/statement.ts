// A wallet's statement, read backwards: closed requests and entries woven into one line by their
// dates, each with the balance after it. It begins at the present balance and takes away what it
// tells, so it adds up whatever was corrected or closed late. Storage is read by the caller.

import type { Nanos } from '../money';
import { nanos, subtractNanos } from '../money';
import { HOUR_MS } from '../time';
import type { StatementFilter, StatementLine } from './reads';
import type { Entry, RequestRow } from './row';

/** Rows closed longer ago may be gone (objects/ledger-flush.ts). */
export const KEEP_ROWS_MS = 90 * 24 * HOUR_MS;

/** How far a statement has been told, and what was true when it was begun. */
export interface StatementPlace {
  /** Rows up to this number are still to be told. */
  readonly seq: number;
  /** Entries up to this number are still to be told. */
  readonly n: number;
  /** Before the last line that was told; at first the present balance. */
  readonly balanceNanos: number;
  /** What is still to be told of entries other than corrections, in sum. */
  readonly creditedNanos: number;
  /** Unix ms: rows closed after it were open when the statement was begun, and count as open. */
  readonly asOf: number;
}

/** The part of a row that a statement tells. */
export type StatementRow = Pick<
  RequestRow,
  'seq' | 'requestId' | 'keyId' | 'admittedAt' | 'outcome'
> & {
  /** As served; where nothing said so, as asked for; else ''. */
  readonly model: string;
  /** Whether the object admitted it: then its date is in the order of its number. */
  readonly admitted: boolean;
};

/** What was read from storage for one page, newest first; both parts may end before the last. */
export interface StatementSource {
  readonly rows: readonly StatementRow[];
  /** There are no rows below the last of `rows`. */
  readonly rowsEnd: boolean;
  readonly entries: readonly Entry[];
  /** There are no entries below the last of `entries`. */
  readonly entriesEnd: boolean;
}

export interface StatementStep {
  readonly lines: readonly StatementLine[];
  /** null: everything was told. */
  readonly next: StatementPlace | null;
}

/**
 * The next lines from `place` on, at most `limit`: fewer where the source ends first. Throws
 * RangeError when an amount leaves the safe integers, which only a forged place can bring about.
 */
export function tellStatement(
  place: StatementPlace,
  source: StatementSource,
  asked: StatementFilter & { readonly limit: number },
): StatementStep {
  const lines: StatementLine[] = [];
  let at = place;
  let [rowsTold, entriesTold] = [0, 0];
  for (;;) {
    const heads = { row: source.rows[rowsTold], entry: source.entries[entriesTold] };
    if (isShort(heads, source)) return { lines, next: at };
    const told = isBefore(heads, at, asked.since) ? null : nextLine(at, heads);
    if (told === null) return { lines, next: null };
    if (lines.length === asked.limit) return { lines, next: at };
    if (told.line !== null && isAsked(told.line, asked)) lines.push(told.line);
    if (told.place.seq < at.seq) rowsTold += 1;
    if (told.place.n < at.n) entriesTold += 1;
    at = told.place;
  }
}

/** `seq.n.balance.credited.asOf` */
export function placeToText({ seq, n, balanceNanos, creditedNanos, asOf }: StatementPlace): string {
  return [seq, n, balanceNanos, creditedNanos, asOf].join('.');
}

/** The place in `text` in a wallet of so many rows and entries; null: it is none. */
export function placeFromText(
  text: string,
  { lastSeq, lastEntry }: { readonly lastSeq: number; readonly lastEntry: number },
): StatementPlace | null {
  if (!/^\d{1,16}\.\d{1,16}(\.-?\d{1,16}){2}\.\d{1,16}$/.test(text)) return null;
  const numbers = text.split('.').map(Number);
  const [seq = 0, n = 0, balanceNanos = 0, creditedNanos = 0, asOf = 0] = numbers;
  if (!numbers.every(Number.isSafeInteger) || seq > lastSeq || n > lastEntry) return null;
  return { seq, n, balanceNanos, creditedNanos, asOf };
}

/** The newest row and the newest entry that are left. */
interface Heads {
  readonly row: StatementRow | undefined;
  readonly entry: Entry | undefined;
}

interface Told {
  /** null: nothing to tell, as of a row that is open. */
  readonly line: StatementLine | null;
  readonly place: StatementPlace;
}

/** Whether more must be read before the next line is known. */
function isShort({ row, entry }: Heads, { rowsEnd, entriesEnd }: StatementSource): boolean {
  return (row === undefined && !rowsEnd) || (entry === undefined && !entriesEnd);
}

/** Whether all that is left is older than `since`; only rows admitted here are in date order. */
function isBefore({ row, entry }: Heads, place: StatementPlace, since: number | undefined) {
  if (since === undefined) return false;
  const rowsAre =
    row === undefined ? goneAt(place) < since : row.admitted && row.admittedAt < since;
  return rowsAre && (entry === undefined || entry.at < since);
}

function isAsked(line: StatementLine, { kinds, keyId, since, until }: StatementFilter): boolean {
  return (
    (kinds === undefined || kinds.includes(line.kind)) &&
    (keyId === undefined || line.keyId === keyId) &&
    (since === undefined || line.at >= since) &&
    (until === undefined || line.at < until)
  );
}

/** The later of the two; of one date the entry. null: nothing is left. */
function nextLine(place: StatementPlace, { row, entry }: Heads): Told | null {
  if (row === undefined) return lineBelowRows(place, entry);
  if (entry !== undefined && entry.at >= row.admittedAt) return entryLine(place, entry);
  return rowLine(place, row);
}

function rowLine(place: StatementPlace, row: StatementRow): Told {
  const { outcome, requestId, model, keyId, admittedAt: at } = row;
  const below = { ...place, seq: row.seq - 1 };
  if (outcome === null || outcome.closedAt > place.asOf) return { line: null, place: below };
  const { closing, certainty, closedAt, costNanos } = outcome;
  const request = { requestId, model, closing, certainty, closedAt };
  const amounts = amountsAt(place, nanos(-costNanos));
  return {
    line: { kind: 'charge', at, ...amounts.told, request, keyId },
    place: { ...below, balanceNanos: amounts.before },
  };
}

function entryLine(place: StatementPlace, entry: Entry): Told {
  const { kind, at, amountNanos, entryId, reason, actor, keyId } = entry;
  const amounts = amountsAt(place, amountNanos);
  const credited = kind === 'correction' ? 0 : amountNanos;
  const line = { kind, at, ...amounts.told, entry: { entryId, reason, actor } };
  return {
    line: keyId === null ? line : { ...line, keyId },
    place: {
      ...place,
      n: entry.n - 1,
      balanceNanos: amounts.before,
      creditedNanos: nanos(place.creditedNanos - credited),
    },
  };
}

/**
 * What requests that are gone came to, their corrections included, stands in one line. Below it
 * only money that came in is left, and the balance before the first of it was 0.
 */
function lineBelowRows(place: StatementPlace, entry: Entry | undefined): Told | null {
  const at = goneAt(place);
  if (entry !== undefined && entry.at > at) return entryLine(place, entry);
  const { balanceNanos, creditedNanos } = place;
  if (balanceNanos !== creditedNanos) {
    const { told } = amountsAt(place, nanos(balanceNanos - creditedNanos));
    return {
      line: { kind: 'older', at, ...told },
      place: { ...place, balanceNanos: creditedNanos },
    };
  }
  if (entry === undefined) return null;
  // Of a request that is gone: it is in the line above.
  if (entry.kind === 'correction') return { line: null, place: { ...place, n: entry.n - 1 } };
  return entryLine(place, entry);
}

/** Unix ms: what was closed later is kept. */
function goneAt({ asOf }: StatementPlace): number {
  return asOf - KEEP_ROWS_MS;
}

function amountsAt(place: StatementPlace, amountNanos: Nanos) {
  const balanceNanos = nanos(place.balanceNanos);
  return { told: { amountNanos, balanceNanos }, before: subtractNanos(balanceNanos, amountNanos) };
}
