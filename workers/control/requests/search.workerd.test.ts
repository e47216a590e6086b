// The search of the log through its route, on lines written into D1.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  call,
  codeOf,
  newPerson,
  newServiceToken,
  read,
  withBearer,
} from '../../../tests/workerd/control-world';
import { admin } from '../../../tests/workerd/credit-world';
import type { LoggedRequest } from '../contract/requests';
import { ID_RANDOM_BYTES, newId } from '../../domain/ids';

const DAY = 24 * 3_600_000;

function idOf<K extends 'user' | 'key' | 'account' | 'request' | 'wallet'>(kind: K, n: number) {
  const bytes = new Uint8Array(ID_RANDOM_BYTES);
  new DataView(bytes.buffer).setUint32(6, n);
  return newId(kind, Date.UTC(2025, 2, 1), bytes);
}

beforeEach(async () => {
  await env.DB.prepare('DELETE FROM requests').run();
});

describe('the search of the log', () => {
  interface Page {
    readonly items: readonly LoggedRequest[];
    readonly next: string | null;
  }

  const NOW = Date.now();

  /** Lines a second apart, the last one now. */
  async function log(count: number): Promise<void> {
    const rows = Array.from({ length: count }, (_, n) => {
      const at = NOW - (count - 1 - n) * 1_000;
      const bytes = new Uint8Array(ID_RANDOM_BYTES);
      new DataView(bytes.buffer).setUint32(6, n);
      return [newId('request', at, bytes), at, n];
    });
    await env.DB.prepare(
      `INSERT INTO requests SELECT value ->> 0, value ->> 1, ?2, ?3 , ?4,
        CASE (value ->> 2) % 3 WHEN 0 THEN '=m' ELSE 'n' END, NULL, NULL, 'completed', 'reported',
        200 + (value ->> 2) % 2, 1, 0, 0, 0, 1, 0, value ->> 2, 1, NULL, 5, '[]', '[]',
        's' || (value ->> 2), NULL, NULL, NULL FROM json_each(?1)`,
    )
      .bind(JSON.stringify(rows), idOf('wallet', 1), idOf('user', 1), idOf('key', 1))
      .run();
  }

  async function search(query: string): Promise<Page> {
    return read<Page>(await admin.call('GET', `/admin/requests?${query}`));
  }

  it('finds the newest first within a range, in pages without gap or repeat', async () => {
    await log(25);
    expect((await search('')).items.map(({ costNanos }) => costNanos)).toEqual(
      Array.from({ length: 25 }, (_, n) => 24 - n),
    );
    const range = `from=${NOW - 9_000}&to=${NOW - 4_000}`;
    expect((await search(range)).items.map(({ costNanos }) => costNanos)).toEqual([
      19, 18, 17, 16, 15,
    ]);
    const seen: number[] = [];
    let cursor: string | null = null;
    do {
      const page: Page = await search(`limit=4${cursor === null ? '' : `&cursor=${cursor}`}`);
      seen.push(...page.items.map(({ costNanos }) => costNanos));
      cursor = page.next;
    } while (cursor !== null);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => 24 - n));
  });

  it('filters by everything that a line says', async () => {
    await log(12);
    expect((await search('model=%3Dm')).items).toHaveLength(4);
    expect((await search('model=%25')).items).toHaveLength(0);
    expect((await search('status=201')).items).toHaveLength(6);
    expect((await search('session=s7')).items).toHaveLength(1);
    expect((await search(`keyId=${idOf('key', 2)}`)).items).toHaveLength(0);
    expect((await search(`userId=${idOf('user', 1)}&closing=void`)).items).toHaveLength(0);
    expect((await search(`accountId=${idOf('account', 1)}`)).items).toHaveLength(0);
  });

  it('looks at a bounded number of lines a call, and says where it stopped', async () => {
    await log(10_050);
    const first = await search('session=s7');
    expect(first.items).toEqual([]);
    expect(first.next).not.toBeNull();
    const second = await search(`session=s7&cursor=${first.next}`);
    expect(second.items).toHaveLength(1);
    expect(second.next).toBeNull();
    const file = await admin.call('GET', '/admin/requests?session=s7&format=csv');
    expect((await file.text()).split('\r\n')).toHaveLength(3);
    expect(file.headers.get('x-next-cursor')).toBeNull();
    const long = await admin.call('GET', '/admin/requests?format=csv');
    expect((await long.text()).split('\r\n')).toHaveLength(10_002);
    expect(long.headers.get('x-next-cursor')).toMatch(/^req_/);
  });

  it('writes no formula into a file', async () => {
    await log(1);
    const file = await admin.call('GET', '/admin/requests?format=csv');
    expect(await file.text()).toContain(",'=m,");
  });

  it.each([
    'from=5&to=5',
    `from=${NOW - 40 * DAY}`,
    'cursor=x',
    'status=1',
    'order=cost',
    'model=',
  ])('refuses to answer %s', async (query) => {
    const answer = await admin.call('GET', `/admin/requests?${query}`);
    expect([answer.status, await codeOf(answer)]).toEqual([400, 'not-valid']);
  });

  it('is for staff and for tokens with the scope', async () => {
    const [user, viewer] = [await newPerson(), await newPerson({ role: 'viewer' })];
    const token = withBearer(await newServiceToken(['read:requests']));
    const other = withBearer(await newServiceToken(['read:usage']));
    expect((await call('GET', '/admin/requests')).status).toBe(401);
    expect((await user.call('GET', '/admin/requests')).status).toBe(403);
    expect((await viewer.call('GET', '/admin/requests')).status).toBe(200);
    expect((await token('GET', '/admin/requests')).status).toBe(200);
    expect((await other('GET', '/admin/requests')).status).toBe(403);
    const id = idOf('request', 1);
    expect((await user.call('GET', `/admin/requests/${id}`)).status).toBe(403);
    const body = { userId: idOf('user', 1) };
    expect((await token('POST', `/admin/requests/${id}/stop`, { body })).status).toBe(403);
  });
});
