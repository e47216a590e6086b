// The Ledger object's batches for D1: rows in, rows out, and what a batch names read as it was when
// the batch was cut. What is old is deleted here, a bounded number at a time. It sends nothing.

import type { Batch } from '../domain/ledger/batch';
import { firstSeqFrom } from '../domain/ledger/batch';
import { correctionId } from '../domain/ledger/decide';
import type { Happened } from '../domain/ledger/rollup';
import type { Correction, RequestRow } from '../domain/ledger/row';
import type { LedgerStorage } from './ledger-storage';

/** Rows that one call deletes at most. */
const PRUNE_ROWS = 1_000;
/** Batches that one call deletes at most. */
const PRUNE_BATCHES = 100;

export interface NumberedBatch {
  readonly n: number;
  readonly batch: Batch;
}

export class BatchStorage {
  readonly #storage: LedgerStorage;

  constructor(storage: LedgerStorage) {
    this.#storage = storage;
  }

  /** The one cut last. */
  last(): NumberedBatch | null {
    return this.#one('ORDER BY n DESC LIMIT 1', 0);
  }

  /** The first of those above `n`. */
  after(n: number): NumberedBatch | null {
    return this.#one('ORDER BY n LIMIT 1', n);
  }

  insert({ n, batch }: NumberedBatch): void {
    this.#storage.run('INSERT INTO batches VALUES (?, ?)', n, JSON.stringify(batch));
  }

  /** Number of the last batch that D1 is known to have; 0 before the first. */
  delivered(): number {
    const [row] = this.#storage.run<{ n: number }>(
      "SELECT CAST(document AS INTEGER) AS n FROM documents WHERE name = 'delivered'",
    );
    return row?.n ?? 0;
  }

  keepDelivered(n: number): void {
    this.#storage.run(
      "INSERT INTO documents (name, document) VALUES ('delivered', ?) " +
        'ON CONFLICT (name) DO UPDATE SET document = excluded.document',
      String(n),
    );
  }

  /** What `batch` names, the same however often and however late it is asked. */
  contentOf({ seqs, entries, ownerId }: Batch): Happened {
    const named = this.#storage.entries({ by: 'n', these: entries });
    const corrections = named.flatMap(({ change }) => change ?? []);
    return { rows: this.#asFirstClosed(this.#storage.rows(seqs)), corrections, ownerId };
  }

  /** Corrections rewrite a row; each of them has kept what was there before. */
  #asFirstClosed(rows: readonly RequestRow[]): readonly RequestRow[] {
    const ids = rows
      .filter(wasCorrected)
      .flatMap(({ requestId }) => [
        correctionId(requestId, 'estimated'),
        correctionId(requestId, 'reported'),
      ]);
    if (ids.length === 0) return rows;
    const first = new Map<number, Correction>();
    for (const { change } of this.#storage.entries({ by: 'id', these: ids })) {
      if (change && !first.has(change.before.seq)) first.set(change.before.seq, change);
    }
    return rows.map((row) => first.get(row.seq)?.before ?? row);
  }

  /** Deletes delivered batches cut before `before` (Unix ms); the last one stays, for its mark. */
  pruneBatches({ before, delivered }: { readonly before: number; readonly delivered: number }) {
    this.#storage.run(
      "DELETE FROM batches WHERE n IN (SELECT n FROM batches WHERE document ->> '$.cutAt' < ? " +
        'AND n <= ? AND n < (SELECT max(n) FROM batches) ORDER BY n LIMIT ?)',
      before,
      delivered,
      PRUNE_BATCHES,
    );
  }

  /**
   * Deletes rows closed before `before` (Unix ms) that neither a waking (`upTo`: the checkpoint's
   * number) nor a batch that is still kept would read. Answers whether there may be more.
   */
  pruneRows({ before, upTo }: { readonly before: number; readonly upTo: number }): boolean {
    const oldest = this.after(0);
    const below = Math.min(upTo + 1, oldest === null ? 0 : firstSeqFrom(oldest.batch));
    const [head] = this.#storage.run<{ closed_at: number | null }>(
      'SELECT closed_at FROM requests WHERE seq < ? ORDER BY seq LIMIT 1',
      below,
    );
    if (head === undefined || (head.closed_at ?? Infinity) >= before) return false;
    this.#storage.run(
      'DELETE FROM requests WHERE closed_at < ? AND seq IN ' +
        '(SELECT seq FROM requests WHERE seq < ? ORDER BY seq LIMIT ?)',
      before,
      below,
      PRUNE_ROWS,
    );
    return true;
  }

  #one(order: string, after: number): NumberedBatch | null {
    const [row] = this.#storage.run<{ n: number; document: string }>(
      `SELECT n, document FROM batches WHERE n > ? ${order}`,
      after,
    );
    // Written by this class alone, as JSON of the same type.
    return row === undefined ? null : { n: row.n, batch: JSON.parse(row.document) as Batch };
  }
}

/** Certainty rises with every correction, and with nothing else. */
function wasCorrected({ outcome, known }: RequestRow): boolean {
  return outcome?.certainty !== known?.certainty;
}
