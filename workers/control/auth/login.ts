// Logging in with a password. Whoever is unknown, suspended or wrong hears the same after the same
// time; how often one may try is decided before anything is hashed.

import type { auth } from '../contract/auth';
import { commit } from '../commit';
import { hashed, verified } from '../passwords';
import { refused } from '../refusals';
import { byName, fromAddress, throttled } from '../throttle';
import type { Outcome, Visit } from '../visit';
import { loggedInAs, newSession } from './session';
import type { VersionedSecrets } from '../../platform/env';
import { needsRehash } from '../../platform/password';
import { beginSession } from '../../store/sessions';
import type { LoginFacts } from '../../store/users';
import { findLogin, passwordHolds, rehashPassword } from '../../store/users';

type Endpoint = typeof auth.login;

export async function logIn(visit: Visit<Endpoint>): Promise<Outcome<Endpoint>> {
  const { sessionSecrets: secrets } = visit.config;
  if (secrets === null) return refused('not-configured');
  const { email, password } = visit.body;
  const subjects = [fromAddress('login', visit), byName('login', email)];
  return throttled(visit, subjects, async () => {
    const found = await findLogin(visit.env.DB, email);
    const right = await verified(visit, password, found?.password ?? null);
    if (!right.ok) return right;
    if (!right.value || found?.status !== 'active') return refused('login-wrong');
    return begin(visit, found, secrets);
  });
}

async function begin(
  visit: Visit<Endpoint>,
  user: LoginFacts,
  secrets: VersionedSecrets,
): Promise<Outcome<Endpoint>> {
  const { now, body } = visit;
  const { session, refresh } = await newSession(visit, user.id, secrets);
  const renewed = needsRehash(user.password) ? await hashed(visit, body.password) : null;
  const transport = body.transport ?? 'cookie';
  return commit(visit, {
    audit: { targetId: session.id, actorId: user.id },
    // Neither suspended nor given another password while this one was hashed.
    only: passwordHolds(user),
    otherwise: { code: 'login-wrong' },
    parts: (db, when) => [
      ...beginSession(db, session, when),
      // Where too many wait, the old hash stays for another time.
      ...(renewed?.ok ? [rehashPassword(db, { id: user.id, password: renewed.value }, when)] : []),
    ],
    reply: await loggedInAs(user, { ...session, refresh }, { transport, secrets, now }),
  });
}
