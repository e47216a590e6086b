// How a wallet's rows reach D1, how long they stay, and what that costs. What is lost on the way is
// in ledger-flush-lost.workerd.test.ts.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  accountOf,
  admitCall,
  creditCall,
  keyCopy,
  NOW,
  settleCall,
  userCopy,
  voidCall,
  walletCopy,
} from '../../tests/support/ledger';
import { inDatabase } from '../../tests/workerd/drained';
import {
  alarm,
  batchesIn,
  closeMany,
  cursorOf,
  down,
  drain,
  expectDrained,
  later,
  rowsIn,
  settlement,
  withBatches,
} from '../../tests/workerd/flushing';
import {
  admitted,
  evict,
  infoOf,
  newRequest,
  newWallet,
  unknownWallet,
} from '../../tests/workerd/wallet-object';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../domain/time';

const DAY_MS = 24 * HOUR_MS;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('a flush', () => {
  it('brings closed rows, balance and sums to D1, and then no alarm stands', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 30);
    await admitted(wallet);
    expect((await inDatabase(wallet)).log).toEqual({});
    await alarm(wallet);
    await expectDrained(wallet);
    expect(Object.keys((await inDatabase(wallet)).log)).toHaveLength(31);
    expect(await cursorOf(wallet)).toBe(1);
    expect(await alarm(wallet)).toBe(false);
  });

  it('leaves out what is open, and brings it when it has closed', async () => {
    const wallet = await newWallet();
    const open = await admitted(wallet);
    await closeMany(wallet, 2);
    later(10 * SECOND_MS);
    await runDurableObjectAlarm(wallet.stub);
    expect(Object.keys((await inDatabase(wallet)).log)).toHaveLength(2);
    await evict(wallet);
    await wallet.ledger.settle(settlement(open, 7));
    await drain(wallet);
    expect(Object.keys((await inDatabase(wallet)).log)).toHaveLength(3);
    await expectDrained(wallet);
  });

  it('brings 1,200 rows in batches of at most 500, cut as they fill', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 1_200);
    expect(await batchesIn(wallet)).toHaveLength(2);
    await evict(wallet);
    await drain(wallet);
    expect(await batchesIn(wallet)).toHaveLength(3);
    expect(await cursorOf(wallet)).toBe(3);
    await expectDrained(wallet);
    const { log, rollups } = await inDatabase(wallet);
    expect(Object.keys(log)).toHaveLength(1_200);
    expect(Object.keys(rollups)).toHaveLength(2);
    await evict(wallet);
    const woken = await runInDurableObject(wallet.stub, (object) => object.counters());
    expect(woken.rowsRead).toBeLessThan(1_000);
    expect(woken.rowsWritten).toBe(0);
  });

  it('brings a batch of more bytes than one parameter may have', async () => {
    const wallet = await newWallet();
    const outcome = '\u{1f600}'.repeat(2_000);
    const attempt = { accountId: accountOf(wallet.owner, 1), status: null, outcome, durationMs: 1 };
    await runInDurableObject(wallet.stub, async (object) => {
      for (let index = 0; index < 400; index += 1) {
        const answer = await object.admit(admitCall(wallet.owner.keyId, newRequest()));
        if (!answer.ok) throw new Error('refused');
        await object.settle(settlement(answer.lease, index, { attempts: [attempt] }));
      }
    });
    await drain(wallet);
    expect(await cursorOf(wallet)).toBe(1);
    await expectDrained(wallet);
    expect(Object.keys((await inDatabase(wallet)).log)).toHaveLength(400);
  });

  it('brings a grant to a wallet without any request', async () => {
    const wallet = await newWallet();
    await drain(wallet);
    expect(await inDatabase(wallet)).toMatchObject({ balance: 10_000_000_000, log: {} });
    await wallet.ledger.credit(creditCall('txn_second'));
    await wallet.ledger.credit(creditCall('txn_second'));
    await drain(wallet);
    expect(await inDatabase(wallet)).toMatchObject({ balance: 20_000_000_000 });
    expect(await cursorOf(wallet)).toBe(2);
  });

  it('carries rows that were never admitted here, voids and odd texts of clients', async () => {
    const wallet = await newWallet();
    await wallet.ledger.settle(voidCall(wallet.owner.keyId, newRequest()));
    const tags = { session: '\'\u0000\u{1f600}\ud800"; DROP TABLE', agent: '{"a":[1,2]}' };
    const lease = await admitted(wallet, { tags });
    await wallet.ledger.settle(settlement(lease, 3, { model: 'x"y\\', closing: 'client-left' }));
    await drain(wallet);
    const { log, rollups } = await inDatabase(wallet);
    expect(Object.keys(log)).toHaveLength(2);
    expect(log[lease.requestId]).toMatchObject({ agent: tags.agent, model: 'x"y\\' });
    expect(Object.values(rollups).map(({ requests }) => requests)).toEqual([1, 1]);
  });

  it('waits for the wallet to be known', async () => {
    const wallet = unknownWallet();
    const { owner, ledger } = wallet;
    await ledger.credit(creditCall('txn_first'));
    await alarm(wallet);
    expect(await batchesIn(wallet)).toEqual([]);
    await ledger.apply([keyCopy(owner), userCopy(owner), walletCopy(owner)]);
    later(HOUR_MS);
    await drain(wallet);
    expect(await inDatabase(wallet)).toMatchObject({ balance: 10_000_000_000 });
  });

  it('lets requests through while D1 does not answer', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 3);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    withBatches(async (real) => {
      await held;
      return real();
    });
    later(MINUTE_MS);
    const ringing = runInDurableObject(wallet.stub, async (object) => object.alarm());
    await wallet.ledger.settle(settlement(await admitted(wallet), 9));
    expect(await infoOf(wallet)).toMatchObject({ requests: 4, openRequests: 0 });
    release();
    await ringing;
    vi.restoreAllMocks();
    await drain(wallet);
    await expectDrained(wallet);
  });
});

describe('what is old', () => {
  it('goes: batches after 35 days, rows after 90, but none that are still needed', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 1_300);
    await drain(wallet);
    const first = await batchesIn(wallet);
    later(36 * DAY_MS);
    await closeMany(wallet, 1);
    await drain(wallet);
    expect(first.map(({ n }) => n)).toEqual([1, 2, 3]);
    later(2 * HOUR_MS);
    await closeMany(wallet, 1);
    await drain(wallet);
    expect((await batchesIn(wallet)).map(({ n }) => n)).toEqual([4, 5]);
    later(55 * DAY_MS);
    const before = await infoOf(wallet);
    await wallet.ledger.credit(creditCall('txn_second'));
    await drain(wallet);
    const left = await runInDurableObject(wallet.stub, (_object, { storage }) =>
      storage.sql
        .exec<{ n: number; low: number }>('SELECT count(*) AS n, min(seq) AS low FROM requests')
        .one(),
    );
    // The checkpoint stands at 1,000.
    expect(left).toEqual({ n: 302, low: 1_001 });
    await evict(wallet);
    expect(await infoOf(wallet)).toMatchObject({ requests: 1_302, usedNanos: before.usedNanos });
    await closeMany(wallet, 1);
    await drain(wallet);
    const balance = (await infoOf(wallet)).balanceNanos;
    expect(await inDatabase(wallet)).toMatchObject({ balance });
  });

  it('stays while D1 does not have it, for however long', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 600);
    down();
    await alarm(wallet);
    later(120 * DAY_MS);
    await alarm(wallet);
    expect(await batchesIn(wallet)).toHaveLength(2);
    vi.restoreAllMocks();
    await alarm(wallet);
    await expectDrained(wallet);
    expect(Object.keys((await inDatabase(wallet)).log)).toHaveLength(600);
  });
});

describe('rows written', () => {
  it.each([
    { requests: 20, objectMax: 2.5, databaseMax: 1.3 },
    // Shown honestly: what a flush costs is not shared. The first of a sum is in an index, too.
    { requests: 1, objectMax: 5, databaseMax: 5.2 },
  ])('at $requests requests a flush stay within bounds', async (bounds) => {
    const { requests, objectMax, databaseMax } = bounds;
    const wallet = await newWallet();
    await closeMany(wallet, 1);
    await drain(wallet);
    const minutes = 5;
    const { object, alarms, database } = await rowsIn(wallet, async () => {
      for (let minute = 0; minute < minutes; minute += 1) {
        for (let index = 0; index < requests; index += 1) {
          const lease = await admitted(wallet);
          later(2 * SECOND_MS);
          await wallet.ledger.settle(settleCall(lease, { accountId: accountOf(wallet.owner, 1) }));
        }
        await alarm(wallet);
      }
    });
    const total = minutes * requests;
    // oxlint-disable-next-line no-console -- the figures are what is asked for
    console.log(
      `${requests} requests a flush, rows written a request: object ${object / total} ` +
        `(alarms ${alarms / total}), D1 ${database / total}`,
    );
    expect(object / total).toBeLessThanOrEqual(objectMax);
    expect(database / total).toBeLessThanOrEqual(databaseMax);
    await expectDrained(wallet);
  });
});
