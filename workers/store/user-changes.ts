// People as admins manage them: lists, one person, and the statements that change one. Logging in
// is sessions.ts; what a Ledger object needs of a user goes out through the outbox.

import type { SQL } from 'drizzle-orm';
import { and, desc, eq, isNull, like, lt, lte, ne, or, sql } from 'drizzle-orm';
import type { UserId, WalletId } from '../domain/ids';
import type { LimitSet } from '../domain/limits/limit-set';
import type { Nanos } from '../domain/money';
import { HOUR_MS } from '../domain/time';
import type { Condition, Database, Part } from './db';
import { contains, primary, raised } from './db';
import { pushUser, pushWallet } from './outbox';
import { balances, keys, users, wallets } from './schema';
import { sessions } from './schema-control';
import type { UserRow } from './users';
import type { WalletRow } from './wallets';

/** Somebody with the wallet that pays. */
export interface ManagedUser extends Pick<
  UserRow,
  'id' | 'email' | 'name' | 'role' | 'status' | 'timeZone' | 'createdAt'
> {
  readonly limits: LimitSet;
  readonly wallet: Pick<WalletRow, 'id' | 'region' | 'status'> & {
    readonly limits: LimitSet;
    /** null: its Ledger has sent nothing yet. */
    readonly balanceNanos: Nanos | null;
  };
}

export interface UserFilter {
  /** Looked for in names and addresses, as it is. */
  readonly search?: string;
  readonly role?: UserRow['role'];
  readonly status?: UserRow['status'];
  /** Only people made before this one. */
  readonly before?: UserId;
  readonly limit: number;
}

/** People, newest first; deleted ones only when asked for. Throws as D1 does. */
export async function listUsers(d1: D1Database, filter: UserFilter): Promise<ManagedUser[]> {
  const { search, role, status, before, limit } = filter;
  return select(
    primary(d1),
    and(
      status === undefined ? ne(users.status, 'deleted') : eq(users.status, status),
      role === undefined ? undefined : eq(users.role, role),
      before === undefined ? undefined : lt(users.id, before),
      search === undefined
        ? undefined
        : or(contains(users.email, search), contains(users.name, search)),
    ),
    limit,
  );
}

/** Somebody, if not deleted; else null. Throws as D1 does. */
export async function findUser(d1: D1Database, userId: UserId): Promise<ManagedUser | null> {
  const [row] = await select(
    primary(d1),
    and(eq(users.id, userId), ne(users.status, 'deleted')),
    1,
  );
  return row ?? null;
}

async function select(db: Database, where: SQL | undefined, limit: number): Promise<ManagedUser[]> {
  const rows = await db
    .select({ user: users, wallet: wallets, balanceNanos: balances.balanceNanos })
    .from(users)
    .innerJoin(wallets, eq(wallets.userId, users.id))
    .leftJoin(balances, eq(balances.walletId, wallets.id))
    .where(where)
    .orderBy(desc(users.id))
    .limit(limit);
  // These columns were checked when they were written.
  return rows.map(({ user, wallet, balanceNanos }) => {
    const { id, email, name, role, status, timeZone, createdAt } = user;
    const limits = JSON.parse(user.limits) as LimitSet;
    const { id: walletId, region, status: walletStatus } = wallet;
    const its = { id: walletId, region, status: walletStatus, balanceNanos };
    const walletLimits = JSON.parse(wallet.limits) as LimitSet;
    const known = { id, email, name, role, status, timeZone, createdAt, limits };
    return { ...known, wallet: { ...its, limits: walletLimits } };
  });
}

interface Writing {
  /** Unix ms. */
  readonly now: number;
  readonly when: Condition;
}

/** What may be changed of somebody; absent: stays. */
export interface UserChange {
  readonly email?: string;
  readonly name?: string;
  readonly role?: UserRow['role'];
  readonly status?: UserRow['status'];
  readonly timeZone?: string;
  readonly limits?: LimitSet;
  /** argon2id as a PHC string. */
  readonly password?: string;
}

/** Changes somebody, raising the version, and tells the wallet's object. */
export function changeUser(
  db: Database,
  userId: UserId,
  { change, now, when }: Writing & { readonly change: UserChange },
): readonly Part[] {
  const { limits, ...plain } = change;
  return [
    db
      .update(users)
      .set({
        ...plain,
        ...(limits === undefined ? {} : { limits: JSON.stringify(limits) }),
        version: raised(users.version, now),
      })
      .where(and(eq(users.id, userId), when)),
    pushUser(db, userId, { now, when }),
  ];
}

/** Sets the wallet's limits, all but its user's own budgets, and tells its object. */
export function limitWallet(
  db: Database,
  walletId: WalletId,
  { limits, now, when }: Writing & { readonly limits: LimitSet },
): readonly Part[] {
  const text = JSON.stringify(limits);
  const budgets = sql`${wallets.limits} -> '$.budgets'`;
  return [
    db
      .update(wallets)
      .set({
        limits: sql`CASE WHEN ${budgets} IS NULL THEN ${text}
          ELSE json_set(${text}, '$.budgets', json(${budgets})) END`,
        version: raised(wallets.version, now),
      })
      .where(and(eq(wallets.id, walletId), when)),
    pushWallet(db, walletId, { now, when }),
  ];
}

/** Ends all logins of somebody. */
export function endLogins(
  db: Database,
  userId: UserId,
  { now, when, by }: Writing & { readonly by: string },
): Part {
  return db
    .update(sessions)
    .set({ endedAt: now, endedBy: by })
    .where(and(eq(sessions.userId, userId), isNull(sessions.endedAt), when));
}

/** Deletes all keys of somebody. That the user is gone is what the wallet's object goes by. */
export function deleteKeysOf(db: Database, userId: UserId, { now, when }: Writing): Part {
  return db
    .update(keys)
    .set({ status: 'deleted', version: raised(keys.version, now) })
    .where(and(eq(keys.userId, userId), ne(keys.status, 'deleted'), when));
}

/** Holds while somebody has this role and is not deleted: whoever is, never comes back. */
export function userIsStill(
  db: Database,
  { id, role }: Pick<ManagedUser, 'id' | 'role'>,
): Condition {
  const row = db
    .select({ one: sql`1` })
    .from(users)
    .where(and(eq(users.id, id), eq(users.role, role), ne(users.status, 'deleted')));
  return sql`EXISTS ${row}`;
}

/** Holds while somebody else is an active admin. */
export function anotherAdmin(db: Database, userId: UserId): Condition {
  const others = db
    .select({ one: sql`1` })
    .from(users)
    .where(and(eq(users.role, 'admin'), eq(users.status, 'active'), ne(users.id, userId)));
  return sql`EXISTS ${others}`;
}

const TOMBSTONE_MS = 30 * 24 * HOUR_MS;

/**
 * Takes name and address from those who were deleted more than 30 days before `now` (Unix ms). The
 * version of a deleted row is the time of its deletion. Throws as D1 does.
 */
export async function forgetDeleted(d1: D1Database, now: number): Promise<void> {
  await primary(d1)
    .update(users)
    .set({ name: 'Deleted', email: sql`'deleted:' || ${users.id}`, password: '-' })
    .where(
      and(
        eq(users.status, 'deleted'),
        lte(users.version, now - TOMBSTONE_MS),
        sql`NOT ${like(users.email, 'deleted:%')}`,
      ),
    );
}
