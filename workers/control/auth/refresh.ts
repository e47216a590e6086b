// Staying logged in. Each refresh token is good once; for a few seconds more it gets the very same
// successor, because browsers send the same one twice. Any older true one means that two hold the
// session, and one of them stole it: it ends for both. A rotation leaves no line in the audit.

import type { Endpoint } from '../contract/endpoint';
import type { auth } from '../contract/auth';
import { commit } from '../commit';
import { cookieOf, REFRESH_COOKIE } from '../guard';
import { refused } from '../refusals';
import { fromAddress, throttled } from '../throttle';
import type { Acting, Outcome, Visit } from '../visit';
import { loggedInAs, sessionEnd } from './session';
import type { SessionId } from '../../domain/ids';
import { SECOND_MS } from '../../domain/time';
import { sha256 } from '../../platform/digest';
import type { VersionedSecrets } from '../../platform/env';
import { readRefresh, successorsOf } from '../../platform/refresh-token';
import type { RefreshFacts } from '../../store/sessions';
import {
  endSession,
  findOwner,
  findSession,
  rotateSession,
  sessionHolds,
} from '../../store/sessions';

type Refreshing = typeof auth.refresh;

/** How long the token before is good for the same successor. */
const GRACE_MS = 10 * SECOND_MS;
/** Another try follows only when another call with a token of this session was faster. */
const TRIES_MAX = 5;

export async function refresh(visit: Visit<Refreshing>): Promise<Outcome<Refreshing>> {
  const { config, body, request } = visit;
  const { sessionSecrets: secrets } = config;
  if (secrets === null) return refused('not-configured');
  const token = body.refreshToken ?? cookieOf(request.headers, REFRESH_COOKIE);
  if (token === null) return refused('sign-in-needed');
  const sessionId = await readRefresh(token, secrets);
  if (sessionId === null) {
    return throttled(visit, [fromAddress('refresh', visit)], async () => refused('session-ended'));
  }
  const next = await successor(visit, { token, sessionId, secrets });
  const owner = next === null ? null : await findOwner(visit.env.DB, sessionId, visit.now);
  if (next === null || owner === null) return refused('session-ended');
  const given = { transport: body.transport ?? 'cookie', secrets, now: visit.now } as const;
  return { ok: true, value: await loggedInAs(owner, { id: sessionId, ...next }, given) };
}

interface Presented {
  /** A true one. */
  readonly token: string;
  readonly sessionId: SessionId;
  readonly secrets: VersionedSecrets;
}

interface Next {
  readonly refresh: string;
  /** Unix ms. */
  readonly expiresAt: number;
}

/** The token that follows; null: the session is over, perhaps by this very token. */
async function successor(visit: Visit<Refreshing>, presented: Presented): Promise<Next | null> {
  const { token, sessionId } = presented;
  const hash = await sha256(token);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const facts = await findSession(visit.env.DB, sessionId, visit.now);
    if (facts === null) return null;
    if (facts.refreshHash === hash) {
      const next = await rotated(visit, presented, facts);
      if (next !== null) return next;
    } else if (facts.previousHash === hash && visit.now - facts.rotatedAt <= GRACE_MS) {
      return again(presented, facts);
    } else if (await endedForReuse(visit, sessionId, facts)) {
      return null;
    }
  }
  return null;
}

/** Puts the successor in force; null: another call was faster. */
async function rotated(
  { env, now }: Visit<Refreshing>,
  { token, sessionId, secrets }: Presented,
  { refreshHash, createdAt }: RefreshFacts,
): Promise<Next | null> {
  const [refresh = ''] = await successorsOf(token, secrets);
  const expiresAt = sessionEnd({ createdAt, now });
  const change = { from: refreshHash, to: await sha256(refresh), expiresAt, now };
  return (await rotateSession(env.DB, sessionId, change)) ? { refresh, expiresAt } : null;
}

/** The successor that is in force already; null: the secret that made it is gone. */
async function again(
  { token, secrets }: Presented,
  { refreshHash, expiresAt }: RefreshFacts,
): Promise<Next | null> {
  for (const refresh of await successorsOf(token, secrets)) {
    if ((await sha256(refresh)) === refreshHash) return { refresh, expiresAt };
  }
  return null;
}

/** Ends the session; false: it was rotated since these facts were read, and must be read anew. */
async function endedForReuse(
  visit: Acting<Endpoint>,
  sessionId: SessionId,
  { userId, refreshHash }: RefreshFacts,
): Promise<boolean> {
  const { now } = visit;
  const done = await commit(visit, {
    audit: { targetId: sessionId, actorId: userId, action: 'auth.reuse' },
    only: sessionHolds(sessionId, { now, refreshHash }),
    parts: (db, when) => [endSession(db, sessionId, { now, by: 'reuse', when })],
    reply: { body: undefined },
  });
  return done.ok;
}
