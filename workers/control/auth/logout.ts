// Logging out: of this login, of all, of one of them. Whoever comes without a login hears the same
// as the others and changes nothing.

import type { auth } from '../contract/auth';
import { PERSON } from '../contract/endpoint';
import { commit } from '../commit';
import { admitCall, cookieOf, REFRESH_COOKIE } from '../guard';
import { refused } from '../refusals';
import type { Outcome, Visit } from '../visit';
import { noCookies } from './cookies';
import type { RelayError } from '../../domain/errors';
import type { SessionId, UserId } from '../../domain/ids';
import { isId } from '../../domain/ids';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { readRefresh } from '../../platform/refresh-token';
import { endSession, findSession, sessionHolds } from '../../store/sessions';
import { endLogins } from '../../store/user-changes';

interface Login {
  readonly id: SessionId;
  readonly userId: UserId;
}

export async function logOut(
  visit: Visit<typeof auth.logout>,
): Promise<Outcome<typeof auth.logout>> {
  if (visit.config.sessionSecrets === null) return refused('not-configured');
  const { now } = visit;
  const reply = { body: undefined, headers: noCookies() } as const;
  const login = await loginOf(visit);
  if (!login.ok) return login;
  if (login.value === null) return ok(reply);
  const { id, userId } = login.value;
  const otherwise: RelayError = { kind: 'conflict', what: 'ended meanwhile' };
  const done = await commit(visit, {
    audit: { targetId: id, actorId: userId },
    only: sessionHolds(id, { now }),
    otherwise,
    parts: (db, when) => [endSession(db, id, { now, by: 'logout', when })],
    reply,
  });
  return !done.ok && done.error === otherwise ? ok(reply) : done;
}

/** The login that goes on, named by the refresh token, old or new, else by the access token. */
async function loginOf(
  visit: Visit<typeof auth.logout>,
): Promise<Result<Login | null, RelayError>> {
  const { config, body, request, env, now } = visit;
  const token = body.refreshToken ?? cookieOf(request.headers, REFRESH_COOKIE) ?? '';
  const id = await readRefresh(token, config.sessionSecrets ?? {});
  const facts = id === null ? null : await findSession(env.DB, id, now);
  if (id !== null && facts !== null) return ok({ id, userId: facts.userId });
  const known = await admitCall(visit, PERSON);
  if (!known.ok) return 'kind' in known.error ? fail(known.error) : ok(null);
  const actor = known.value;
  return ok(actor?.kind === 'person' ? { id: actor.sessionId, userId: actor.id } : null);
}

export async function logOutEverywhere(
  visit: Visit<typeof auth.logoutAll>,
): Promise<Outcome<typeof auth.logoutAll>> {
  const { actor, now } = visit;
  return commit(visit, {
    audit: { targetId: actor.id },
    parts: (db, when) => [endLogins(db, actor.id, { now, by: 'logout-all', when })],
    reply: { body: undefined, headers: noCookies() },
  });
}

export async function endOneSession(
  visit: Visit<typeof auth.endSession>,
): Promise<Outcome<typeof auth.endSession>> {
  const { actor, now, parameters, url } = visit;
  const { id = '' } = parameters;
  const nobodys: RelayError = { kind: 'not-found', what: url.pathname };
  if (!isId('session', id)) return fail(nobodys);
  return commit(visit, {
    audit: { targetId: id },
    only: sessionHolds(id, { now, userId: actor.id }),
    otherwise: nobodys,
    parts: (db, when) => [endSession(db, id, { now, by: 'user', when })],
    reply: { body: undefined, ...(id === actor.sessionId ? { headers: noCookies() } : {}) },
  });
}
