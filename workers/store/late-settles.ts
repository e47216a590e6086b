// Closings that could not reach their Ledger object in time: written by the relay's `waitUntil`,
// replayed by the cron. The relay imports this file alone of the folder, so it stays free of
// drizzle; the schema test holds it to the table.

import type { RequestId, WalletId } from '../domain/ids';
import type { SettleCall } from '../domain/ledger/calls';
import type { Region } from '../domain/region';
import { isRegion } from '../domain/region';
import { ledgerOf } from '../platform/objects';

const PAGE_ROWS = 100;
/** Rows that cannot be replayed must not keep the newer ones waiting. */
const PAGES_MAX = 5;

export interface LateSettle {
  readonly walletId: WalletId;
  readonly region: Region;
  readonly call: SettleCall;
  /** Unix ms. */
  readonly now: number;
}

/** Keeps the closing until it is replayed; the one written last stays. Throws as D1 does. */
export async function writeLateSettle(d1: D1Database, late: LateSettle): Promise<void> {
  const { walletId, region, call, now } = late;
  await d1
    .prepare(
      'INSERT INTO late_settles (request_id, wallet_id, region, payload, created_at) ' +
        'VALUES (?, ?, ?, ?, ?) ON CONFLICT (request_id) DO UPDATE SET payload = excluded.payload',
    )
    .bind(call.requestId, walletId, region, JSON.stringify(call), now)
    .run();
}

export interface Replay {
  readonly replayed: number;
  /** What stays for the next time, and why. */
  readonly failures: readonly { readonly id: string; readonly error: unknown }[];
}

/** Settles what waits, oldest request first, a bounded number of pages. Throws as D1 does. */
export async function replayLateSettles(env: Env): Promise<Replay> {
  const failures: { id: string; error: unknown }[] = [];
  let replayed = 0;
  let last = '';
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const rows = await pageAfter(env.DB, last);
    for (const row of rows) {
      try {
        await replay(env, row);
        replayed += 1;
      } catch (error) {
        failures.push({ id: row.request_id, error });
      }
    }
    if (rows.length < PAGE_ROWS) break;
    last = rows.at(-1)?.request_id ?? last;
  }
  return { replayed, failures };
}

interface LateSettleRecord {
  readonly request_id: RequestId;
  readonly wallet_id: WalletId;
  readonly region: string;
  readonly payload: string;
}

async function pageAfter(d1: D1Database, requestId: string): Promise<LateSettleRecord[]> {
  const { results } = await d1
    .withSession('first-primary')
    .prepare(
      'SELECT request_id, wallet_id, region, payload FROM late_settles ' +
        'WHERE request_id > ? ORDER BY request_id LIMIT ?',
    )
    .bind(requestId, PAGE_ROWS)
    .all<LateSettleRecord>();
  return results;
}

async function replay(env: Env, row: LateSettleRecord): Promise<void> {
  if (!isRegion(row.region)) throw new Error(`not a region: ${row.region}`);
  // Written by writeLateSettle alone.
  const call = JSON.parse(row.payload) as SettleCall;
  await ledgerOf(env, row.wallet_id, row.region).settle(call);
  // A closing that was written anew meanwhile stays for the next time.
  await env.DB.prepare('DELETE FROM late_settles WHERE request_id = ? AND payload = ?')
    .bind(row.request_id, row.payload)
    .run();
}
