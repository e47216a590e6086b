// Invitations, as admins make and take them back. Using one is auth/register.ts.

import { invites } from '../contract/invites';
import { commit } from '../commit';
import { pageAsked, pageMade } from '../page';
import { refused } from '../refusals';
import type { Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { RelayError } from '../../domain/errors';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import { fail, ok } from '../../domain/result';
import { HOUR_MS } from '../../domain/time';
import { base64url } from '../../platform/base64';
import { sha256 } from '../../platform/digest';
import { randomBytes } from '../../platform/random';
import { addInvite, inviteIsOpen, listInvites, revokeInvite } from '../../store/invites';

const SECRET_BYTES = 32;
const VALID_FOR_MS = 7 * 24 * HOUR_MS;

export const INVITE_ROUTES: readonly Route[] = [
  on(invites.list, show),
  on(invites.create, make),
  on(invites.revoke, revoke),
];

async function show(visit: Visit<typeof invites.list>): Promise<Outcome<typeof invites.list>> {
  const asked = pageAsked('invite', visit.query);
  if (!asked.ok) return asked;
  return ok({ body: pageMade(await listInvites(visit.env.DB, asked.value), asked.value) });
}

async function make(visit: Visit<typeof invites.create>): Promise<Outcome<typeof invites.create>> {
  const { actor, body, now } = visit;
  const { role = 'user', email = null, validForMs = VALID_FOR_MS } = body;
  // Whoever sees everything is let in by an admin in person: users/routes.ts has the reason.
  if (role !== 'user' && actor.kind !== 'person') return refused('beyond-own-rights');
  const id = newId('invite', now, randomBytes(ID_RANDOM_BYTES));
  const secret = `${id}.${base64url(randomBytes(SECRET_BYTES))}`;
  const made = {
    id,
    email,
    role,
    createdBy: actor.id,
    createdAt: now,
    expiresAt: now + validForMs,
  };
  const invite = { ...made, usedBy: null, usedAt: null, revokedAt: null };
  const hash = await sha256(secret);
  return commit(visit, {
    audit: { targetId: id, after: made },
    parts: (db, when) => [addInvite(db, { ...made, hash }, when)],
    reply: { body: { invite, secret } },
    again: { invite, secret: null },
  });
}

async function revoke(
  visit: Visit<typeof invites.revoke>,
): Promise<Outcome<typeof invites.revoke>> {
  const { parameters, url, now } = visit;
  const { id = '' } = parameters;
  const nobodys: RelayError = { kind: 'not-found', what: url.pathname };
  if (!isId('invite', id)) return fail(nobodys);
  return commit(visit, {
    audit: { targetId: id },
    only: inviteIsOpen(id),
    otherwise: nobodys,
    parts: (db, when) => [revokeInvite(db, id, { now, when })],
    reply: { body: undefined },
  });
}
