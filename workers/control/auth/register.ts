// Registering: a user with a wallet, logged in at once. Who may is a setting. An invitation is used
// up in the batch that makes the user, so it makes one, however many come with it.

import type { auth } from '../contract/auth';
import type { Role } from '../contract/endpoint';
import { commit } from '../commit';
import { hashed } from '../passwords';
import type { Refused } from '../refusals';
import { refused } from '../refusals';
import { readSetting } from '../settings';
import { fromAddress, throttled } from '../throttle';
import type { Outcome, Visit } from '../visit';
import type { Entrant } from './session';
import { loggedInAs, newSession } from './session';
import type { InviteId } from '../../domain/ids';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import { regionOfContinent } from '../../domain/region';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import { sameText, sha256 } from '../../platform/digest';
import type { VersionedSecrets } from '../../platform/env';
import { randomBytes } from '../../platform/random';
import { findInvite, inviteHolds, useInvite } from '../../store/invites';
import { pushUser, pushWallet } from '../../store/outbox';
import { beginSession } from '../../store/sessions';
import { isEmailTaken, putUser } from '../../store/users';
import { addWallet } from '../../store/wallets';

type Endpoint = typeof auth.register;

/** What lets somebody in: an invitation, or that anyone may. */
interface Admission {
  readonly role: Role;
  readonly inviteId: InviteId | null;
}

export async function register(visit: Visit<Endpoint>): Promise<Outcome<Endpoint>> {
  const { sessionSecrets: secrets } = visit.config;
  if (secrets === null) return refused('not-configured');
  const mode = await readSetting(visit.env.DB, 'registration');
  if (mode === 'closed') return refused('registration-closed');
  const isOpen = mode === 'open' && visit.body.invite === undefined;
  const from = fromAddress('register', visit);
  // Where anyone may, nobody needs many: each counts, whatever comes of it.
  const subjects = [isOpen ? ({ ...from, always: true } as const) : from];
  return throttled(visit, subjects, async () => {
    const admission = isOpen ? ok(ANYONE) : await invited(visit);
    if (!admission.ok) return admission;
    const password = await hashed(visit, visit.body.password);
    if (!password.ok) return password;
    try {
      return await enter(visit, admission.value, { password: password.value, secrets });
    } catch (error) {
      if (isEmailTaken(error)) return refused('address-taken');
      throw error;
    }
  });
}

const ANYONE: Admission = { role: 'user', inviteId: null };
const NOT_VALID: Refused = { code: 'invite-not-valid' };

/** `inv_<id>.<secret>`: the id finds the row, the hash of the whole opens it. */
async function invited({ env, body, now }: Visit<Endpoint>): Promise<Result<Admission, Refused>> {
  const { invite: text, email } = body;
  if (text === undefined) {
    const message = 'Registration is by invitation: open the link that you were given.';
    return { ok: false, error: { ...NOT_VALID, message } };
  }
  const [id = ''] = text.split('.');
  const row = isId('invite', id) ? await findInvite(env.DB, id, now) : null;
  const isTrue = row !== null && (await sameText(await sha256(text), row.hash));
  if (!isTrue || !isId('invite', id)) return { ok: false, error: NOT_VALID };
  if (row.email !== null && row.email !== email) return { ok: false, error: NOT_VALID };
  return ok({ role: row.role, inviteId: id });
}

async function enter(
  visit: Visit<Endpoint>,
  { role, inviteId }: Admission,
  { password, secrets }: { readonly password: string; readonly secrets: VersionedSecrets },
): Promise<Outcome<Endpoint>> {
  const { now, body } = visit;
  const user = entrantOf(visit, role);
  const { session, refresh } = await newSession(visit, user.id, secrets);
  const transport = body.transport ?? 'cookie';
  const { id: userId, walletId, region } = user;
  return commit(visit, {
    audit: {
      targetId: userId,
      actorId: userId,
      after: { email: user.email, name: user.name, role, inviteId },
    },
    ...(inviteId === null ? {} : { only: inviteHolds(inviteId, now), otherwise: NOT_VALID }),
    parts: (db, when) => [
      putUser(db, { ...user, password }, { now, when }),
      addWallet(db, { id: walletId, userId, region }, { now, when }),
      ...(inviteId === null ? [] : [useInvite(db, { id: inviteId, userId }, { now, when })]),
      ...beginSession(db, session, when),
      pushUser(db, userId, { now, when }),
      pushWallet(db, walletId, { now, when }),
    ],
    push: { wallets: [walletId] },
    reply: await loggedInAs(user, { ...session, refresh }, { transport, secrets, now }),
  });
}

function entrantOf({ request, body, now }: Visit<Endpoint>, role: Role): Entrant {
  const continent = request.cf?.continent;
  const { email, name, timeZone = 'UTC' } = body;
  return {
    id: newId('user', now, randomBytes(ID_RANDOM_BYTES)),
    walletId: newId('wallet', now, randomBytes(ID_RANDOM_BYTES)),
    // Where the wallet's object will live: near its owner.
    region: regionOfContinent(typeof continent === 'string' ? continent : undefined),
    email,
    name,
    role,
    timeZone,
  };
}
