// People in D1: statements for batches. Passwords come in as hashes only.

import { sql } from 'drizzle-orm';
import type { Condition, Database, Part } from './db';
import { raised } from './db';
import { users } from './schema';

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
