// What is done with an API key, whoever does it: its owner or an admin. The routes (routes.ts) say
// whose keys may be touched.

import type { Endpoint } from '../contract/endpoint';
import type { adminKeys, Token, tokens } from '../contract/tokens';
import { commit } from '../commit';
import { askLedger } from '../credits/balance';
import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Acting, Call, Outcome } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { KeyId, UserId } from '../../domain/ids';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import type { LimitSet } from '../../domain/limits/limit-set';
import { beyondRights } from '../../domain/limits/rights';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { mintKey } from '../../platform/digest';
import { randomBytes } from '../../platform/random';
import type { KeyChange, KeyFilter, KeyOwner, ManagedKey } from '../../store/key-changes';
import {
  addKey,
  changeKey,
  findKey,
  findKeyOwner,
  keyIsStill,
  keyIsThere,
  listKeys,
  mayHaveKey,
} from '../../store/key-changes';

const PAGE_ITEMS = 50;
/** Of one user: each is a row in D1 and in the wallet's object. */
const KEYS_MAX = 1_000;

type Making = typeof tokens.create | typeof adminKeys.create;
type Altering =
  | typeof tokens.change
  | typeof tokens.disable
  | typeof tokens.enable
  | typeof adminKeys.change
  | typeof adminKeys.disable
  | typeof adminKeys.enable;
type Rotating = typeof tokens.rotate | typeof adminKeys.rotate;
type Removing = typeof tokens.delete | typeof adminKeys.delete;

/** Whose keys: one's own, or (null) anybody's. */
type Whose = UserId | null;

/** What may be said of a key; absent: as it is, or nothing. */
interface KeySettings {
  readonly name?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly limits?: LimitSet | undefined;
  readonly expiresAt?: number | null | undefined;
  readonly whenClientLeaves?: 'cancel' | 'drain' | undefined;
}

/** A page of keys. A cursor that is no key's id ends the list. */
export async function pageOfKeys(
  call: Call,
  whose: Whose,
  query: {
    readonly status?: KeyFilter['status'] | undefined;
    readonly tag?: string | undefined;
    readonly tagVersion?: string | undefined;
    readonly cursor?: string | undefined;
    readonly limit?: number | undefined;
  },
) {
  const { status, tag, tagVersion, cursor, limit = PAGE_ITEMS } = query;
  if (cursor !== undefined && !isId('key', cursor)) {
    return refused('not-valid', { fields: { cursor: 'is not one of this list' } });
  }
  const rows = await listKeys(call.env.DB, {
    userId: whose,
    ...(status === undefined ? {} : { status }),
    ...(tag === undefined ? {} : { tag }),
    ...(tagVersion === undefined ? {} : { tagVersion }),
    ...(cursor === undefined ? {} : { before: cursor }),
    limit: limit + 1,
  });
  const next = rows.length > limit ? (rows[limit - 1]?.id ?? null) : null;
  return ok({ body: { items: rows.slice(0, limit).map(tokenOf), next } });
}

/** The key of the path, if it is `whose`; 404 for all others. */
export async function keyOf(
  visit: Pick<Acting<Endpoint>, 'env' | 'parameters' | 'url'>,
  whose: Whose,
): Promise<Result<ManagedKey, RelayError>> {
  const { id = '' } = visit.parameters;
  const key = isId('key', id) ? await findKey(visit.env.DB, id, whose) : null;
  return key === null ? fail(notFound(visit)) : ok(key);
}

/** Who keys of the user with this id belong to; 404 where there is none. */
export async function ownerOf(
  visit: Pick<Call, 'env' | 'url'>,
  userId: string,
): Promise<Result<KeyOwner, RelayError>> {
  const owner = isId('user', userId) ? await findKeyOwner(visit.env.DB, userId) : null;
  return owner === null ? fail(notFound(visit)) : ok(owner);
}

function notFound({ url }: Pick<Call, 'url'>): RelayError {
  return { kind: 'not-found', what: url.pathname };
}

/** The key without its text, which nobody has. */
export function shownKey(key: ManagedKey) {
  return ok({ body: tokenOf(key) });
}

/** Makes a key and shows its text, this once. */
export async function makeKey(
  visit: Acting<Making>,
  owner: KeyOwner,
  settings: KeySettings & { readonly name: string },
): Promise<Outcome<Making>> {
  const { name, tags = [], limits = {}, expiresAt = null, whenClientLeaves = 'cancel' } = settings;
  const beyond = checkSettings({ limits, expiresAt }, owner.ownLimits, visit.now);
  if (beyond !== null) return beyond;
  const { userId, walletId, region } = owner;
  const id: KeyId = newId('key', visit.now, randomBytes(ID_RANDOM_BYTES));
  const { key, hash, tagVersion } = await mintKey(
    { walletId, keyId: id, region },
    visit.config.keyTagSecrets,
  );
  const given = { id, walletId, userId, name, tags, limits, expiresAt, whenClientLeaves };
  const state = { status: 'active', previousUntil: null, createdAt: visit.now } as const;
  const token = tokenOf({ ...given, ...state });
  return commit(visit, {
    audit: { targetId: id, after: token },
    only: (db) => mayHaveKey(db, userId, KEYS_MAX),
    otherwise: { kind: 'conflict', what: `There are ${KEYS_MAX} keys already. Delete one first.` },
    parts: (db, when) => addKey(db, { ...given, hash, tagVersion }, { now: visit.now, when }),
    push: { wallets: [walletId] },
    reply: { body: { token, key } },
    again: { token, key: null },
  });
}

/** Changes what is said of the key. */
export async function alterKey(
  visit: Acting<Altering>,
  key: ManagedKey,
  settings: KeySettings & { readonly status?: 'active' | 'disabled' },
): Promise<Outcome<Altering>> {
  const beyond = checkSettings(settings, key.ownLimits, visit.now);
  if (beyond !== null) return beyond;
  const change = Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as KeyChange;
  const after = tokenOf({ ...key, ...change });
  return commit(visit, {
    audit: { targetId: key.id, before: tokenOf(key), after },
    only: (db) => keyIsThere(db, key.id),
    otherwise: notFound(visit),
    parts: (db, when) => changeKey(db, key.id, { change, now: visit.now, when }),
    push: { wallets: [key.walletId] },
    reply: { body: after },
  });
}

/** Deletes the key for good. */
export async function removeKey(
  visit: Acting<Removing>,
  key: ManagedKey,
): Promise<Outcome<Removing>> {
  const change = { status: 'deleted' } as const;
  return commit(visit, {
    audit: { targetId: key.id, before: tokenOf(key) },
    only: (db) => keyIsThere(db, key.id),
    otherwise: notFound(visit),
    parts: (db, when) => changeKey(db, key.id, { change, now: visit.now, when }),
    push: { wallets: [key.walletId] },
    reply: { body: undefined },
  });
}

/** Gives the key a new text. Of two rotations at once one is done, the other refused. */
export async function rotateKey(
  visit: Acting<Rotating>,
  key: ManagedKey,
  { graceMs = 0 }: { readonly graceMs?: number | undefined },
): Promise<Outcome<Rotating>> {
  const { id, walletId, region, hash: previousHash } = key;
  const order = { walletId, keyId: id, region };
  const fresh = await mintKey(order, visit.config.keyTagSecrets);
  const previousUntil = visit.now + graceMs;
  const { hash, tagVersion } = fresh;
  const change = { text: { hash, tagVersion, previousHash, previousUntil } };
  const token = tokenOf({ ...key, previousUntil });
  const { now } = visit;
  return commit(visit, {
    audit: { targetId: id, before: tokenOf(key), after: token },
    parts: (db, when) => changeKey(db, id, { change, now, when }),
    only: (db) => keyIsStill(db, key),
    otherwise: { kind: 'conflict', what: 'The key was changed meanwhile. Look at it again.' },
    push: { wallets: [walletId] },
    reply: { body: { token, key: fresh.key } },
    again: { token, key: null },
  });
}

/** What the key has used; read from its wallet's Ledger. */
export async function usageOfKey(visit: Call, key: ManagedKey) {
  const info = await askLedger(visit, key, (ledger) => ledger.keyFigures({ keyId: key.id }));
  if (!info.ok) return info;
  if (!info.value.ok) return info.value;
  const { requests, usedNanos, overrunNanos = 0, limits = [] } = info.value.value;
  return ok({ body: { requests, usedNanos, overrunNanos, limits: [...limits] } });
}

function checkSettings(
  { limits, expiresAt }: Pick<KeySettings, 'limits' | 'expiresAt'>,
  own: ManagedKey['ownLimits'],
  now: number,
): { readonly ok: false; readonly error: Refused } | null {
  if (typeof expiresAt === 'number' && expiresAt <= now) {
    return refused('not-valid', { fields: { expiresAt: 'lies in the past' } });
  }
  if (limits === undefined) return null;
  const beyond = beyondRights(limits, own.user) ?? beyondRights(limits, own.wallet);
  if (beyond === null) return null;
  return refused('beyond-own-rights', { fields: { [beyond.field]: beyond.why } });
}

function tokenOf(key: Omit<ManagedKey, 'hash' | 'region' | 'ownLimits'>): Token {
  const { id, userId, walletId, name, status, expiresAt, previousUntil, whenClientLeaves } = key;
  return {
    id,
    userId,
    walletId,
    name,
    tags: [...key.tags],
    status,
    expiresAt,
    previousUntil,
    limits: { ...key.limits },
    whenClientLeaves,
    createdAt: key.createdAt,
  };
}
