// Logging in with a password, and changing it.

import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { call, codeOf, read, withBearer } from '../../../tests/workerd/control-world';
import { later, useFakeDate } from '../../../tests/workerd/fake-date';
import type { User } from '../../../tests/workerd/logins';
import {
  actionsOf,
  cookiesOf,
  loggedIn,
  newUser,
  PASSWORD,
  tokensOf,
} from '../../../tests/workerd/logins';
import type { LoggedIn } from '../contract/auth';

useFakeDate();

const DAY_MS = 24 * 3_600_000;

describe('a login', () => {
  it('gives a browser two cookies that no script reads, and no token in the body', async () => {
    const user = await newUser();
    const response = await user.post('login', { email: user.email, password: PASSWORD });
    const cookies = cookiesOf(response);
    const body = await read<LoggedIn>(response);
    expect(body.tokens).toBeNull();
    expect(body.user).toMatchObject({
      id: user.userId,
      email: user.email,
      walletId: user.walletId,
    });
    expect(Object.keys(cookies)).toEqual(['__Host-access', '__Host-refresh']);
    expect(cookies['__Host-access']).toMatch(/^ey[\w.-]+; Max-Age=600$/);
    expect(cookies['__Host-refresh']).toMatch(/^rt_1_[\w-]+; Max-Age=2592000$/);
    expect(JSON.stringify(body)).not.toContain('rt_');
    const [access = ''] = (cookies['__Host-access'] ?? '').split(';');
    const me = await call('GET', '/api/auth/me', {
      headers: { cookie: `__Host-access=${access}` },
    });
    expect(await read(me)).toEqual({ user: body.user, sessionId: body.sessionId });
  });

  it('gives a program tokens in the body and no cookie', async () => {
    const user = await newUser();
    const response = await user.login();
    expect(response.headers.getSetCookie()).toEqual([]);
    const { access } = await tokensOf(response);
    expect((await withBearer(access)('GET', '/api/auth/me')).status).toBe(200);
    expect(await actionsOf(user.userId)).toEqual(['auth.login']);
  });

  it('stores of the refresh token its SHA-256 alone', async () => {
    const user = await newUser();
    const { refresh } = await tokensOf(await user.login());
    const { results } = await env.DB.prepare('SELECT * FROM sessions WHERE user_id = ?')
      .bind(user.userId)
      .all();
    expect(results).toHaveLength(2);
    for (const part of refresh.split('_').slice(3)) {
      expect(JSON.stringify(results)).not.toContain(part);
    }
  });

  it('takes the address in any spelling, and the password in one', async () => {
    const user = await newUser();
    const email = ` ${user.email.toUpperCase()} `;
    expect((await user.post('login', { email, password: PASSWORD })).status).toBe(200);
    expect((await user.post('login', { email, password: `${PASSWORD} ` })).status).toBe(401);
  });

  it('is refused alike for nobody, a wrong password, the suspended, the deleted, the passwordless', async () => {
    const answers: unknown[] = [];
    const tried = async (user: User, password = PASSWORD) => {
      const response = await user.login(password);
      const { error } = await response.json<{ error: Record<string, unknown> }>();
      delete error['requestId'];
      response.headers.delete('x-relay-request-id');
      answers.push([response.status, error, Object.fromEntries(response.headers)]);
    };
    await tried(await newUser(), 'wrong password');
    await tried({ ...(await newUser()), login: (await strangerOf()).login });
    await tried(await newUser({ password: '-' }), '-');
    for (const status of ['suspended', 'deleted']) {
      const user = await newUser();
      await env.DB.prepare('UPDATE users SET status = ? WHERE id = ?')
        .bind(status, user.userId)
        .run();
      await tried(user);
    }
    expect(answers).toHaveLength(5);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]).toMatchObject([401, { code: 'login-wrong' }, expect.anything()]);
  });

  it('renews a hash that was made at another cost, once, and keeps the password', async () => {
    // The same password at a twentieth of the memory, by another implementation.
    const cheap =
      '$argon2id$v=19$m=1024,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$' +
      'h+Jo8mEzrDZG/IcvJbyFWLZOGQiIhyYem3Gf+QLfb/k';
    const user = await newUser({ password: cheap });
    const stored = async () =>
      env.DB.prepare('SELECT password, version FROM users WHERE id = ?')
        .bind(user.userId)
        .first<{ password: string; version: number }>();
    const before = await stored();
    await tokensOf(await user.login());
    const after = await stored();
    expect(after?.password).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(after?.version).toBe(before?.version);
    await tokensOf(await user.login());
    expect(await stored()).toEqual(after);
  });

  it('forgets logins of its user that were over for a month', async () => {
    const user = await newUser();
    const { sessionId } = await loggedIn(user);
    const found = () =>
      env.DB.prepare('SELECT id FROM sessions WHERE id = ?').bind(sessionId).first();
    later(59 * DAY_MS);
    await user.login();
    expect(await found()).toEqual({ id: sessionId });
    later(2 * DAY_MS);
    await user.login();
    expect(await found()).toBeNull();
  });
});

describe('a new password', () => {
  const change = (token: string, currentPassword: string, more: object = {}) =>
    withBearer(token)('POST', '/api/auth/change-password', {
      body: { currentPassword, newPassword: 'another long password', ...more },
    });

  it('ends every login from before; the one that set it goes on with new tokens', async () => {
    const user = await newUser();
    const [mine, other] = [await loggedIn(user), await loggedIn(user)];
    const renewed = await tokensOf(await change(mine.access, PASSWORD));
    for (const { access, refresh } of [mine, other]) {
      expect(await codeOf(await withBearer(access)('GET', '/api/auth/me'))).toBe('session-ended');
      expect(await codeOf(await user.refresh(refresh))).toBe('session-ended');
    }
    expect((await withBearer(renewed.access)('GET', '/api/auth/me')).status).toBe(200);
    await tokensOf(await user.refresh(renewed.refresh));
    expect(await codeOf(await user.login())).toBe('login-wrong');
    expect((await user.login('another long password')).status).toBe(200);
    const lines = JSON.stringify(
      await env.DB.prepare('SELECT * FROM audit WHERE actor_id = ?').bind(user.userId).all(),
    );
    expect(lines).toContain('auth.change-password');
    for (const secret of ['another long password', PASSWORD, '$argon2id', renewed.refresh]) {
      expect(lines).not.toContain(secret);
    }
  });

  it('needs the one in force, and none but a wrong one or none at all changes nothing', async () => {
    const user = await newUser();
    const { access } = await loggedIn(user);
    const wrong = await change(access, 'not the password');
    expect([wrong.status, await codeOf(wrong)]).toEqual([403, 'password-wrong']);
    expect((await change(access, PASSWORD, { newPassword: 'too short' })).status).toBe(400);
    expect((await change(access, PASSWORD, { newPassword: 'x'.repeat(201) })).status).toBe(400);
    expect(await codeOf(await change('random', PASSWORD))).toBe('sign-in-needed');
    expect(
      await codeOf(
        await user.post('change-password', {
          currentPassword: PASSWORD,
          newPassword: 'another long password',
        }),
      ),
    ).toBe('sign-in-needed');
    expect((await user.login()).status).toBe(200);
  });

  it('set twice at once is set once', async () => {
    const user = await newUser();
    const [one, two] = [await loggedIn(user), await loggedIn(user)];
    const responses = await Promise.all([
      change(one.access, PASSWORD, { newPassword: 'first new password' }),
      change(two.access, PASSWORD, { newPassword: 'second new password' }),
    ]);
    expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401]);
    const logins = [
      await user.login('first new password'),
      await user.login('second new password'),
    ];
    expect(logins.map(({ status }) => status)).toEqual(responses.map(({ status }) => status));
  });
});

async function strangerOf() {
  const user = await newUser();
  const login = (password = PASSWORD) =>
    user.post('login', { email: `nobody-${user.email}`, password, transport: 'bearer' });
  return { login };
}
