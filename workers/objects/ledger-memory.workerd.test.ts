// What a Ledger object keeps and finds again: copies of D1's rows, balances, checkpoints. Evictions
// stand at every point, D1 and Pool fail.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import {
  admitCall,
  creditCall,
  keyCopy,
  NOW,
  progressCall,
  seeded,
  settleCall,
  voidCall,
} from '../../tests/support/ledger';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { Wallet } from '../../tests/workerd/wallet-object';
import {
  admitted,
  evict,
  infoOf,
  newRequest,
  newWallet,
  storedRows,
  unknownWallet,
} from '../../tests/workerd/wallet-object';
import type { Lease } from '../domain/ledger/calls';
import type { KeyCopy } from '../domain/ledger/copies';
import { nanos } from '../domain/money';
import type { PoolPort } from '../domain/snapshot';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../domain/time';
import { poolOf } from '../platform/objects';

useFakeDate();

function databaseDown(): void {
  vi.spyOn(env.DB, 'withSession').mockImplementation(() => {
    throw new Error('D1 is down');
  });
}

/** A stub of which only `snapshot` is there. */
function stubWith(snapshot: PoolPort['snapshot']): typeof env.POOL.get {
  const stub: unknown = { snapshot };
  return () => stub as ReturnType<typeof env.POOL.get>;
}

function poolDown(): void {
  const snapshot = async () => Promise.reject(new Error('Pool is down'));
  vi.spyOn(env.POOL, 'get').mockImplementation(stubWith(snapshot));
}

/** Writes the wallet's rows into D1. */
async function inDatabase({ owner }: Wallet, key: Partial<KeyCopy> = {}): Promise<void> {
  const { name, hash, status, version } = keyCopy(owner, key);
  await env.DB.batch([
    env.DB.prepare(
      `INSERT OR REPLACE INTO users VALUES (?1, ?1 || '@example.test', 'n', 'user', 'p', 'active',
        'UTC', 1, 1, '{}', '[]')`,
    ).bind(owner.userId),
    env.DB.prepare(
      `INSERT OR REPLACE INTO wallets VALUES (?, ?, 'weur', 'active', 1, 1, '{}')`,
    ).bind(owner.walletId, owner.userId),
    env.DB.prepare(
      `INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, NULL, NULL, '1', ?, NULL, ?, 1, '{}',
        'cancel', '[]')`,
    ).bind(owner.keyId, owner.walletId, owner.userId, name, hash, status, version),
  ]);
}

async function tryAdmit({ ledger, owner }: Wallet): Promise<string> {
  const answer = await ledger.admit(admitCall(owner.keyId, newRequest()));
  if (answer.ok) return 'admitted';
  return answer.error.kind === 'unauthenticated' ? answer.error.why : answer.error.kind;
}

describe('copies', () => {
  it('of a key never seen are read from D1 once, and kept through an eviction', async () => {
    const wallet = unknownWallet();
    await inDatabase(wallet);
    await wallet.ledger.credit(creditCall('txn_first'));
    expect(await tryAdmit(wallet)).toBe('admitted');
    await evict(wallet);
    databaseDown();
    expect(await tryAdmit(wallet)).toBe('admitted');
  });

  it('of a key that is in D1 are kept even when its hash is wrong, which stays a 401', async () => {
    const wallet = unknownWallet();
    await inDatabase(wallet, { hash: 'another' });
    expect(await tryAdmit(wallet)).toBe('unknown');
    expect(await storedRows(wallet)).toMatchObject({ copies: 3, requests: 0 });
  });

  it('take the higher version and ignore an equal or lower one, also after an eviction', async () => {
    const wallet = await newWallet();
    const { owner, ledger } = wallet;
    await ledger.apply([keyCopy(owner, { status: 'disabled', version: 9 })]);
    expect(await tryAdmit(wallet)).toBe('revoked');
    for (const version of [2, 8, 9]) await ledger.apply([keyCopy(owner, { version })]);
    expect(await tryAdmit(wallet)).toBe('revoked');
    await evict(wallet);
    await ledger.apply([keyCopy(owner, { version: 9 })]);
    expect(await tryAdmit(wallet)).toBe('revoked');
    await ledger.apply([keyCopy(owner, { version: 10 })]);
    expect(await tryAdmit(wallet)).toBe('admitted');
  });

  it('of a deleted key stay dead, whatever a late load or push brings', async () => {
    const wallet = await newWallet();
    await inDatabase(wallet, { version: 3 });
    await wallet.ledger.apply([keyCopy(wallet.owner, { status: 'deleted', version: 5 })]);
    await evict(wallet);
    expect(await tryAdmit(wallet)).toBe('revoked');
    await wallet.ledger.apply([keyCopy(wallet.owner, { version: 4 })]);
    await evict(wallet);
    expect(await tryAdmit(wallet)).toBe('revoked');
  });

  it('do not fall back when a push overtakes the load that admit waits for', async () => {
    const wallet = unknownWallet();
    await inDatabase(wallet, { version: 1 });
    const call = admitCall(wallet.owner.keyId, newRequest());
    const answer = await runInDurableObject(wallet.stub, async (object) => {
      const session = env.DB.withSession.bind(env.DB);
      vi.spyOn(env.DB, 'withSession').mockImplementation((...constraint) => {
        void object.apply([keyCopy(wallet.owner, { status: 'disabled', version: 2 })]);
        return session(...constraint);
      });
      return object.admit(call);
    });
    expect(answer).toMatchObject({ ok: false, error: { why: 'revoked' } });
    expect(await tryAdmit(wallet)).toBe('revoked');
  });

  it('that a push changes while admit waits for Pool decide as they are then', async () => {
    const wallet = await newWallet();
    const call = admitCall(wallet.owner.keyId, newRequest());
    const answer = await runInDurableObject(wallet.stub, async (object) => {
      const pool = poolOf(env);
      const snapshot: PoolPort['snapshot'] = async (version) => {
        const given = await pool.snapshot(version);
        await object.apply([keyCopy(wallet.owner, { status: 'disabled', version: 2 })]);
        return given;
      };
      vi.spyOn(env.POOL, 'get').mockImplementation(stubWith(snapshot));
      return object.admit(call);
    });
    expect(answer).toMatchObject({ ok: false, error: { why: 'revoked' } });
  });

  it('older than ten minutes are read again behind the answer', async () => {
    const wallet = await newWallet();
    expect(await tryAdmit(wallet)).toBe('admitted');
    await inDatabase(wallet, { status: 'disabled', version: 2 });
    expect(await tryAdmit(wallet)).toBe('admitted');
    later(11 * MINUTE_MS);
    expect(await tryAdmit(wallet)).toBe('admitted');
    await vi.waitFor(async () => expect(await tryAdmit(wallet)).toBe('revoked'));
  });
});

describe('with D1 down', () => {
  it('a key never seen gets a 503 and a known one is served as usual', async () => {
    const known = await newWallet();
    await admitted(known);
    await evict(known);
    databaseDown();
    const unseen = unknownWallet();
    const answer = await unseen.ledger.admit(admitCall(unseen.owner.keyId, newRequest()));
    expect(answer).toMatchObject({ ok: false, error: { kind: 'busy', what: 'database' } });
    const nothing = { copies: 0, documents: 0, requests: 0, entries: 0 };
    expect(await storedRows(unseen)).toEqual(nothing);
    const lease = await admitted(known);
    await known.ledger.progress(progressCall(lease));
    await known.ledger.settle(settleCall(lease));
    expect(await infoOf(known)).toMatchObject({ usedNanos: 1_000_000, openRequests: 1 });
  });

  it('a key never seen is served once D1 is back', async () => {
    const wallet = unknownWallet();
    await inDatabase(wallet);
    await wallet.ledger.credit(creditCall('txn_first'));
    databaseDown();
    expect(await tryAdmit(wallet)).toBe('busy');
    vi.restoreAllMocks();
    expect(await tryAdmit(wallet)).toBe('admitted');
  });

  it('an old copy goes on', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    later(24 * HOUR_MS);
    databaseDown();
    expect(await tryAdmit(wallet)).toBe('admitted');
    expect(await tryAdmit(wallet)).toBe('admitted');
  });
});

describe('prices', () => {
  it('are kept: with Pool down the held ones serve, and a wallet without any gets a 503', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await evict(wallet);
    poolDown();
    const fresher = { pricesVersion: lease.pricesVersion + 1 };
    expect((await admitted(wallet, fresher)).price).toEqual(lease.price);
    const without = await newWallet();
    expect(await tryAdmit(without)).toBe('busy');
  });

  it('of a lease stay what they were when the list changes', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await runInDurableObject(wallet.stub, (_object, { storage }) => {
      storage.sql.exec(`UPDATE documents SET document = json_set(document, '$.rows', json('[]'))
        WHERE name = 'catalogue'`);
    });
    await evict(wallet);
    expect(await tryAdmit(wallet)).toBe('unknown-model');
    const call = admitCall(wallet.owner.keyId, lease.requestId);
    expect(await wallet.ledger.admit(call)).toEqual({ ok: true, lease });
  });
});

describe('balances', () => {
  it.each([1, 2, 3])(
    'are the same after an eviction at every point of history %i',
    async (seed) => {
      const random = seeded(seed);
      const wallet = await newWallet();
      const open: Lease[] = [];
      const closed: Lease[] = [];
      for (let step = 0; step < 50; step += 1) {
        await randomStep(wallet, { random, open, closed, step });
        const before = await infoOf(wallet);
        await evict(wallet);
        expect(await infoOf(wallet)).toEqual(before);
        expect(await sumsOf(wallet)).toEqual({
          balance: before.balanceNanos,
          used: before.usedNanos,
          open: before.openRequests,
          closed: before.requests,
        });
      }
      expect(closed.length).toBeGreaterThan(5);
    },
  );
});

interface History {
  readonly random: () => number;
  readonly open: Lease[];
  readonly closed: Lease[];
  readonly step: number;
}

async function randomStep(wallet: Wallet, history: History): Promise<void> {
  const { random, open, closed, step } = history;
  const dice = random();
  const costNanos = nanos(Math.floor(random() * 1e9));
  const lease = open[Math.floor(random() * open.length)];
  const earlier = closed[Math.floor(random() * closed.length)];
  later(random() * 20 * SECOND_MS);
  if (dice < 0.4 || lease === undefined) open.push(await admitted(wallet));
  else if (dice < 0.55) {
    const certainty = random() < 0.5 ? 'estimated' : 'reported';
    await wallet.ledger.settle(settleCall(lease, { costNanos, certainty }));
    closed.push(...open.splice(open.indexOf(lease), 1));
  } else if (dice < 0.65) {
    await wallet.ledger.progress(progressCall(lease, { n: step, costNanos }));
  } else if (dice < 0.75 && earlier !== undefined) {
    await wallet.ledger.settle(settleCall(earlier, { costNanos }));
  } else if (dice < 0.85) {
    await wallet.ledger.credit(creditCall(`txn_${step}`, { amountNanos: costNanos }));
  } else if (dice < 0.95) {
    await wallet.ledger.settle(voidCall(wallet.owner.keyId, newRequest()));
  } else {
    later(MINUTE_MS + 5 * SECOND_MS);
    await runDurableObjectAlarm(wallet.stub);
    closed.push(...open.splice(0));
  }
}

/** What the rows alone say, summed by SQL instead of by the rules. */
async function sumsOf({ stub }: Wallet): Promise<unknown> {
  return runInDurableObject(stub, (_object, { storage }) =>
    storage.sql
      .exec(
        `WITH r AS (SELECT total(known_nanos) AS used, count(closing) AS closed,
            sum(closing IS NULL) AS open, total(cost_nanos) AS first FROM requests),
          e AS (SELECT total(amount_nanos) AS entries FROM entries)
        SELECT entries - first AS balance, used, open, closed FROM r, e`,
      )
      .one(),
  );
}

describe('a checkpoint', () => {
  it('is written at 500 closings, and waking reads it and what came after', async () => {
    const wallet = await newWallet();
    const open = await admitted(wallet);
    await closeMany(wallet, 499);
    expect(await storedRows(wallet)).toMatchObject({ documents: 1, requests: 500 });
    await closeMany(wallet, 1);
    expect(await storedRows(wallet)).toMatchObject({ documents: 2, requests: 501 });
    await closeMany(wallet, 501);
    const before = await infoOf(wallet);
    await evict(wallet);
    expect(await infoOf(wallet)).toEqual(before);
    expect(before).toMatchObject({ requests: 1_001, openRequests: 1 });
    const woken = await runInDurableObject(wallet.stub, (object) => object.counters());
    // 500 up to the checkpoint for repeats by id, one after it, one open; copies and documents.
    expect(woken.rowsRead).toBeLessThan(530);
    expect(woken.rowsWritten).toBe(0);
    await wallet.ledger.settle(settleCall(open, { costNanos: nanos(4) }));
    await evict(wallet);
    expect(await infoOf(wallet)).toMatchObject({
      usedNanos: before.usedNanos + 4,
      balanceNanos: before.balanceNanos - 4,
      openRequests: 0,
    });
  });

  it('does not make the requests of the last minutes unknown to repeats without a row', async () => {
    const wallet = await newWallet();
    const requestId = newRequest();
    const answer = await wallet.ledger.admit(admitCall(wallet.owner.keyId, requestId));
    if (!answer.ok) throw new Error('refused');
    await wallet.ledger.settle(settleCall(answer.lease));
    await closeMany(wallet, 499);
    await evict(wallet);
    later(5 * MINUTE_MS);
    const repeated = await wallet.ledger.admit(admitCall(wallet.owner.keyId, requestId));
    expect(repeated).toEqual({ ok: false, error: { kind: 'already-closed' } });
    const taken = await wallet.ledger.settle(voidCall(wallet.owner.keyId, requestId));
    expect(taken).toMatchObject({ closing: 'completed', costNanos: 1_000_000 });
    expect(await storedRows(wallet)).toMatchObject({ requests: 500 });
  });
});

/** Admits and settles `count` requests of a millidollar each, without leaving the object. */
async function closeMany({ stub, owner }: Wallet, count: number): Promise<void> {
  await runInDurableObject(stub, async (object) => {
    for (let index = 0; index < count; index += 1) {
      const answer = await object.admit(admitCall(owner.keyId, newRequest()));
      if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
      await object.settle(settleCall(answer.lease));
    }
  });
}

describe('the clock', () => {
  it('does not go back through an eviction, though the wall clock does', async () => {
    const wallet = await newWallet();
    const first = await admitted(wallet);
    await evict(wallet);
    later(-MINUTE_MS);
    const second = await admitted(wallet);
    expect(second.admittedAt).toBe(first.admittedAt);
  });

  it('believes the wall clock at waking, with an old checkpoint and a request open', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 500);
    later(24 * HOUR_MS);
    const before = await admitted(wallet);
    await evict(wallet);
    const said = vi.spyOn(console, 'log');
    later(10 * SECOND_MS);
    await admitted(wallet);
    later(10 * SECOND_MS);
    expect((await admitted(wallet)).admittedAt).toBe(before.admittedAt + 20 * SECOND_MS);
    expect(said.mock.calls.flat().join('\n')).not.toContain('clock-leapt');
  });

  it('forgets a bad reading of the far future when it wakes', async () => {
    const wallet = await newWallet();
    later(1_000 * HOUR_MS);
    await wallet.ledger.settle(settleCall(await admitted(wallet)));
    later(-1_000 * HOUR_MS);
    await evict(wallet);
    expect((await admitted(wallet)).admittedAt).toBe(NOW);
  });
});
