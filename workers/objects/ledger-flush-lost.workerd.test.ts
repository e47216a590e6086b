// What a wallet's rows go through on their way to D1: corrections, a D1 that is down, lost replies,
// evictions, a D1 that was taken back.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { creditCall, NOW, seeded } from '../../tests/support/ledger';
import { expectedOf, inDatabase } from '../../tests/workerd/drained';
import {
  alarm,
  batchesIn,
  closeMany,
  cursorOf,
  down,
  drain,
  expectDrained,
  later,
  repliesLost,
  settlement,
  sumsIn,
  takeBack,
  withBatches,
} from '../../tests/workerd/flushing';
import { admitted, evict, infoOf, newWallet } from '../../tests/workerd/wallet-object';
import type { Lease } from '../domain/ledger/calls';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../domain/time';

const DAY_MS = 24 * HOUR_MS;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('a correction', () => {
  it('after its row was sent takes it from the old sum into the new one', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await closeMany(wallet, 3);
    await alarm(wallet);
    await expectDrained(wallet);
    expect((await inDatabase(wallet)).log[lease.requestId]).toMatchObject({ closing: 'recovered' });
    const calls = [
      settlement(lease, 5, { closing: 'client-left', certainty: 'estimated' }),
      settlement(lease, 8),
    ];
    for (const call of calls) {
      await wallet.ledger.settle(call);
      await drain(wallet);
      await expectDrained(wallet);
      const { log, rollups } = await inDatabase(wallet);
      expect(log[lease.requestId]).toMatchObject({ closing: call.closing });
      expect(Object.keys(rollups).some((key) => key.endsWith('recovered'))).toBe(false);
    }
  });

  it('before its row was sent, in the same batch, leaves only what it became', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.settle(settlement(lease, 5, { certainty: 'estimated' }));
    await wallet.ledger.settle(settlement(lease, 6));
    await drain(wallet);
    await expectDrained(wallet);
    expect(await cursorOf(wallet)).toBe(1);
  });

  it('does not change what an older batch says when that is sent again', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.settle(settlement(lease, 5, { certainty: 'estimated' }));
    repliesLost();
    await alarm(wallet);
    vi.restoreAllMocks();
    const sent = await inDatabase(wallet);
    await wallet.ledger.settle(settlement(lease, 6));
    await takeBack(wallet, { n: 0, keep: [] });
    down();
    await alarm(wallet);
    vi.restoreAllMocks();
    let batches = 0;
    withBatches(async (real) => {
      batches += 1;
      if (batches > 1) throw new Error('D1 is down');
      return real();
    });
    await alarm(wallet);
    expect(await inDatabase(wallet)).toEqual(sent);
    vi.restoreAllMocks();
    await drain(wallet);
    await expectDrained(wallet);
  });
});

describe('what is lost on the way', () => {
  it('is sent again, and what was written is not written twice', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 12);
    repliesLost();
    for (let tries = 0; tries < 3; tries += 1) await alarm(wallet);
    vi.restoreAllMocks();
    await expectDrained(wallet);
    await drain(wallet);
    await expectDrained(wallet);
    expect(await cursorOf(wallet)).toBe(1);
  });

  it('is nothing when D1 is down for a while: batches wait and requests go on', async () => {
    const wallet = await newWallet();
    down();
    for (let minutes = 0; minutes < 12; minutes += 1) {
      await closeMany(wallet, 3);
      await alarm(wallet);
    }
    const waiting = await batchesIn(wallet);
    expect(waiting).toHaveLength(12);
    expect(await inDatabase(wallet)).toMatchObject({ balance: 0, log: {} });
    vi.restoreAllMocks();
    await drain(wallet);
    await expectDrained(wallet);
    expect(await batchesIn(wallet)).toEqual(waiting);
  });

  it('is tried again later and later, at most five minutes apart', async () => {
    const wallet = await newWallet();
    down();
    const pauses: number[] = [];
    for (let tries = 0; tries < 9; tries += 1) {
      const standing = await runInDurableObject(wallet.stub, (_object, { storage }) =>
        storage.getAlarm(),
      );
      pauses.push(((standing ?? 0) - Date.now()) / SECOND_MS);
      vi.setSystemTime(standing ?? 0);
      await runDurableObjectAlarm(wallet.stub);
    }
    expect(pauses).toEqual([65, 5, 10, 20, 40, 80, 160, 300, 300]);
  });

  it.each(['cut', 'sent', 'acknowledged'] as const)(
    'is nothing when the object dies after a batch was %s',
    async (point) => {
      const wallet = await newWallet();
      await closeMany(wallet, 5);
      if (point === 'cut') down();
      if (point === 'sent') repliesLost();
      await alarm(wallet);
      await evict(wallet);
      vi.restoreAllMocks();
      expect(await batchesIn(wallet)).toHaveLength(1);
      await closeMany(wallet, 4);
      await evict(wallet);
      await drain(wallet);
      await expectDrained(wallet);
      expect(await cursorOf(wallet)).toBe(2);
    },
  );

  it.each([1, 2, 3, 4])('is nothing in the unlucky history %i', async (seed) => {
    const random = seeded(seed);
    const wallet = await newWallet();
    const open: Lease[] = [];
    const known: Lease[] = [];
    for (let step = 0; step < 60; step += 1) {
      const dice = random();
      vi.restoreAllMocks();
      const luck = random();
      if (luck < 0.3) down();
      else if (luck < 0.5) repliesLost();
      if (dice < 0.35) open.push(await admitted(wallet));
      else if (dice < 0.55) {
        const [lease] = open.splice(Math.floor(random() * open.length), 1);
        if (lease === undefined) continue;
        const certainty = random() < 0.5 ? 'estimated' : 'reported';
        await wallet.ledger.settle(settlement(lease, step, { certainty }));
        known.push(lease);
      } else if (dice < 0.65) {
        const lease = known[Math.floor(random() * known.length)];
        if (lease) await wallet.ledger.settle(settlement(lease, step));
      } else if (dice < 0.7) await wallet.ledger.credit(creditCall(`txn_${step}`));
      else if (dice < 0.85) {
        // What ran out is closed too, and may be corrected.
        if (await alarm(wallet)) known.push(...open.splice(0));
      } else if (dice < 0.95) {
        // It may sleep already.
        await infoOf(wallet);
        await evict(wallet);
      } else if (random() < 0.5) await takeBack(wallet, { n: 0, keep: [] });
    }
    vi.restoreAllMocks();
    later(5 * MINUTE_MS);
    await wallet.ledger.settle(settlement(await admitted(wallet), 1));
    await drain(wallet);
    await expectDrained(wallet);
  });
});

describe('a D1 that was taken back to an earlier time', () => {
  it('gets everything again that followed, once', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.settle(settlement(lease, 4, { certainty: 'estimated' }));
    for (let batches = 0; batches < 3; batches += 1) {
      await closeMany(wallet, 4);
      await alarm(wallet);
    }
    const [keep, sums] = [Object.keys((await inDatabase(wallet)).log), await sumsIn(wallet)];
    await wallet.ledger.settle(settlement(lease, 6));
    for (let batches = 0; batches < 4; batches += 1) {
      await closeMany(wallet, 4);
      await alarm(wallet);
      await evict(wallet);
    }
    await expectDrained(wallet);
    expect(await cursorOf(wallet)).toBe(7);
    await takeBack(wallet, { n: 3, keep, sums });
    await closeMany(wallet, 2);
    await drain(wallet);
    await expectDrained(wallet);
    expect(await cursorOf(wallet)).toBe(8);
  });

  it('goes on with what is still kept when it was taken back further than that', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 2);
    await alarm(wallet);
    later(36 * DAY_MS);
    await closeMany(wallet, 3);
    await alarm(wallet);
    await closeMany(wallet, 1);
    await drain(wallet);
    expect((await batchesIn(wallet)).map(({ n }) => n)).toEqual([2, 3]);
    await takeBack(wallet, { n: 0, keep: [] });
    await closeMany(wallet, 1);
    await drain(wallet);
    expect(await cursorOf(wallet)).toBe(4);
    expect(Object.keys((await inDatabase(wallet)).log)).toHaveLength(5);
    expect((await inDatabase(wallet)).balance).toBe((await expectedOf(wallet)).balance);
  });

  it('goes on after its own number when it knows more batches than the object', async () => {
    const wallet = await newWallet();
    await takeBack(wallet, { n: 9, keep: [] });
    await closeMany(wallet, 2);
    await drain(wallet);
    expect(await cursorOf(wallet)).toBe(9);
    await evict(wallet);
    await closeMany(wallet, 3);
    await drain(wallet);
    expect(await cursorOf(wallet)).toBe(10);
    const { log, balance } = await inDatabase(wallet);
    expect(Object.keys(log)).toHaveLength(3);
    expect(balance).toBe((await expectedOf(wallet)).balance);
  });
});
