// The accounts' health in the Pool object: what isolates and admins are told, and what survives the
// object's memory. The rules have their own tests in domain/health.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { markOf as markBeside, reportOf, tallyOf as tallyBeside } from '../../tests/support/health';
import { NOW } from '../../tests/support/ledger';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { Health, Mark, PermitCall, Report, Tally } from '../domain/health/calls';
import type { AccountId } from '../domain/ids';
import { nanos } from '../domain/money';
import type { PoolPort, SnapshotAccount } from '../domain/snapshot';
import { ACCOUNT_DEFAULTS, providerOf } from '../domain/snapshot';
import type { PoolObject } from './pool';

useFakeDate();

let stub: DurableObjectStub<PoolObject>;
let pool: PoolPort;
let account: SnapshotAccount;
let made = 0;
let n = 0;

beforeEach(async () => {
  made += 1;
  n = 0;
  stub = env.POOL.get(env.POOL.idFromName(`pool-health-${made}`));
  const port: unknown = stub;
  pool = port as PoolPort;
  const answer = await pool.snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') throw new Error('no snapshot');
  const [first] = answer.value.accounts;
  if (first === undefined) throw new Error('no account');
  account = first;
});

function markOf(differs: Partial<Mark> = {}): Mark {
  return markBeside({ subject: { of: 'account', accountId: account.id }, ...differs });
}

function tallyOf(differs: Partial<Tally> = {}): Tally {
  return tallyBeside({ accountId: account.id, provider: providerOf(account), ...differs });
}

async function tell(report: Partial<Report>): Promise<Health | 'unchanged'> {
  n += 1;
  return (await pool.report(reportOf(n, report))).health;
}

function whole(health: Health | 'unchanged' | undefined): Health {
  if (health === undefined || health === 'unchanged') throw new Error('no health came');
  return health;
}

async function ask(call: Partial<PermitCall> = {}): Promise<string | null> {
  const usual = { isolate: 'isolate-1', kind: 'last-resort', subjects: [] } as const;
  const answer = await pool.permit({ ...usual, accountId: account.id, ...call });
  return answer.granted ? answer.permit : null;
}

async function keptDocument(): Promise<string | null> {
  return runInDurableObject(stub, (_object, { storage }) => {
    const rows = storage.sql.exec<{ document: string }>('SELECT document FROM health').toArray();
    return rows[0]?.document ?? null;
  });
}

describe('an isolate', () => {
  it('gets health with the snapshot when it names another version, and none when it names none', async () => {
    const old = await pool.snapshot(null);
    expect(old).not.toHaveProperty('health');
    const first = await pool.snapshot(null, null);
    const { version, marks } = whole(first.health);
    expect(marks).toEqual([]);
    expect(await pool.snapshot(null, version)).not.toHaveProperty('health');
    await tell({ marks: [markOf()] });
    const after = whole((await pool.snapshot(null, version)).health);
    expect(after.marks).toEqual([markOf()]);
    expect(after.version).toBeGreaterThan(version);
  });

  it('is answered with what its own report has changed', async () => {
    const health = whole(await tell({ marks: [markOf()] }));
    expect(health.marks).toEqual([markOf()]);
    expect(await tell({ healthVersion: health.version })).toBe('unchanged');
  });

  it('is heard once however often it repeats a report, also in a crowd', async () => {
    const report = reportOf(1, { tallies: [tallyOf({ failures: 1, costNanos: nanos(3) })] });
    await Promise.all(Array.from({ length: 10 }, async () => pool.report(report)));
    await pool.report(reportOf(0, { marks: [markOf()] }));
    const [state] = await pool.states();
    expect(state).toMatchObject({ state: 'ready', marks: [], load: { dayNanos: 3 } });
  });
});

describe('what holds an account back', () => {
  it('outlives the object, a breaker and its time included', async () => {
    const before = whole(
      await tell({ marks: [markOf()], tallies: [tallyOf({ failures: 5, costNanos: nanos(9) })] }),
    );
    expect(before.marks.map(({ state }) => state).toSorted()).toEqual(['open', 'out']);
    await evictDurableObject(stub);
    const after = whole((await pool.snapshot(null, before.version)).health);
    expect(after.marks).toEqual(before.marks);
    expect(after.loads[account.id]?.dayNanos).toBe(9);
    expect(await ask({ kind: 'probe' })).toBeNull();
  });

  it('is written when it changes, not with each report', async () => {
    await tell({ tallies: [tallyOf({ successes: 3 })], inFlight: { [account.id]: 2 } });
    expect(await keptDocument()).toBeNull();
    await tell({ marks: [markOf()] });
    const kept = await keptDocument();
    expect(kept).toContain('unauthenticated');
    await tell({ marks: [markOf()], tallies: [tallyOf({ costNanos: nanos(5) })] });
    expect(await keptDocument()).toBe(kept);
    later(10_000);
    await tell({});
    expect(await keptDocument()).not.toBe(kept);
  });

  it('is lifted by a good probe, and nothing of it comes back with the memory', async () => {
    await tell({ marks: [markOf()] });
    const permit = await ask();
    if (permit === null) throw new Error('no permit');
    expect(await ask()).toBeNull();
    const health = await tell({ probes: [{ permit, isGood: true }] });
    expect(whole(health).marks).toEqual([]);
    await evictDurableObject(stub);
    expect(await pool.states()).toMatchObject([{ state: 'ready', marks: [] }]);
  });

  it('is what admins are told of every account, and forgotten when they say so', async () => {
    await tell({ marks: [markOf()], inFlight: { [account.id]: 2 } });
    const [state, ...others] = await pool.states();
    expect(others).toEqual([]);
    expect(state).toMatchObject({ accountId: account.id, state: 'out', load: { inFlight: 2 } });
    expect(state?.marks).toEqual([markOf()]);
    const unknown: AccountId = 'acc_unknown';
    await pool.reset({ accountId: unknown, actor: 'test' });
    expect(await pool.states()).toMatchObject([{ state: 'out' }]);
    await pool.reset({ accountId: account.id, actor: 'test' });
    await evictDurableObject(stub);
    expect(await pool.states()).toMatchObject([{ state: 'ready', marks: [] }]);
  });
});

describe('a permit', () => {
  it('is given to so many of a crowd as may probe', async () => {
    await tell({ tallies: [tallyOf({ failures: 5 })] });
    later(30_000);
    const subject = { of: 'family', accountId: account.id, family: 'opus' } as const;
    const crowd = Array.from({ length: 20 }, async () =>
      ask({ kind: 'probe', subjects: [subject] }),
    );
    const given = (await Promise.all(crowd)).filter((permit) => permit !== null);
    expect(given).toHaveLength(3);
    expect(new Set(given).size).toBe(3);
  });
});

describe('the sums of D1', () => {
  it('correct what isolates have told', async () => {
    await tell({ tallies: [tallyOf({ costNanos: nanos(5) })] });
    later(10 * 60_000);
    const sum = { accountId: account.id, dayNanos: nanos(70), monthNanos: nanos(700) };
    await pool.spentAsOf({ asOf: Date.now(), sums: [sum] });
    await evictDurableObject(stub);
    expect(await pool.states()).toMatchObject([{ load: { dayNanos: 70, monthNanos: 700 } }]);
  });
});

describe('a snapshot that was kept before accounts had more fields', () => {
  it('is read with their defaults', async () => {
    await runInDurableObject(stub, (_object, { storage }) => {
      const [row] = storage.sql
        .exec<{ document: string }>('SELECT document FROM snapshot')
        .toArray();
      // Written by the object from this type.
      const kept = JSON.parse(row?.document ?? '') as { accounts: SnapshotAccount[] };
      const accounts = kept.accounts.map(({ id, name, kind, baseUrl, credential, status }) => {
        const had = { id, name, kind, baseUrl, credential, status };
        return { ...had, weight: 7 };
      });
      storage.sql.exec('UPDATE snapshot SET document = ?', JSON.stringify({ ...kept, accounts }));
    });
    await evictDurableObject(stub);
    const answer = await pool.snapshot(null);
    if (!answer.ok || answer.value === 'unchanged') throw new Error('no snapshot');
    const { id, name, kind, baseUrl, credential } = account;
    const had = { id, name, kind, baseUrl, credential };
    expect(answer.value.accounts).toEqual([{ ...ACCOUNT_DEFAULTS, ...had, weight: 7 }]);
  });
});

it('reports are dated by the object’s own clock', async () => {
  await tell({ marks: [markOf({ since: NOW + 3_600_000 })] });
  expect((await pool.states())[0]?.marks[0]?.since).toBe(NOW);
});
