// People in D1: who logs in, and statements for batches. Passwords come in as hashes only.

import { and, asc, eq, sql } from 'drizzle-orm';
import type { WalletId } from '../domain/ids';
import type { Region } from '../domain/region';
import type { Condition, Database, Part } from './db';
import { primary, raised } from './db';
import { users, wallets } from './schema';

export type UserRow = typeof users.$inferSelect;
export type NewUser = Pick<UserRow, 'id' | 'email' | 'name' | 'role' | 'password' | 'timeZone'>;

/** One spelling an address, so that the unique index means one person. */
export function normalEmail(email: string): string {
  return email.trim().toLowerCase();
}

/** Makes the user, or gives the one with this id the password anew. `now` in Unix ms. */
export function putUser(
  db: Database,
  user: NewUser,
  { now, when }: { readonly now: number; readonly when: Condition },
): Part {
  const { id, email, name, role, password, timeZone } = user;
  return db
    .insert(users)
    .select(
      sql`SELECT ${id}, ${normalEmail(email)}, ${name}, ${role}, ${password}, 'active',
        ${timeZone}, ${now}, ${now}, '{}', '[50,80,100]' WHERE ${when}`,
    )
    .onConflictDoUpdate({
      target: users.id,
      set: {
        email: sql`excluded.email`,
        password: sql`excluded.password`,
        version: raised(users.version, now),
      },
    });
}

/** What decides about a login, and what is told of whoever comes in. */
export interface LoginFacts extends Pick<
  UserRow,
  'id' | 'email' | 'name' | 'role' | 'timeZone' | 'password' | 'status'
> {
  readonly walletId: WalletId;
  readonly region: Region;
}

/** Whoever has this address, in any status; null: nobody. Throws as D1 does. */
export async function findLogin(d1: D1Database, email: string): Promise<LoginFacts | null> {
  const { id, name, role, timeZone, password, status } = users;
  const [row] = await primary(d1)
    .select({
      id,
      email: users.email,
      name,
      role,
      timeZone,
      password,
      status,
      walletId: wallets.id,
      region: wallets.region,
    })
    .from(users)
    .innerJoin(wallets, eq(wallets.userId, users.id))
    .where(eq(users.email, normalEmail(email)))
    .orderBy(asc(wallets.id))
    .limit(1);
  return row ?? null;
}

/** Holds while the user is active and has this password (PHC). */
export function passwordHolds({ id, password }: Pick<UserRow, 'id' | 'password'>): Condition {
  const holds = and(eq(users.id, id), eq(users.password, password), eq(users.status, 'active'));
  return sql`EXISTS (SELECT 1 FROM ${users} WHERE ${holds})`;
}

/** Puts another hash of the same password in its place. No copy has it: no version rises. */
export function rehashPassword(
  db: Database,
  { id, password }: Pick<UserRow, 'id' | 'password'>,
  when: Condition,
): Part {
  return db
    .update(users)
    .set({ password })
    .where(and(eq(users.id, id), when));
}

/** Whether a batch failed because another user has the address. */
export function isEmailTaken(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return /UNIQUE constraint failed: users\.email/.test(String(cause));
}
