// A running request is stopped by its id: whoever runs it learns so at its next sign of life, and
// what it used is settled as ever.

import { runDurableObjectAlarm } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { extendCall, progressCall, settleCall } from '../../tests/support/ledger';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import {
  admitted,
  evict,
  infoOf,
  newRequest,
  newWallet,
  rowsWrittenBy,
} from '../../tests/workerd/wallet-object';
import { nanos } from '../domain/money';
import { MINUTE_MS } from '../domain/time';

const STOP = { state: 'stop', closing: 'stopped' };

useFakeDate();

describe('stop', () => {
  it('is told by the next progress and the next extend, as often as they ask', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    const open = await wallet.ledger.progress(progressCall(lease));
    expect(open).toEqual({ state: 'open' });
    const stopping = await wallet.ledger.stop({ requestId: lease.requestId, actor: 'usr_admin' });
    expect(stopping).toEqual({ state: 'stopping' });
    for (const n of [2, 3]) {
      expect(await wallet.ledger.progress(progressCall(lease, { n }))).toEqual(STOP);
      expect(await wallet.ledger.extend(extendCall(lease, 900 + n))).toEqual(STOP);
    }
  });

  it('outlives an eviction', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.stop({ requestId: lease.requestId, actor: 'usr_admin' });
    await evict(wallet);
    expect(await wallet.ledger.progress(progressCall(lease))).toEqual(STOP);
    await evict(wallet);
    expect(await wallet.ledger.extend(extendCall(lease, 900))).toEqual(STOP);
  });

  it('is written once; who asked first stays named', async () => {
    const wallet = await newWallet();
    const { requestId } = await admitted(wallet);
    const written = [];
    for (const actor of ['usr_first', 'usr_second', 'usr_first']) {
      written.push(
        await rowsWrittenBy(wallet, async () => {
          expect(await wallet.ledger.stop({ requestId, actor })).toEqual({ state: 'stopping' });
        }),
      );
    }
    expect(written).toEqual([1, 0, 0]);
  });

  it('leaves other requests of the wallet alone', async () => {
    const wallet = await newWallet();
    const [stopped, other] = [await admitted(wallet), await admitted(wallet)];
    await wallet.ledger.stop({ requestId: stopped.requestId, actor: 'usr_admin' });
    expect(await wallet.ledger.progress(progressCall(other))).toEqual({ state: 'open' });
  });

  it('does not keep a stopped request from being settled, and its hold goes', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    const { balanceNanos: before } = await infoOf(wallet);
    await wallet.ledger.stop({ requestId: lease.requestId, actor: 'usr_admin' });
    expect((await infoOf(wallet)).heldNanos).toBeGreaterThan(0);
    const settle = settleCall(lease, { closing: 'stopped', certainty: 'estimated' });
    expect(await wallet.ledger.settle({ ...settle, costNanos: nanos(7) })).toEqual({
      closing: 'stopped',
      certainty: 'estimated',
      costNanos: 7,
    });
    const after = { balanceNanos: before - 7, heldNanos: 0, openRequests: 0 };
    expect(await infoOf(wallet)).toMatchObject(after);
  });

  it('does not keep the alarm from closing a stopped request that nobody settles', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.stop({ requestId: lease.requestId, actor: 'usr_admin' });
    later(2 * MINUTE_MS);
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ heldNanos: 0, openRequests: 0 });
    const asked = { requestId: lease.requestId, actor: 'usr_admin' };
    expect(await wallet.ledger.stop(asked)).toEqual({ state: 'closed', closing: 'recovered' });
  });

  it('says how a request that is over ended, and changes nothing', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.settle(settleCall(lease));
    const { requestId } = lease;
    const written = await rowsWrittenBy(wallet, async () => {
      const answer = await wallet.ledger.stop({ requestId, actor: 'usr_admin' });
      expect(answer).toEqual({ state: 'closed', closing: 'completed' });
    });
    expect(written).toBe(0);
    await evict(wallet);
    expect(await wallet.ledger.stop({ requestId, actor: 'usr_admin' })).toMatchObject({
      state: 'closed',
    });
  });

  it('knows nothing of a request that never was', async () => {
    const wallet = await newWallet();
    const written = await rowsWrittenBy(wallet, async () => {
      const answer = await wallet.ledger.stop({ requestId: newRequest(), actor: 'usr_admin' });
      expect(answer).toEqual({ state: 'unknown' });
    });
    expect(written).toBe(0);
  });
});
