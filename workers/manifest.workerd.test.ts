import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { newApiKey, newPerson, newServiceToken, newSession } from '../tests/workerd/control-world';
import type { Somebody } from '../tests/workerd/control-world';
import { charged, withCredit } from '../tests/workerd/credit-world';
import { bearer, callApp, ENDPOINTS, filled, refusalOf } from '../tests/workerd/every-route';
import { app } from './app';
import type { Access, Area, Role, Scope } from './control/contract/endpoint';
import { AREAS } from './control/contract/endpoint';
import { ROUTES as DATA_ROUTES } from './relay/routes';

/** Whoever may stand at a door. */
const CALLERS = [
  'nobody',
  'an API key',
  'a disabled API key',
  'a user',
  'a viewer',
  'an admin',
  'a login that was logged out',
  'a suspended user',
  'a login from before a new password',
  'a token without the scope',
  'a token with the scope',
] as const;
type Caller = (typeof CALLERS)[number];

/**
 * What the door says to each, by the route's access alone. Written out once more on purpose:
 * guard.ts must not be able to agree with itself.
 */
function expected(access: Access, caller: Caller): string {
  if (access.by === 'anyone') return 'in';
  if (access.by === 'secret') {
    return access.secret === 'setup' ? 'setup-secret-wrong' : 'token-not-valid';
  }
  const writes = access.by !== 'admin' && access.writes;
  switch (caller) {
    case 'nobody':
    case 'an API key':
    case 'a disabled API key':
      return 'sign-in-needed';
    case 'a login that was logged out':
    case 'a suspended user':
    case 'a login from before a new password':
      return 'session-ended';
    case 'a user':
      return access.by === 'person' ? 'in' : 'role-too-low';
    case 'a viewer':
      return access.by === 'admin' || writes ? 'role-too-low' : 'in';
    case 'an admin':
      return 'in';
    case 'a token without the scope':
      return access.by === 'staff' ? 'scope-missing' : 'role-too-low';
    case 'a token with the scope':
      return access.by === 'staff' ? 'in' : 'role-too-low';
  }
}

/** What only the door says; everything else comes from behind it. */
const DOOR = [
  'sign-in-needed',
  'session-ended',
  'role-too-low',
  'scope-missing',
  'token-not-valid',
  'setup-secret-wrong',
  'not-configured',
];
/** Behind an open door: these judge a login or a password of their own. */
const JUDGES_ITSELF = ['auth.refresh', 'auth.logout', 'auth.login', 'auth.register'];

const people = {
  user: await newPerson(),
  viewer: await newPerson({ role: 'viewer' }),
  admin: await newPerson({ role: 'admin' }),
  suspended: await newPerson(),
};
await env.DB.prepare("UPDATE users SET status = 'suspended' WHERE id = ?")
  .bind(people.suspended.userId)
  .run();
const keys = { good: await newApiKey(people.user), disabled: await newApiKey(people.user) };
await env.DB.prepare("UPDATE keys SET status = 'disabled' WHERE id = ?")
  .bind(keys.disabled.keyId)
  .run();
/** Another one in the end: the last admin would not go. */
await newPerson({ role: 'admin' });

/** A login of its own for each call: some routes end it. */
async function loginOf({ userId }: Somebody, role: Role, endedBy?: string): Promise<string> {
  const { sessionId, token } = await newSession(userId, role);
  if (endedBy !== undefined) {
    await env.DB.prepare('UPDATE sessions SET ended_at = ?, ended_by = ? WHERE id = ?')
      .bind(Date.now(), endedBy, sessionId)
      .run();
  }
  return token;
}

async function tokenOf(caller: Caller, access: Access): Promise<string | null> {
  switch (caller) {
    case 'nobody':
      return null;
    case 'an API key':
      return keys.good.key;
    case 'a disabled API key':
      return keys.disabled.key;
    case 'a user':
      return loginOf(people.user, 'user');
    case 'a viewer':
      return loginOf(people.viewer, 'viewer');
    case 'an admin':
      return loginOf(people.admin, 'admin');
    case 'a login that was logged out':
      return loginOf(people.admin, 'admin', 'logout');
    case 'a suspended user':
      return loginOf(people.suspended, 'admin');
    case 'a login from before a new password':
      return loginOf(people.admin, 'admin', 'password');
    case 'a token without the scope':
      return newServiceToken(scopesBut(access));
    case 'a token with the scope':
      return newServiceToken([scopeOf(access) ?? 'write:users']);
  }
}

function scopeOf(access: Access): Scope | null {
  return access.by === 'staff' ? `${access.writes ? 'write' : 'read'}:${access.area}` : null;
}

/** Every scope but those that open it; for what is written that leaves reading it. */
function scopesBut(access: Access): Scope[] {
  const all = AREAS.flatMap((area: Area): Scope[] => [`read:${area}`, `write:${area}`]);
  if (access.by !== 'staff') return all;
  const opening: Scope[] = [`write:${access.area}`];
  if (!access.writes) opening.push(`read:${access.area}`);
  return all.filter((scope) => !opening.includes(scope));
}

describe('the control plane', () => {
  it(`says the right thing at ${ENDPOINTS.length} routes to ${CALLERS.length} callers`, async () => {
    const wrong: string[] = [];
    for (const { name, method, path, access } of ENDPOINTS) {
      for (const caller of CALLERS) {
        const token = await tokenOf(caller, access);
        // What nobody takes is refused behind the door, and nothing is done.
        const address = `${filled(path, 'nothing')}?not-known=1`;
        const response = await callApp(method, address, {
          headers: token === null ? {} : bearer(token),
          ...(method === 'GET' ? {} : { body: { notKnown: 1 } }),
        });
        const code = await refusalOf(response);
        const isOwn = JUDGES_ITSELF.includes(name);
        const said = DOOR.includes(code) && !(isOwn && code === 'session-ended') ? code : 'in';
        const wanted = expected(access, caller);
        if (said !== wanted) wrong.push(`${name} to ${caller}: ${said}, not ${wanted}`);
        if (response.status >= 500) wrong.push(`${name} to ${caller}: ${response.status}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(ENDPOINTS.length).toBeGreaterThan(70);
  }, 120_000);

  it('has no route that is not in its table', () => {
    const listed = ENDPOINTS.map(({ method, path }) => `${method} ${path}`);
    const mounted = app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    // A browser that asks for a page there is sent to the dashboard; nothing is read or told.
    const pages = ['GET /admin', 'GET /admin/*'];
    expect(new Set(mounted)).toEqual(new Set([...listed, ...pages]));
    expect(new Set(listed).size).toBe(listed.length);
  });

  it('opens to anybody only what is named here, and to others what their prefix says', () => {
    const open = ENDPOINTS.filter(({ access }) => access.by === 'anyone').map(({ name }) => name);
    expect(open.toSorted()).toEqual([
      'auth.login',
      'auth.logout',
      'auth.refresh',
      'auth.register',
      'docs.page',
      'docs.schema',
      'relay.health',
    ]);
    for (const { name, path, access } of ENDPOINTS) {
      const allowed = path.startsWith('/admin') ? ['staff', 'admin', 'secret'] : ['person'];
      if (path === '/metrics') expect(access.by).toBe('secret');
      else if (access.by !== 'anyone')
        expect([name, allowed]).toEqual([name, expect.arrayContaining([access.by])]);
    }
  });

  it('calls reading what reads, and writing what writes', () => {
    // These look something up with a body, or end or change what is one's own login.
    const excepted = /^(admin\.prices\.preview|auth\..+)$/;
    for (const { name, method, access } of ENDPOINTS) {
      if (!('writes' in access) || excepted.test(name)) continue;
      expect([name, access.writes]).toEqual([name, method !== 'GET']);
    }
  });
});

describe('what belongs to somebody else', () => {
  /** What stands in the address of a person's route, by its beginning; a route without is found. */
  const OWNED: readonly (readonly [RegExp, (owner: Somebody) => Promise<string>])[] = [
    [/^\/api\/tokens\/\{id\}/, async (owner) => (await newApiKey(owner)).keyId],
    [/^\/api\/auth\/sessions\/\{id\}$/, async ({ sessionId }) => sessionId],
    [/^\/api\/relay\/requests\/\{id\}/, (owner) => charged(owner, 1_000)],
  ];

  const personal = ENDPOINTS.filter(
    ({ path, access }) => access.by === 'person' && path.includes('{'),
  );

  it.each(personal.map(({ name, method, path }) => ({ name, method, path })))(
    'is 404 at $name, and stays as it was',
    async ({ method, path }) => {
      const make = OWNED.find(([form]) => form.test(path))?.[1];
      expect(make).toBeDefined();
      const owner = await withCredit();
      const id = (await make?.(owner)) ?? '';
      const thief = await newPerson();
      const body = method === 'GET' || method === 'DELETE' ? {} : { body: {} };
      const response = await callApp(method, filled(path, id), {
        headers: bearer(thief.token),
        ...body,
      });
      expect([response.status, await refusalOf(response)]).toEqual([404, 'not-found']);
      // The owner finds it: the 404 was about who asked.
      const login = await loginOf(owner, 'user');
      const own = await callApp(method, filled(path, id), { headers: bearer(login), ...body });
      expect(own.status).toBeLessThan(400);
    },
  );
});

describe('the data plane', () => {
  /** An address of each operation; the aliases are made of it. */
  const ADDRESSES: Readonly<Record<string, string>> = {
    messages: '/v1/messages',
    count_tokens: '/v1/messages/count_tokens',
    models: '/v1/models',
    model: '/v1/models/claude-haiku-5-5',
    'key-info': '/v1/key-info',
    usage: '/api/oauth/usage',
    'not-offered': '/v1/files',
  };

  const BODY = {
    model: 'claude-haiku-5-5',
    max_tokens: 1,
    messages: [{ role: 'user', content: '' }],
  };

  it('lets in nobody but a key that may, at every route and alias', async () => {
    const wrong: string[] = [];
    for (const { operation, methods, auth, path: form } of DATA_ROUTES) {
      if (auth === 'none') continue;
      const address = ADDRESSES[operation] ?? 'no address of this route';
      for (const path of [address, `/api${address}`]) {
        expect(path).toMatch(form);
        const calls = methods.flatMap((method) => CALLERS.map((caller) => ({ method, caller })));
        for (const { method, caller } of calls) {
          const token = await tokenOf(caller, { by: 'person', writes: false });
          const headers = token === null ? {} : bearer(token);
          const body = method === 'POST' ? { body: BODY } : {};
          const type = await refusalOf(await callApp(method, path, { headers, ...body }));
          const isIn = type !== 'authentication_error' && type !== 'permission_error';
          // That something is not offered is no secret: a key's tag is enough to be told.
          const isTrue = operation === 'not-offered' && caller === 'a disabled API key';
          const mayIn = caller === 'an API key' || isTrue;
          if (isIn !== mayIn) wrong.push(`${method} ${path} to ${caller}: ${type}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});
