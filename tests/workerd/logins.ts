// People with passwords and logins in a workerd test. Hashing takes long, so only tests of the
// password itself log in with one; the others get a login as a handler would begin it.

import { env } from 'cloudflare:workers';
import { expect } from 'vitest';
import { call, newPerson, read, SESSION_SECRETS, withBearer } from './control-world';
import type { LoggedIn } from '../../workers/control/contract/auth';
import { newSession } from '../../workers/control/auth/session';
import type { SessionId } from '../../workers/domain/ids';
import { mintAccess } from '../../workers/platform/access-token';
import { hashPassword } from '../../workers/platform/password';
import { ALWAYS, primary, runBatch } from '../../workers/store/db';
import { beginSession } from '../../workers/store/sessions';

export const PASSWORD = 'correct horse battery';
const PHC = hashPassword(PASSWORD);

let addresses = 0;

/** An address that nobody has called from. */
export function freshAddress(): string {
  addresses += 1;
  return `198.51.${addresses >> 8}.${addresses & 255}`;
}

/** Somebody with a password, and calls from an address of their own. */
export async function newUser(differs: Parameters<typeof newPerson>[0] = {}) {
  const person = await newPerson({ password: await PHC, ...differs });
  const from = { 'cf-connecting-ip': freshAddress() };
  const post = (path: string, body: unknown = {}, headers: Record<string, string> = {}) =>
    call('POST', `/api/auth/${path}`, { body, headers: { ...from, ...headers } });
  return {
    ...person,
    from,
    post,
    login: (password = PASSWORD) =>
      post('login', { email: person.email, password, transport: 'bearer' }),
    refresh: (refreshToken: string) => post('refresh', { refreshToken, transport: 'bearer' }),
  };
}

export type User = Awaited<ReturnType<typeof newUser>>;

/** The tokens of an answer to a program. */
export async function tokensOf(response: Response): Promise<{ access: string; refresh: string }> {
  const { tokens } = await read<LoggedIn>(response);
  if (tokens === null) throw new Error('no tokens');
  return tokens;
}

/** Another login of somebody, with its tokens, without a password. */
export async function loggedIn({ userId, from }: User) {
  const now = Date.now();
  const request = new Request('https://relay.example/');
  const address = from['cf-connecting-ip'];
  const begun = await newSession({ request, address, now }, userId, SESSION_SECRETS);
  const { session, refresh } = begun;
  const db = primary(env.DB);
  await runBatch(db, beginSession(db, session, ALWAYS));
  const claims = { userId, sessionId: session.id, role: 'user' };
  const access = await mintAccess(claims, { secrets: SESSION_SECRETS, now });
  return { sessionId: session.id, refresh, access, calls: withBearer(access) };
}

/** Cookies that were set, by name, with how long they live; all others of theirs are checked. */
export function cookiesOf(response: Response): Record<string, string> {
  const pairs = response.headers.getSetCookie().map((cookie): [string, string] => {
    const [pair = '', age = '', ...attributes] = cookie.split('; ');
    expect(attributes).toEqual(['Path=/', 'HttpOnly', 'Secure', 'SameSite=Strict']);
    const at = pair.indexOf('=');
    return [pair.slice(0, at), `${pair.slice(at + 1)}; ${age}`];
  });
  return Object.fromEntries(pairs);
}

/** Why a login ended; null: it goes on. */
export async function endingOf(sessionId: SessionId): Promise<string | null> {
  const row = await env.DB.prepare('SELECT ended_by FROM sessions WHERE id = ?')
    .bind(sessionId)
    .first<{ ended_by: string | null }>();
  return row?.ended_by ?? null;
}

/** What stands in the audit of somebody's doing. */
export async function actionsOf(userId: string): Promise<string[]> {
  const { results } = await env.DB.prepare('SELECT action FROM audit WHERE actor_id = ?')
    .bind(userId)
    .all<{ action: string }>();
  return results.map(({ action }) => action).toSorted();
}
