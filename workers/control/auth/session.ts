// What a login is made of: a session's row, its two tokens, and the answer that carries them.

import type { LoggedIn } from '../contract/auth';
import type { Call, Person } from '../visit';
import { loginCookies } from './cookies';
import { ID_RANDOM_BYTES, newId } from '../../domain/ids';
import type { SessionId } from '../../domain/ids';
import { HOUR_MS } from '../../domain/time';
import { ACCESS_MS, mintAccess } from '../../platform/access-token';
import { sha256 } from '../../platform/digest';
import type { VersionedSecrets } from '../../platform/env';
import { randomBytes } from '../../platform/random';
import { mintRefresh } from '../../platform/refresh-token';
import type { NewSession } from '../../store/sessions';

/** A session that is not refreshed for this long is over. */
const IDLE_MS = 30 * 24 * HOUR_MS;
/** And every one after this, however often it is refreshed. */
const WHOLE_MS = 90 * 24 * HOUR_MS;
const USER_AGENT_CHARACTERS_MAX = 300;

export type Transport = 'cookie' | 'bearer';
/** Who comes in, as it is told. */
export type Entrant = Omit<Person, 'kind' | 'sessionId'>;

/** When a session that is refreshed at `now` ends (Unix ms). */
export function sessionEnd({ createdAt, now }: { createdAt: number; now: number }): number {
  return Math.min(now + IDLE_MS, createdAt + WHOLE_MS);
}

/** A new session of `user`, not yet written, and its refresh token. */
export async function newSession(
  { request, address, now }: Pick<Call, 'request' | 'address' | 'now'>,
  userId: Person['id'],
  secrets: VersionedSecrets,
): Promise<{ readonly session: NewSession; readonly refresh: string }> {
  const id = newId('session', now, randomBytes(ID_RANDOM_BYTES));
  const refresh = await mintRefresh(id, secrets);
  const session = {
    id,
    userId,
    refreshHash: await sha256(refresh),
    createdAt: now,
    expiresAt: sessionEnd({ createdAt: now, now }),
    userAgent: (request.headers.get('user-agent') ?? '').slice(0, USER_AGENT_CHARACTERS_MAX),
    address,
  };
  return { session, refresh };
}

/** The answer to whoever is logged in now: cookies, or tokens in the body. */
export async function loggedInAs(
  user: Entrant,
  session: { readonly id: SessionId; readonly expiresAt: number; readonly refresh: string },
  given: {
    readonly transport: Transport;
    readonly secrets: VersionedSecrets;
    /** Unix ms. */
    readonly now: number;
  },
): Promise<{ readonly body: LoggedIn; readonly headers: Headers }> {
  const { transport, secrets, now } = given;
  const { id: sessionId, expiresAt, refresh } = session;
  const claims = { userId: user.id, sessionId, role: user.role };
  const tokens = { access: await mintAccess(claims, { secrets, now }), refresh };
  const body = {
    user: shownUser(user),
    sessionId,
    accessExpiresAt: now + ACCESS_MS,
    sessionExpiresAt: expiresAt,
    tokens: transport === 'bearer' ? tokens : null,
  };
  const headers = transport === 'bearer' ? new Headers() : loginCookies(tokens, expiresAt - now);
  return { body, headers };
}

/** What people are told of themselves, and nothing that stands beside it. */
export function shownUser({ id, email, name, role, timeZone, walletId, region }: Entrant) {
  return { id, email, name, role, timeZone, walletId, region };
}
