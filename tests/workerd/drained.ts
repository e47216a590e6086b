// What D1 must hold of a wallet once everything has been sent, said by the object's rows alone and
// by none of the rules that send it; and what D1 does hold.

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import type { Closed, Opened } from '../../workers/domain/ledger/row';
import { bucketOf } from '../../workers/domain/usage/histogram';
import type { Wallet } from './wallet-object';
import { infoOf } from './wallet-object';

const QUARTER_MS = 15 * 60_000;
const DAY_MS = 24 * 3_600_000;
/** Of a row of `account_days`: its account is one of `accountOf` the wallet with this id. */
export const IS_OWN_ACCOUNT = 'substr(account_id, 6) = substr(?1, 6)';
const COUNTS = [
  ['input', 'input_tokens'],
  ['cacheWrite5m', 'cache_write_5m_tokens'],
  ['cacheWrite1h', 'cache_write_1h_tokens'],
  ['cacheRead', 'cache_read_tokens'],
  ['output', 'output_tokens'],
  ['webSearches', 'web_searches'],
] as const;

type Value = string | number | null;
type Line = Readonly<Record<string, Value>>;

export interface Drained {
  readonly balance: number | null;
  /** Lines of the request log by id. */
  readonly log: Readonly<Record<string, Line>>;
  /** Figures by key; only those that are not zero. */
  readonly rollups: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The same by day and account. */
  readonly days: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** By the object's own rows. */
export async function expectedOf(wallet: Wallet): Promise<Drained> {
  const { balanceNanos } = await infoOf(wallet);
  const log: Record<string, Line> = {};
  const rollups: Record<string, Record<string, number>> = {};
  const days: Record<string, Record<string, number>> = {};
  for (const record of await closedRecords(wallet)) {
    addToDays(days, record);
    const line = lineOf(wallet, record);
    log[String(line['id'])] = line;
    const [totalMs, firstByteMs] = [line['total_ms'], line['first_byte_ms']];
    const key = [
      slotOf(line),
      line['user_id'],
      line['key_id'],
      line['model'],
      line['account_id'] ?? '',
    ];
    const sums = (rollups[[...key, line['closing']].join(' ')] ??= {});
    const add = (name: string, by: Value | undefined) => {
      if (typeof by === 'number' && by !== 0) sums[name] = (sums[name] ?? 0) + by;
    };
    add('requests', 1);
    for (const name of ['cost_nanos', ...COUNTS.map(([, column]) => column)]) add(name, line[name]);
    if (typeof totalMs === 'number') add(`total_histogram ${bucketOf(totalMs)}`, 1);
    if (typeof firstByteMs === 'number') add(`first_byte_histogram ${bucketOf(firstByteMs)}`, 1);
  }
  return { balance: balanceNanos, log, rollups, days };
}

/** What the account that answered, and each that was tried for nothing, has of it. */
function addToDays(days: Record<string, Record<string, number>>, record: ClosedRecord): void {
  const closed = JSON.parse(String(record['closed'])) as Closed | null;
  const admittedAt = Number(record['admitted_at']);
  const add = (account: string, figures: Readonly<Record<string, number>>) => {
    const day = (days[`${admittedAt - (admittedAt % DAY_MS)} ${account}`] ??= {});
    for (const [name, by] of Object.entries(figures)) {
      if (by !== 0) day[name] = (day[name] ?? 0) + by;
    }
  };
  for (const { accountId, absorbedNanos = 0 } of closed?.attempts ?? []) {
    if (absorbedNanos > 0) add(accountId, { absorbed_attempts: 1, absorbed_nanos: absorbedNanos });
  }
  if (closed === null || closed.accountId === null) return;
  const { accountId, movedNanos = 0, accountNanos = Number(record['known_nanos']) } = closed;
  const moves = movedNanos > 0 ? 1 : 0;
  add(accountId, { requests: 1, moves, moved_nanos: movedNanos, account_nanos: accountNanos });
}

function slotOf(line: Line): number {
  const admittedAt = Number(line['admitted_at']);
  return admittedAt - (admittedAt % QUARTER_MS);
}

type ClosedRecord = Readonly<Record<string, Value>>;

async function closedRecords({ stub }: Wallet): Promise<ClosedRecord[]> {
  return runInDurableObject(stub, (_object, { storage }) =>
    storage.sql.exec<Record<string, Value>>('SELECT * FROM requests WHERE closing > 0').toArray(),
  );
}

function lineOf({ owner }: Wallet, record: ClosedRecord): Line {
  // Written by the object from these types.
  const closed = JSON.parse(String(record['closed'])) as Closed | null;
  const opened = JSON.parse(String(record['opened'])) as Opened | null;
  const entries = closed?.usage.entries ?? [];
  const tokens = COUNTS.map(([name, column]) => [
    column,
    entries.reduce((sum, { counts }) => sum + counts[name], 0),
  ]);
  return {
    ...Object.fromEntries(tokens),
    id: record['id'] ?? null,
    admitted_at: record['admitted_at'] ?? null,
    wallet_id: owner.walletId,
    user_id: owner.userId,
    key_id: record['key_id'] ?? null,
    model: closed?.model ?? opened?.model ?? '',
    price_id: opened?.price.id ?? null,
    account_id: closed?.accountId ?? null,
    closing: closed?.closing ?? record['closing'] ?? null,
    certainty: record['known_certainty'] ?? null,
    status: closed?.status ?? null,
    cost_nanos: record['known_nanos'] ?? null,
    admit_ms: closed?.timings?.admitMs ?? null,
    first_byte_ms: closed?.timings?.firstByteMs ?? null,
    total_ms: closed?.timings?.totalMs ?? null,
    flags: JSON.stringify(closed?.usage.flags ?? []),
    attempts: JSON.stringify(closed?.attempts ?? []),
    session: opened?.tags.session ?? null,
    agent: opened?.tags.agent ?? null,
    request_class: opened?.tags.requestClass ?? null,
    prompt: opened?.tags.prompt ?? null,
  };
}

/** By D1. */
export async function inDatabase({ owner }: Wallet): Promise<Drained> {
  const rows = async (query: string, id: string): Promise<Line[]> =>
    (await env.DB.prepare(query).bind(id).all<Line>()).results;
  const [balance] = await rows('SELECT * FROM balances WHERE wallet_id = ?', owner.walletId);
  const log = await rows('SELECT * FROM requests WHERE wallet_id = ?', owner.walletId);
  const sums = await rows('SELECT * FROM rollups WHERE user_id = ?', owner.userId);
  const ofDays = await rows(`SELECT * FROM account_days WHERE ${IS_OWN_ACCOUNT}`, owner.walletId);
  const days = ofDays.map(({ day, account_id: account, ...sum }) => {
    const named = Object.entries(sum).map(([name, figure]): [string, number] => [
      name,
      Number(figure),
    ]);
    const found = Object.fromEntries(named.filter(([, figure]) => figure !== 0));
    return [`${day} ${account}`, found] as const;
  });
  const figures = sums.map((sum): [string, Record<string, number>] => {
    const names = ['slot', 'user_id', 'key_id', 'model', 'account_id', 'closing'];
    return [names.map((name) => sum[name]).join(' '), figuresOf(sum)];
  });
  return {
    balance: Number(balance?.['balance_nanos'] ?? 0),
    log: Object.fromEntries(log.map((line) => [line['id'], line])),
    rollups: Object.fromEntries(figures.filter(([, found]) => Object.keys(found).length > 0)),
    days: Object.fromEntries(days.filter(([, found]) => Object.keys(found).length > 0)),
  };
}

function figuresOf(sum: Line): Record<string, number> {
  const names = ['requests', 'cost_nanos', ...COUNTS.map(([, column]) => column)];
  const plain = names.map((name): [string, number] => [name, Number(sum[name])]);
  const buckets = ['total_histogram', 'first_byte_histogram'].flatMap((name) =>
    (JSON.parse(String(sum[name])) as number[]).map((count, bucket): [string, number] => [
      `${name} ${bucket}`,
      count,
    ]),
  );
  return Object.fromEntries([...plain, ...buckets].filter(([, figure]) => figure !== 0));
}
