// For tests of how a wallet reaches D1: time that passes, requests in bulk, a D1 that is down,
// loses its replies or is taken back, and what is counted.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, vi } from 'vitest';
import type { Attempt, Lease, SettleCall } from '../../workers/domain/ledger/calls';
import { nanos } from '../../workers/domain/money';
import { MINUTE_MS, SECOND_MS } from '../../workers/domain/time';
import { accountOf, admitCall, settleCall } from '../support/ledger';
import { expectedOf, inDatabase, IS_OWN_ACCOUNT } from './drained';
import type { Wallet } from './wallet-object';
import { newRequest } from './wallet-object';

const STANDARD = { speed: null, geo: null, tier: null };

export function later(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

/** The alarm as it comes when its time has come. */
export async function alarm(wallet: Wallet): Promise<boolean> {
  later(MINUTE_MS + 5 * SECOND_MS);
  return runDurableObjectAlarm(wallet.stub);
}

/** Alarms until none stands, at most 30. */
export async function drain(wallet: Wallet): Promise<void> {
  for (let alarms = 0; alarms < 30; alarms += 1) {
    if (!(await alarm(wallet))) return;
  }
  throw new Error('an alarm always stands');
}

export async function expectDrained(wallet: Wallet): Promise<void> {
  expect(await inDatabase(wallet)).toEqual(await expectedOf(wallet));
}

/** A settle whose every figure is its own. */
export function settlement(lease: Lease, n: number, differs: Partial<SettleCall> = {}): SettleCall {
  const counts = {
    input: 10 + n,
    cacheWrite5m: n % 7,
    cacheWrite1h: n % 5,
    cacheRead: 1_000 * n,
    output: 50 + n,
    webSearches: n % 3,
  };
  return settleCall(lease, {
    costNanos: nanos(1_000 + n),
    usage: { entries: [{ model: lease.model ?? '', counts, terms: STANDARD }], flags: [] },
    accountId: accountOf(lease, n % 2),
    ...(n % 3 === 0 ? { accountNanos: nanos(900 + n) } : {}),
    attempts: attemptsOf(lease, n),
    timings: { admitMs: 1, firstByteMs: n % 4 === 0 ? null : 100 + n, totalMs: 1_000 + 10 * n },
    ...differs,
  });
}

/** Every fifth was tried at another account first, which may have been paid for nothing. */
function attemptsOf(lease: Lease, n: number): readonly Attempt[] {
  const answered = { accountId: accountOf(lease, n % 2), status: 200, durationMs: 5 };
  const first = { accountId: accountOf(lease, (n + 1) % 2), status: null, durationMs: 30 };
  const absorbed = n % 2 === 0 ? { absorbedNanos: nanos(70 + n) } : {};
  const tried = n % 5 === 0 ? [{ ...first, outcome: 'timeout', ...absorbed }] : [];
  return [...tried, { ...answered, outcome: 'answered' }];
}

/** Admits and settles `count` requests without leaving the object. */
export async function closeMany({ stub, owner }: Wallet, count: number): Promise<void> {
  await runInDurableObject(stub, async (object) => {
    for (let index = 0; index < count; index += 1) {
      const answer = await object.admit(admitCall(owner.keyId, newRequest()));
      if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
      await object.settle(settlement(answer.lease, index));
    }
  });
}

type Batch = D1DatabaseSession['batch'];

/** D1 whose batches go through `change`; `real` is the batch itself. */
export function withBatches(change: (real: () => ReturnType<Batch>) => Promise<unknown>): void {
  const withSession = env.DB.withSession.bind(env.DB);
  vi.spyOn(env.DB, 'withSession').mockImplementation((...constraint) => {
    const session = withSession(...constraint);
    const batch = session.batch.bind(session);
    const changed = async (statements: D1PreparedStatement[]) => change(() => batch(statements));
    // Of the same type as what it stands for; the reply is passed on or lost.
    return Object.assign(Object.create(session), {
      batch: changed,
      prepare: session.prepare.bind(session),
    }) as D1DatabaseSession;
  });
}

export const down = () => withBatches(async () => Promise.reject(new Error('D1 is down')));
export const repliesLost = () =>
  withBatches(async (real) => {
    await real();
    throw new Error('the reply was lost');
  });

export async function cursorOf({ owner }: Wallet): Promise<number> {
  const query = 'SELECT coalesce(max(n), 0) AS n FROM ledger_cursor WHERE wallet_id = ?';
  return (await env.DB.prepare(query).bind(owner.walletId).first<number>('n')) ?? -1;
}

export async function batchesIn({ stub }: Wallet): Promise<{ n: number; document: string }[]> {
  return runInDurableObject(stub, (_object, { storage }) =>
    storage.sql.exec<{ n: number; document: string }>('SELECT * FROM batches ORDER BY n').toArray(),
  );
}

/** D1 as it was when its cursor stood at `n` and its log held `keep`; its sums are put back too. */
export async function takeBack(
  { owner }: Wallet,
  {
    n,
    keep,
    sums = { rollups: [], days: [] },
  }: { n: number; keep: readonly string[]; sums?: Sums },
): Promise<void> {
  await env.DB.batch([
    env.DB.prepare('DELETE FROM rollups WHERE user_id = ?').bind(owner.userId),
    env.DB.prepare(`DELETE FROM account_days WHERE ${IS_OWN_ACCOUNT}`).bind(owner.walletId),
    ...sums.days.map((day) =>
      env.DB.prepare(
        `INSERT INTO account_days SELECT ${Array.from({ length: 8 }, (_, i) => `?1 ->> ${i}`)}`,
      ).bind(day),
    ),
    ...sums.rollups.map((sum) =>
      env.DB.prepare(
        `INSERT INTO rollups SELECT ${Array.from({ length: 16 }, (_, i) => `?1 ->> ${i}`)}`,
      ).bind(sum),
    ),
    env.DB.prepare(
      'DELETE FROM requests WHERE wallet_id = ? AND id NOT IN (SELECT value FROM json_each(?))',
    ).bind(owner.walletId, JSON.stringify(keep)),
    env.DB.prepare('DELETE FROM balances WHERE wallet_id = ?').bind(owner.walletId),
    env.DB.prepare('DELETE FROM ledger_cursor WHERE wallet_id = ?').bind(owner.walletId),
    env.DB.prepare('INSERT INTO ledger_cursor VALUES (?, ?)').bind(owner.walletId, n),
  ]);
}

/** Rows of both tables that a batch adds to, as JSON. */
interface Sums {
  readonly rollups: readonly string[];
  readonly days: readonly string[];
}

export async function sumsIn({ owner }: Wallet): Promise<Sums> {
  const rows = async (query: string, id: string) =>
    (await env.DB.prepare(query).bind(id).raw()).map((row) => JSON.stringify(row));
  return {
    rollups: await rows('SELECT * FROM rollups WHERE user_id = ?', owner.userId),
    days: await rows(`SELECT * FROM account_days WHERE ${IS_OWN_ACCOUNT}`, owner.walletId),
  };
}

/** Rows that the object and D1 write in `action`: alarms that are set count as one each. */
export async function rowsIn(wallet: Wallet, action: () => Promise<void>) {
  const withSession = env.DB.withSession.bind(env.DB);
  let database = 0;
  vi.spyOn(env.DB, 'withSession').mockImplementation((...constraint) => {
    const session = withSession(...constraint);
    const batch = async (statements: D1PreparedStatement[]) => {
      const results = await session.batch(statements);
      for (const { meta } of results) database += meta.rows_written;
      return results;
    };
    const prepare = session.prepare.bind(session);
    return Object.assign(Object.create(session), { batch, prepare }) as D1DatabaseSession;
  });
  const count = async () =>
    runInDurableObject(wallet.stub, (object, { storage }) => {
      const spy = vi.isMockFunction(storage.setAlarm)
        ? vi.mocked(storage.setAlarm)
        : vi.spyOn(storage, 'setAlarm');
      return { rows: object.counters().rowsWritten, alarms: spy.mock.calls.length };
    });
  const before = await count();
  await action();
  const after = await count();
  const alarms = after.alarms - before.alarms;
  return { object: after.rows - before.rows + alarms, alarms, database };
}
