// What a Ledger object tells to its wallet's owner and to admins: balance, statement, requests. It
// writes nothing, reads a bounded number of rows a call, and does not ask who is asking.

import type { RelayError } from '../domain/errors';
import type { RequestId } from '../domain/ids';
import { ownerStandings } from '../domain/ledger/limited';
import {
  isRequestAsked,
  openRequestOf,
  ownRequestDetailOf,
  ownRequestOf,
} from '../domain/ledger/own-requests';
import type {
  OwnRequest,
  OwnRequestDetail,
  RequestsCall,
  RequestsPage,
  StatementCall,
  StatementPage,
  WalletBalance,
} from '../domain/ledger/reads';
import type { WalletState } from '../domain/ledger/state';
import { openRowOf } from '../domain/ledger/state';
import type { StatementPlace } from '../domain/ledger/statement';
import { placeFromText, placeToText, tellStatement } from '../domain/ledger/statement';
import { subtractNanos } from '../domain/money';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { CopyShelf } from './copy-shelf';
import type { LedgerStorage } from './ledger-storage';
import type { LimitDesk } from './limit-desk';
import { ReadStorage } from './read-storage';

/** Rows, and as many entries, that one call reads at most. */
const READ_ROWS = 1_000;
const PAGE_MAX = 500;
const OPEN_SHOWN = 100;
const NO_CURSOR: RelayError = { kind: 'bad-request', message: 'cursor: is none of this list' };

interface WalletSource {
  readonly storage: LedgerStorage;
  readonly state: WalletState;
  readonly copies: CopyShelf;
  readonly limits: LimitDesk;
  /** Unix ms by the object's clock. */
  readonly now: () => number;
}

export class WalletDesk {
  readonly #source: WalletSource;
  readonly #reading: ReadStorage;

  constructor(source: WalletSource) {
    this.#source = source;
    this.#reading = new ReadStorage(source.storage);
  }

  balance(): WalletBalance {
    const { state, copies, limits, now } = this.#source;
    const { balanceNanos, heldNanos, open } = state;
    const asOf = now();
    const owner = copies.owner();
    if (owner !== null) limits.alignOwner(owner, asOf);
    return {
      balanceNanos,
      heldNanos,
      availableNanos: subtractNanos(balanceNanos, heldNanos),
      asOf,
      openCount: open.size,
      openRequests: [...open.values()].slice(0, OPEN_SHOWN).map(openRequestOf),
      limits: owner === null ? [] : ownerStandings(owner, state, asOf),
    };
  }

  statement(call: StatementCall): Result<StatementPage, RelayError> {
    const { storage, state } = this.#source;
    const place = call.before === undefined ? this.#present() : placeFromText(call.before, state);
    if (place === null) return fail(NO_CURSOR);
    const limit = pageSize(call.limit);
    const count = rowsToRead(call, limit + state.open.size);
    const rows = this.#reading.statementRows(place.seq, count);
    const entries = storage.entriesDown(place.n, count);
    const [rowsEnd, entriesEnd] = [rows.length < count, entries.length < count];
    try {
      const source = { rows, rowsEnd, entries, entriesEnd };
      const { lines, next } = tellStatement(place, source, { ...call, limit });
      return ok({ lines, next: next === null ? null : placeToText(next) });
    } catch (error) {
      // The balance in a cursor that somebody made up.
      if (call.before !== undefined && error instanceof RangeError) return fail(NO_CURSOR);
      throw error;
    }
  }

  /** Where a statement begins: at the present balance. */
  #present(): StatementPlace {
    const { state, now } = this.#source;
    const asOf = now();
    // What closes after this, in the same millisecond, is not in the balance.
    if (state.open.size > 0 && state.lastSeenAt === asOf) state.lastSeenAt = asOf + 1;
    const { lastSeq: seq, lastEntry: n, balanceNanos } = state;
    const used = [...state.keys.values()].reduce((sum, { usedNanos }) => sum + usedNanos, 0);
    return { seq, n, balanceNanos, creditedNanos: balanceNanos + used, asOf };
  }

  requests(call: RequestsCall): Result<RequestsPage, RelayError> {
    const { storage, state } = this.#source;
    const { before = String(state.lastSeq) } = call;
    if (!/^\d{1,16}$/.test(before)) return fail(NO_CURSOR);
    const limit = pageSize(call.limit);
    const count = rowsToRead(call, limit);
    const rows = storage.rowsDown(Number(before), count);
    const found: OwnRequest[] = [];
    for (const row of rows) {
      if (found.length === limit) return ok({ requests: found, next: String(row.seq) });
      const isPast = row.opened !== null && row.admittedAt < (call.since ?? 0);
      if (isPast) return ok({ requests: found, next: null });
      if (isRequestAsked(row, call)) found.push(ownRequestOf(row));
    }
    const last = rows.at(-1);
    const isEnd = last === undefined || rows.length < count;
    return ok({ requests: found, next: isEnd ? null : String(last.seq - 1) });
  }

  request(requestId: RequestId): OwnRequestDetail | null {
    const { storage, state } = this.#source;
    const open = openRowOf(state, requestId);
    const seq = open?.seq ?? this.#reading.seqOf(requestId);
    const row = open ?? (seq === null ? null : storage.row(seq));
    if (row === null) return null;
    return ownRequestDetailOf(row, this.#reading.correctionsOf(requestId));
  }
}

function pageSize(limit: number): number {
  return Math.min(Math.max(1, Math.floor(limit)), PAGE_MAX);
}

/** One more than the page, so that its end is known; with a filter as many as one call may read. */
function rowsToRead(call: StatementCall | RequestsCall, page: number): number {
  const { before: _before, limit: _limit, ...filter } = call;
  return Object.keys(filter).length > 0 ? READ_ROWS : Math.min(page + 1, READ_ROWS);
}
