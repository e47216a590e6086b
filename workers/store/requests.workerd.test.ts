// How long a line of the request log lives.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RequestId } from '../domain/ids';
import { newId } from '../domain/ids';
import { HOUR_MS } from '../domain/time';
import { pruneRequests } from './requests';

const NOW = 1_795_000_000_000;
const DAY_MS = 24 * HOUR_MS;

beforeEach(async () => {
  await env.DB.prepare('DELETE FROM requests').run();
});

/** The id number `n` of a request that came in `agoMs` before NOW. */
function idOf(agoMs: number, n = 0): RequestId {
  const random = new Uint8Array(10);
  new DataView(random.buffer).setUint32(6, n);
  return newId('request', NOW - agoMs, random);
}

async function write(ids: readonly RequestId[]): Promise<void> {
  await env.DB.prepare(
    `INSERT INTO requests SELECT value, 1, 'wal_x', 'usr_x', 'key_x', '', NULL, NULL, 'completed',
      'reported', 200, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, '[]', '[]', NULL, NULL, NULL, NULL
      FROM json_each(?)`,
  )
    .bind(JSON.stringify(ids))
    .run();
}

async function left(): Promise<string[]> {
  const { results } = await env.DB.prepare('SELECT id FROM requests ORDER BY id').all<{
    id: string;
  }>();
  return results.map(({ id }) => id);
}

describe('the request log', () => {
  it('loses the lines of more than 30 days ago and no other', async () => {
    const old = [idOf(31 * DAY_MS), idOf(400 * DAY_MS), idOf(30 * DAY_MS + 1)];
    const young = [idOf(30 * DAY_MS), idOf(29 * DAY_MS), idOf(0), idOf(-HOUR_MS)];
    await write([...old, ...young]);
    expect(await pruneRequests(env.DB, NOW)).toBe(3);
    expect(await left()).toEqual(young);
    expect(await pruneRequests(env.DB, NOW)).toBe(0);
  });

  it('loses at most 10,000 lines at once, the oldest first', async () => {
    const young = idOf(31 * DAY_MS);
    await write([...Array.from({ length: 10_000 }, (_, n) => idOf(40 * DAY_MS, n)), young]);
    expect(await pruneRequests(env.DB, NOW)).toBe(10_000);
    expect(await left()).toEqual([young]);
    expect(await pruneRequests(env.DB, NOW)).toBe(1);
  });
});
