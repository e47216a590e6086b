// People through the admins' routes, with real Ledger objects behind them.

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
import { HOUR_MS } from '../../domain/time';
import { scheduled } from '../../jobs';
import { sha256 } from '../../platform/digest';
import { ledgerOf } from '../../platform/objects';
import { verifyPassword } from '../../platform/password';

interface User {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly role: string;
  readonly status: string;
  readonly limits: unknown;
  readonly wallet: { readonly id: string; readonly limits: unknown };
}

const admin = async (): Promise<Somebody> => newPerson({ role: 'admin' });

afterEach(() => {
  vi.restoreAllMocks();
});

async function opens(key: string): Promise<string> {
  const parts = parseKey(key);
  if (parts === null) throw new Error('not a key');
  const { walletId, region, keyId } = parts;
  const call = { keyId, keyHash: await sha256(key) };
  const info = await ledgerOf(env, walletId, region).keyInfo(call);
  if (info.ok) return 'opens';
  return 'why' in info.error ? info.error.why : info.error.kind;
}

describe('a user', () => {
  it('is made with a wallet, changed, and found by parts of name and address', async () => {
    const { call } = await admin();
    const body = {
      email: ' New.Person@Example.com ',
      name: '100%_sure',
      password: 'a password of ten',
      limits: { concurrency: 4 },
      timeZone: 'Europe/Zurich',
    };
    const { user } = await read<{ user: User }>(await call('POST', '/admin/users', { body }), 201);
    expect(user).toMatchObject({ email: 'new.person@example.com', role: 'user', status: 'active' });
    expect(user.limits).toEqual({ concurrency: 4 });
    const row = await env.DB.prepare('SELECT password FROM users WHERE id = ?')
      .bind(user.id)
      .first<{ password: string }>();
    expect(await verifyPassword('a password of ten', row?.password ?? '')).toBe(true);
    const path = `/admin/users/${user.id}`;
    const change = { name: 'Renamed', walletLimits: { concurrency: 9 }, role: 'viewer' };
    const changed = await read<User>(await call('PATCH', path, { body: change }));
    expect(changed).toMatchObject({ name: 'Renamed', role: 'viewer' });
    expect(changed.wallet.limits).toEqual({ concurrency: 9 });
    expect(await read<User>(await call('GET', path))).toEqual(changed);
    const found = async (search: string) => {
      const list = await call('GET', `/admin/users?search=${encodeURIComponent(search)}`);
      return (await read<{ items: User[] }>(list)).items.map(({ id }) => id);
    };
    expect(await found('new.person@')).toEqual([user.id]);
    expect(await found('%')).toEqual([]);
    expect(await found('new_person')).toEqual([]);
    expect(await found("' OR 1=1 --")).toEqual([]);
  });

  it('has an address of its own, and one effect a key of repetition', async () => {
    const { call } = await admin();
    const body = { email: 'twice@example.com', name: 'n' };
    const headers = { 'idempotency-key': 'people-1' };
    const sent = await Promise.all(
      Array.from({ length: 5 }, () => call('POST', '/admin/users', { body, headers })),
    );
    const made = await Promise.all(sent.map((answer) => read<{ user: User }>(answer, 201)));
    expect(new Set(made.map(({ user }) => user.id)).size).toBe(1);
    const again = await call('POST', '/admin/users', {
      body: { ...body, email: 'TWICE@example.com' },
    });
    expect([again.status, await codeOf(again)]).toEqual([409, 'address-taken']);
  });

  it.each([
    { email: 'x@example.com', name: 'n', balanceNanos: 5 },
    { email: 'x@example.com', name: 'n', id: 'usr_x' },
    { email: 'x@example.com', name: 'n', role: 'root' },
    { email: 'x@example.com', name: 'n', limits: { models: { allow: ['*'] } } },
    { email: 'x@example.com', name: 'n', password: 'short' },
    { email: 'x@example.com', name: 'n', timeZone: 'Mars/Olympus' },
    { email: 'no address', name: 'n' },
  ])('is not made of %o', async (body) => {
    const { call } = await admin();
    const before = await env.DB.prepare('SELECT count(*) AS n FROM users').first('n');
    expect((await call('POST', '/admin/users', { body })).status).toBe(400);
    expect(await env.DB.prepare('SELECT count(*) AS n FROM users').first('n')).toBe(before);
  });

  it('that is suspended is out at once, with keys and logins, and in again when let in', async () => {
    const [{ call }, somebody] = await Promise.all([admin(), newPerson()]);
    const { key } = await newApiKey(somebody);
    expect(await opens(key)).toBe('opens');
    await read(await call('POST', `/admin/users/${somebody.userId}/suspend`));
    expect(await opens(key)).toBe('user-suspended');
    expect((await somebody.call('GET', '/api/tokens')).status).toBe(401);
    await read(await call('POST', `/admin/users/${somebody.userId}/activate`));
    expect(await opens(key)).toBe('opens');
    expect((await somebody.call('GET', '/api/tokens')).status).toBe(401);
  });

  it('that is deleted is gone, and forgotten after 30 days', async () => {
    const [{ call }, somebody] = await Promise.all([admin(), newPerson()]);
    const { key } = await newApiKey(somebody);
    const path = `/admin/users/${somebody.userId}`;
    expect((await call('DELETE', path)).status).toBe(204);
    expect(await opens(key)).toBe('user-suspended');
    expect((await call('GET', path)).status).toBe(404);
    const row = async () =>
      env.DB.prepare('SELECT email, name FROM users WHERE id = ?').bind(somebody.userId).first();
    await scheduled(env, Date.now() + 29 * 24 * HOUR_MS, () => undefined);
    expect(await row()).toMatchObject({ email: somebody.email });
    await scheduled(env, Date.now() + 31 * 24 * HOUR_MS, () => undefined);
    expect(await row()).toEqual({ email: `deleted:${somebody.userId}`, name: 'Deleted' });
  });

  it.each([
    ['POST', '/activate', undefined],
    ['PATCH', '', { name: 'Back', role: 'user' }],
    ['POST', '/suspend', undefined],
    ['POST', '/password', { password: 'a password of ten' }],
  ])('that was deleted meanwhile does not come back by %s %s', async (method, end, body) => {
    const { call } = await admin();
    const { userId } = await newPerson();
    const path = `/admin/users/${userId}`;
    beforeNextBatch(() => call('DELETE', path));
    const late = await call(method, `${path}${end}`, body === undefined ? {} : { body });
    expect([late.status, await codeOf(late)]).toEqual([409, 'conflict']);
    expect((await call('GET', path)).status).toBe(404);
    const row = await env.DB.prepare('SELECT status, name FROM users WHERE id = ?')
      .bind(userId)
      .first();
    expect(row).toEqual({ status: 'deleted', name: 'N' });
  });

  it('with a new password set by an admin has no login left', async () => {
    const [{ call }, somebody] = await Promise.all([admin(), newPerson()]);
    const body = { password: 'another password' };
    const path = `/admin/users/${somebody.userId}`;
    expect((await call('POST', `${path}/password`, { body })).status).toBe(204);
    expect((await somebody.call('GET', '/api/tokens')).status).toBe(401);
    const lines = await env.DB.prepare('SELECT * FROM audit WHERE target_id = ?')
      .bind(somebody.userId)
      .all();
    expect(lines.results).toHaveLength(1);
    expect(JSON.stringify(lines.results)).not.toContain('another password');
    expect(JSON.stringify(lines.results)).not.toContain('argon2');
  });
});

describe('the last admin', () => {
  it('stays one, whoever goes at the same time', async () => {
    await env.DB.prepare("UPDATE users SET role = 'user' WHERE role = 'admin'").run();
    const [one, two] = [await admin(), await admin()];
    const answers = await Promise.all([
      one.call('DELETE', `/admin/users/${two.userId}`),
      two.call('PATCH', `/admin/users/${one.userId}`, { body: { role: 'user' } }),
      one.call('POST', `/admin/users/${one.userId}/suspend`),
    ]);
    expect(answers.some(({ status }) => status >= 400)).toBe(true);
    const left = "SELECT count(*) AS n FROM users WHERE role = 'admin' AND status = 'active'";
    expect(await env.DB.prepare(left).first('n')).toBe(1);
  });
});

describe('a service token', () => {
  it('takes over nobody who becomes an admin meanwhile', async () => {
    const { call } = await admin();
    const { userId } = await newPerson();
    const program = withBearer(await newServiceToken(['write:users']));
    const path = `/admin/users/${userId}`;
    beforeNextBatch(() => call('PATCH', path, { body: { role: 'admin' } }));
    const late = await program('POST', `${path}/password`, { body: { password: '0123456789' } });
    expect([late.status, await codeOf(late)]).toEqual([409, 'conflict']);
  });

  it('manages users, but makes nobody who sees everything, and takes over none', async () => {
    const [boss, viewer] = [await admin(), await newPerson({ role: 'viewer' })];
    const user = await newPerson();
    const service = withBearer(await newServiceToken(['write:users']));
    const body = { email: 'by-token@example.com', name: 'n' };
    await read(await service('POST', '/admin/users', { body }), 201);
    const path = `/admin/users/${boss.userId}`;
    const tries: readonly (readonly [string, string, unknown])[] = [
      ['POST', '/admin/users', { email: 'boss2@example.com', name: 'n', role: 'admin' }],
      ['POST', '/admin/users', { email: 'eyes@example.com', name: 'n', role: 'viewer' }],
      ['PATCH', `/admin/users/${user.userId}`, { role: 'viewer' }],
      ['POST', `/admin/users/${viewer.userId}/password`, { password: 'now it is mine' }],
      ['PATCH', path, { email: 'mine@example.com' }],
      ['POST', `${path}/password`, { password: 'now it is mine' }],
      ['POST', `${path}/suspend`, undefined],
      ['DELETE', path, undefined],
    ];
    for (const [method, where, sent] of tries) {
      const response = await service(method, where, sent === undefined ? {} : { body: sent });
      expect([where, response.status]).toEqual([where, 403]);
      expect(await codeOf(response)).toBe('beyond-own-rights');
    }
  });
});
