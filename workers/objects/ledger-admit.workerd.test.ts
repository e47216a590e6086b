// How a Ledger object lets requests in: admit, and beside it credit and key-info. How it closes
// them is in ledger-settle.workerd.test.ts.

import { describe, expect, it } from 'vitest';
import {
  admitCall,
  creditCall,
  HASH,
  HOLD_NANOS,
  MODEL,
  NEEDED_NANOS,
  NOW,
  settleCall,
  userCopy,
  voidCall,
  walletCopy,
} from '../../tests/support/ledger';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import {
  admitted,
  evict,
  infoOf,
  newRequest,
  newWallet,
  rowsWrittenBy,
  storedRows,
  unknownWallet,
} from '../../tests/workerd/wallet-object';
import { nanos, nanosFromDollars } from '../domain/money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../domain/time';

const TEN_DOLLARS = nanosFromDollars(10);

useFakeDate();

describe('admit', () => {
  it('gives a lease with the price row, dated by the object, and writes one row', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    const requestId = newRequest();
    let answer: unknown;
    const written = await rowsWrittenBy(wallet, async () => {
      answer = await wallet.ledger.admit(admitCall(wallet.owner.keyId, requestId));
    });
    expect(written).toBe(1);
    expect(answer).toMatchObject({
      ok: true,
      lease: { ...wallet.owner, requestId, seq: 2, model: MODEL, admittedAt: NOW },
    });
    expect(answer).toMatchObject({
      lease: { likelyInputNanos: 5_000_000, price: { model: MODEL } },
    });
  });

  it('answers 401 to a key that D1 does not know and stores nothing', async () => {
    const wallet = unknownWallet();
    const answer = await wallet.ledger.admit(admitCall(wallet.owner.keyId, newRequest()));
    expect(answer).toEqual({ ok: false, error: { kind: 'unauthenticated', why: 'unknown' } });
    const nothing = { copies: 0, documents: 0, requests: 0, entries: 0 };
    expect(await storedRows(wallet)).toEqual(nothing);
  });

  it('refuses a hash that is not the key’s', async () => {
    const wallet = await newWallet();
    const call = admitCall(wallet.owner.keyId, newRequest(), { keyHash: 'another' });
    expect(await wallet.ledger.admit(call)).toMatchObject({ error: { why: 'unknown' } });
    expect((await storedRows(wallet))['requests']).toBe(0);
  });

  it('takes the hash before a rotation until its instant and not from then on', async () => {
    const previous = { hash: 'old', until: NOW + MINUTE_MS };
    const wallet = await newWallet({ previous });
    later(MINUTE_MS - 1);
    await admitted(wallet, { keyHash: 'old' });
    later(1);
    const call = admitCall(wallet.owner.keyId, newRequest(), { keyHash: 'old' });
    expect(await wallet.ledger.admit(call)).toMatchObject({ error: { why: 'unknown' } });
    await admitted(wallet);
  });

  it.each([
    [{ status: 'disabled' } as const, { kind: 'unauthenticated', why: 'revoked' }],
    [{ status: 'deleted' } as const, { kind: 'unauthenticated', why: 'revoked' }],
    [{ expiresAt: NOW }, { kind: 'unauthenticated', why: 'expired' }],
  ])('refuses a key that is %j', async (differs, error) => {
    const wallet = await newWallet(differs);
    const call = admitCall(wallet.owner.keyId, newRequest());
    expect(await wallet.ledger.admit(call)).toEqual({ ok: false, error });
  });

  it('refuses the keys of a suspended user and of a suspended wallet', async () => {
    const { owner, ledger } = await newWallet();
    await ledger.apply([walletCopy(owner, { status: 'suspended', version: 2 })]);
    const refused = await ledger.admit(admitCall(owner.keyId, newRequest()));
    expect(refused).toMatchObject({ error: { kind: 'forbidden', why: 'wallet-suspended' } });
    await ledger.apply([userCopy(owner, { status: 'suspended', version: 2 })]);
    const again = await ledger.admit(admitCall(owner.keyId, newRequest()));
    expect(again).toMatchObject({ error: { kind: 'forbidden', why: 'user-suspended' } });
  });

  it('refuses a model without a price, as asked or as a fallback', async () => {
    const wallet = await newWallet();
    for (const differs of [{ model: 'gpt-9' }, { fallbackModels: ['gpt-9'] }]) {
      const answer = await wallet.ledger.admit(
        admitCall(wallet.owner.keyId, newRequest(), differs),
      );
      expect(answer).toEqual({ ok: false, error: { kind: 'unknown-model', model: 'gpt-9' } });
    }
    expect((await storedRows(wallet))['requests']).toBe(0);
  });

  it('resolves a platform spelling to the catalogue’s model', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet, { model: `us.anthropic.${MODEL}-v1:0` });
    expect(lease.model).toBe(MODEL);
  });

  it('refuses a metered request without a model, which nobody would pay', async () => {
    const wallet = await newWallet();
    const answer = await wallet.ledger.admit(
      admitCall(wallet.owner.keyId, newRequest(), { model: null }),
    );
    expect(answer).toMatchObject({ ok: false, error: { kind: 'bad-request' } });
  });

  it('refuses an id that a provider holds, because none was made by this wallet', async () => {
    const wallet = await newWallet();
    const heldIds = [{ field: 'container', id: 'container_1' }];
    const call = admitCall(wallet.owner.keyId, newRequest(), { heldIds });
    expect(await wallet.ledger.admit(call)).toEqual({
      ok: false,
      error: { kind: 'held-elsewhere', field: 'container' },
    });
  });

  it.each([0, -1])('is out of credit at a balance of %i, naming what is needed', async (rest) => {
    const wallet = await newWallet();
    const amountNanos = nanos(rest - TEN_DOLLARS);
    await wallet.ledger.credit(creditCall('txn_away', { kind: 'adjust', amountNanos }));
    const answer = await wallet.ledger.admit(admitCall(wallet.owner.keyId, newRequest()));
    const error = { kind: 'out-of-credit', neededNanos: NEEDED_NANOS, availableNanos: rest };
    expect(answer).toEqual({ ok: false, error });
    // The next grant pays the debt first.
    await wallet.ledger.credit(creditCall('txn_back', { amountNanos: nanos(NEEDED_NANOS - rest) }));
    await admitted(wallet);
  });

  it('gives the same lease to a repeated id, also after an eviction and other requests', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    later(SECOND_MS);
    const call = admitCall(wallet.owner.keyId, lease.requestId);
    expect(await wallet.ledger.admit(call)).toEqual({ ok: true, lease });
    await admitted(wallet);
    await evict(wallet);
    expect(await wallet.ledger.admit(call)).toEqual({ ok: true, lease });
    expect((await storedRows(wallet))['requests']).toBe(2);
  });

  it('gives one lease to one id that asks twice at once, before anything is known', async () => {
    const wallet = await newWallet();
    const call = admitCall(wallet.owner.keyId, newRequest());
    const [first, second] = await Promise.all([
      wallet.ledger.admit(call),
      wallet.ledger.admit(call),
    ]);
    expect(first.ok).toBe(true);
    expect(second).toEqual(first);
    expect((await storedRows(wallet))['requests']).toBe(1);
  });

  it('is closed already for an id whose void overtook it, also after an eviction', async () => {
    const wallet = await newWallet();
    const requestId = newRequest();
    const taken = await wallet.ledger.settle(voidCall(wallet.owner.keyId, requestId));
    expect(taken).toEqual({ closing: 'void', certainty: 'reported', costNanos: 0 });
    const closed = { ok: false, error: { kind: 'already-closed' } };
    const call = admitCall(wallet.owner.keyId, requestId);
    expect(await wallet.ledger.admit(call)).toEqual(closed);
    await evict(wallet);
    expect(await wallet.ledger.admit(call)).toEqual(closed);
    expect(await infoOf(wallet)).toMatchObject({ balanceNanos: TEN_DOLLARS, openRequests: 0 });
  });

  it('is closed already for any id after the last checkpoint, however long ago', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.settle(settleCall(lease));
    for (let hours = 0; hours < 3; hours += 1) {
      later(HOUR_MS);
      await wallet.ledger.settle(settleCall(await admitted(wallet)));
      const again = await wallet.ledger.admit(admitCall(wallet.owner.keyId, lease.requestId));
      expect(again).toEqual({ ok: false, error: { kind: 'already-closed' } });
    }
  });

  it('writes no row for class free, asks no balance, and its settle writes nothing', async () => {
    const wallet = await newWallet();
    await wallet.ledger.credit(
      creditCall('txn_away', { kind: 'adjust', amountNanos: nanos(-TEN_DOLLARS) }),
    );
    await admitted(wallet, { class: 'free', model: null });
    const written = await rowsWrittenBy(wallet, async () => {
      const lease = await admitted(wallet, { class: 'free' });
      expect(lease).toMatchObject({ seq: 0, price: null, model: MODEL });
      await wallet.ledger.settle(settleCall(lease, { costNanos: nanos(5) }));
    });
    expect(written).toBe(0);
    expect(await infoOf(wallet)).toMatchObject({ balanceNanos: 0, requests: 0, openRequests: 0 });
  });

  it('still checks key and model of class free', async () => {
    const { owner, ledger } = await newWallet();
    const free = { class: 'free', model: 'gpt-9' } as const;
    const unknown = await ledger.admit(admitCall(owner.keyId, newRequest(), free));
    expect(unknown).toMatchObject({ error: { kind: 'unknown-model' } });
    const wrong = { ...free, model: MODEL, keyHash: 'another' };
    const refused = await ledger.admit(admitCall(owner.keyId, newRequest(), wrong));
    expect(refused).toMatchObject({ error: { kind: 'unauthenticated' } });
  });
});

describe('credit', () => {
  it('is applied once an id, also after an eviction, whatever a repeat carries', async () => {
    const wallet = await newWallet();
    const call = creditCall('txn_gift', { amountNanos: nanos(5) });
    const balanceNanos = TEN_DOLLARS + 5;
    expect(await wallet.ledger.credit(call)).toEqual({ applied: true, balanceNanos });
    const other = { ...call, amountNanos: nanos(9) };
    expect(await wallet.ledger.credit(other)).toEqual({ applied: false, balanceNanos });
    await evict(wallet);
    expect(await wallet.ledger.credit(call)).toEqual({ applied: false, balanceNanos });
  });

  it('reaches a wallet of which nothing else is known', async () => {
    const { ledger } = unknownWallet();
    const answer = await ledger.credit(creditCall('txn_first'));
    expect(answer).toEqual({ applied: true, balanceNanos: TEN_DOLLARS });
  });
});

describe('key-info', () => {
  it('tells the holder of the key its use and the wallet’s balance', async () => {
    const wallet = await newWallet({ expiresAt: NOW + HOUR_MS });
    await wallet.ledger.settle(settleCall(await admitted(wallet)));
    await admitted(wallet);
    expect(await infoOf(wallet)).toEqual({
      keyId: wallet.owner.keyId,
      name: 'laptop',
      status: 'active',
      expiresAt: NOW + HOUR_MS,
      walletId: wallet.owner.walletId,
      balanceNanos: TEN_DOLLARS - 1_000_000,
      openRequests: 1,
      usedNanos: 1_000_000,
      requests: 1,
      heldNanos: HOLD_NANOS,
      availableNanos: TEN_DOLLARS - 1_000_000 - HOLD_NANOS,
      overrunNanos: 0,
      limits: [],
      scope: {},
      whenClientLeaves: 'cancel',
    });
  });

  it('tells nobody else anything, and writes nothing', async () => {
    const wallet = await newWallet();
    const { keyId } = wallet.owner;
    const written = await rowsWrittenBy(wallet, async () => {
      const wrong = await wallet.ledger.keyInfo({ keyId, keyHash: 'another' });
      expect(wrong).toEqual({ ok: false, error: { kind: 'unauthenticated', why: 'unknown' } });
    });
    expect(written).toBe(0);
    const stranger = unknownWallet();
    const unknown = await stranger.ledger.keyInfo({ keyId: stranger.owner.keyId, keyHash: HASH });
    expect(unknown).toMatchObject({ error: { kind: 'unauthenticated', why: 'unknown' } });
  });
});
