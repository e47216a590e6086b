// The one door of the control plane, through a route of each kind of access.

import { env } from 'cloudflare:workers';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  call,
  codeOf,
  newApiKey,
  newPerson,
  newServiceToken,
  SESSION_SECRETS,
  withBearer,
} from '../../tests/workerd/control-world';
import { admitCall } from './guard';
import type { Access, Scope } from './contract/endpoint';
import { PERSON, PERSON_WRITES, reads, writes } from './contract/endpoint';
import type { Call } from './visit';
import { configOf } from '../platform/env';
import { hmacSha256 } from '../platform/digest';
import { newId } from '../domain/ids';

function callWith(headers: Readonly<Record<string, string>>, bindings: Env = env): Call {
  const config = configOf(bindings);
  if (!config.ok) throw new Error('bad environment');
  const request = new Request('https://relay.example/x', { headers });
  const requestId = newId('request', 0, new Uint8Array(10));
  const ctx = { waitUntil: () => undefined };
  const known = { request, url: new URL(request.url), env: bindings, config: config.value };
  return { ...known, ctx, requestId, address: '', now: Date.now() };
}

async function tried(
  access: Access,
  headers: Readonly<Record<string, string>>,
  bindings?: Env,
): Promise<string> {
  const known = await admitCall(callWith(headers, bindings), access);
  if (known.ok) return known.value?.kind ?? 'nobody';
  return 'code' in known.error ? known.error.code : known.error.kind;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('who may call', () => {
  it('is decided by role, by what is written, and by the row as it now is', async () => {
    const [user, viewer, admin] = await Promise.all([
      newPerson(),
      newPerson({ role: 'viewer' }),
      newPerson({ role: 'admin' }),
    ]);
    const table: readonly (readonly [Access, string, string, string])[] = [
      [PERSON, 'person', 'person', 'person'],
      [PERSON_WRITES, 'person', 'role-too-low', 'person'],
      [reads('users'), 'role-too-low', 'person', 'person'],
      [writes('users'), 'role-too-low', 'role-too-low', 'person'],
      [{ by: 'admin' }, 'role-too-low', 'role-too-low', 'person'],
    ];
    for (const [access, ...expected] of table) {
      const found = [user, viewer, admin].map(({ token }) => tried(access, bearer(token)));
      expect(await Promise.all(found)).toEqual(expected);
    }
    await env.DB.prepare("UPDATE users SET role = 'user' WHERE id = ?").bind(admin.userId).run();
    expect(await tried(reads('users'), bearer(admin.token))).toBe('role-too-low');
    await env.DB.prepare("UPDATE users SET status = 'suspended' WHERE id = ?")
      .bind(user.userId)
      .run();
    expect(await tried(PERSON, bearer(user.token))).toBe('session-ended');
    await env.DB.prepare('UPDATE sessions SET ended_at = 1 WHERE id = ?')
      .bind(viewer.sessionId)
      .run();
    expect(await tried(PERSON, bearer(viewer.token))).toBe('session-ended');
  });

  it('takes the cookie as well, once', async () => {
    const { token } = await newPerson();
    expect(await tried(PERSON, { cookie: `a=b; __Host-access=${token}` })).toBe('person');
    const twice = `__Host-access=${token}; __Host-access=${token}`;
    expect(await tried(PERSON, { cookie: twice })).toBe('sign-in-needed');
  });

  it('opens for no API key, no setup secret and no garbage', async () => {
    const somebody = await newPerson();
    const { key } = await newApiKey(somebody);
    for (const text of [
      key,
      'test-setup-secret-of-length',
      'svc_',
      'svc_x_y',
      '{}',
      "' OR 1=1--",
    ]) {
      expect(['sign-in-needed', 'token-not-valid']).toContain(await tried(PERSON, bearer(text)));
    }
    expect(await tried(PERSON, {})).toBe('sign-in-needed');
    expect(await tried(PERSON, { 'x-api-key': key })).toBe('sign-in-needed');
  });

  it('lets a service token do what its scopes say, and nothing of a person’s', async () => {
    const token = async (scopes: readonly Scope[]) => bearer(await newServiceToken(scopes));
    expect(await tried(reads('users'), await token(['read:users']))).toBe('service');
    expect(await tried(writes('users'), await token(['read:users']))).toBe('scope-missing');
    expect(await tried(reads('users'), await token(['write:users']))).toBe('service');
    expect(await tried(reads('keys'), await token(['write:users']))).toBe('scope-missing');
    expect(await tried(PERSON, await token(['write:users']))).toBe('role-too-low');
    expect(await tried({ by: 'admin' }, await token(['write:users']))).toBe('role-too-low');
  });

  it('opens nothing where no secret is set, and says so', async () => {
    const { token } = await newPerson();
    // As in an installation whose secrets were never set.
    const bare = { ...env, SESSION_SECRETS: '', METRICS_TOKEN: '' };
    expect(await tried(PERSON, bearer(token), bare)).toBe('not-configured');
    expect(await tried({ by: 'secret', secret: 'metrics' }, bearer(''), bare)).toBe(
      'not-configured',
    );
  });

  it.each([
    ['throws', async () => Promise.reject(new Error('down'))],
    ['answers {}', async () => [{}]],
    ['answers null', async () => [{ results: null }]],
  ])('stays shut when the database %s', async (_, batch) => {
    const { token } = await newPerson();
    const statement = { bind: () => statement, all: batch, raw: batch, first: batch, run: batch };
    const DB = { withSession: () => ({ prepare: () => statement, batch }) };
    // Only what drizzle calls.
    const broken = { ...env, DB } as unknown as Env;
    expect(['busy', 'session-ended']).toContain(await tried(PERSON, bearer(token), broken));
  });
});

describe('a token', () => {
  const now = () => Math.floor(Date.now() / 1_000);
  const secret = async () => hmacSha256(SESSION_SECRETS[1], 'access token');
  const built = (claims: Record<string, unknown>, user: string) =>
    new SignJWT({ role: 'admin', ...claims })
      .setIssuer('cloud-relay')
      .setAudience('control')
      .setSubject(user);

  it('with another algorithm, type, audience, key or without an end is nobody’s', async () => {
    const { userId, sessionId: sid } = await newPerson({ role: 'admin' });
    const header = { alg: 'HS256', typ: 'at+jwt', kid: '1' };
    const end = now() + 60;
    const base = () => built({ sid }, userId);
    const key = await secret();
    const good = await base().setProtectedHeader(header).setExpirationTime(end).sign(key);
    expect(await tried(PERSON, bearer(good))).toBe('person');
    const [head = '', body = '', tag = ''] = good.split('.');
    const forged = [
      new UnsecuredJWT({ sid, role: 'admin', sub: userId }).setExpirationTime(end).encode(),
      await base().setProtectedHeader(header).sign(key),
      await base()
        .setProtectedHeader({ ...header, typ: 'JWT' })
        .setExpirationTime(end)
        .sign(key),
      await base()
        .setProtectedHeader({ ...header, kid: '2' })
        .setExpirationTime(end)
        .sign(key),
      await base()
        .setProtectedHeader({ ...header, kid: '__proto__' })
        .setExpirationTime(end)
        .sign(key),
      await base()
        .setProtectedHeader({ ...header, alg: 'HS512' })
        .setExpirationTime(end)
        .sign(new Uint8Array(64)),
      await base().setProtectedHeader(header).setExpirationTime(end).setAudience('relay').sign(key),
      await base().setProtectedHeader(header).setExpirationTime(1).sign(key),
      await base().setProtectedHeader(header).setExpirationTime(end).sign(new Uint8Array(32)),
      `${head}.${btoa('{"sub":"x"}')}.${tag}`,
      `${head}.${body}.`,
    ];
    for (const token of forged) expect(await tried(PERSON, bearer(token))).toBe('sign-in-needed');
    const stolen = await newPerson();
    const swapped = await built({ sid: stolen.sessionId }, userId)
      .setProtectedHeader(header)
      .setExpirationTime(end)
      .sign(key);
    expect(await tried(PERSON, bearer(swapped))).toBe('session-ended');
  });
});

describe('a call that changes something', () => {
  it.each([
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://relay.example' }, 403],
    [{ origin: 'https://relay.example.evil.example' }, 403],
    [{ cookie: 'a=b' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ origin: 'https://relay.example' }, 401],
    [{}, 401],
  ])('with %o is answered %i', async (headers, status) => {
    const body = { setupId: 'setup-origin' };
    const response = await call('POST', '/admin/setup/confirm', { body, headers });
    expect([response.status, await codeOf(response)]).toEqual([
      status,
      status === 403 ? 'origin-not-allowed' : 'setup-secret-wrong',
    ]);
  });
});

describe('a path that nobody has', () => {
  it('is 404 below every prefix of this plane, with a request id and its headers', async () => {
    const calls = withBearer('x');
    for (const prefix of ['/admin', '/api/auth', '/api/tokens', '/api/credits', '/api/relay']) {
      const response = await calls('GET', `${prefix}/no/such/path`);
      expect([prefix, response.status]).toEqual([prefix, 404]);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('x-relay-request-id')).toMatch(/^req_/);
    }
  });
});
