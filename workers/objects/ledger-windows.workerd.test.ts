// New windows at a Ledger object with a day of many rows behind it: what they read, how often, and
// what they then know. What windows count is in domain/ledger/counting.test.ts.

import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { keyCopy, MODEL, NOW, settleCall, userCopy, walletCopy } from '../../tests/support/ledger';
import { useFakeDate } from '../../tests/workerd/fake-date';
import type { Wallet } from '../../tests/workerd/wallet-object';
import { admitted, evict, infoOf, newWallet } from '../../tests/workerd/wallet-object';
import { checkpointOf, emptyState } from '../domain/ledger/state';
import type { LimitSet } from '../domain/limits/limit-set';
import { nanos } from '../domain/money';
import { HOUR_MS } from '../domain/time';
import { NO_TOKENS } from '../domain/usage/tokens';
import { LedgerStorage } from './ledger-storage';

useFakeDate();

const ROWS = 50_000;
const DAY_MS = 24 * HOUR_MS;
/** Rows that an admit reads besides: a page too many, the last ones at waking. */
const OTHER_ROWS = 3_000;
const DAILY: LimitSet = {
  requests: [{ limit: 1_000_000, spanMs: DAY_MS }],
  tokens: [{ limit: 1_000_000_000, spanMs: DAY_MS }],
  cost: [{ limit: 1_000_000_000_000, spanMs: DAY_MS }],
};

/** A wallet with `ROWS` closed rows of the last 23 hours, of 700 tokens and 9 nanos each. */
async function busyWallet(): Promise<Wallet> {
  const wallet = await newWallet();
  const counts = { ...NO_TOKENS, input: 600, output: 100 };
  const terms = { speed: null, geo: null, tier: null };
  const usage = { entries: [{ model: MODEL, counts, terms }], flags: [] };
  const lease = await admitted(wallet);
  await wallet.ledger.settle(settleCall(lease, { usage, costNanos: nanos(9) }));
  await runInDurableObject(wallet.stub, (_object, { storage: { sql } }) => {
    const stepMs = Math.floor((23 * HOUR_MS) / ROWS);
    sql.exec('UPDATE requests SET admitted_at = ?', NOW - ROWS * stepMs);
    sql.exec(
      `INSERT INTO requests (seq, id, key_id, admitted_at, lease_until, opened, closing, certainty,
          cost_nanos, closed_at, known_certainty, known_nanos, closed)
        WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
        SELECT n, 'req_' || n, key_id, admitted_at + n * ?, lease_until, opened, closing, certainty,
          cost_nanos, closed_at - 3600000, known_certainty, known_nanos, closed
        FROM requests, numbers WHERE seq = 1`,
      ROWS,
      stepMs,
    );
    const state = { ...emptyState(), lastSeq: ROWS, lastEntry: 1, lastSeenAt: NOW };
    const balanceNanos = nanos(10_000_000_000_000);
    new LedgerStorage(sql).keepCheckpoint(checkpointOf({ ...state, balanceNanos }));
  });
  await evict(wallet);
  return wallet;
}

async function rowsReadBy(wallet: Wallet, action: () => Promise<unknown>): Promise<number> {
  const read = async () => runInDurableObject(wallet.stub, (object) => object.counters().rowsRead);
  const before = await read();
  await action();
  return (await read()) - before;
}

describe('new windows of a day with 50,000 rows', () => {
  it('read them once for key, user and wallet, and never again', async () => {
    const wallet = await busyWallet();
    const { owner, ledger } = wallet;
    const changed = { limits: DAILY, version: 2 };
    await ledger.apply([
      keyCopy(owner, changed),
      userCopy(owner, changed),
      walletCopy(owner, changed),
    ]);
    const first = await rowsReadBy(wallet, async () => admitted(wallet));
    expect(first).toBeGreaterThanOrEqual(ROWS);
    expect(first).toBeLessThan(ROWS + OTHER_ROWS);
    const standings = (await infoOf(wallet)).limits ?? [];
    expect(standings.map(({ kind, used }) => [kind, used])).toEqual(
      Array.from({ length: 3 }, () => [
        ['requests', ROWS + 1],
        ['tokens', ROWS * 700],
        ['cost', ROWS * 9],
      ]).flat(),
    );

    expect(await rowsReadBy(wallet, async () => admitted(wallet))).toBeLessThan(10);
    for (let count = 0; count < 500; count += 1)
      await ledger.settle(settleCall(await admitted(wallet)));
    await evict(wallet);
    const woken = await rowsReadBy(wallet, async () => admitted(wallet));
    expect(woken).toBeLessThan(OTHER_ROWS);
    const [requests] = (await infoOf(wallet)).limits ?? [];
    expect(requests).toMatchObject({ kind: 'requests', used: ROWS + 503 });
  });
});
