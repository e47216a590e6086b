// Staying logged in and logging out: by cookies and by tokens, over the clock's edges, and what
// nobody may bring about.

import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import {
  call,
  codeOf,
  ORIGIN,
  read,
  SESSION_SECRETS,
  withBearer,
} from '../../../tests/workerd/control-world';
import { later, useFakeDate } from '../../../tests/workerd/fake-date';
import {
  actionsOf,
  cookiesOf,
  endingOf,
  loggedIn,
  newUser,
  tokensOf,
} from '../../../tests/workerd/logins';
import type { LoggedIn } from '../contract/auth';

useFakeDate();

const DAY_MS = 24 * 3_600_000;

describe('a refresh', () => {
  it('gives new tokens, by cookies to whoever came with a cookie', async () => {
    const user = await newUser();
    const { refresh: first } = await loggedIn(user);
    const headers = { cookie: `__Host-refresh=${first}`, origin: ORIGIN };
    later(60_000);
    const response = await user.post('refresh', {}, headers);
    const [second = ''] = (cookiesOf(response)['__Host-refresh'] ?? '').split(';');
    expect((await read<LoggedIn>(response)).tokens).toBeNull();
    expect(second).toMatch(/^rt_1_/);
    expect(second).not.toBe(first);
  });

  it('ten times at once with one token gives one successor', async () => {
    const user = await newUser();
    const { refresh } = await loggedIn(user);
    const responses = await Promise.all(Array.from({ length: 10 }, () => user.refresh(refresh)));
    const successors = await Promise.all(
      responses.map(async (one) => (await tokensOf(one)).refresh),
    );
    expect(new Set(successors).size).toBe(1);
    expect(successors[0]).not.toBe(refresh);
    await tokensOf(await user.refresh(successors[0] ?? ''));
  });

  it('with the token before gives the same successor for ten seconds, and then ends all', async () => {
    const user = await newUser();
    const { refresh: first, sessionId } = await loggedIn(user);
    const { refresh: second } = await tokensOf(await user.refresh(first));
    later(10_000);
    const again = await read<LoggedIn>(await user.refresh(first));
    expect(again.tokens?.refresh).toBe(second);
    later(1);
    expect(await codeOf(await user.refresh(first))).toBe('session-ended');
    expect(await endingOf(sessionId)).toBe('reuse');
    expect(await codeOf(await user.refresh(second))).toBe('session-ended');
    const me = withBearer(again.tokens?.access ?? '');
    expect(await codeOf(await me('GET', '/api/auth/me'))).toBe('session-ended');
    expect(await actionsOf(user.userId)).toEqual(['auth.reuse']);
  });

  it('with any older true token ends the session at once, and no other', async () => {
    const user = await newUser();
    const other = await loggedIn(user);
    const { refresh: first } = await loggedIn(user);
    const { refresh: second } = await tokensOf(await user.refresh(first));
    const { refresh: third } = await tokensOf(await user.refresh(second));
    expect(await codeOf(await user.refresh(first))).toBe('session-ended');
    expect(await codeOf(await user.refresh(third))).toBe('session-ended');
    await tokensOf(await user.refresh(other.refresh));
  });

  it('moves the end on by 30 days, to 90 days in all', async () => {
    const user = await newUser();
    const begun = Date.now();
    let { refresh } = await loggedIn(user);
    const ends: number[] = [];
    for (const days of [29, 29, 29]) {
      later(days * DAY_MS);
      const next = await read<LoggedIn>(await user.refresh(refresh));
      refresh = next.tokens?.refresh ?? '';
      ends.push((next.sessionExpiresAt - begun) / DAY_MS);
    }
    expect(ends).toEqual([59, 88, 90]);
    later(3 * DAY_MS - 1);
    const last = await read<LoggedIn>(await user.refresh(refresh));
    later(1);
    expect(await codeOf(await user.refresh(last.tokens?.refresh ?? ''))).toBe('session-ended');
  });

  it('works up to the last second of an unused session, and not after', async () => {
    const [early, late] = [await newUser(), await newUser()];
    const [one, two] = [await loggedIn(early), await loggedIn(late)];
    later(30 * DAY_MS - 1_000);
    await tokensOf(await early.refresh(one.refresh));
    later(2_000);
    expect(await codeOf(await late.refresh(two.refresh))).toBe('session-ended');
  });

  it('goes on over a rotation of the secret while the old one is there, also between two at once', async () => {
    const user = await newUser();
    const { refresh: first } = await loggedIn(user);
    const two = { ...SESSION_SECRETS, '2': 'test-session-secret-of-two' };
    const rotated = { ...env, SESSION_SECRETS: JSON.stringify(two) };
    const onlyNew = { ...env, SESSION_SECRETS: JSON.stringify({ '2': two['2'] }) };
    const refreshWith = (bindings: Env, refreshToken: string) => {
      const body = { refreshToken, transport: 'bearer' };
      return call('POST', '/api/auth/refresh', { body, bindings, headers: user.from });
    };
    const { refresh: second } = await tokensOf(await refreshWith(env, first));
    expect((await tokensOf(await refreshWith(rotated, first))).refresh).toBe(second);
    const { refresh: third } = await tokensOf(await refreshWith(rotated, second));
    expect(third).toMatch(/^rt_2_/);
    expect(await codeOf(await refreshWith(onlyNew, first))).toBe('session-ended');
    await tokensOf(await refreshWith(onlyNew, third));
  });

  it('tells and changes nothing for a random, forged or mangled token', async () => {
    const user = await newUser();
    const victim = await newUser();
    const { refresh } = await loggedIn(victim);
    const changed = (at: number) => {
      const other = refresh[at] === 'A' ? 'B' : 'A';
      return `${refresh.slice(0, at)}${other}${refresh.slice(at + 1)}`;
    };
    const before = await env.DB.prepare('SELECT * FROM sessions ORDER BY id').all();
    const garbage = ['x', '', `rt_1_${'1'.repeat(22)}_${'a'.repeat(43)}_${'b'.repeat(43)}`];
    const tokens = [...garbage, changed(30), changed(refresh.length - 2), `${refresh}A`];
    for (const token of tokens) {
      expect(await codeOf(await user.refresh(token))).toBe('session-ended');
      // So many bad ones would have to wait for each other.
      later(3_600_000);
    }
    const noToken = await user.post('refresh');
    expect([noToken.status, await codeOf(noToken)]).toEqual([401, 'sign-in-needed']);
    const after = await env.DB.prepare('SELECT * FROM sessions ORDER BY id').all();
    expect(after.results).toEqual(before.results);
    await tokensOf(await victim.refresh(refresh));
  });

  it('takes a token in the body for programs alone, and a cookie for browsers alone', async () => {
    const user = await newUser();
    const { refresh } = await loggedIn(user);
    const cookie = { cookie: `__Host-refresh=${refresh}`, origin: ORIGIN };
    expect((await user.post('refresh', { refreshToken: refresh })).status).toBe(400);
    expect((await user.post('refresh', { transport: 'bearer' }, cookie)).status).toBe(400);
    await tokensOf(await user.refresh(refresh));
  });

  it('of a user who was suspended is refused', async () => {
    const user = await newUser();
    const { refresh } = await loggedIn(user);
    const to = (status: string) =>
      env.DB.prepare('UPDATE users SET status = ? WHERE id = ?').bind(status, user.userId).run();
    await to('suspended');
    expect(await codeOf(await user.refresh(refresh))).toBe('session-ended');
    await to('active');
    await tokensOf(await user.refresh(refresh));
  });
});

describe('a logout', () => {
  it('ends the login and clears its cookies, by access token, refresh token or cookie', async () => {
    for (const how of ['access', 'refresh', 'cookie'] as const) {
      const user = await newUser();
      const { access, refresh, sessionId } = await loggedIn(user);
      const by = {
        access: () => user.post('logout', {}, { authorization: `Bearer ${access}` }),
        refresh: () => user.post('logout', { refreshToken: refresh }),
        cookie: () =>
          user.post('logout', {}, { cookie: `__Host-refresh=${refresh}`, origin: ORIGIN }),
      };
      const response = await by[how]();
      expect([how, response.status]).toEqual([how, 204]);
      expect(cookiesOf(response)).toEqual({
        '__Host-access': '; Max-Age=0',
        '__Host-refresh': '; Max-Age=0',
      });
      expect(await endingOf(sessionId)).toBe('logout');
      expect(await codeOf(await user.refresh(refresh))).toBe('session-ended');
      expect(await codeOf(await withBearer(access)('GET', '/api/auth/me'))).toBe('session-ended');
      // Again: the same answer.
      expect((await by[how]()).status).toBe(204);
      expect(await actionsOf(user.userId)).toEqual(['auth.logout']);
    }
  });

  it('answers a stranger, a forged token and a service token alike, and does nothing', async () => {
    const user = await newUser();
    const { refresh, access } = await loggedIn(user);
    const forged = `${refresh.slice(0, -1)}${refresh.endsWith('A') ? 'B' : 'A'}`;
    for (const [body, headers] of [
      [{}, {}],
      [{ refreshToken: forged }, {}],
      [{}, { authorization: `Bearer ${access.slice(0, -1)}` }],
      [{}, { authorization: `Bearer svc_${'1'.repeat(22)}_${'a'.repeat(43)}` }],
    ] as const) {
      expect((await user.post('logout', body, headers)).status).toBe(204);
    }
    await tokensOf(await user.refresh(refresh));
  });

  it('of all logins ends each of them, and nobody else’s', async () => {
    const [user, other] = [await newUser(), await newUser()];
    const [one, two, others] = [await loggedIn(user), await loggedIn(user), await loggedIn(other)];
    const response = await withBearer(one.access)('POST', '/api/auth/logout-all');
    expect([response.status, Object.keys(cookiesOf(response))]).toEqual([
      204,
      ['__Host-access', '__Host-refresh'],
    ]);
    for (const { refresh } of [one, two]) {
      expect(await codeOf(await user.refresh(refresh))).toBe('session-ended');
    }
    expect(await codeOf(await user.call('GET', '/api/auth/me'))).toBe('session-ended');
    await tokensOf(await other.refresh(others.refresh));
  });
});

describe('oneself', () => {
  it('is named and placed as one likes, and nothing else of one changes', async () => {
    const user = await newUser({ role: 'viewer' });
    const body = { name: ' Ada ', timeZone: 'Europe/Berlin' };
    const changed = await read<LoggedIn>(await user.call('PATCH', '/api/auth/me', { body }));
    expect(changed.user).toMatchObject({ name: 'Ada', timeZone: 'Europe/Berlin', role: 'viewer' });
    expect((await read<LoggedIn>(await user.call('GET', '/api/auth/me'))).user).toEqual(
      changed.user,
    );
    for (const wrong of [
      {},
      { role: 'admin' },
      { name: 'x', status: 'active' },
      { email: 'a@example.com' },
      { timeZone: 'Mars/Base' },
      { name: '' },
      { limits: {} },
      '{"name":"x","__proto__":{"role":"admin"}}',
    ]) {
      const response = await user.call('PATCH', '/api/auth/me', { body: wrong });
      expect([wrong, response.status]).toEqual([wrong, 400]);
    }
    expect((await read<LoggedIn>(await user.call('GET', '/api/auth/me'))).user).toEqual(
      changed.user,
    );
  });

  it('sees where one is logged in, page by page, and ends one of them', async () => {
    const [user, other] = [await newUser(), await newUser()];
    later(1);
    const { access, refresh } = await loggedIn(user);
    const calls = withBearer(access);
    interface Page {
      items: { id: string; current: boolean; address: string; lastUsedAt: number }[];
      next: string | null;
    }
    const page = await read<Page>(await calls('GET', '/api/auth/sessions?limit=1'));
    expect(page.items).toMatchObject([{ current: true, address: user.from['cf-connecting-ip'] }]);
    const rest = await read<Page>(await calls('GET', `/api/auth/sessions?cursor=${page.next}`));
    expect(rest).toMatchObject({ items: [{ id: user.sessionId, current: false }], next: null });
    expect(JSON.stringify([page, rest])).not.toContain('hash');

    for (const id of [other.sessionId, 'ses_x', `ses_${'1'.repeat(22)}`]) {
      expect((await calls('DELETE', `/api/auth/sessions/${id}`)).status).toBe(404);
    }
    expect((await other.call('GET', '/api/auth/me')).status).toBe(200);
    const ended = await calls('DELETE', `/api/auth/sessions/${user.sessionId}`);
    expect([ended.status, cookiesOf(ended)]).toEqual([204, {}]);
    expect(await codeOf(await user.call('GET', '/api/auth/me'))).toBe('session-ended');
    const own = await calls('DELETE', `/api/auth/sessions/${page.items[0]?.id}`);
    expect(Object.keys(cookiesOf(own))).toHaveLength(2);
    expect(await codeOf(await user.refresh(refresh))).toBe('session-ended');
  });
});
