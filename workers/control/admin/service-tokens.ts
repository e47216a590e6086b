// Service tokens, as an admin in person makes and revokes them. What one opens is guard.ts.

import { serviceTokens } from '../contract/service-tokens';
import { commit } from '../commit';
import { pageAsked, pageMade } from '../page';
import type { Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { RelayError } from '../../domain/errors';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import { fail, ok } from '../../domain/result';
import { HOUR_MS } from '../../domain/time';
import { base64url } from '../../platform/base64';
import { sha256 } from '../../platform/digest';
import { randomBytes } from '../../platform/random';
import type { ListedServiceToken } from '../../store/service-tokens';
import {
  addServiceToken,
  listServiceTokens,
  revokeServiceToken,
  serviceTokenHolds,
} from '../../store/service-tokens';

const SECRET_BYTES = 32;
const VALID_FOR_MS = 90 * 24 * HOUR_MS;

export const SERVICE_TOKEN_ROUTES: readonly Route[] = [
  on(serviceTokens.list, show),
  on(serviceTokens.create, make),
  on(serviceTokens.revoke, revoke),
];

async function show(
  visit: Visit<typeof serviceTokens.list>,
): Promise<Outcome<typeof serviceTokens.list>> {
  const asked = pageAsked('serviceToken', visit.query);
  if (!asked.ok) return asked;
  const rows = await listServiceTokens(visit.env.DB, asked.value);
  return ok({ body: pageMade(rows.map(shown), asked.value) });
}

async function make(
  visit: Visit<typeof serviceTokens.create>,
): Promise<Outcome<typeof serviceTokens.create>> {
  const { actor, body, now } = visit;
  const id = newId('serviceToken', now, randomBytes(ID_RANDOM_BYTES));
  const token = `${id}_${base64url(randomBytes(SECRET_BYTES))}`;
  const made = {
    id,
    name: body.name,
    scopes: [...new Set(body.scopes)],
    createdBy: actor.id,
    createdAt: now,
    expiresAt: now + (body.validForMs ?? VALID_FOR_MS),
  };
  const serviceToken = shown({ ...made, revokedAt: null });
  const hash = await sha256(token);
  return commit(visit, {
    audit: { targetId: id, after: made },
    parts: (db, when) => [addServiceToken(db, { ...made, hash }, when)],
    reply: { body: { serviceToken, token } },
    again: { serviceToken, token: null },
  });
}

async function revoke(
  visit: Visit<typeof serviceTokens.revoke>,
): Promise<Outcome<typeof serviceTokens.revoke>> {
  const { parameters, url, now } = visit;
  const { id = '' } = parameters;
  const nobodys: RelayError = { kind: 'not-found', what: url.pathname };
  if (!isId('serviceToken', id)) return fail(nobodys);
  return commit(visit, {
    audit: { targetId: id },
    only: serviceTokenHolds(id),
    otherwise: nobodys,
    parts: (db, when) => [revokeServiceToken(db, id, { now, when })],
    reply: { body: undefined },
  });
}

function shown(row: ListedServiceToken) {
  return { ...row, scopes: [...row.scopes] };
}
