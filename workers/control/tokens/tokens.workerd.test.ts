// API keys through their routes, with real Ledger objects behind them.

import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Somebody } from '../../../tests/workerd/control-world';
import {
  codeOf,
  newApiKey,
  newPerson,
  newServiceToken,
  read,
  withBearer,
} from '../../../tests/workerd/control-world';
import { beforeNextBatch } from '../../../tests/workerd/meanwhile';
import { parseKey } from '../../domain/keys/format';
import { sha256 } from '../../platform/digest';
import { ledgerOf } from '../../platform/objects';

interface Token {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly status: string;
  readonly limits: unknown;
}
interface Made {
  readonly token: Token;
  readonly key: string | null;
  readonly replayed?: true;
}

afterEach(() => {
  vi.restoreAllMocks();
});

async function made(who: Somebody, body: unknown = { name: 'laptop' }): Promise<Made> {
  return read<Made>(await who.call('POST', '/api/tokens', { body }), 201);
}

/** What the data plane makes of a key. */
async function opens(key: string): Promise<string> {
  const parts = parseKey(key);
  if (parts === null) throw new Error('not a key');
  const { walletId, region, keyId } = parts;
  const info = await ledgerOf(env, walletId, region).keyInfo({
    keyId,
    keyHash: await sha256(key),
  });
  if (info.ok) return 'opens';
  return info.error.kind === 'unauthenticated' ? info.error.why : info.error.kind;
}

async function auditOf(targetId: string): Promise<string[]> {
  const { results } = await env.DB.prepare(
    'SELECT action, before, after FROM audit WHERE target_id = ? ORDER BY id',
  )
    .bind(targetId)
    .all();
  return results.map((row) => JSON.stringify(row));
}

async function limit(who: Somebody, limits: unknown): Promise<void> {
  await env.DB.prepare('UPDATE users SET limits = ? WHERE id = ?')
    .bind(JSON.stringify(limits), who.userId)
    .run();
}

describe('making a key', () => {
  it('shows it once, and it opens at once', async () => {
    const who = await newPerson();
    const { token, key } = await made(who, {
      name: ' laptop ',
      tags: ['work'],
      limits: { concurrency: 3 },
      expiresAt: Date.now() + 60_000,
      whenClientLeaves: 'drain',
    });
    expect(token).toMatchObject({ name: 'laptop', tags: ['work'], limits: { concurrency: 3 } });
    expect(await opens(key ?? '')).toBe('opens');
    const shown = await read<Token>(await who.call('GET', `/api/tokens/${token.id}`));
    expect(shown).toEqual(token);
    const rows = await env.DB.prepare('SELECT * FROM keys WHERE id = ?').bind(token.id).all();
    const everything = JSON.stringify([rows.results, await auditOf(token.id)]);
    expect(everything).not.toContain((key ?? '').split('_')[4]);
    expect(await auditOf(token.id)).toHaveLength(1);
  });

  it('has one effect however often one Idempotency-Key is sent, and shows no key again', async () => {
    const who = await newPerson();
    const send = (name: string) =>
      who.call('POST', '/api/tokens', { body: { name }, headers: { 'idempotency-key': 'once' } });
    const answers = await Promise.all(Array.from({ length: 8 }, () => send('same')));
    const all = await Promise.all(answers.map((response) => read<Made>(response, 201)));
    expect(new Set(all.map(({ token }) => token.id)).size).toBe(1);
    expect(all.filter(({ key }) => key !== null)).toHaveLength(1);
    expect(all.filter(({ replayed }) => replayed === true)).toHaveLength(7);
    const other = await send('different');
    expect([other.status, await codeOf(other)]).toEqual([409, 'key-reused']);
    const list = await read<{ items: Token[] }>(await who.call('GET', '/api/tokens'));
    expect(list.items).toHaveLength(1);
  });

  it.each<[Record<string, unknown>, string]>([
    [{}, 'name'],
    [{ name: '' }, 'name'],
    [{ name: 'n', role: 'admin' }, 'role'],
    [{ name: 'n', userId: 'usr_x' }, 'userId'],
    [{ name: 'n', hash: 'h' }, 'hash'],
    [{ name: 'n', limits: { concurrency: 0 } }, 'limits'],
    [{ name: 'n', limits: { unheard: 1 } }, 'limits'],
    [{ name: 'n', expiresAt: 1 }, 'expiresAt'],
    [{ name: 'n', expiresAt: 1.5 }, 'expiresAt'],
    // No date: its holder and whoever lists it could not be shown it.
    [{ name: 'n', expiresAt: 8_640_000_000_000_001 }, 'expiresAt'],
    [{ name: 'n', tags: ['x'.repeat(65)] }, 'tags[0]'],
    [{ name: 'n', whenClientLeaves: 'ignore' }, 'whenClientLeaves'],
  ])('with %o is refused and names the field', async (body, field) => {
    const who = await newPerson();
    const response = await who.call('POST', '/api/tokens', { body });
    const error = await response.json<{ error: { code: string; fields: object } }>();
    expect([response.status, error.error.code]).toEqual([400, 'not-valid']);
    expect(Object.keys(error.error.fields)).toEqual([field]);
  });

  it.each(['{"name":"n","__proto__":{"role":"admin"}}', '[]', 'null', '{', '"name"'])(
    'with the body %s is refused',
    async (body) => {
      const who = await newPerson();
      expect((await who.call('POST', '/api/tokens', { body })).status).toBe(400);
    },
  );

  it('is bound to groups of accounts, and to no others than its user is', async () => {
    const who = await newPerson();
    const [admin, limits] = [await newPerson({ role: 'admin' }), { groups: ['team', 'night'] }];
    const bound = await admin.call('PATCH', `/admin/users/${who.userId}`, { body: { limits } });
    expect(await read(bound)).toMatchObject({ limits });
    const make = async (groups: readonly string[]) =>
      who.call('POST', '/api/tokens', { body: { name: 'n', limits: { groups } } });
    const { token } = await read<{ token: Token }>(await make(['night']), 201);
    expect(token.limits).toEqual({ groups: ['night'] });
    const path = `/api/tokens/${token.id}`;
    for (const groups of [['other'], ['night', 'other']]) {
      const made = await make(groups);
      expect([made.status, await codeOf(made)]).toEqual([403, 'beyond-own-rights']);
      const changed = await who.call('PATCH', path, { body: { limits: { groups } } });
      expect([changed.status, await codeOf(changed)]).toEqual([403, 'beyond-own-rights']);
    }
    expect(await read(await who.call('GET', path))).toMatchObject({ limits: token.limits });
    expect((await make([])).status).toBe(400);
  });

  it('never goes beyond what its user may do', async () => {
    const who = await newPerson();
    await limit(who, { concurrency: 2, budgets: [{ period: 'day', limitNanos: 5 }] });
    for (const limits of [
      { concurrency: 3 },
      { budgets: [{ period: 'day', limitNanos: 6 }] },
      { budgets: [{ period: 'day', limitNanos: 6, family: 'opus' }] },
    ]) {
      const response = await who.call('POST', '/api/tokens', { body: { name: 'n', limits } });
      expect([response.status, await codeOf(response)]).toEqual([403, 'beyond-own-rights']);
    }
    const { token } = await made(who, { name: 'n', limits: { concurrency: 2 } });
    const more = { limits: { concurrency: 9 } };
    const changed = await who.call('PATCH', `/api/tokens/${token.id}`, { body: more });
    expect(changed.status).toBe(403);
  });
});

describe('the keys of one user', () => {
  it('are at most a thousand; one more takes the place of one that was deleted', async () => {
    const who = await newPerson();
    const { token } = await made(who);
    await env.DB.prepare(
      `INSERT INTO keys SELECT 'key_' || n.value || keys.id, wallet_id, user_id, name,
        hash || n.value, previous_hash, previous_until, tag_version, status, expires_at, version,
        created_at, limits, when_client_leaves, tags
        FROM keys, json_each(?) AS n WHERE keys.id = ?`,
    )
      .bind(JSON.stringify(Array.from({ length: 998 }, (_, index) => index)), token.id)
      .run();
    const body = { name: 'one more' };
    const headers = { 'idempotency-key': 'one-more' };
    const answers = await Promise.all([
      who.call('POST', '/api/tokens', { body, headers }),
      who.call('POST', '/api/tokens', { body, headers }),
      who.call('POST', '/api/tokens', { body }),
    ]);
    expect(answers.map(({ status }) => status)).toContain(409);
    const full = await who.call('POST', '/api/tokens', { body });
    expect([full.status, await codeOf(full)]).toEqual([409, 'conflict']);
    await who.call('DELETE', `/api/tokens/${token.id}`);
    await made(who, body);
  });

  it('are none of somebody who was deleted meanwhile', async () => {
    const who = await newPerson();
    const admin = await newPerson({ role: 'admin' });
    beforeNextBatch(() => admin.call('DELETE', `/admin/users/${who.userId}`));
    const late = await who.call('POST', '/api/tokens', { body: { name: 'late' } });
    expect([late.status, await codeOf(late)]).toEqual([409, 'conflict']);
  });
});

describe('a key', () => {
  it('is changed, disabled, enabled and deleted, each at once', async () => {
    const who = await newPerson();
    const { token, key } = await made(who);
    const path = `/api/tokens/${token.id}`;
    const text = key ?? '';
    const body = { name: 'renamed', limits: { concurrency: 1 } };
    const changed = await read<Token>(await who.call('PATCH', path, { body }));
    expect(changed).toMatchObject({ name: 'renamed', limits: { concurrency: 1 } });
    await read(await who.call('POST', `${path}/disable`));
    expect(await opens(text)).toBe('revoked');
    await read(await who.call('POST', `${path}/enable`));
    expect(await opens(text)).toBe('opens');
    expect((await who.call('DELETE', path)).status).toBe(204);
    expect(await opens(text)).toBe('revoked');
    expect((await who.call('POST', `${path}/enable`)).status).toBe(404);
    const list = await read<{ items: Token[] }>(await who.call('GET', '/api/tokens'));
    expect(list.items).toEqual([]);
    const gone = await who.call('GET', '/api/tokens?status=deleted');
    expect((await read<{ items: Token[] }>(gone)).items).toHaveLength(1);
    expect(await auditOf(token.id)).toHaveLength(5);
  });

  it('has a new text after a rotation; the old one opens for its grace alone', async () => {
    const who = await newPerson();
    const first = await made(who);
    const path = `/api/tokens/${first.token.id}/rotate`;
    const second = await read<Made>(await who.call('POST', path, { body: { graceMs: 60_000 } }));
    expect(await opens(first.key ?? '')).toBe('opens');
    expect(await opens(second.key ?? '')).toBe('opens');
    const third = await read<Made>(await who.call('POST', path));
    expect(await opens(first.key ?? '')).toBe('unknown');
    expect(await opens(second.key ?? '')).toBe('unknown');
    expect(await opens(third.key ?? '')).toBe('opens');
  });

  it('is given one new text by two rotations at once', async () => {
    const who = await newPerson();
    const { token } = await made(who);
    const rotate = () => who.call('POST', `/api/tokens/${token.id}/rotate`);
    const answers = await Promise.all([rotate(), rotate(), rotate()]);
    const done = answers.filter(({ status }) => status === 200);
    for (const other of answers.filter(({ status }) => status !== 200)) {
      expect(other.status).toBe(409);
    }
    const keys = await Promise.all(done.map((response) => read<Made>(response)));
    expect(await opens(keys.at(-1)?.key ?? '')).toBe('opens');
  });

  it.each([
    ['POST', '/enable', undefined],
    ['PATCH', '', { name: 'other' }],
    ['POST', '/rotate', {}],
    ['DELETE', '', undefined],
  ])('that was deleted meanwhile does not come back by %s %s', async (method, end, body) => {
    const who = await newPerson();
    const { token, key } = await made(who);
    const path = `/api/tokens/${token.id}`;
    beforeNextBatch(() => who.call('DELETE', path));
    const late = await who.call(method, `${path}${end}`, body === undefined ? {} : { body });
    expect([method, end, late.status]).toEqual([method, end, end === '/rotate' ? 409 : 404]);
    expect((await who.call('GET', path)).status).toBe(404);
    expect(await opens(key ?? '')).not.toBe('opens');
    expect(await auditOf(token.id)).toHaveLength(2);
  });

  it('tells what it has used, also while it is disabled', async () => {
    const who = await newPerson();
    const { token } = await made(who, { name: 'n', limits: { concurrency: 4 } });
    await who.call('POST', `/api/tokens/${token.id}/disable`);
    const usage = await read(await who.call('GET', `/api/tokens/${token.id}/usage`));
    expect(usage).toMatchObject({ requests: 0, usedNanos: 0, overrunNanos: 0 });
    expect(usage).toHaveProperty('limits', [
      { scope: 'key', kind: 'concurrency', limit: 4, used: 0, remaining: 4, resetsAt: null },
    ]);
  });

  it('is 503 where its wallet’s object cannot be asked', async () => {
    const who = await newPerson();
    const { token } = await made(who);
    const get = () => ({ keyFigures: () => Promise.reject(new Error('no object')) });
    // Only what platform/objects.ts calls.
    const LEDGER = { idFromName: () => 'id', get } as unknown as Env['LEDGER'];
    const bindings = { ...env, LEDGER };
    const asked = await who.call('GET', `/api/tokens/${token.id}/usage`, { bindings });
    expect([asked.status, await codeOf(asked)]).toEqual([503, 'busy-ledger']);
  });

  it('is listed by pages, newest first, and by tag', async () => {
    const who = await newPerson();
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      const tags = name === 'c' ? ["it's % a _ tag"] : [];
      ids.unshift((await made(who, { name, tags })).token.id);
    }
    const found: string[] = [];
    let cursor = '';
    do {
      const response = await who.call('GET', `/api/tokens?limit=2${cursor}`);
      const page = await read<{ items: Token[]; next: string | null }>(response);
      found.push(...page.items.map(({ id }) => id));
      cursor = page.next === null ? '' : `&cursor=${page.next}`;
    } while (cursor !== '');
    expect(found).toEqual(ids);
    const tagged = encodeURIComponent("it's % a _ tag");
    const list = await who.call('GET', `/api/tokens?tag=${tagged}`);
    expect((await read<{ items: Token[] }>(list)).items).toMatchObject([{ name: 'c' }]);
    for (const bad of ['cursor=x', 'limit=0', 'limit=1e9', 'sort=name', 'tag=a&tag=b']) {
      expect([bad, (await who.call('GET', `/api/tokens?${bad}`)).status]).toEqual([bad, 400]);
    }
  });
});

describe('a key of another', () => {
  it('is not there for users, and there for admins and their tokens', async () => {
    const [owner, stranger, admin, viewer] = await Promise.all([
      newPerson(),
      newPerson(),
      newPerson({ role: 'admin' }),
      newPerson({ role: 'viewer' }),
    ]);
    const { token } = await made(owner);
    const calls: readonly (readonly [string, string])[] = [
      ['GET', ''],
      ['PATCH', ''],
      ['DELETE', ''],
      ['POST', '/disable'],
      ['POST', '/enable'],
      ['POST', '/rotate'],
      ['GET', '/usage'],
    ];
    for (const [method, rest] of calls) {
      const sent = method === 'PATCH' ? { body: { name: 'x' } } : {};
      const path = `/api/tokens/${token.id}${rest}`;
      for (const who of [stranger, admin]) {
        expect([path, (await who.call(method, path, sent)).status]).toEqual([path, 404]);
      }
      const below = `/admin/keys/${token.id}${rest}`;
      expect((await stranger.call(method, below, sent)).status).toBe(403);
      const seen = await viewer.call(method, below, sent);
      expect([below, seen.status]).toEqual([below, method === 'GET' ? 200 : 403]);
    }
    const service = withBearer(await newServiceToken(['write:keys']));
    for (const call of [admin.call, service]) {
      const path = `/admin/keys/${token.id}`;
      const renamed = await call('PATCH', path, { body: { name: 'by staff' } });
      expect(await read<Token>(renamed)).toMatchObject({ name: 'by staff' });
    }
    const list = await admin.call('GET', `/admin/keys?userId=${owner.userId}`);
    expect((await read<{ items: Token[] }>(list)).items).toMatchObject([{ id: token.id }]);
    const path = `/admin/users/${owner.userId}/keys`;
    const forOwner = await read<Made>(
      await service('POST', path, { body: { name: 'given' } }),
      201,
    );
    expect(forOwner.token.userId).toBe(owner.userId);
    expect(await opens(forOwner.key ?? '')).toBe('opens');
  });

  it('is found by the version of the secret that its tag was made under', async () => {
    const owner = await newPerson();
    const { keyId } = await newApiKey(owner);
    const admin = await newPerson({ role: 'admin' });
    for (const [version, found] of [
      ['1', [{ id: keyId }]],
      ['2', []],
    ] as const) {
      const path = `/admin/keys?userId=${owner.userId}&tagVersion=${version}`;
      const { items } = await read<{ items: Token[] }>(await admin.call('GET', path));
      expect(items).toMatchObject(found);
    }
  });

  it('is never opened by strange ids', async () => {
    const who = await newPerson();
    await newApiKey(who);
    for (const id of ["' OR '1'='1", '%', 'key_', '../tokens', 'key_1;DROP TABLE keys', 'null']) {
      const path = `/api/tokens/${encodeURIComponent(id)}`;
      expect([id, (await who.call('GET', path)).status]).toEqual([id, 404]);
    }
  });
});
