// How a Ledger object follows and closes requests: settle, progress, the alarm. How it lets them in
// is in ledger-admit.workerd.test.ts.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it, vi } from 'vitest';
import {
  admitCall,
  creditCall,
  keyCopy,
  NOW,
  progressCall,
  settleCall,
  userCopy,
  voidCall,
  walletCopy,
} from '../../tests/support/ledger';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { Wallet } from '../../tests/workerd/wallet-object';
import {
  admitted,
  evict,
  infoOf,
  newRequest,
  newWallet,
  rowsWrittenBy,
  storedRows,
} from '../../tests/workerd/wallet-object';
import type { SettleCall } from '../domain/ledger/calls';
import { nanos, nanosFromDollars } from '../domain/money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../domain/time';

const TEN_DOLLARS = nanosFromDollars(10);

useFakeDate();

describe('settle', () => {
  it('closes the row with its cost, once, and writes one row', async () => {
    const wallet = await newWallet();
    const call = settleCall(await admitted(wallet), { costNanos: nanos(31_888_000) });
    const closed = { closing: 'completed', certainty: 'reported', costNanos: 31_888_000 };
    const written = await rowsWrittenBy(wallet, async () => {
      expect(await wallet.ledger.settle(call)).toEqual(closed);
    });
    expect(written).toBe(1);
    const other = { ...call, closing: 'client-left', costNanos: nanos(7) } as const;
    const again = await rowsWrittenBy(wallet, async () => {
      expect(await wallet.ledger.settle(other)).toEqual(closed);
      expect(await wallet.ledger.settle({ ...other, seq: null })).toEqual(closed);
    });
    expect(again).toBe(0);
    await evict(wallet);
    expect(await wallet.ledger.settle(call)).toEqual(closed);
    expect(await infoOf(wallet)).toMatchObject({
      balanceNanos: TEN_DOLLARS - 31_888_000,
      usedNanos: 31_888_000,
      requests: 1,
      openRequests: 0,
    });
  });

  it('finds an open row by its id alone, also after an eviction', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await evict(wallet);
    await wallet.ledger.settle(voidCall(wallet.owner.keyId, lease.requestId));
    expect(await infoOf(wallet)).toMatchObject({ balanceNanos: TEN_DOLLARS, openRequests: 0 });
    expect((await storedRows(wallet))['requests']).toBe(1);
  });

  it('writes a request that it does not know as closed, in one row, once', async () => {
    const wallet = await newWallet();
    const unknown = { seq: 41, requestId: newRequest(), keyId: wallet.owner.keyId };
    const call = settleCall(unknown, { admittedAt: NOW - HOUR_MS });
    const written = await rowsWrittenBy(wallet, async () => wallet.ledger.settle(call));
    expect(written).toBe(1);
    await wallet.ledger.settle(call);
    await evict(wallet);
    await wallet.ledger.settle(call);
    const charged = TEN_DOLLARS - call.costNanos;
    expect(await infoOf(wallet)).toMatchObject({ balanceNanos: charged, requests: 1 });
    expect((await storedRows(wallet))['requests']).toBe(1);
  });

  it('does not touch another request whose row number it names', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    const stranger = { seq: lease.seq, requestId: newRequest(), keyId: wallet.owner.keyId };
    for (let repeat = 0; repeat < 3; repeat += 1) {
      await wallet.ledger.settle(settleCall(stranger));
    }
    const charged = TEN_DOLLARS - 1_000_000;
    expect(await infoOf(wallet)).toMatchObject({ balanceNanos: charged, openRequests: 1 });
    await wallet.ledger.settle(settleCall(lease, { costNanos: nanos(5) }));
    expect(await infoOf(wallet)).toMatchObject({ balanceNanos: charged - 5, openRequests: 0 });
  });

  it('corrects once a certainty, keeps the first closing and takes over the details', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    later(2 * MINUTE_MS);
    await runDurableObjectAlarm(wallet.stub);
    const calls: readonly SettleCall[] = [
      settleCall(lease, { closing: 'client-left', certainty: 'estimated', costNanos: nanos(30) }),
      settleCall(lease, { costNanos: nanos(20) }),
    ];
    for (const call of [...calls, ...calls, ...calls.toReversed()]) {
      await wallet.ledger.settle(call);
      const { balanceNanos, usedNanos, requests } = await infoOf(wallet);
      expect(balanceNanos + usedNanos).toBe(TEN_DOLLARS);
      expect(requests).toBe(1);
    }
    expect(await infoOf(wallet)).toMatchObject({ usedNanos: 20 });
    await evict(wallet);
    expect(await infoOf(wallet)).toMatchObject({ usedNanos: 20, balanceNanos: TEN_DOLLARS - 20 });
    expect((await storedRows(wallet))['entries']).toBe(3);
    expect(await detailsOf(wallet, lease.seq)).toEqual({
      closing: 'recovered',
      cost_nanos: 5_000_000,
      known_nanos: 20,
      detail_closing: 'completed',
    });
  });

  it('gives a void that comes after the alarm its money back', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    later(2 * MINUTE_MS);
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ balanceNanos: TEN_DOLLARS - 5_000_000 });
    const answer = await wallet.ledger.settle(voidCall(wallet.owner.keyId, lease.requestId));
    expect(answer).toEqual({ closing: 'recovered', certainty: 'reported', costNanos: 0 });
    expect(await infoOf(wallet)).toMatchObject({ balanceNanos: TEN_DOLLARS, usedNanos: 0 });
  });

  it('stores nothing of a cost that the sums cannot hold, and goes on', async () => {
    const wallet = await newWallet();
    const adjust = (entryId: string, amountNanos: number) =>
      creditCall(entryId, { kind: 'adjust', amountNanos: nanos(amountNanos) });
    await wallet.ledger.credit(adjust('txn_debt', -Number.MAX_SAFE_INTEGER));
    await wallet.ledger.credit(adjust('txn_more', -TEN_DOLLARS));
    const call = settleCall(
      { seq: null, requestId: newRequest(), keyId: wallet.owner.keyId },
      { costNanos: nanos(1) },
    );
    await runInDurableObject(wallet.stub, async (object) => {
      await expect(object.settle(call)).rejects.toThrow(RangeError);
      await expect(object.credit(adjust('txn_beyond', -1))).rejects.toThrow(RangeError);
    });
    await evict(wallet);
    const rest = { balanceNanos: -Number.MAX_SAFE_INTEGER, requests: 0 };
    expect(await infoOf(wallet)).toMatchObject(rest);
    expect(await storedRows(wallet)).toMatchObject({ requests: 0, entries: 3 });
  });
});

async function detailsOf({ stub }: Wallet, seq: number): Promise<unknown> {
  return runInDurableObject(stub, (_object, { storage }) =>
    storage.sql
      .exec(
        `SELECT closing, cost_nanos, known_nanos, closed ->> '$.closing' AS detail_closing
          FROM requests WHERE seq = ?`,
        seq,
      )
      .one(),
  );
}

describe('progress', () => {
  it('renews the lease, writes one row, and an older or equal n changes nothing', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    later(50 * SECOND_MS);
    const second = progressCall(lease, { n: 2, costNanos: nanos(900) });
    const written = await rowsWrittenBy(wallet, async () => {
      expect(await wallet.ledger.progress(second)).toEqual({ state: 'open' });
    });
    expect(written).toBe(1);
    later(30 * SECOND_MS);
    const old = await rowsWrittenBy(wallet, async () => {
      for (const n of [1, 2]) {
        const call = progressCall(lease, { n, costNanos: nanos(1) });
        expect(await wallet.ledger.progress(call)).toEqual({ state: 'open' });
      }
    });
    expect(old).toBe(0);
    await evict(wallet);
    // Alive by the second sign, 30 s ago, though the lease of admit is over.
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ openRequests: 1 });
    later(31 * SECOND_MS);
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ openRequests: 0, usedNanos: 900 });
  });

  it.each([
    ['key', (w: Wallet) => keyCopy(w.owner, { status: 'disabled', version: 2 })],
    ['user', (w: Wallet) => userCopy(w.owner, { status: 'suspended', version: 2 })],
    ['wallet', (w: Wallet) => walletCopy(w.owner, { status: 'suspended', version: 2 })],
  ])('says stop once the %s may do nothing any more', async (_what, revoked) => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    expect(await wallet.ledger.progress(progressCall(lease))).toEqual({ state: 'open' });
    await wallet.ledger.apply([revoked(wallet)]);
    const stop = { state: 'stop', closing: 'revoked' };
    expect(await wallet.ledger.progress(progressCall(lease, { n: 2 }))).toEqual(stop);
    await evict(wallet);
    expect(await wallet.ledger.progress(progressCall(lease, { n: 3 }))).toEqual(stop);
    // What was used by then is still charged.
    await wallet.ledger.settle(settleCall(lease, { closing: 'revoked', costNanos: nanos(77) }));
    const { balanceNanos } = await wallet.ledger.credit(creditCall('txn_first'));
    expect(balanceNanos).toBe(TEN_DOLLARS - 77);
  });

  it('a rotation of the key does not stop what runs', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.apply([keyCopy(wallet.owner, { hash: 'fresh', version: 2 })]);
    expect(await wallet.ledger.progress(progressCall(lease))).toEqual({ state: 'open' });
  });

  it('says how a closed request was closed and that an unknown one is unknown', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.settle(settleCall(lease));
    const closed = { state: 'closed', closing: 'completed' };
    expect(await wallet.ledger.progress(progressCall(lease))).toEqual(closed);
    await evict(wallet);
    expect(await wallet.ledger.progress(progressCall(lease))).toEqual(closed);
    const stranger = { seq: lease.seq, requestId: newRequest() };
    const beyond = { seq: 99, requestId: newRequest() };
    for (const unknown of [stranger, beyond]) {
      expect(await wallet.ledger.progress(progressCall(unknown))).toEqual({ state: 'unknown' });
    }
  });
});

describe('the alarm', () => {
  const recoveries: readonly (readonly [
    string,
    Partial<Parameters<typeof progressCall>[1]>[],
    number,
  ])[] = [
    ['the likely input without any sign of life', [], 5_000_000],
    ['nothing when no account had been called', [{ dispatched: false }], 0],
    [
      'the cost of the last sign of life',
      [{ costNanos: nanos(3) }, { n: 2, costNanos: nanos(8) }],
      8,
    ],
    ['the likely input while no cost was known yet', [{ costNanos: nanos(0) }], 5_000_000],
  ];

  it.each(recoveries)('charges %s', async (_what, signs, costNanos) => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    for (const sign of signs) await wallet.ledger.progress(progressCall(lease, sign));
    await evict(wallet);
    later(MINUTE_MS + 5 * SECOND_MS);
    expect(await runDurableObjectAlarm(wallet.stub)).toBe(true);
    expect(await infoOf(wallet)).toMatchObject({ usedNanos: costNanos, openRequests: 0 });
    const progress = await wallet.ledger.progress(progressCall(lease, { n: 9 }));
    expect(progress).toEqual({ state: 'closed', closing: 'recovered' });
  });

  it('twice closes nothing twice, and none is left when nothing is open', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    later(2 * MINUTE_MS);
    await runDurableObjectAlarm(wallet.stub);
    const before = await infoOf(wallet);
    await runInDurableObject(wallet.stub, async (object) => object.alarm());
    expect(await infoOf(wallet)).toEqual(before);
    expect(await runDurableObjectAlarm(wallet.stub)).toBe(false);
  });

  it('closes hours late what ran out, dated by when it did', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    await evict(wallet);
    later(5 * HOUR_MS);
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ usedNanos: 5_000_000, openRequests: 0 });
  });

  it('closes many at once, only those that ran out, and stands again for the others', async () => {
    const wallet = await newWallet();
    for (let index = 0; index < 60; index += 1) await admitted(wallet);
    later(40 * SECOND_MS);
    const young = await admitted(wallet);
    later(25 * SECOND_MS);
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ openRequests: 1, requests: 60 });
    await evict(wallet);
    const at = await runInDurableObject(wallet.stub, (_object, { storage }) => storage.getAlarm());
    expect(at).toBe(young.admittedAt + MINUTE_MS + 5 * SECOND_MS);
    later(MINUTE_MS);
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ openRequests: 0, requests: 61 });
  });

  it('is set by the first of many requests alone', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    const set = await runInDurableObject(wallet.stub, async (object, { storage }) => {
      const spy = vi.spyOn(storage, 'setAlarm');
      later(SECOND_MS);
      await object.admit(admitCall(wallet.owner.keyId, newRequest()));
      return spy.mock.calls.length;
    });
    expect(set).toBe(0);
  });
});
