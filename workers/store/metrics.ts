// Figures of the whole installation for a monitoring system, read at one instant: what waits, how
// many there are of what, and the sums of one quarter of an hour. Nothing here names a user.

export interface Waiting {
  readonly count: number;
  /** Unix ms of the oldest; null: nothing waits. */
  readonly oldestAt: number | null;
}

export interface WindowSums {
  readonly model: string;
  readonly closing: string;
  readonly requests: number;
  readonly inputTokens: number;
  readonly cacheWriteTokens: number;
  readonly cacheReadTokens: number;
  readonly outputTokens: number;
  readonly webSearches: number;
  readonly costNanos: number;
}

/** Requests by bucket (domain/usage/histogram.ts); buckets without any are absent. */
export type Buckets = ReadonlyMap<number, number>;

export interface Figures {
  readonly wallets: number;
  /** Of all wallets, as of their last batches. */
  readonly balanceNanos: number;
  readonly walletsBelowZero: number;
  readonly outbox: ReadonlyMap<string, Waiting>;
  readonly lateSettles: Waiting;
  /** Wallets that have ever brought a batch. */
  readonly cursors: number;
  readonly users: ReadonlyMap<string, number>;
  readonly keys: ReadonlyMap<string, number>;
  readonly sums: readonly WindowSums[];
  readonly total: Buckets;
  readonly firstByte: Buckets;
}

const BALANCES = `SELECT count(*) AS count, coalesce(sum(balance_nanos), 0) AS nanos,
  count(*) FILTER (WHERE balance_nanos < 0) AS below FROM balances`;
const OUTBOX = `SELECT kind AS name, count(*) AS count, min(created_at) AS oldest
  FROM outbox GROUP BY kind`;
const LATE = `SELECT count(*) AS count, min(created_at) AS oldest FROM late_settles`;
const CURSORS = `SELECT count(*) AS count FROM ledger_cursor`;
const USERS = `SELECT status AS name, count(*) AS count FROM users GROUP BY status`;
const KEYS = `SELECT status AS name, count(*) AS count FROM keys GROUP BY status`;
const SUMS = `SELECT model, closing, sum(requests) AS requests, sum(input_tokens) AS inputTokens,
  sum(cache_write_5m_tokens + cache_write_1h_tokens) AS cacheWriteTokens,
  sum(cache_read_tokens) AS cacheReadTokens, sum(output_tokens) AS outputTokens,
  sum(web_searches) AS webSearches, sum(cost_nanos) AS costNanos
  FROM rollups WHERE slot = ?1 GROUP BY model, closing ORDER BY requests DESC, model, closing`;
const TOTAL = histogram('total_histogram');
const FIRST_BYTE = histogram('first_byte_histogram');

/** Bucket by bucket in the database, so that no row of a sum leaves it. */
function histogram(column: 'total_histogram' | 'first_byte_histogram'): string {
  return `SELECT bucket.key AS bucket, sum(bucket.value) AS count
    FROM rollups, json_each(rollups.${column}) AS bucket
    WHERE rollups.slot = ?1 GROUP BY bucket.key HAVING sum(bucket.value) > 0`;
}

/** Everything, with the sums of the quarter of an hour that begins at `slot` (Unix ms). */
export async function readFigures(d1: D1Database, slot: number): Promise<Figures> {
  const db = d1.withSession('first-primary');
  const plain = [BALANCES, OUTBOX, LATE, CURSORS, USERS, KEYS].map((text) => db.prepare(text));
  const ofSlot = [SUMS, TOTAL, FIRST_BYTE].map((text) => db.prepare(text).bind(slot));
  const answers = await db.batch([...plain, ...ofSlot]);
  // The columns that the statements above name.
  const rows = <T>(at: number) => (answers[at]?.results ?? []) as readonly T[];
  const [balances] = rows<{ count: number; nanos: number; below: number }>(0);
  const [late] = rows<Counted>(2);
  const [cursors] = rows<{ count: number }>(3);
  return {
    wallets: balances?.count ?? 0,
    balanceNanos: balances?.nanos ?? 0,
    walletsBelowZero: balances?.below ?? 0,
    outbox: new Map(rows<Counted & Named>(1).map((row) => [row.name, waiting(row)])),
    lateSettles: waiting(late),
    cursors: cursors?.count ?? 0,
    users: new Map(rows<Counted & Named>(4).map(({ name, count }) => [name, count])),
    keys: new Map(rows<Counted & Named>(5).map(({ name, count }) => [name, count])),
    sums: rows<WindowSums>(6),
    total: buckets(rows(7)),
    firstByte: buckets(rows(8)),
  };
}

interface Named {
  readonly name: string;
}

interface Counted {
  readonly count: number;
  readonly oldest: number | null;
}

function waiting(row: Counted | undefined): Waiting {
  return { count: row?.count ?? 0, oldestAt: row?.oldest ?? null };
}

function buckets(rows: readonly { readonly bucket: number; readonly count: number }[]): Buckets {
  return new Map(rows.map(({ bucket, count }) => [bucket, count]));
}
