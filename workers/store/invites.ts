// Invitations in D1: who may register once. Only their hashes are stored; of two who come with the
// same one, the batch that registers the first uses it up.

import { and, desc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm';
import type { InviteId, UserId } from '../domain/ids';
import type { Condition, Database, Part } from './db';
import { primary } from './db';
import { users } from './schema';
import { invites } from './schema-control';

export type InviteRow = typeof invites.$inferSelect;

/** The invitation while it may be used at `now` (Unix ms); null else. Throws as D1 does. */
export async function findInvite(
  d1: D1Database,
  id: InviteId,
  now: number,
): Promise<Pick<InviteRow, 'hash' | 'email' | 'role'> | null> {
  const { hash, email, role } = invites;
  const [row] = await primary(d1)
    .select({ hash, email, role })
    .from(invites)
    .where(and(eq(invites.id, id), isUsable(now)));
  return row ?? null;
}

/** All invitations, the latest first. Throws as D1 does. */
export async function listInvites(
  d1: D1Database,
  { before, limit }: { readonly before?: InviteId; readonly limit: number },
): Promise<Omit<InviteRow, 'hash'>[]> {
  const { id, email, role, createdBy, createdAt, expiresAt, usedBy, usedAt, revokedAt } = invites;
  return primary(d1)
    .select({ id, email, role, createdBy, createdAt, expiresAt, usedBy, usedAt, revokedAt })
    .from(invites)
    .where(before === undefined ? undefined : lt(invites.id, before))
    .orderBy(desc(invites.id))
    .limit(limit);
}

export function addInvite(
  db: Database,
  invite: Omit<InviteRow, 'usedBy' | 'usedAt' | 'revokedAt'>,
  when: Condition,
): Part {
  const { id, hash, email, role, createdBy, createdAt, expiresAt } = invite;
  return db.insert(invites).select(
    sql`SELECT ${id}, ${hash}, ${email}, ${role}, ${createdBy}, ${createdAt}, ${expiresAt},
        NULL, NULL, NULL WHERE ${when}`,
  );
}

/** `now` in Unix ms. */
interface Writing {
  readonly now: number;
  readonly when: Condition;
}

export function useInvite(
  db: Database,
  { id, userId }: { readonly id: InviteId; readonly userId: UserId },
  { now, when }: Writing,
): Part {
  return db
    .update(invites)
    .set({ usedBy: userId, usedAt: now })
    .where(and(eq(invites.id, id), when));
}

export function revokeInvite(db: Database, id: InviteId, { now, when }: Writing): Part {
  return db
    .update(invites)
    .set({ revokedAt: now })
    .where(and(eq(invites.id, id), when));
}

/**
 * Holds while the invitation may be used. One for an admin or a viewer is worth nothing when its
 * maker is no longer an admin.
 */
export function inviteHolds(id: InviteId, now: number): Condition {
  const holds = and(eq(invites.id, id), isUsable(now));
  return sql`EXISTS (SELECT 1 FROM ${invites} WHERE ${holds})`;
}

/** Holds while there is such an invitation that was neither used nor revoked. */
export function inviteIsOpen(id: InviteId): Condition {
  const holds = and(eq(invites.id, id), isNull(invites.usedAt), isNull(invites.revokedAt));
  return sql`EXISTS (SELECT 1 FROM ${invites} WHERE ${holds})`;
}

function isUsable(now: number) {
  const makerHolds = and(
    eq(users.id, invites.createdBy),
    eq(users.role, 'admin'),
    eq(users.status, 'active'),
  );
  return and(
    isNull(invites.usedAt),
    isNull(invites.revokedAt),
    gt(invites.expiresAt, now),
    or(eq(invites.role, 'user'), sql`EXISTS (SELECT 1 FROM ${users} WHERE ${makerHolds})`),
  );
}
