// What attackers try at the doors that people come through, and what a broken store may not open.

import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { call, codeOf, ORIGIN, read, withBearer } from '../../../tests/workerd/control-world';
import { later, useFakeDate } from '../../../tests/workerd/fake-date';
import type { User } from '../../../tests/workerd/logins';
import {
  cookiesOf,
  freshAddress,
  loggedIn,
  newUser,
  PASSWORD,
  tokensOf,
} from '../../../tests/workerd/logins';
import { inTurn, WAITING_MAX } from '../../platform/turns';

useFakeDate();

function guess(email: string, address: string, password = 'wrong password'): Promise<Response> {
  const body = { email, password, transport: 'bearer' };
  return call('POST', '/api/auth/login', { body, headers: { 'cf-connecting-ip': address } });
}

/** How many answers had each status. */
function counted(responses: readonly Response[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of responses) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describe('guessing a password', () => {
  it('fifty times at once for one name is three guesses, from wherever they come', async () => {
    const user = await newUser();
    const responses = await Promise.all(
      Array.from({ length: 50 }, () => guess(user.email, freshAddress())),
    );
    expect(counted(responses)).toEqual({ 401: 3, 429: 47 });
    const refused = responses.find(({ status }) => status === 429);
    expect(refused?.headers.get('retry-after')).toBe('1');
    if (refused !== undefined) expect(await codeOf(refused)).toBe('too-many-attempts');
    later(1_000);
    expect((await user.login()).status).toBe(200);
  }, 60_000);

  it('for many names from one address is three guesses too, for a whole /64 of IPv6', async () => {
    const users = await Promise.all(Array.from({ length: 8 }, () => newUser()));
    const responses: Response[] = [];
    for (const [at, { email }] of users.entries()) {
      responses.push(await guess(email, `2001:db8:0:1:${at}::1`));
    }
    expect(counted(responses)).toEqual({ 401: 3, 429: 5 });
    // Nobody's name has suffered from what was refused by address.
    for (const user of users.slice(3)) expect((await user.login()).status).toBe(200);
    later(1_000);
    expect((await guess(users[0]?.email ?? '', '2001:db8:0:1::1', PASSWORD)).status).toBe(200);
  }, 60_000);

  it('does not keep the name’s owner out for longer than half a minute', async () => {
    const user = await newUser({ role: 'admin' });
    for (let tries = 0; tries < 12; tries += 1) {
      await guess(user.email, freshAddress());
      later(30_000);
    }
    await guess(user.email, freshAddress());
    const early = await user.login();
    expect([early.status, early.headers.get('retry-after')]).toEqual([429, '30']);
    later(30_000);
    expect((await user.login()).status).toBe(200);
  }, 60_000);

  it('slows one address down to a guess in a quarter of an hour, whatever the name', async () => {
    const address = freshAddress();
    const waits: number[] = [];
    for (let tries = 0; tries < 14; tries += 1) {
      const { email } = await newUser({ password: '-' });
      const response = await guess(email, address);
      const wait = Number(response.headers.get('retry-after') ?? 0);
      waits.push(wait);
      later(wait * 1_000);
      if (wait > 0) expect((await guess(email, address)).status).toBe(401);
    }
    expect(waits).toEqual([0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
  }, 120_000);

  it('by the door for changing it counts as well', async () => {
    const user = await newUser();
    const { calls } = await loggedIn(user);
    const headers = user.from;
    const change = (currentPassword: string) =>
      calls('POST', '/api/auth/change-password', {
        body: { currentPassword, newPassword: 'another long password' },
        headers,
      });
    for (const status of [403, 403, 403, 429]) {
      expect((await change('wrong password')).status).toBe(status);
    }
    expect((await user.login()).status).toBe(429);
  });

  it('of tokens is slowed down too, while true ones go on', async () => {
    const user = await newUser();
    const { refresh } = await loggedIn(user);
    for (const status of [401, 401, 401, 429]) {
      expect((await user.refresh('rt_forged')).status).toBe(status);
    }
    await tokensOf(await user.refresh(refresh));
    expect((await user.login()).status).toBe(200);
  });

  it('is not counted when the password was right, nor when it was not looked at', async () => {
    const user = await newUser();
    for (let tries = 0; tries < 5; tries += 1) expect((await user.login()).status).toBe(200);
    const ends: (() => void)[] = [];
    const line = Array.from({ length: WAITING_MAX + 1 }, () =>
      inTurn(() => new Promise<void>((resolve) => ends.push(resolve))),
    );
    for (let tries = 0; tries < 5; tries += 1) {
      const busy = await user.login();
      expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '1']);
      expect(await codeOf(busy)).toBe('logins-busy');
    }
    for (const place of line) {
      while (ends.length === 0) await Promise.race([place, scheduler.wait(1)]);
      ends.shift()?.();
      await place;
    }
    expect((await user.login()).status).toBe(200);
  });
});

describe('a page of another site', () => {
  const ORIGINS = [
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://relay.example' }, 403],
    [{ origin: `${ORIGIN}.evil.example` }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{}, 403],
    [{ origin: ORIGIN }, 200],
    [{ origin: ORIGIN, 'content-type': 'text/plain' }, 200],
  ] as const;

  it.each(ORIGINS)('with %o is answered %i when it brings cookies', async (headers, status) => {
    const user = await newUser();
    const { refresh, access } = await loggedIn(user);
    const cookie = `__Host-access=${access}; __Host-refresh=${refresh}`;
    const login = { email: user.email, password: PASSWORD };
    const bodies = { login, refresh: {}, 'logout-all': {}, logout: {} };
    if (status === 200) {
      const sent = await user.post('logout', {}, { ...headers, cookie });
      expect([sent.status, Object.keys(cookiesOf(sent)).length]).toEqual([204, 2]);
      return;
    }
    for (const [path, body] of Object.entries(bodies)) {
      const response = await user.post(path, body, { ...headers, cookie });
      expect([path, response.status]).toEqual([path, status]);
      expect(response.headers.getSetCookie()).toEqual([]);
    }
    await tokensOf(await user.refresh(refresh));
  });

  it('gets no token for a cookie that the browser brings along', async () => {
    const user = await newUser();
    const { refresh } = await loggedIn(user);
    const headers = { origin: ORIGIN, cookie: `__Host-refresh=${refresh}` };
    const body = await (await user.post('refresh', {}, headers)).text();
    expect(body).toContain('"tokens":null');
    expect(body).not.toMatch(/rt_|eyJ/);
  });

  it('reads no cookie that comes twice, or without its prefix', async () => {
    const user = await newUser();
    const { refresh } = await loggedIn(user);
    for (const cookie of [`refresh=${refresh}`, `__Host-refresh=x; __Host-refresh=${refresh}`]) {
      const response = await user.post('refresh', {}, { origin: ORIGIN, cookie });
      expect(await codeOf(response)).toBe('sign-in-needed');
    }
  });
});

describe('a body', () => {
  it.each([
    { role: 'admin' },
    { userId: 'usr_x' },
    { balance: 1 },
    { status: 'active' },
    { 'password ': 'x' },
    { email: ['a@example.com'] },
    { email: { $ne: null } },
    { email: "' OR 1=1--" },
    { password: null },
    { password: { $gt: '' } },
    { transport: 'none' },
  ])('of a login with %o is not valid', async (more) => {
    const body = { email: 'a@example.com', password: PASSWORD, ...more };
    const response = await call('POST', '/api/auth/login', { body });
    expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
  });

  it('that means something in SQL means itself', async () => {
    const user = await newUser();
    const text = `'; DROP TABLE sessions; -- " OR 1=1 %_`;
    expect((await user.login(text)).status).toBe(401);
    const named = await user.call('PATCH', '/api/auth/me', { body: { name: text } });
    expect(await read<{ user: { name: string } }>(named)).toMatchObject({ user: { name: text } });
    const query = encodeURIComponent(text);
    expect((await user.call('GET', `/api/auth/sessions?cursor=${query}`)).status).toBe(400);
    expect((await user.call('DELETE', `/api/auth/sessions/${query}`)).status).toBe(404);
    expect((await withBearer("'OR'1'='1")('GET', '/api/auth/me')).status).toBe(401);
    expect((await user.refresh("' OR 1=1--")).status).toBe(401);
    expect((await user.call('GET', '/api/auth/me')).status).toBe(200);
  });
});

describe('without its secrets', () => {
  it('no door opens, and each says so', async () => {
    const user = await newUser();
    const { refresh, access } = await loggedIn(user);
    const bindings = { ...env, SESSION_SECRETS: '' };
    const headers = { authorization: `Bearer ${access}` };
    const login = { email: user.email, password: PASSWORD };
    const bodies: Readonly<Record<string, object>> = {
      login,
      register: { ...login, name: 'N' },
      refresh: { refreshToken: refresh, transport: 'bearer' },
      logout: {},
      'logout-all': {},
      'change-password': { currentPassword: PASSWORD, newPassword: 'another long password' },
    };
    for (const [path, body] of Object.entries(bodies)) {
      const response = await call('POST', `/api/auth/${path}`, { body, bindings, headers });
      expect([path, response.status, await codeOf(response)]).toEqual([
        path,
        503,
        'not-configured',
      ]);
      expect(response.headers.getSetCookie()).toEqual([]);
    }
  });
});

/** Every door, tried with what would open it. */
async function doors(user: User, bindings: Env) {
  const { refresh, access } = await loggedIn(user);
  const headers = { ...user.from, authorization: `Bearer ${access}` };
  const post = (path: string, body: object) =>
    call('POST', `/api/auth/${path}`, { body, bindings, headers });
  const login = { email: user.email, password: PASSWORD, transport: 'bearer' };
  return [
    () => post('login', login),
    () => post('register', { ...login, name: 'N' }),
    () => post('refresh', { refreshToken: refresh, transport: 'bearer' }),
    () => post('change-password', { currentPassword: PASSWORD, newPassword: 'x'.repeat(20) }),
    () => call('GET', '/api/auth/me', { bindings, headers }),
    () => call('GET', '/api/auth/sessions', { bindings, headers }),
  ];
}

/** Bindings with a database that answers so. Only what drizzle calls. */
function withDatabase(answer: () => Promise<unknown>): Env {
  const statement = {
    bind: () => statement,
    all: answer,
    raw: answer,
    first: answer,
    run: answer,
  };
  const DB = { withSession: () => ({ prepare: () => statement, batch: answer }) };
  return { ...env, DB } as unknown as Env;
}

describe('a store', () => {
  it.each([
    ['throws', async () => Promise.reject(new Error('down'))],
    ['answers {}', async () => ({})],
    ['answers [{}]', async () => [{}]],
    ['answers null', async () => null],
    ['answers [null]', async () => [null]],
    ['answers nothing', async () => []],
  ])(
    'that %s opens no door',
    async (_, answer) => {
      const user = await newUser();
      for (const door of await doors(user, withDatabase(answer))) {
        const response = await door();
        expect(response.status).toBeGreaterThanOrEqual(400);
        expect(response.headers.getSetCookie()).toEqual([]);
        expect(await response.text()).not.toMatch(/rt_|eyJ/);
      }
    },
    60_000,
  );

  it('that hangs opens no door', async () => {
    const user = await newUser();
    const hanging = withDatabase(() => new Promise(() => undefined));
    const answered: Response[] = [];
    for (const door of await doors(user, hanging)) {
      void door().then((response) => answered.push(response));
    }
    // Another's way through the same doors is longer than theirs.
    expect((await (await newUser()).login()).status).toBe(200);
    expect(answered).toEqual([]);
  });

  it.each([
    ['throws', async () => Promise.reject(new Error('down'))],
    ['answers null', async () => null],
    ['answers {}', async () => ({})],
  ])('of attempts that %s lets nobody try', async (_, attempt) => {
    const user = await newUser();
    const THROTTLE = { idFromName: () => '', get: () => ({ attempt, giveBack: attempt }) };
    const bindings = { ...env, THROTTLE } as unknown as Env;
    const body = { email: user.email, password: PASSWORD };
    const response = await call('POST', '/api/auth/login', { body, bindings, headers: user.from });
    expect(response.status).toBeGreaterThanOrEqual(429);
    expect(response.headers.getSetCookie()).toEqual([]);
  });
});
