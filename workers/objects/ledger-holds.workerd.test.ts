// What a Ledger object holds while requests run: who fits beside whom, how a hold grows and
// shrinks, that it comes back after an eviction and is gone when the request is. The arithmetic is
// in domain/ledger/hold.test.ts and its like.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import {
  admitCall,
  creditCall,
  extendCall,
  HOLD_NANOS,
  idOf,
  keyCopy,
  LIKELY_INPUT_NANOS,
  MODEL,
  progressCall,
  settleCall,
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
} from '../../tests/workerd/wallet-object';
import type { AdmitCall, Lease, RequestSizes } from '../domain/ledger/calls';
import { nanos, nanosFromDollars } from '../domain/money';
import { MINUTE_MS } from '../domain/time';
import { NO_TOKENS } from '../domain/usage/tokens';

const TEN_DOLLARS = nanosFromDollars(10);

useFakeDate();

/** A wallet with just this much. */
async function walletWith(balanceNanos: number): Promise<Wallet> {
  const wallet = await newWallet();
  const amountNanos = nanos(balanceNanos - TEN_DOLLARS);
  await wallet.ledger.credit(creditCall('txn_rest', { kind: 'adjust', amountNanos }));
  return wallet;
}

function sized(differs: Partial<RequestSizes>): Partial<AdmitCall> {
  const { sizes } = admitCall(idOf('key', 1), idOf('request', 1));
  return { sizes: { ...sizes, ...differs } };
}

describe('admit', () => {
  it('lets in exactly those of a crowd whose holds fit together', async () => {
    const wallet = await walletWith(137 * HOLD_NANOS);
    const answers = await Promise.all(
      Array.from({ length: 500 }, async () =>
        wallet.ledger.admit(admitCall(wallet.owner.keyId, newRequest())),
      ),
    );
    const leases = answers.flatMap((answer) => (answer.ok ? [answer.lease] : []));
    expect(leases).toHaveLength(137);
    const refusals = answers.flatMap((answer) => (answer.ok ? [] : [answer.error]));
    expect(refusals).toHaveLength(363);
    for (const error of refusals) {
      expect(error).toMatchObject({ kind: 'rate-limited', scope: 'wallet', retryAfterMs: 2_000 });
    }
    const full = { heldNanos: 137 * HOLD_NANOS, availableNanos: 0, openRequests: 137 };
    expect(await infoOf(wallet)).toMatchObject(full);
    await evict(wallet);
    expect(await infoOf(wallet)).toMatchObject(full);
    await Promise.all(leases.map(async (lease) => wallet.ledger.settle(settleCall(lease))));
    const rest = 137 * (HOLD_NANOS - 1_000_000);
    const empty = { heldNanos: 0, availableNanos: rest, balanceNanos: rest, overrunNanos: 0 };
    expect(await infoOf(wallet)).toMatchObject(empty);
  });

  it('says in the lease what is held, the same to a repeat after an eviction', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet, sized({ maxTokens: 128_000 }));
    expect(lease.hold).toEqual({
      heldOutputTokensUpTo: Math.floor((TEN_DOLLARS - 16_500_000) / 8 / 20_000),
      outputTokensMax: 128_000,
      outputPicosPerToken: 20_000_000,
      boundNanos: 16_500_000,
      reportInput: false,
    });
    await evict(wallet);
    const call = admitCall(wallet.owner.keyId, lease.requestId);
    expect(await wallet.ledger.admit(call)).toEqual({ ok: true, lease });
    expect(await admitted(wallet, { class: 'free' })).not.toHaveProperty('hold');
  });

  it('holds all of a low balance for one request, until its input is known', async () => {
    const wallet = await walletWith(HOLD_NANOS - 1);
    const lease = await admitted(wallet);
    expect(lease.hold).toMatchObject({ reportInput: true });
    expect(await infoOf(wallet)).toMatchObject({ availableNanos: 0 });
    const inputNanos = nanos(400_000);
    await wallet.ledger.progress(progressCall(lease, { inputNanos, costNanos: inputNanos }));
    expect(await infoOf(wallet)).toMatchObject({ heldNanos: 20_400_000 });
  });

  it('tells a request for a whole answer that streamed it would need less', async () => {
    const wallet = await walletWith(HOLD_NANOS);
    const call = admitCall(wallet.owner.keyId, newRequest(), {
      ...sized({ stream: false, maxTokens: 50_000 }),
    });
    expect(await wallet.ledger.admit(call)).toEqual({
      ok: false,
      error: {
        kind: 'out-of-credit',
        neededNanos: LIKELY_INPUT_NANOS + 1_000_000_000,
        neededAsStreamNanos: LIKELY_INPUT_NANOS + 20_480_000,
        availableNanos: HOLD_NANOS,
      },
    });
  });

  it('holds a known conversation by its last prompt, also after an eviction', async () => {
    const wallet = await newWallet();
    const terms = { speed: null, geo: null, tier: null };
    const counts = { ...NO_TOKENS, cacheRead: 500, input: 100 };
    const usage = { entries: [{ model: MODEL, counts, terms }], flags: [] };
    const talk = { conversation: 'talk' };
    const first = await admitted(wallet, talk);
    await wallet.ledger.settle(settleCall(first, { usage }));
    await evict(wallet);
    const [second, third] = [await admitted(wallet, talk), await admitted(wallet, talk)];
    expect(second.hold).toMatchObject({ boundNanos: 600 * 5_000 });
    // One at a time: each may bring new text to the same prompt.
    expect(third.hold).toMatchObject({ boundNanos: 16_500_000 });
  });
});

describe('extend', () => {
  /** Holds 16.5 and 20.48 million, with this much beside it. */
  async function streaming(besideNanos: number): Promise<{ wallet: Wallet; lease: Lease }> {
    const wallet = await walletWith(36_980_000 + besideNanos);
    return { wallet, lease: await admitted(wallet, sized({ maxTokens: 9_000 })) };
  }

  it('holds more up to what was asked for, in one row, once however often it is asked', async () => {
    const { wallet, lease } = await streaming(50_000_000);
    expect(lease.hold).toMatchObject({ heldOutputTokensUpTo: 1_024 });
    const held = { state: 'held', heldOutputTokensUpTo: 2_000 };
    const written = await rowsWrittenBy(wallet, async () => {
      expect(await wallet.ledger.extend(extendCall(lease, 2_000))).toEqual(held);
    });
    expect(written).toBe(1);
    const repeated = await rowsWrittenBy(wallet, async () => {
      for (const upTo of [2_000, 1_500, 0]) {
        expect(await wallet.ledger.extend(extendCall(lease, upTo))).toEqual(held);
      }
    });
    expect(repeated).toBe(0);
    await evict(wallet);
    expect(await infoOf(wallet)).toMatchObject({ heldNanos: 16_500_000 + 40_000_000 });
    expect(await wallet.ledger.extend(extendCall(lease, 1))).toEqual(held);
  });

  it('holds less than asked for when no more is there, then refuses', async () => {
    const { wallet, lease } = await streaming(1_999_999);
    const held = { state: 'held', heldOutputTokensUpTo: 1_024 + 99 };
    expect(await wallet.ledger.extend(extendCall(lease, 9_000))).toEqual(held);
    expect(await wallet.ledger.extend(extendCall(lease, 9_000))).toEqual({ state: 'refused' });
    expect(await infoOf(wallet)).toMatchObject({ availableNanos: 19_999 });
  });

  it('never holds more output than the request asked for', async () => {
    const { wallet, lease } = await streaming(50_000_000);
    await wallet.ledger.credit(creditCall('txn_more'));
    const answer = await wallet.ledger.extend(extendCall(lease, 1_000_000));
    expect(answer).toEqual({ state: 'held', heldOutputTokensUpTo: 9_000 });
  });

  it('finds what the reported input has freed', async () => {
    const { wallet, lease } = await streaming(0);
    expect(await wallet.ledger.extend(extendCall(lease, 1_025))).toEqual({ state: 'refused' });
    await wallet.ledger.progress(progressCall(lease, { inputNanos: nanos(16_480_000) }));
    const held = { state: 'held', heldOutputTokensUpTo: 1_025 };
    expect(await wallet.ledger.extend(extendCall(lease, 1_025))).toEqual(held);
  });

  it('is a sign of life, and answers as progress does to what may not go on', async () => {
    const { wallet, lease } = await streaming(50_000_000);
    later(50_000);
    await wallet.ledger.extend(extendCall(lease, 2_000));
    later(50_000);
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ openRequests: 1 });
    const unknown = extendCall({ seq: 9, requestId: newRequest() }, 1);
    expect(await wallet.ledger.extend(unknown)).toEqual({ state: 'unknown' });
    await wallet.ledger.apply([keyCopy(wallet.owner, { status: 'disabled', version: 2 })]);
    const stop = { state: 'stop', closing: 'revoked' };
    expect(await wallet.ledger.extend(extendCall(lease, 3_000))).toEqual(stop);
    await wallet.ledger.settle(settleCall(lease));
    const closed = { state: 'closed', closing: 'completed' };
    expect(await wallet.ledger.extend(extendCall(lease, 3_000))).toEqual(closed);
  });
});

describe('a hold', () => {
  it('is never below the cost so far', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.progress(progressCall(lease, { costNanos: nanos(HOLD_NANOS + 5) }));
    expect(await infoOf(wallet)).toMatchObject({ heldNanos: HOLD_NANOS + 5 });
  });

  it('of a request that the alarm closes is free; its late settle counts what passed it', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    later(2 * MINUTE_MS);
    await runDurableObjectAlarm(wallet.stub);
    expect(await infoOf(wallet)).toMatchObject({ heldNanos: 0, overrunNanos: 0 });
    await wallet.ledger.settle(settleCall(lease, { costNanos: nanos(HOLD_NANOS + 9) }));
    const passed = { heldNanos: 0, overrunNanos: 9, usedNanos: HOLD_NANOS + 9 };
    expect(await infoOf(wallet)).toMatchObject(passed);
    await evict(wallet);
    expect(await infoOf(wallet)).toMatchObject(passed);
  });

  it('of a request from before there were any is nothing, and keeps nothing from it', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await runInDurableObject(wallet.stub, (_object, { storage }) => {
      storage.sql.exec('UPDATE requests SET hold = NULL');
    });
    await evict(wallet);
    expect(await infoOf(wallet)).toMatchObject({ heldNanos: 0, openRequests: 1 });
    const held = { state: 'held', heldOutputTokensUpTo: 5_000 };
    expect(await wallet.ledger.extend(extendCall(lease, 5_000))).toEqual(held);
    const { hold: _hold, ...without } = lease;
    const call = admitCall(wallet.owner.keyId, lease.requestId);
    expect(await wallet.ledger.admit(call)).toEqual({ ok: true, lease: without });
    await wallet.ledger.settle(settleCall(lease));
    expect(await infoOf(wallet)).toMatchObject({ heldNanos: 0, overrunNanos: 0 });
  });
});
