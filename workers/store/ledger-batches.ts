// What Ledger objects bring to D1: sums, balances and the request log, one batch a transaction.
// Sums are added to, so every statement asks first whether this batch is the next one; a batch that
// is not writes nothing. It decides nothing: the object sends in order (objects/ledger-flush.ts).

import type { UserId, WalletId } from '../domain/ids';
import { accountDays } from '../domain/ledger/account-days';
import type { Batch } from '../domain/ledger/batch';
import type { Happened, RollupDelta } from '../domain/ledger/rollup';
import { closingOf, countsOf, modelOf, rollupDeltas, userOf } from '../domain/ledger/rollup';
import type { RequestRow } from '../domain/ledger/row';
import type { Nanos } from '../domain/money';
import { nanos, ZERO_NANOS } from '../domain/money';
import type { TokenCounts } from '../domain/usage/tokens';
import { ACCOUNT_DAY_COLUMNS, accountDayValues, ADD_TO_ACCOUNT_DAY } from './account-days';
import { addingTo, COUNTS, HISTOGRAMS, SUMS } from './sum-columns';
import { lateAdditions } from './usage-sums';

/** One parameter's bytes at most; D1 takes 2 MB. */
const PARAMETER_BYTES_MAX = 1_000_000;

const ROLLUP_KEY = ['slot', 'user_id', 'key_id', 'model', 'account_id', 'closing'] as const;
const ROLLUP_COLUMNS = [...ROLLUP_KEY, ...SUMS, ...HISTOGRAMS] as const;

const LOG_FIXED = ['id', 'admitted_at', 'wallet_id', 'user_id', 'key_id'] as const;
// A correction rewrites these.
const LOG_KNOWN = [
  'model',
  'price_id',
  'account_id',
  'closing',
  'certainty',
  'status',
  ...COUNTS,
  'admit_ms',
  'first_byte_ms',
  'total_ms',
  'flags',
  'attempts',
  'session',
  'agent',
  'request_class',
  'prompt',
] as const;
const LOG_COLUMNS = [...LOG_FIXED, ...LOG_KNOWN] as const;

/** Only the batch that follows the wallet's last one may write. */
const IS_NEXT =
  '(SELECT coalesce(max(n), 0) FROM ledger_cursor WHERE wallet_id = ?1) = CAST(?2 AS INTEGER) - 1';

const ADD_ROLLUPS = [
  insertFrom('rollups', ROLLUP_COLUMNS),
  addingTo('rollups', ROLLUP_KEY, { form: 'array' }),
].join(' ');

/** The same lines, for the sums that are made of rollups. */
const ADD_LATE = lateAdditions(
  `SELECT ${valuesOf(ROLLUP_COLUMNS)} FROM json_each(?3) WHERE ${IS_NEXT}`,
);

const ADD_ACCOUNT_DAYS = `${insertFrom('account_days', ACCOUNT_DAY_COLUMNS)} ${ADD_TO_ACCOUNT_DAY}`;

const WRITE_LOG =
  `${insertFrom('requests', LOG_COLUMNS)} ON CONFLICT (id) DO UPDATE SET ` +
  LOG_KNOWN.map((name) => `${name} = excluded.${name}`).join(', ');

const SET_BALANCE =
  'INSERT INTO balances (wallet_id, balance_nanos, as_of) ' +
  `SELECT ?1, CAST(?3 AS INTEGER), CAST(?4 AS INTEGER) WHERE ${IS_NEXT} ` +
  'ON CONFLICT (wallet_id) DO UPDATE SET ' +
  'balance_nanos = excluded.balance_nanos, as_of = excluded.as_of';

const MOVE_CURSOR =
  'INSERT INTO ledger_cursor (wallet_id, n) ' +
  `SELECT ?1, CAST(?2 AS INTEGER) WHERE ${IS_NEXT} ` +
  'ON CONFLICT (wallet_id) DO UPDATE SET n = excluded.n';

const READ_CURSOR = 'SELECT coalesce(max(n), 0) AS n FROM ledger_cursor WHERE wallet_id = ?1';

/** One batch on its way. */
export interface Delivery {
  readonly walletId: WalletId;
  readonly n: number;
  readonly batch: Batch;
  /** What the batch names. */
  readonly happened: Happened;
}

/**
 * Writes the batch if it is the wallet's next one; else nothing. Answers the number of the last
 * batch that D1 then has: `n` or above means that this one is there. Throws as D1 does, and then
 * all of it or nothing is written.
 */
export async function deliver(d1: D1Database, delivery: Delivery): Promise<number> {
  const { walletId, n, batch, happened } = delivery;
  const session = d1.withSession('first-primary');
  const guarded = (statement: string, ...values: readonly (string | number)[]) =>
    session.prepare(statement).bind(walletId, n, ...values);
  const results = await session.batch<{ n: number }>([
    ...parameters(rollupDeltas(happened).map(sumOf)).flatMap((json) =>
      [ADD_ROLLUPS, ...ADD_LATE].map((statement) => guarded(statement, json)),
    ),
    ...parameters(accountDays(happened).map(accountDayValues)).map((json) =>
      guarded(ADD_ACCOUNT_DAYS, json),
    ),
    ...parameters(linesOf(walletId, happened)).map((json) => guarded(WRITE_LOG, json)),
    guarded(SET_BALANCE, nanos(batch.balanceNanos), batch.cutAt),
    // Moves last: until then all others see the batch before.
    guarded(MOVE_CURSOR),
    session.prepare(READ_CURSOR).bind(walletId),
  ]);
  return numberIn(results.at(-1));
}

/**
 * Says that the batches between `from` and `to` will never come: they are no longer kept. Changes
 * nothing when the last one is not `from`. Throws as D1 does.
 */
export async function skipBatches(
  d1: D1Database,
  walletId: WalletId,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  await d1
    .withSession('first-primary')
    .prepare(
      'INSERT INTO ledger_cursor (wallet_id, n) SELECT ?1, CAST(?2 AS INTEGER) WHERE ' +
        '(SELECT coalesce(max(n), 0) FROM ledger_cursor WHERE wallet_id = ?1) = ' +
        'CAST(?3 AS INTEGER) ON CONFLICT (wallet_id) DO UPDATE SET n = excluded.n',
    )
    .bind(walletId, to, from)
    .run();
}

/** Rows come as JSON arrays of values, in the order of `columns`, all in parameter 3. */
function insertFrom(table: string, columns: readonly string[]): string {
  return (
    `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${valuesOf(columns)} ` +
    `FROM json_each(?3) WHERE ${IS_NEXT}`
  );
}

function valuesOf(columns: readonly string[]): string {
  return columns.map((name, index) => `value ->> ${index} AS ${name}`).join(', ');
}

type Value = string | number | null;
type Named<Column extends string> = Readonly<Record<Column, Value>>;

function sumOf(delta: RollupDelta): readonly Value[] {
  const { slot, userId, keyId, model, accountId, closing } = delta;
  const sum: Named<(typeof ROLLUP_COLUMNS)[number]> = {
    slot,
    user_id: userId,
    key_id: keyId,
    model,
    account_id: accountId,
    closing,
    requests: delta.requests,
    ...countsIn(delta.counts, delta.costNanos),
    total_histogram: JSON.stringify(delta.total),
    first_byte_histogram: JSON.stringify(delta.firstByte),
  };
  return ROLLUP_COLUMNS.map((name) => sum[name]);
}

/** One line a request: of one that was corrected as well, what it became. */
function linesOf(walletId: WalletId, happened: Happened): readonly (readonly Value[])[] {
  const { rows, corrections, ownerId } = happened;
  const newest = new Map<number, RequestRow>();
  for (const row of [...rows, ...corrections.map(({ after }) => after)]) newest.set(row.seq, row);
  return [...newest.values()].map((row) => lineOf(row, walletId, ownerId));
}

function lineOf(row: RequestRow, walletId: WalletId, ownerId: UserId): readonly Value[] {
  const { opened, closed, known } = row;
  const { timings = null, usage = null, attempts = [] } = closed ?? {};
  const tags = opened?.tags ?? {};
  const line: Named<(typeof LOG_COLUMNS)[number]> = {
    id: row.requestId,
    admitted_at: row.admittedAt,
    wallet_id: walletId,
    user_id: userOf(row, ownerId),
    key_id: row.keyId,
    model: modelOf(row),
    price_id: opened?.price.id ?? null,
    account_id: closed?.accountId ?? null,
    closing: closingOf(row),
    certainty: known?.certainty ?? null,
    status: closed?.status ?? null,
    ...countsIn(countsOf(row), known?.costNanos ?? ZERO_NANOS),
    admit_ms: timings?.admitMs ?? null,
    first_byte_ms: timings?.firstByteMs ?? null,
    total_ms: timings?.totalMs ?? null,
    flags: JSON.stringify(usage?.flags ?? []),
    attempts: JSON.stringify(attempts),
    session: tags.session ?? null,
    agent: tags.agent ?? null,
    request_class: tags.requestClass ?? null,
    prompt: tags.prompt ?? null,
  };
  return LOG_COLUMNS.map((name) => line[name]);
}

function countsIn(counts: TokenCounts, costNanos: Nanos): Named<(typeof COUNTS)[number]> {
  return {
    input_tokens: counts.input,
    cache_write_5m_tokens: counts.cacheWrite5m,
    cache_write_1h_tokens: counts.cacheWrite1h,
    cache_read_tokens: counts.cacheRead,
    output_tokens: counts.output,
    web_searches: counts.webSearches,
    cost_nanos: nanos(costNanos),
  };
}

/** JSON arrays of rows, as few as the size of a parameter allows. */
function parameters(rows: readonly (readonly Value[])[]): readonly string[] {
  const encoder = new TextEncoder();
  const found: string[] = [];
  let current: string[] = [];
  let bytes = 0;
  for (const json of rows.map((row) => JSON.stringify(row))) {
    const size = encoder.encode(json).length + 1;
    if (bytes + size > PARAMETER_BYTES_MAX && current.length > 0) {
      found.push(`[${current.join()}]`);
      [current, bytes] = [[], 0];
    }
    current.push(json);
    bytes += size;
  }
  if (current.length > 0) found.push(`[${current.join()}]`);
  return found;
}

function numberIn(result: D1Result<{ n: number }> | undefined): number {
  const n = result?.results[0]?.n;
  if (n === undefined) throw new Error('D1 did not say which batch it has');
  return n;
}
