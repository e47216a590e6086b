// API keys as people manage them: lists, one key, and the statements that change it. What the relay
// and the Ledger objects need of keys is in keys.ts.

import type { SQL } from 'drizzle-orm';
import { and, desc, eq, lt, ne, sql } from 'drizzle-orm';
import type { KeyId, UserId } from '../domain/ids';
import type { LimitSet } from '../domain/limits/limit-set';
import type { Region } from '../domain/region';
import type { Condition, Database, Part } from './db';
import { primary, raised } from './db';
import type { KeyRow } from './keys';
import { pushKey } from './outbox';
import { keys, users, wallets } from './schema';

/** A key as people see it, and what is needed to change it. */
export interface ManagedKey extends Pick<
  KeyRow,
  | 'id'
  | 'userId'
  | 'walletId'
  | 'name'
  | 'hash'
  | 'status'
  | 'expiresAt'
  | 'previousUntil'
  | 'whenClientLeaves'
  | 'createdAt'
> {
  readonly tags: readonly string[];
  readonly limits: LimitSet;
  /** Of its wallet. */
  readonly region: Region;
  /** What its owner may do. */
  readonly ownLimits: { readonly user: LimitSet; readonly wallet: LimitSet };
}

export interface KeyFilter {
  /** null: of all users. */
  readonly userId: UserId | null;
  readonly status?: KeyRow['status'];
  readonly tag?: string;
  /** Of the secret that the tag of the key's text was made under. */
  readonly tagVersion?: string;
  /** Only keys made before this one. */
  readonly before?: KeyId;
  readonly limit: number;
}

/** Keys, newest first. Deleted ones only when asked for. Throws as D1 does. */
export async function listKeys(d1: D1Database, filter: KeyFilter): Promise<ManagedKey[]> {
  const { userId, status, tag, tagVersion, before, limit } = filter;
  return select(
    primary(d1),
    and(
      userId === null ? undefined : eq(keys.userId, userId),
      status === undefined ? ne(keys.status, 'deleted') : eq(keys.status, status),
      before === undefined ? undefined : lt(keys.id, before),
      tagVersion === undefined ? undefined : eq(keys.tagVersion, tagVersion),
      tag === undefined
        ? undefined
        : sql`EXISTS (SELECT 1 FROM json_each(${keys.tags}) WHERE value = ${tag})`,
    ),
    limit,
  );
}

/** The key, if it is `userId`'s (null: anybody's) and not deleted; else null. */
export async function findKey(
  d1: D1Database,
  keyId: KeyId,
  userId: UserId | null,
): Promise<ManagedKey | null> {
  const mine = userId === null ? undefined : eq(keys.userId, userId);
  const [row] = await select(
    primary(d1),
    and(eq(keys.id, keyId), ne(keys.status, 'deleted'), mine),
    1,
  );
  return row ?? null;
}

async function select(db: Database, where: SQL | undefined, limit: number): Promise<ManagedKey[]> {
  const rows = await db
    .select({ key: keys, region: wallets.region, user: users.limits, wallet: wallets.limits })
    .from(keys)
    .innerJoin(wallets, eq(wallets.id, keys.walletId))
    .innerJoin(users, eq(users.id, keys.userId))
    .where(where)
    .orderBy(desc(keys.id))
    .limit(limit);
  // These columns were checked when they were written.
  return rows.map(({ key, region, user, wallet }) => ({
    ...key,
    tags: JSON.parse(key.tags) as readonly string[],
    limits: JSON.parse(key.limits) as LimitSet,
    region,
    ownLimits: limitsOf({ user, wallet }),
  }));
}

/** Who a key is made for. */
export type KeyOwner = Pick<ManagedKey, 'userId' | 'walletId' | 'region' | 'ownLimits'>;

/** The user with the first wallet; null when there is none, or deleted. Throws as D1 does. */
export async function findKeyOwner(d1: D1Database, userId: UserId): Promise<KeyOwner | null> {
  const [row] = await primary(d1)
    .select({
      walletId: wallets.id,
      region: wallets.region,
      user: users.limits,
      wallet: wallets.limits,
    })
    .from(users)
    .innerJoin(wallets, eq(wallets.userId, users.id))
    .where(and(eq(users.id, userId), ne(users.status, 'deleted')))
    .orderBy(wallets.id)
    .limit(1);
  if (row === undefined) return null;
  const { walletId, region } = row;
  return { userId, walletId, region, ownLimits: limitsOf(row) };
}

function limitsOf(row: { readonly user: string; readonly wallet: string }) {
  return { user: JSON.parse(row.user) as LimitSet, wallet: JSON.parse(row.wallet) as LimitSet };
}

type NewManagedKey = Pick<
  KeyRow,
  'id' | 'walletId' | 'userId' | 'name' | 'hash' | 'tagVersion' | 'expiresAt' | 'whenClientLeaves'
> & { readonly tags: readonly string[]; readonly limits: LimitSet };

/** Makes the key and tells its wallet's object. `now` in Unix ms. */
export function addKey(
  db: Database,
  key: NewManagedKey,
  { now, when }: { readonly now: number; readonly when: Condition },
): readonly Part[] {
  const { id, walletId, userId, name, hash, tagVersion, expiresAt, whenClientLeaves } = key;
  const [limits, tags] = [JSON.stringify(key.limits), JSON.stringify(key.tags)];
  return [
    db.insert(keys).select(
      sql`SELECT ${id}, ${walletId}, ${userId}, ${name}, ${hash}, NULL, NULL, ${tagVersion},
          'active', ${expiresAt}, ${now}, ${now}, ${limits}, ${whenClientLeaves}, ${tags}
          WHERE ${when}`,
    ),
    pushKey(db, id, { now, when }),
  ];
}

/** What may be changed of a key; absent: stays. */
export interface KeyChange {
  readonly name?: string;
  readonly tags?: readonly string[];
  readonly limits?: LimitSet;
  readonly expiresAt?: number | null;
  readonly whenClientLeaves?: KeyRow['whenClientLeaves'];
  readonly status?: KeyRow['status'];
  /** A new text: the old one opens until `previousUntil`. */
  readonly text?: {
    readonly hash: string;
    readonly tagVersion: string;
    readonly previousHash: string;
    readonly previousUntil: number;
  };
}

/** Changes the key, raising its version, and tells its wallet's object. `now` in Unix ms. */
export function changeKey(
  db: Database,
  keyId: KeyId,
  {
    change,
    now,
    when,
  }: {
    readonly change: KeyChange;
    readonly now: number;
    readonly when: Condition;
  },
): readonly Part[] {
  const { tags, limits, text, ...plain } = change;
  return [
    db
      .update(keys)
      .set({
        ...plain,
        ...(tags === undefined ? {} : { tags: JSON.stringify(tags) }),
        ...(limits === undefined ? {} : { limits: JSON.stringify(limits) }),
        ...text,
        version: raised(keys.version, now),
      })
      .where(and(eq(keys.id, keyId), when)),
    pushKey(db, keyId, { now, when }),
  ];
}

/** Holds while the user is not deleted and has fewer keys than this, deleted ones not counted. */
export function mayHaveKey(db: Database, userId: UserId, keysMax: number): Condition {
  const owner = db
    .select({ one: sql`1` })
    .from(users)
    .where(and(eq(users.id, userId), ne(users.status, 'deleted')));
  const held = db
    .select({ count: sql`count(*)` })
    .from(keys)
    .where(and(eq(keys.userId, userId), ne(keys.status, 'deleted')));
  return sql`(EXISTS ${owner} AND ${held} < ${keysMax})`;
}

/** Holds while the key is not deleted: what is deleted never comes back. */
export function keyIsThere(db: Database, id: KeyId): Condition {
  const row = db
    .select({ one: sql`1` })
    .from(keys)
    .where(and(eq(keys.id, id), ne(keys.status, 'deleted')));
  return sql`EXISTS ${row}`;
}

/** Holds while the key is not deleted and its text is the one with this hash. */
export function keyIsStill(db: Database, { id, hash }: Pick<KeyRow, 'id' | 'hash'>): Condition {
  const row = db
    .select({ one: sql`1` })
    .from(keys)
    .where(and(eq(keys.id, id), eq(keys.hash, hash), ne(keys.status, 'deleted')));
  return sql`EXISTS ${row}`;
}
