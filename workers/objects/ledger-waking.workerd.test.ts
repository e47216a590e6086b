// What waking costs a wallet with a million requests behind it.

import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { HASH, idOf, keyCopy, NOW, settleCall } from '../../tests/support/ledger';
import { useFakeDate } from '../../tests/workerd/fake-date';
import { closeMany } from '../../tests/workerd/flushing';
import type { Wallet } from '../../tests/workerd/wallet-object';
import { admitted, evict, infoOf, newWallet } from '../../tests/workerd/wallet-object';
import type { Checkpoint } from '../domain/ledger/state';
import { nanos } from '../domain/money';
import { HOUR_MS } from '../domain/time';
import { LedgerStorage } from './ledger-storage';

const PAST_ROWS = 1_000_000;
const ROWS_READ_MAX = 1_000;
const COST_NANOS = 7;
const PAST_NANOS = PAST_ROWS * COST_NANOS;
/** Rows of this minute, which waking looks at for their ids; all others are 100 days old. */
const YOUNG_ROWS = 600;
const OLD_MS = 100 * 24 * HOUR_MS;

useFakeDate();

describe('waking a wallet with a million requests behind it', () => {
  it('reads at most 1,000 rows, however much is open and however long its tail is', async () => {
    const wallet = await newWallet();
    const open = [await admitted(wallet), await admitted(wallet), await admitted(wallet)];
    await closeMany(wallet, 500);
    const before = await infoOf(wallet);
    await addPast(wallet);
    expect(await infoOf(wallet)).toEqual({
      ...before,
      requests: before.requests + PAST_ROWS,
      usedNanos: before.usedNanos + PAST_NANOS,
      balanceNanos: before.balanceNanos - PAST_NANOS,
      availableNanos: Number(before.availableNanos) - PAST_NANOS,
    });
    await closeMany(wallet, 499);
    const full = await infoOf(wallet);
    await evict(wallet);
    expect(await rowsRead(wallet)).toBeLessThanOrEqual(ROWS_READ_MAX);
    expect(await infoOf(wallet)).toEqual(full);
    for (const lease of open) {
      const settled = await wallet.ledger.settle(settleCall(lease, { costNanos: nanos(5) }));
      expect(settled).toEqual({ closing: 'completed', certainty: 'reported', costNanos: 5 });
    }
    await evict(wallet);
    expect(await infoOf(wallet)).toMatchObject({ openRequests: 0, heldNanos: 0 });
    expect(await rowsRead(wallet)).toBeLessThanOrEqual(ROWS_READ_MAX);
  });

  it('reads at most 1,000 rows while old ones are deleted behind the checkpoint', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 500);
    await addPast(wallet);
    for (let alarms = 1; alarms <= 3; alarms += 1) {
      await alarmOf(wallet);
      const left = await runInDurableObject(wallet.stub, (_object, { storage: { sql } }) =>
        sql.exec<{ n: number }>('SELECT count(*) AS n FROM requests').one(),
      );
      expect(left.n).toBe(500 + PAST_ROWS - alarms * 1_000);
      const info = await infoOf(wallet);
      await evict(wallet);
      expect(await rowsRead(wallet)).toBeLessThanOrEqual(ROWS_READ_MAX);
      expect(await infoOf(wallet)).toEqual(info);
    }
  });

  it('reads no copies of keys that are not used', async () => {
    const wallet = await newWallet();
    const { owner, ledger } = wallet;
    const others = Array.from({ length: 600 }, (_, n) => idOf('key', 900_000 + n));
    await ledger.apply(others.map((id) => keyCopy(owner, { id })));
    await evict(wallet);
    expect(await rowsRead(wallet)).toBeLessThan(20);
    const [used = owner.keyId] = others;
    expect((await ledger.keyInfo({ keyId: used, keyHash: HASH })).ok).toBe(true);
    expect(await rowsRead(wallet)).toBeLessThan(25);
  });
});

async function alarmOf({ stub }: Wallet): Promise<void> {
  await runInDurableObject(stub, async (object) => object.alarm());
}

/** By the object since it woke; wakes it. */
async function rowsRead({ stub }: Wallet): Promise<number> {
  return runInDurableObject(stub, (object) => object.counters().rowsRead);
}

/** As if so many requests more had been closed before the checkpoint, and D1 had them all. */
async function addPast(wallet: Wallet): Promise<void> {
  const { stub, owner } = wallet;
  // All that there is goes into a batch; what runs goes on, since no time passes.
  await alarmOf(wallet);
  await runInDurableObject(stub, (_object, { storage }) => {
    const stored = new LedgerStorage(storage.sql);
    const checkpoint = stored.checkpoint();
    if (checkpoint === null) throw new Error('there is no checkpoint yet');
    const { seq } = checkpoint;
    // The first of them are older than what was there: rows stand in the order of their numbers.
    storage.sql.exec(
      `WITH RECURSIVE past (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM past WHERE n < ?1)
       INSERT INTO requests (seq, id, key_id, admitted_at, lease_until, closing, certainty,
         cost_nanos, closed_at, known_certainty, known_nanos)
       SELECT ?2 + n, 'req_' || n, ?3, at, at, 'completed', 'reported', ?4, at, 'reported', ?4
       FROM (SELECT n, CASE WHEN n > ?1 - ?5 THEN ?6 ELSE ?6 - ?7 END AS at FROM past)`,
      PAST_ROWS,
      seq,
      owner.keyId,
      COST_NANOS,
      YOUNG_ROWS,
      NOW,
      OLD_MS,
    );
    // The first 500 are as old.
    storage.sql.exec(
      'UPDATE requests SET closed_at = ? WHERE seq <= 500 AND closed_at > 0',
      NOW - OLD_MS,
    );
    stored.keepCheckpoint(withPast(checkpoint));
    storage.sql.exec(
      `UPDATE batches SET document = json_set(document, '$.mark.seq', ?1, '$.seqs', json_array(?1))`,
      seq + PAST_ROWS,
    );
  });
  await evict(wallet);
}

/** The checkpoint that the fold over all of them would have come to. */
function withPast(checkpoint: Checkpoint): Checkpoint {
  const { book, keys } = checkpoint;
  const sums = (book?.sums ?? []).map(([name, list]) => {
    const [, period, family] = name.split('|');
    const cost = period === 'total' ? PAST_NANOS : YOUNG_ROWS * COST_NANOS;
    const more = family === '' ? cost : 0;
    return [
      name,
      list.map(([from, to, spent]) => [from, to, nanos(spent + more)] as const),
    ] as const;
  });
  return {
    ...checkpoint,
    seq: checkpoint.seq + PAST_ROWS,
    balanceNanos: nanos(checkpoint.balanceNanos - PAST_NANOS),
    keys: keys.map(([id, totals]) => [
      id,
      {
        ...totals,
        usedNanos: nanos(totals.usedNanos + PAST_NANOS),
        requests: totals.requests + PAST_ROWS,
      },
    ]),
    ...(book === undefined ? {} : { book: { ...book, sums } }),
  };
}
