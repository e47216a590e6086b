// The request log's end: lines older than 30 days. Ledger objects write it (ledger-batches.ts).

import { asc, inArray, lt } from 'drizzle-orm';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import { HOUR_MS } from '../domain/time';
import { primary } from './db';
import { requests } from './schema';

const KEEP_MS = 30 * 24 * HOUR_MS;
const PAGE_ROWS = 1_000;
/** With one run a minute: 14 million lines a day. */
const PAGES_MAX = 10;

/**
 * Deletes lines of more than 30 days before `now` (Unix ms), oldest first, a bounded number.
 * Answers how many went. Throws as D1 does.
 */
export async function pruneRequests(d1: D1Database, now: number): Promise<number> {
  const db = primary(d1);
  // Ids begin with the time at which the request came in.
  const oldest = newId('request', now - KEEP_MS, new Uint8Array(ID_RANDOM_BYTES));
  let deleted = 0;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const old = db
      .select({ id: requests.id })
      .from(requests)
      .where(lt(requests.id, oldest))
      .orderBy(asc(requests.id))
      .limit(PAGE_ROWS);
    const { meta } = await db.delete(requests).where(inArray(requests.id, old));
    deleted += meta.changes;
    if (meta.changes < PAGE_ROWS) break;
  }
  return deleted;
}
