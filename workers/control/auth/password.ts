// A new password. It ends every login of its user; the one that set it goes on as a new one, so
// that no token from before opens anything.

import type { auth } from '../contract/auth';
import { commit } from '../commit';
import { hashed, verified } from '../passwords';
import { refused } from '../refusals';
import { byName, fromAddress, throttled } from '../throttle';
import type { Outcome, Visit } from '../visit';
import type { Transport } from './session';
import { loggedInAs, newSession } from './session';
import type { VersionedSecrets } from '../../platform/env';
import { bothHold } from '../../store/db';
import { beginSession, sessionHolds } from '../../store/sessions';
import { changeUser, endLogins } from '../../store/user-changes';
import type { LoginFacts } from '../../store/users';
import { findLogin, passwordHolds } from '../../store/users';

type Endpoint = typeof auth.changePassword;

export async function changePassword(visit: Visit<Endpoint>): Promise<Outcome<Endpoint>> {
  const { config, actor, body } = visit;
  const { sessionSecrets: secrets } = config;
  if (secrets === null) return refused('not-configured');
  const subjects = [fromAddress('login', visit), byName('login', actor.email)];
  return throttled(visit, subjects, async () => {
    const found = await findLogin(visit.env.DB, actor.email);
    const right = await verified(visit, body.currentPassword, found?.password ?? null);
    if (!right.ok) return right;
    if (!right.value || found === null) return refused('password-wrong');
    const password = await hashed(visit, body.newPassword);
    if (!password.ok) return password;
    return change(visit, found, { password: password.value, secrets });
  });
}

async function change(
  visit: Visit<Endpoint>,
  user: LoginFacts,
  { password, secrets }: { readonly password: string; readonly secrets: VersionedSecrets },
): Promise<Outcome<Endpoint>> {
  const { actor, now } = visit;
  const { session, refresh } = await newSession(visit, user.id, secrets);
  const given = { transport: transportOf(visit), secrets, now };
  return commit(visit, {
    audit: { targetId: user.id },
    only: bothHold(passwordHolds(user), sessionHolds(actor.sessionId, { now, userId: user.id })),
    otherwise: { code: 'session-ended' },
    parts: (db, when) => [
      ...changeUser(db, user.id, { change: { password }, now, when }),
      endLogins(db, user.id, { now, by: 'password', when }),
      ...beginSession(db, session, when),
    ],
    push: { wallets: [user.walletId] },
    reply: await loggedInAs(user, { ...session, refresh }, given),
  });
}

/** A program that came with a bearer and said nothing more would lose its login with cookies. */
function transportOf({ body, request }: Visit<Endpoint>): Transport {
  return body.transport ?? (request.headers.has('authorization') ? 'bearer' : 'cookie');
}
