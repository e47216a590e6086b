// Finds the rows of closed requests by their ids, for calls that name no row: a repeated admit, a
// `void` after a lost reply. What was closed in the last minutes is kept in memory; for what waited
// longer than that, the last rows are searched. Open requests are not here.

import type { RequestId } from '../domain/ids';
import { madeBefore } from '../domain/ids';
import type { RequestRow } from '../domain/ledger/row';
import type { Checkpoint } from '../domain/ledger/state';
import { MINUTE_MS } from '../domain/time';

/** How long an id is kept in memory, those after the checkpoint always; and how many at most. */
const RECENT_MS = 10 * MINUTE_MS;
const RECENT_MAX = 10_000;
/** Waking reads no more rows for ids than keep it at this, with those that it reads besides. */
const WAKING_ROWS = 900;
/** Of what was closed before the checkpoint, waking finds so many again at most. */
const FOUND_AGAIN_MAX = 500;
/** No call comes later but by way of the database, where it may wait for hours. */
const IN_TIME_MS = MINUTE_MS;

interface Closed {
  readonly seq: number;
  /** Unix ms. */
  readonly closedAt: number;
}

/** What is read of the object's tables. */
export interface StoredRows {
  row(seq: number): RequestRow | null;
  /** Looks for it among the last ones. */
  rowOf(requestId: RequestId): RequestRow | null;
  closedBefore(
    checkpoint: Checkpoint,
    /** How many at most, and closed after when (Unix ms). */
    window: { readonly count: number; readonly since: number },
  ): readonly (Closed & { readonly requestId: RequestId })[];
}

export class RecentRequests {
  readonly #storage: StoredRows;
  /** In the order of closing. */
  readonly #closed = new Map<RequestId, Closed>();

  constructor(storage: StoredRows) {
    this.#storage = storage;
  }

  /** Finds again at waking what was known. `rows`: read already; `now` in Unix ms. */
  wake(known: {
    readonly checkpoint: Checkpoint | null;
    readonly rows: readonly RequestRow[];
    readonly now: number;
  }): void {
    const { checkpoint, rows, now } = known;
    if (checkpoint !== null) {
      const count = Math.max(0, Math.min(FOUND_AGAIN_MAX, WAKING_ROWS - rows.length));
      const found = this.#storage.closedBefore(checkpoint, { count, since: now - RECENT_MS });
      for (const { requestId, ...closed } of found) this.#closed.set(requestId, closed);
    }
    for (const { seq, requestId, outcome } of rows) {
      if (outcome !== null) this.#closed.set(requestId, { seq, closedAt: outcome.closedAt });
    }
  }

  note({ requestId, seq }: RequestRow, closedAt: number): void {
    this.#closed.set(requestId, { seq, closedAt });
  }

  has(requestId: RequestId): boolean {
    return this.#closed.has(requestId);
  }

  /**
   * The row as it is stored. `searchAt` (Unix ms, now): what is not in memory is looked for among
   * the last rows, if it is old enough to have left it; null: it is not.
   */
  row(requestId: RequestId, searchAt: number | null): RequestRow | null {
    const closed = this.#closed.get(requestId);
    if (closed !== undefined) return this.#storage.row(closed.seq);
    const isLate = searchAt !== null && madeBefore(requestId, searchAt - IN_TIME_MS);
    return isLate ? this.#storage.rowOf(requestId) : null;
  }

  /** `checkpointSeq`: of the checkpoint in storage. */
  forgetOld(now: number, checkpointSeq: number): void {
    for (const [id, { seq, closedAt }] of this.#closed) {
      const isFew = this.#closed.size <= RECENT_MAX;
      if (isFew && (closedAt > now - RECENT_MS || seq > checkpointSeq)) return;
      this.#closed.delete(id);
    }
  }
}
