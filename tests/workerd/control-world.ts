// People of the control plane in a workerd test: written into D1, logged in by a row of their own,
// and able to call any address. Passwords are for the tests of logging in alone.

import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { controlRoutes } from '../../workers/control/routes';
import type { Role, Scope } from '../../workers/control/contract/endpoint';
import type { KeyId, SessionId, UserId, WalletId } from '../../workers/domain/ids';
import { ID_RANDOM_BYTES, newId } from '../../workers/domain/ids';
import { HOUR_MS } from '../../workers/domain/time';
import { mintAccess } from '../../workers/platform/access-token';
import { mintKey, sha256 } from '../../workers/platform/digest';
import { randomBytes } from '../../workers/platform/random';
import { putKey } from '../../workers/store/keys';
import { ALWAYS, primary, runBatch } from '../../workers/store/db';
import { pushKey, pushUser, pushWallet } from '../../workers/store/outbox';
import { putUser } from '../../workers/store/users';
import { addWallet } from '../../workers/store/wallets';

export const ORIGIN = 'https://relay.example';
export const SESSION_SECRETS = { '1': 'test-session-secret-of-one' };
export const KEY_TAG_SECRETS = { '1': 'test-key-tag-secret-of-one' };

const control = controlRoutes();

export interface Sent {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bindings?: Env;
}

/** One call of the control plane; waits for what it left behind. */
export async function call(method: string, path: string, sent: Sent = {}): Promise<Response> {
  const { body, headers = {}, bindings = env } = sent;
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  const request = new Request(`${ORIGIN}${path}`, {
    method,
    headers: {
      'cf-connecting-ip': '192.0.2.1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(text === undefined ? {} : { body: text }),
  });
  const context = createExecutionContext();
  const response = await control.request(request, undefined, bindings, context);
  await waitOnExecutionContext(context);
  return response;
}

export interface Somebody {
  readonly userId: UserId;
  readonly walletId: WalletId;
  readonly sessionId: SessionId;
  readonly email: string;
  readonly token: string;
  /** A call with the session's access token as bearer. */
  readonly call: (method: string, path: string, sent?: Sent) => Promise<Response>;
}

function fresh<K extends Parameters<typeof newId>[0]>(kind: K) {
  return newId(kind, Date.now(), randomBytes(ID_RANDOM_BYTES));
}

/** Somebody with a wallet and a session. `password`: a PHC string where it matters. */
export async function newPerson(
  differs: { readonly role?: Role; readonly email?: string; readonly password?: string } = {},
): Promise<Somebody> {
  const { role = 'user', password = '-' } = differs;
  const [userId, walletId] = [fresh('user'), fresh('wallet')];
  const email = differs.email ?? `${userId.toLowerCase()}@example.com`;
  const db = primary(env.DB);
  const writing = { now: Date.now(), when: ALWAYS };
  await runBatch(db, [
    putUser(db, { id: userId, email, name: 'N', role, password, timeZone: 'UTC' }, writing),
    addWallet(db, { id: walletId, userId, region: 'weur' }, writing),
    pushUser(db, userId, writing),
    pushWallet(db, walletId, writing),
  ]);
  return { userId, walletId, email, ...(await newSession(userId, role)) };
}

/** Another login of somebody. */
export async function newSession(
  userId: UserId,
  role: Role = 'user',
): Promise<Pick<Somebody, 'sessionId' | 'token' | 'call'>> {
  const sessionId = fresh('session');
  const now = Date.now();
  await env.DB.prepare(
    `INSERT INTO sessions (id, user_id, refresh_hash, rotated_at, created_at, expires_at,
      user_agent, address) VALUES (?1, ?2, ?1, ?3, ?3, ?4, 'test', '192.0.2.1')`,
  )
    .bind(sessionId, userId, now, now + HOUR_MS)
    .run();
  const token = await mintAccess({ userId, sessionId, role }, { secrets: SESSION_SECRETS, now });
  return { sessionId, token, call: withBearer(token) };
}

/** Calls with `token` as bearer. */
export function withBearer(token: string): Somebody['call'] {
  return (method, path, sent = {}) =>
    call(method, path, { ...sent, headers: { authorization: `Bearer ${token}`, ...sent.headers } });
}

/** A service token with these scopes. */
export async function newServiceToken(scopes: readonly Scope[]): Promise<string> {
  const id = fresh('serviceToken');
  const token = `${id}_${'s'.repeat(43)}`;
  await env.DB.prepare(`INSERT INTO service_tokens VALUES (?, 'S', ?, ?, 'usr_x', ?, ?, NULL)`)
    .bind(id, await sha256(token), JSON.stringify(scopes), Date.now(), Date.now() + HOUR_MS)
    .run();
  return token;
}

/** An API key of somebody, and its text. */
export async function newApiKey(
  { userId, walletId }: Pick<Somebody, 'userId' | 'walletId'>,
  name = 'K',
): Promise<{ readonly keyId: KeyId; readonly key: string }> {
  const keyId = fresh('key');
  const order = { walletId, keyId, region: 'weur' } as const;
  const { key, hash, tagVersion } = await mintKey(order, KEY_TAG_SECRETS);
  const db = primary(env.DB);
  const writing = { now: Date.now(), when: ALWAYS };
  await runBatch(db, [
    putKey(db, { id: keyId, walletId, userId, name, hash, tagVersion }, writing),
    pushKey(db, keyId, writing),
  ]);
  return { keyId, key };
}

/** The JSON of an answer with this status; throws with the whole answer otherwise. */
export async function read<T>(response: Response, status = 200): Promise<T> {
  const text = await response.text();
  if (response.status !== status) throw new Error(`${response.status}: ${text}`);
  // What the caller expects; the contract is checked by the Worker itself in development.
  return JSON.parse(text) as T;
}

/** The code of an error's answer. */
export async function codeOf(response: Response): Promise<string> {
  return (await response.json<{ error: { code: string } }>()).error.code;
}
