// The Pool object: what it takes from the environment and from D1, what it hands out, and what it
// does while D1 is down.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LIST_ALIASES, LIST_PRICES } from '../domain/pricing/list-prices';
import type { PoolPort, Snapshot } from '../domain/snapshot';
import { unseal } from '../platform/seal';
import type { PoolObject } from './pool';

afterEach(() => {
  vi.restoreAllMocks();
});

interface Pool {
  readonly stub: DurableObjectStub<PoolObject>;
  readonly port: PoolPort;
}

let made = 0;

/** A Pool that holds nothing; D1 is the file's. */
function newPool(): Pool {
  made += 1;
  const stub = env.POOL.get(env.POOL.idFromName(`pool-${made}`));
  const port: unknown = stub;
  return { stub, port: port as PoolPort };
}

async function wholeOf(pool: Pool): Promise<Snapshot> {
  const answer = await pool.port.snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') throw new Error('no snapshot');
  return answer.value;
}

function databaseDown() {
  return vi.spyOn(env.DB, 'withSession').mockImplementation(() => {
    throw new Error('D1 is down');
  });
}

/** An admin's change: an alias, under a version of its own. */
async function changeInDatabase(alias: string, version: number): Promise<void> {
  await env.DB.batch([
    env.DB.prepare(`INSERT INTO aliases VALUES (?, 'claude-opus-5-5', 'admin')`).bind(alias),
    env.DB.prepare(`UPDATE settings SET version = ? WHERE name = 'snapshot_version'`).bind(version),
  ]);
}

describe('the first load', () => {
  it('brings the environment’s accounts, sealed, and the shipped prices into D1', async () => {
    const snapshot = await wholeOf(newPool());
    const [account, ...others] = snapshot.accounts;
    expect(others).toEqual([]);
    expect(account).toMatchObject({
      name: 'test',
      kind: 'anthropic-compatible',
      baseUrl: 'http://127.0.0.1:9',
      status: 'active',
    });
    expect(JSON.stringify(snapshot)).not.toContain('sk-test-upstream');
    if (account === undefined) throw new Error('no account');
    const masterKeys = { '1': 'test-master-key-number-one' };
    const credential = await unseal(account.credential, { masterKeys, accountId: account.id });
    expect(credential.reveal()).toBe('sk-test-upstream');
    const ids = (rows: readonly { readonly id: string }[]) => rows.map((row) => row.id).toSorted();
    expect(ids(snapshot.catalogue.rows)).toEqual(ids(LIST_PRICES));
    expect(snapshot.catalogue.aliases).toMatchObject(LIST_ALIASES);
    expect(snapshot.catalogue.version).toBe(snapshot.version);
  });

  it('happens once however many ask at once', async () => {
    const pool = newPool();
    const reads = vi.spyOn(env.DB, 'withSession');
    await pool.port.ping();
    const alone = reads.mock.calls.length;
    const crowded = newPool();
    reads.mockClear();
    await Promise.all([1, 2, 3, 4].map(async () => wholeOf(crowded)));
    expect(alone).toBeGreaterThan(0);
    expect(reads.mock.calls.length).toBe(alone);
  });

  it('finds everything done by another first load and changes nothing', async () => {
    const first = await wholeOf(newPool());
    expect(await wholeOf(newPool())).toEqual(first);
  });

  it('names the variable of the environment that is wrong', async () => {
    const answer = await withEnvironment(newPool(), { MASTER_KEYS: 'nonsense' });
    const error = { kind: 'bad-environment', variable: 'MASTER_KEYS' };
    expect(answer).toEqual({ ok: false, error });
  });
});

/** The first call after a waking with these variables. */
async function withEnvironment(
  { stub }: Pool,
  variables: Readonly<Record<string, string>>,
): ReturnType<PoolPort['snapshot']> {
  const answer = await runInDurableObject(stub, async (object) => {
    const usual: unknown = Reflect.get(object, 'env');
    Object.defineProperty(object, 'env', { value: { ...env, ...variables }, configurable: true });
    try {
      return await object.snapshot(null);
    } finally {
      Object.defineProperty(object, 'env', { value: usual });
    }
  });
  return answer;
}

describe('a caller', () => {
  it('gets the whole, or that nothing changed when it has the version in force', async () => {
    const pool = newPool();
    const whole = await wholeOf(pool);
    const same = await pool.port.snapshot(whole.version);
    expect(same).toEqual({ ok: true, value: 'unchanged' });
    for (const version of [whole.version - 1, whole.version + 1]) {
      expect(await pool.port.snapshot(version)).toEqual({ ok: true, value: whole });
    }
  });
});

describe('a change', () => {
  it('is in force once it was pushed, and kept through an eviction', async () => {
    const pool = newPool();
    const before = await wholeOf(pool);
    const version = before.version + 5;
    await changeInDatabase('pushed', version);
    expect(await wholeOf(pool)).toEqual(before);
    await pool.port.refresh(version);
    const after = await wholeOf(pool);
    expect(after.version).toBe(version);
    expect(after.catalogue.aliases).toMatchObject({ pushed: 'claude-opus-5-5' });
    databaseDown();
    await evictDurableObject(pool.stub);
    expect(await wholeOf(pool)).toEqual(after);
  });

  it('is not read again when a push of the same or an older version comes', async () => {
    const pool = newPool();
    const { version } = await wholeOf(pool);
    const reads = vi.spyOn(env.DB, 'withSession');
    for (const pushed of [version, version - 1, 0]) await pool.port.refresh(pushed);
    expect(reads).not.toHaveBeenCalled();
  });

  it('is ignored when D1 answers with a lower version than the one held', async () => {
    const pool = newPool();
    const held = await wholeOf(pool);
    await changeInDatabase('late', held.version - 1);
    await pool.port.refresh(held.version + 1);
    expect(await wholeOf(pool)).toEqual(held);
    await changeInDatabase('later', held.version + 1);
    await pool.port.refresh(held.version + 1);
    const { catalogue } = await wholeOf(pool);
    expect(Object.keys(catalogue.aliases)).toEqual(expect.arrayContaining(['late', 'later']));
  });

  it('that comes while a load is under way is read by a load of its own', async () => {
    const pool = newPool();
    const { version } = await wholeOf(pool);
    await changeInDatabase('first', version + 1);
    await runInDurableObject(pool.stub, async (object) => {
      let second = Promise.resolve();
      const session = env.DB.withSession('first-primary');
      const batch: D1DatabaseSession['batch'] = async <T>(parts: D1PreparedStatement[]) => {
        const rows = await session.batch<T>(parts);
        await changeInDatabase('second', version + 2);
        second = object.refresh(version + 2);
        return rows;
      };
      const prepare = session.prepare.bind(session);
      const slow: unknown = { batch, prepare };
      vi.spyOn(env.DB, 'withSession').mockReturnValueOnce(slow as D1DatabaseSession);
      await object.refresh(version + 1);
      await second;
    });
    const { catalogue } = await wholeOf(pool);
    expect(Object.keys(catalogue.aliases)).toEqual(expect.arrayContaining(['first', 'second']));
  });
});

describe('with D1 down', () => {
  it('an empty Pool is busy, says so, and serves once D1 is back', async () => {
    const pool = newPool();
    databaseDown();
    const answer = await pool.port.snapshot(null);
    expect(answer).toMatchObject({ ok: false, error: { kind: 'busy', what: 'database' } });
    expect(await pool.port.ping()).toBe('empty');
    vi.restoreAllMocks();
    expect(await pool.port.ping()).toBe('ok');
    expect((await wholeOf(pool)).accounts).toHaveLength(1);
  });

  it('what is held is served, and a push that cannot be read changes nothing', async () => {
    const pool = newPool();
    const held = await wholeOf(pool);
    databaseDown();
    await pool.port.refresh(held.version + 1);
    expect(await wholeOf(pool)).toEqual(held);
    expect(await pool.port.ping()).toBe('ok');
  });
});

describe('waking', () => {
  it('asks D1 nothing while the deployment is the same', async () => {
    const pool = newPool();
    const held = await wholeOf(pool);
    await evictDurableObject(pool.stub);
    const reads = vi.spyOn(env.DB, 'withSession');
    expect(await wholeOf(pool)).toEqual(held);
    expect(reads).not.toHaveBeenCalled();
  });

  it('with other accounts in the environment makes the rows match before it answers', async () => {
    const pool = newPool();
    const { accounts } = await wholeOf(pool);
    await evictDurableObject(pool.stub);
    const other = { name: 'other', kind: 'anthropic', baseUrl: 'https://api.anthropic.com' };
    const given = JSON.stringify([{ ...other, apiKey: 'sk-other' }]);
    const answer = await withEnvironment(pool, { ENVIRONMENT_ACCOUNTS: given });
    if (!answer.ok || answer.value === 'unchanged') throw new Error('no snapshot');
    const status = Object.fromEntries(answer.value.accounts.map((row) => [row.name, row.status]));
    expect(status).toEqual({ test: 'disabled', other: 'active' });
    // Back to the first deployment: the account is the one that it was.
    await evictDurableObject(pool.stub);
    const back = (await wholeOf(pool)).accounts.find((row) => row.name === 'test');
    expect(back).toMatchObject({ id: accounts[0]?.id, status: 'active' });
  });
});
