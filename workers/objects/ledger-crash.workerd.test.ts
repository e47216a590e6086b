// Single storage calls that fail and what must not come of it: found by the simulation of the
// object, kept by name.

import { runInDurableObject } from 'cloudflare:test';
import { afterEach, describe, expect, it } from 'vitest';
import {
  admitCall,
  keyCopy,
  LIKELY_INPUT_NANOS,
  progressCall,
  settleCall,
  voidCall,
} from '../../tests/support/ledger';
import type { CrashPoint } from '../../tests/workerd/crash-points';
import { arm, disarm } from '../../tests/workerd/crash-points';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import { alarm, closeMany, drain, expectDrained } from '../../tests/workerd/flushing';
import type { Wallet } from '../../tests/workerd/wallet-object';
import {
  admitted,
  evict,
  infoOf,
  newRequest,
  newWallet,
  storedRows,
  walletOf,
} from '../../tests/workerd/wallet-object';
import type { KeyId } from '../domain/ids';
import type { Checkpoint } from '../domain/ledger/state';
import { nanos } from '../domain/money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../domain/time';
import { LedgerStorage } from './ledger-storage';

useFakeDate();
afterEach(() => {
  disarm();
});

/** Whether the action failed there. */
async function failing(wallet: Wallet, point: CrashPoint, action: () => Promise<unknown>) {
  await arm(wallet.stub, point);
  const outcome = await action().then(
    () => 'done',
    () => 'failed',
  );
  return { outcome, hit: disarm() };
}

async function checkpointOf({ stub }: Wallet): Promise<Checkpoint | null> {
  return runInDurableObject(stub, (_object, { storage: { sql } }) =>
    new LedgerStorage(sql).checkpoint(),
  );
}

async function tryAdmit({ ledger, owner }: Wallet): Promise<string> {
  const answer = await ledger.admit(admitCall(owner.keyId, newRequest()));
  return answer.ok ? 'admitted' : answer.error.kind;
}

describe('a storage call that fails', () => {
  it('in a push leaves the copy to be stored by the next one', async () => {
    const wallet = await newWallet();
    const { owner, ledger } = wallet;
    const revoked = [keyCopy(owner, { status: 'disabled', version: 2 })];
    const push = async () => ledger.apply(revoked);
    const failed = await failing(wallet, { at: 'storage-fails', call: 1 }, push);
    expect(failed.outcome).toBe('failed');
    await push();
    expect(await tryAdmit(wallet)).toBe('unauthenticated');
    await evict(wallet);
    expect(await tryAdmit(wallet)).toBe('unauthenticated');
  });

  it('in counting for a new limit leaves no window that has counted nothing', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    await admitted(wallet);
    const limits = { requests: [{ limit: 2, spanMs: HOUR_MS }] };
    await wallet.ledger.apply([keyCopy(wallet.owner, { limits, version: 2 })]);
    const failed = await failing(wallet, { at: 'storage-fails', call: 1 }, async () =>
      tryAdmit(wallet),
    );
    expect(failed.outcome).toBe('failed');
    expect(await tryAdmit(wallet)).toBe('rate-limited');
  });

  it.each(Array.from({ length: 14 }, (_, index) => index + 1))(
    'in an alarm, number %i, leaves nothing for which no alarm comes',
    async (call) => {
      const first = await newWallet();
      const open = await admitted(first);
      await closeMany(first, 2);
      later(MINUTE_MS + 6 * SECOND_MS);
      const failed = await failing(first, { at: 'storage-fails', call }, async () =>
        runInDurableObject(first.stub, async (object, { storage }) => {
          void storage.deleteAlarm();
          await object.alarm();
        }),
      );
      // A stub whose object was reset answers nothing more.
      const wallet = walletOf(first.owner);
      // What throws is called again by the runtime.
      if (failed.outcome === 'failed') {
        await runInDurableObject(wallet.stub, async (object) => object.alarm());
      }
      await drain(wallet);
      await expectDrained(wallet);
      const batches = await runInDurableObject(wallet.stub, (_object, { storage: { sql } }) =>
        sql
          .exec(
            `SELECT (SELECT max(n) FROM batches) AS cut,
              (SELECT CAST(document AS INTEGER) FROM documents WHERE name = 'delivered') AS sent`,
          )
          .one(),
      );
      expect(batches['sent']).toBe(batches['cut']);
      const closed = await wallet.ledger.progress(progressCall(open));
      expect(closed).toEqual({ state: 'closed', closing: 'recovered' });
    },
  );
});

describe('a correction', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'is whole or not there when storage call %i of it fails, and there once it comes again',
    async (call) => {
      const wallet = await newWallet();
      const lease = await admitted(wallet);
      const estimate = { certainty: 'estimated', costNanos: nanos(40) } as const;
      await wallet.ledger.settle(settleCall(lease, estimate));
      const surer = settleCall(lease, { costNanos: nanos(90) });
      await failing(wallet, { at: 'storage-fails', call }, async () => wallet.ledger.settle(surer));
      const before = await infoOf(wallet);
      expect([40, 90]).toContain(before.usedNanos);
      await evict(wallet);
      expect(await infoOf(wallet)).toEqual(before);
      const known = { closing: 'completed', certainty: 'reported', costNanos: 90 };
      expect(await wallet.ledger.settle(surer)).toEqual(known);
      expect(await infoOf(wallet)).toMatchObject({ usedNanos: 90 });
      await evict(wallet);
      expect(await infoOf(wallet)).toMatchObject({ usedNanos: 90 });
      await drain(wallet);
      await expectDrained(wallet);
    },
  );
});

describe('a checkpoint that fails', () => {
  it('is written by the next closing, and an alarm comes for the row of this one', async () => {
    const wallet = await newWallet();
    const { owner, stub, ledger } = wallet;
    await closeMany(wallet, 499);
    await drain(wallet);
    const call = voidCall(owner.keyId, newRequest());
    const failed = await failing(wallet, { at: 'storage-fails', call: 5 }, async () =>
      ledger.settle(call),
    );
    expect(failed.outcome).toBe('failed');
    const standing = await runInDurableObject(stub, (_object, { storage }) => storage.getAlarm());
    expect(standing).not.toBeNull();
    expect(await ledger.settle(call)).toMatchObject({ closing: 'void' });
    expect(await storedRows(wallet)).toMatchObject({ requests: 500, documents: 2 });
    await closeMany(wallet, 1);
    expect(await storedRows(wallet)).toMatchObject({ requests: 501, documents: 3 });
    await drain(wallet);
    await expectDrained(wallet);
  });
});

describe('a checkpoint in several rows', () => {
  it('is found again as it was when writing it fails in the middle', async () => {
    const wallet = await newWallet();
    const { stub } = wallet;
    // Long ids stand for many keys.
    const ids = Array.from({ length: 250 }, (_, n): KeyId => `key_${'x'.repeat(1_000 + n)}`);
    await closeMany(wallet, 1);
    const close = async (keyIds: readonly KeyId[]) =>
      runInDurableObject(stub, async (object) => {
        for (const keyId of keyIds) await object.settle(voidCall(keyId, newRequest()));
      });
    await close([...ids, ...ids]);
    expect((await storedRows(wallet))['documents']).toBeGreaterThan(3);
    const before = await checkpointOf(wallet);
    await close([...ids, ...ids].slice(2).map((keyId): KeyId => `${keyId}-another`));
    // The closing that writes it: its row, its batch, the transaction, a first row, a second one.
    const [keyId = 'key_'] = ids;
    const last = async () => wallet.ledger.settle(voidCall(keyId, newRequest()));
    const failed = await failing(wallet, { at: 'storage-fails', call: 5 }, last);
    expect(failed).toEqual({ outcome: 'failed', hit: 'storage-fails exec' });
    expect(await checkpointOf(wallet)).toEqual(before);
  });
});

describe('a void that waited in the database for hours', () => {
  it('takes back what the alarm has charged meanwhile, and opens no second row', async () => {
    const wallet = await newWallet();
    const requestId = newRequest();
    await wallet.ledger.admit(admitCall(wallet.owner.keyId, requestId));
    await alarm(wallet);
    expect(await infoOf(wallet)).toMatchObject({ usedNanos: LIKELY_INPUT_NANOS });
    await closeMany(wallet, 500);
    later(3 * HOUR_MS);
    await closeMany(wallet, 1);
    const taken = await wallet.ledger.settle(voidCall(wallet.owner.keyId, requestId));
    expect(taken).toEqual({ closing: 'recovered', certainty: 'reported', costNanos: 0 });
    expect(await storedRows(wallet)).toMatchObject({ requests: 502 });
    await drain(wallet);
    await expectDrained(wallet);
  });
});
