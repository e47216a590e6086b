// The Ledger object's tables: rows in, rows out, every amount checked on both ways. No rule here.

import type { KeyId, RequestId, UserId } from '../domain/ids';
import type { Certainty, Closing, EntryKind } from '../domain/ledger/calls';
import type { CountedRow } from '../domain/ledger/counting';
import type {
  Closed,
  Correction,
  Entry,
  Opened,
  ProgressDetails,
  RequestRow,
  RowHold,
} from '../domain/ledger/row';
import type { Checkpoint } from '../domain/ledger/state';
import { nanos } from '../domain/money';
import type { Catalogue } from '../domain/pricing/catalogue';
import type { Usage } from '../domain/usage/tokens';
import { keepDocument, readDocument } from './documents';
import { migrate } from './migrate';

const STEPS = [
  `CREATE TABLE copies (
    kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE documents (
    name TEXT PRIMARY KEY, document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE requests (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, key_id TEXT NOT NULL,
    admitted_at INTEGER NOT NULL, lease_until INTEGER NOT NULL, opened TEXT,
    progress_n INTEGER, progress_nanos INTEGER, dispatched INTEGER,
    closing TEXT, certainty TEXT, cost_nanos INTEGER, closed_at INTEGER,
    known_certainty TEXT, known_nanos INTEGER, closed TEXT
  ) STRICT;
  CREATE TABLE entries (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    amount_nanos INTEGER NOT NULL, at INTEGER NOT NULL, key_id TEXT,
    reason TEXT NOT NULL, actor TEXT NOT NULL
  ) STRICT;`,
  // `document`: JSON of a Batch. `change`: JSON of a Correction; entries from before have none.
  `CREATE TABLE batches (n INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT;
  ALTER TABLE entries ADD COLUMN change TEXT;`,
  // `hold`: JSON of a RowHold; requests from before have none.
  `ALTER TABLE requests ADD COLUMN hold TEXT;`,
  // Who asked that the running request be ended.
  `ALTER TABLE requests ADD COLUMN stopped_by TEXT;`,
  // JSON of ProgressDetails; signs of life from before have none.
  `ALTER TABLE requests ADD COLUMN progress_details TEXT;`,
] as const;

/** Rows that are read back at a time. */
const PAGE_ROWS = 500;
/** Rows that are looked through for a request's id. */
const SEARCHED_ROWS = 20_000;

type RequestRecord = {
  seq: number;
  id: string;
  key_id: string;
  admitted_at: number;
  lease_until: number;
  opened: string | null;
  progress_n: number | null;
  progress_nanos: number | null;
  dispatched: number | null;
  closing: string | null;
  certainty: string | null;
  cost_nanos: number | null;
  closed_at: number | null;
  known_certainty: string | null;
  known_nanos: number | null;
  closed: string | null;
  hold: string | null;
  stopped_by: string | null;
  progress_details: string | null;
};

type CountedRecord = Pick<RequestRecord, 'seq' | 'key_id' | 'admitted_at' | 'known_nanos'> & {
  user_id: string | null;
  usage: string | null;
};

type EntryRecord = {
  n: number;
  id: string;
  kind: string;
  amount_nanos: number;
  at: number;
  key_id: string | null;
  reason: string;
  actor: string;
  change: string | null;
};

/** Rows written and read since this object woke: what Cloudflare bills. */
export interface StorageCounters {
  rowsWritten: number;
  rowsRead: number;
}

export class LedgerStorage {
  readonly counters: StorageCounters = { rowsWritten: 0, rowsRead: 0 };
  readonly #sql: SqlStorage;
  readonly #bound = this.run.bind(this);

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    migrate(sql, STEPS);
  }

  /** For what keeps tables of its own beside these; counted like the rest. */
  run<T extends Record<string, SqlStorageValue>>(
    query: string,
    ...bindings: readonly SqlStorageValue[]
  ): T[] {
    return this.#run<T>(query, ...bindings);
  }

  #run<T extends Record<string, SqlStorageValue>>(
    query: string,
    ...bindings: readonly SqlStorageValue[]
  ): T[] {
    const cursor = this.#sql.exec<T>(query, ...bindings);
    const rows = cursor.toArray();
    this.counters.rowsWritten += cursor.rowsWritten;
    this.counters.rowsRead += cursor.rowsRead;
    return rows;
  }

  checkpoint(): Checkpoint | null {
    return readDocument<Checkpoint>(this.#bound, 'checkpoint');
  }

  /** In one transaction of the caller's: half of one would end every waking. */
  keepCheckpoint(checkpoint: Checkpoint): void {
    keepDocument(this.#bound, 'checkpoint', checkpoint);
  }

  catalogue(): Catalogue | null {
    return readDocument<Catalogue>(this.#bound, 'catalogue');
  }

  keepCatalogue(catalogue: Catalogue): void {
    keepDocument(this.#bound, 'catalogue', catalogue);
  }

  /** Rows after the checkpoint and those that were open at it, oldest first. */
  tail(checkpoint: Checkpoint | null): RequestRow[] {
    const open = JSON.stringify(checkpoint?.openSeqs ?? []);
    return this.#run<RequestRecord>(
      'SELECT * FROM requests WHERE seq > ? UNION ALL SELECT * FROM requests ' +
        'WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq',
      checkpoint?.seq ?? 0,
      open,
    ).map(rowOf);
  }

  /** Rows of the last `count` numbers up to the checkpoint that were closed after `since`. */
  closedBefore(
    checkpoint: Checkpoint,
    { count, since }: { readonly count: number; readonly since: number },
  ): { readonly seq: number; readonly requestId: RequestId; readonly closedAt: number }[] {
    return this.#run<{ seq: number; id: string; closed_at: number }>(
      'SELECT seq, id, closed_at FROM requests WHERE seq > ? AND seq <= ? AND closed_at > ? ' +
        'ORDER BY seq',
      checkpoint.seq - count,
      checkpoint.seq,
      since,
    ).map((row) => ({ seq: row.seq, requestId: row.id as RequestId, closedAt: row.closed_at }));
  }

  row(seq: number): RequestRow | null {
    const [record] = this.#run<RequestRecord>('SELECT * FROM requests WHERE seq = ?', seq);
    return record === undefined ? null : rowOf(record);
  }

  /** The row of a request among the last ones. There is no index for it: seldom, or not at all. */
  rowOf(requestId: RequestId): RequestRow | null {
    const [record] = this.#run<RequestRecord>(
      'SELECT * FROM requests WHERE seq > (SELECT max(seq) FROM requests) - ? AND id = ? LIMIT 1',
      SEARCHED_ROWS,
      requestId,
    );
    return record === undefined ? null : rowOf(record);
  }

  /** Those of `seqs` that are there, by number. */
  rows(seqs: readonly number[]): RequestRow[] {
    return this.#run<RequestRecord>(
      'SELECT * FROM requests WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq',
      JSON.stringify(seqs),
    ).map(rowOf);
  }

  /**
   * What windows count of all rows admitted after `since` (Unix ms), latest first, one page at a
   * time. Rows of requests that were admitted here are in the order of their admit; the others may
   * be older.
   */
  *rowsSince(since: number): Generator<CountedRow> {
    for (let below = Number.MAX_SAFE_INTEGER; ;) {
      const page = this.#run<CountedRecord>(
        "SELECT seq, key_id, admitted_at, json_extract(opened, '$.userId') AS user_id, " +
          "known_nanos, json_extract(closed, '$.usage') AS usage " +
          'FROM requests WHERE seq < ? ORDER BY seq DESC LIMIT ?',
        below,
        PAGE_ROWS,
      );
      for (const record of page) if (record.admitted_at > since) yield countedRowOf(record);
      const last = page.at(-1);
      const isPast = page.some((row) => row.user_id !== null && row.admitted_at <= since);
      if (last === undefined || page.length < PAGE_ROWS || isPast) return;
      below = last.seq;
    }
  }

  /** At most `count` rows with numbers up to `seq`, latest first. */
  rowsDown(seq: number, count: number): RequestRow[] {
    return this.#run<RequestRecord>(
      'SELECT * FROM requests WHERE seq <= ? ORDER BY seq DESC LIMIT ?',
      seq,
      count,
    ).map(rowOf);
  }

  insertRow(row: RequestRow): void {
    this.#run(
      'INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)',
      row.seq,
      row.requestId,
      row.keyId,
      row.admittedAt,
      row.leaseUntil,
      row.opened === null ? null : JSON.stringify(row.opened),
      ...progressBindings(row),
      ...closingBindings(row),
      holdBinding(row),
    );
  }

  /** Writes a row's closing, first or corrected. */
  closeRow(row: RequestRow): void {
    this.#run(
      'UPDATE requests SET closing = ?, certainty = ?, cost_nanos = ?, closed_at = ?, ' +
        'known_certainty = ?, known_nanos = ?, closed = ? WHERE seq = ?',
      ...closingBindings(row),
      row.seq,
    );
  }

  /** Writes what changes while a request runs: its lease, its last sign of life, its hold. */
  keepRunning(row: RequestRow): void {
    this.#run(
      'UPDATE requests SET lease_until = ?, progress_n = ?, progress_nanos = ?, dispatched = ?, ' +
        'hold = ?, stopped_by = ?, progress_details = ? WHERE seq = ?',
      row.leaseUntil,
      ...progressBindings(row),
      holdBinding(row),
      row.stoppedBy ?? null,
      row.progress?.details === undefined ? null : JSON.stringify(row.progress.details),
      row.seq,
    );
  }

  entriesAfter(n: number): Entry[] {
    return this.#run<EntryRecord>('SELECT * FROM entries WHERE n > ? ORDER BY n', n).map(entryOf);
  }

  /** Entries by their numbers or ids, oldest first. */
  entries(named: { readonly by: 'n' | 'id'; readonly these: readonly (number | string)[] }) {
    return this.#run<EntryRecord>(
      `SELECT * FROM entries WHERE ${named.by} IN (SELECT value FROM json_each(?)) ORDER BY n`,
      JSON.stringify(named.these),
    ).map(entryOf);
  }

  /** At most `count` entries with numbers up to `n`, latest first. */
  entriesDown(n: number, count: number): Entry[] {
    return this.#run<EntryRecord>(
      'SELECT * FROM entries WHERE n <= ? ORDER BY n DESC LIMIT ?',
      n,
      count,
    ).map(entryOf);
  }

  hasEntry(entryId: string): boolean {
    return this.#run('SELECT n FROM entries WHERE id = ?', entryId).length > 0;
  }

  insertEntry(entry: Entry): void {
    this.#run(
      'INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      entry.n,
      entry.entryId,
      entry.kind,
      nanos(entry.amountNanos),
      entry.at,
      entry.keyId,
      entry.reason,
      entry.actor,
      entry.change === undefined ? null : JSON.stringify(entry.change),
    );
  }

  /** Reads something: proof that storage answers. */
  probe(): void {
    this.#run('SELECT 1 AS one');
  }
}

function progressBindings({ progress }: RequestRow): SqlStorageValue[] {
  if (progress === null) return [null, null, null];
  return [progress.n, nanos(progress.costNanos), Number(progress.dispatched)];
}

function holdBinding({ hold }: RequestRow): SqlStorageValue {
  return hold === undefined ? null : JSON.stringify(hold);
}

function closingBindings(row: RequestRow): SqlStorageValue[] {
  return [
    row.outcome?.closing ?? null,
    row.outcome?.certainty ?? null,
    row.outcome === null ? null : nanos(row.outcome.costNanos),
    row.outcome?.closedAt ?? null,
    row.known?.certainty ?? null,
    row.known === null ? null : nanos(row.known.costNanos),
    row.closed === null ? null : JSON.stringify(row.closed),
  ];
}

// The words in these columns were written by this class from the same types.
function rowOf(record: RequestRecord): RequestRow {
  return {
    seq: record.seq,
    requestId: record.id as RequestId,
    keyId: record.key_id as KeyId,
    admittedAt: record.admitted_at,
    leaseUntil: record.lease_until,
    opened: record.opened === null ? null : (JSON.parse(record.opened) as Opened),
    progress:
      record.progress_n === null
        ? null
        : {
            n: record.progress_n,
            costNanos: nanos(record.progress_nanos ?? 0),
            dispatched: record.dispatched === 1,
            ...(record.progress_details === null
              ? {}
              : { details: JSON.parse(record.progress_details) as ProgressDetails }),
          },
    outcome:
      record.closing === null
        ? null
        : {
            closing: record.closing as Closing,
            certainty: record.certainty as Certainty,
            costNanos: nanos(record.cost_nanos ?? 0),
            closedAt: record.closed_at ?? 0,
          },
    known:
      record.known_certainty === null
        ? null
        : {
            certainty: record.known_certainty as Certainty,
            costNanos: nanos(record.known_nanos ?? 0),
          },
    closed: record.closed === null ? null : (JSON.parse(record.closed) as Closed),
    ...(record.hold === null ? {} : { hold: JSON.parse(record.hold) as RowHold }),
    ...(record.stopped_by === null ? {} : { stoppedBy: record.stopped_by }),
  };
}

function countedRowOf(record: CountedRecord): CountedRow {
  const { key_id, admitted_at: admittedAt, user_id, known_nanos, usage } = record;
  return {
    keyId: key_id as KeyId,
    admittedAt,
    opened: user_id === null ? null : { userId: user_id as UserId },
    closed: usage === null ? null : { usage: JSON.parse(usage) as Usage },
    known: known_nanos === null ? null : { costNanos: nanos(known_nanos) },
  };
}

function entryOf(record: EntryRecord): Entry {
  return {
    n: record.n,
    entryId: record.id,
    kind: record.kind as EntryKind,
    amountNanos: nanos(record.amount_nanos),
    at: record.at,
    keyId: record.key_id as KeyId | null,
    reason: record.reason,
    actor: record.actor,
    ...(record.change === null ? {} : { change: JSON.parse(record.change) as Correction }),
  };
}
