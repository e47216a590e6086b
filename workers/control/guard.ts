// Who is calling, and whether they may: the one door of the control plane. A token only names a
// row; the row decides, at every call. An API key of the data plane opens nothing here.

import type { Access, Area, Scope } from './contract/endpoint';
import type { Refused } from './refusals';
import { refused } from './refusals';
import type { Actor, Call, Person } from './visit';
import type { RelayError } from '../domain/errors';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { SECOND_MS } from '../domain/time';
import { causeOf, log } from '../observe/log';
import { readAccess } from '../platform/access-token';
import { sameText, sha256 } from '../platform/digest';
import { isId } from '../domain/ids';
import { findServiceToken } from '../store/service-tokens';
import { findOwner } from '../store/sessions';

export const ACCESS_COOKIE = '__Host-access';
export const REFRESH_COOKIE = '__Host-refresh';

type Known = Result<Actor | null, RelayError | Refused>;

/** Lets a call through that `access` allows, with who makes it; null where nobody need be known. */
export async function admitCall(call: Call, access: Access): Promise<Known> {
  if (access.by === 'anyone') return ok(null);
  if (access.by === 'secret') return checkSecret(call, access.secret);
  const known = await whoCalls(call);
  if (!known.ok) return known;
  const actor = known.value;
  if (actor.kind === 'service') return checkScopes(actor, access);
  return isAllowed(actor, access) ? ok(actor) : refused('role-too-low');
}

/** Where no setup secret is set there is no door; metrics say what is missing. */
async function checkSecret(call: Call, name: 'setup' | 'metrics'): Promise<Known> {
  const { setupSecret, metricsToken } = call.config;
  const expected = name === 'setup' ? setupSecret : metricsToken;
  if (expected === null && name === 'setup') {
    return fail({ kind: 'not-found', what: call.url.pathname });
  }
  if (expected === null) return refused('not-configured');
  const given = bearerOf(call.request.headers) ?? '';
  if (await sameText(given, expected)) return ok(null);
  return refused(name === 'setup' ? 'setup-secret-wrong' : 'token-not-valid');
}

/** The one who calls, by cookie or bearer. A database that fails opens nothing. */
async function whoCalls(call: Call): Promise<Result<Actor, RelayError | Refused>> {
  const bearer = bearerOf(call.request.headers);
  try {
    if (bearer !== null && bearer.startsWith('svc_')) return await serviceOf(call, bearer);
    const token = bearer ?? cookieOf(call.request.headers, ACCESS_COOKIE);
    return token === null ? refused('sign-in-needed') : await personOf(call, token);
  } catch (error) {
    log('guard-failed', { request: call.requestId, error: causeOf(error) });
    return fail({ kind: 'busy', what: 'database', retryAfterMs: SECOND_MS });
  }
}

async function personOf(call: Call, token: string): Promise<Result<Actor, Refused>> {
  const { sessionSecrets: secrets } = call.config;
  if (secrets === null) return refused('not-configured');
  const claims = await readAccess(token, { secrets, now: call.now });
  if (claims === null) return refused('sign-in-needed');
  const owner = await findOwner(call.env.DB, claims.sessionId, call.now);
  if (owner?.id !== claims.userId) return refused('session-ended');
  return ok({ kind: 'person', ...owner, sessionId: claims.sessionId });
}

/** `svc_<id>_<secret>`: the id finds the row, the hash of the whole opens it. */
async function serviceOf(call: Call, token: string): Promise<Result<Actor, Refused>> {
  const id = token.split('_').slice(0, 2).join('_');
  const row = isId('serviceToken', id) ? await findServiceToken(call.env.DB, id, call.now) : null;
  if (row === null || !(await sameText(await sha256(token), row.hash))) {
    return refused('token-not-valid');
  }
  const { name, scopes } = row;
  // What is no scope of today matches none.
  return ok({ kind: 'service', id: row.id, name, scopes: scopes as readonly Scope[] });
}

function checkScopes(actor: Extract<Actor, { kind: 'service' }>, access: Access): Known {
  if (access.by !== 'staff') return refused('role-too-low');
  const { area, writes } = access;
  const wanted: readonly Scope[] = writes ? [`write:${area}`] : scopesToRead(area);
  return wanted.some((scope) => actor.scopes.includes(scope))
    ? ok(actor)
    : refused('scope-missing');
}

function scopesToRead(area: Area): readonly Scope[] {
  return [`read:${area}`, `write:${area}`];
}

function isAllowed({ role }: Person, access: Access): boolean {
  switch (access.by) {
    case 'person':
      return !access.writes || role !== 'viewer';
    case 'staff':
      return role === 'admin' || (role === 'viewer' && !access.writes);
    case 'admin':
      return role === 'admin';
    case 'anyone':
    case 'secret':
      return true;
  }
}

function bearerOf(headers: Headers): string | null {
  return /^bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null;
}

/** The value of a cookie; null: it was not sent, or twice. */
export function cookieOf(headers: Headers, name: string): string | null {
  const pairs = (headers.get('cookie') ?? '').split(';').map((pair) => pair.trim());
  const found = pairs.filter((pair) => pair.startsWith(`${name}=`));
  return found.length === 1 ? (found[0]?.slice(name.length + 1) ?? null) : null;
}
