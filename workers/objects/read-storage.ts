// The Ledger object's rows as reads want them: backwards, a bounded number at a time, and a request
// by its id, which no index knows. It writes nothing.

import type { KeyId, RequestId } from '../domain/ids';
import { timeOfId } from '../domain/ids';
import type { Certainty, Closing } from '../domain/ledger/calls';
import { correctionId } from '../domain/ledger/decide';
import type { Entry } from '../domain/ledger/row';
import type { StatementRow } from '../domain/ledger/statement';
import { nanos } from '../domain/money';
import { SECOND_MS } from '../domain/time';
import type { LedgerStorage } from './ledger-storage';

/** Rows looked through for an id from the time on that it names. */
const SEARCH_ROWS = 10_000;
/** How much earlier than its id was made a request may be dated: the clocks of two machines. */
const SKEW_MS = 5 * SECOND_MS;
/** Halvings that find a row among all that there can be. */
const HALVINGS_MAX = 60;

type StatementRecord = {
  seq: number;
  id: string;
  key_id: string;
  admitted_at: number;
  admitted: number;
  model: string;
  closing: string | null;
  certainty: string | null;
  cost_nanos: number | null;
  closed_at: number | null;
};

export class ReadStorage {
  readonly #storage: LedgerStorage;

  constructor(storage: LedgerStorage) {
    this.#storage = storage;
  }

  /** At most `count` rows with numbers up to `seq`, newest first. */
  statementRows(seq: number, count: number): StatementRow[] {
    return this.#storage
      .run<StatementRecord>(
        'SELECT seq, id, key_id, admitted_at, opened IS NOT NULL AS admitted, ' +
          "coalesce(closed ->> '$.model', opened ->> '$.model', '') AS model, " +
          'closing, certainty, cost_nanos, closed_at FROM requests WHERE seq <= ? ' +
          'ORDER BY seq DESC LIMIT ?',
        seq,
        count,
      )
      .map(statementRowOf);
  }

  /** The number of a request's row; null: it is not there, or too far from its date. */
  seqOf(requestId: RequestId): number | null {
    const from = this.#firstSince(timeOfId(requestId) - SKEW_MS);
    const [found] = this.#storage.run<{ seq: number }>(
      'SELECT seq FROM (SELECT seq, id FROM requests WHERE seq >= ? ORDER BY seq LIMIT ?) ' +
        'WHERE id = ? LIMIT 1',
      from,
      SEARCH_ROWS,
      requestId,
    );
    return found?.seq ?? null;
  }

  /** What was learned later of a request, oldest first. */
  correctionsOf(requestId: RequestId): readonly Entry[] {
    const these = [correctionId(requestId, 'estimated'), correctionId(requestId, 'reported')];
    return this.#storage.entries({ by: 'id', these });
  }

  /** The first number from which on rows admitted here are dated `since` (Unix ms) or later. */
  #firstSince(since: number): number {
    const [bounds] = this.#storage.run<{ low: number | null; high: number | null }>(
      'SELECT (SELECT min(seq) FROM requests) AS low, (SELECT max(seq) FROM requests) AS high',
    );
    let [low, high] = [bounds?.low ?? 0, bounds?.high ?? 0];
    for (let halvings = 0; low < high && halvings < HALVINGS_MAX; halvings += 1) {
      const middle = Math.floor((low + high) / 2);
      // Rows that a settle wrote are dated by their request, not in the order of their numbers.
      const [row] = this.#storage.run<{ seq: number; admitted_at: number }>(
        'SELECT seq, admitted_at FROM requests WHERE seq >= ? AND opened IS NOT NULL ' +
          'ORDER BY seq LIMIT 1',
        middle,
      );
      if (row === undefined || row.admitted_at >= since) high = middle;
      else low = row.seq + 1;
    }
    return low;
  }
}

// The words in these columns were written by the object from the same types.
function statementRowOf(record: StatementRecord): StatementRow {
  return {
    seq: record.seq,
    requestId: record.id as RequestId,
    keyId: record.key_id as KeyId,
    admittedAt: record.admitted_at,
    admitted: record.admitted === 1,
    model: record.model,
    outcome:
      record.closing === null
        ? null
        : {
            closing: record.closing as Closing,
            certainty: record.certainty as Certainty,
            costNanos: nanos(record.cost_nanos ?? 0),
            closedAt: record.closed_at ?? 0,
          },
  };
}
