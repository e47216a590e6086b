// Logins in D1. A session's row decides whether somebody is logged in; tokens only name it.

import { and, asc, desc, eq, gt, isNull, lt, lte, or, sql } from 'drizzle-orm';
import type { SessionId, UserId, WalletId } from '../domain/ids';
import type { Region } from '../domain/region';
import { HOUR_MS } from '../domain/time';
import type { Condition, Database, Part } from './db';
import { primary } from './db';
import { users, wallets } from './schema';
import { sessions } from './schema-control';

/** Rows of logins that ended or expired this long ago are deleted at their user's next login. */
const KEEP_ENDED_MS = 30 * 24 * HOUR_MS;

export type SessionRow = typeof sessions.$inferSelect;
export type NewSession = Pick<
  SessionRow,
  'id' | 'userId' | 'refreshHash' | 'createdAt' | 'expiresAt' | 'userAgent' | 'address'
>;

/** Who is logged in, as the rows now are. */
export interface SessionOwner {
  readonly id: UserId;
  readonly email: string;
  readonly name: string;
  readonly role: 'admin' | 'user' | 'viewer';
  readonly timeZone: string;
  readonly walletId: WalletId;
  readonly region: Region;
}

/**
 * The user of a session that goes on at `now` (Unix ms), with the first wallet; null when the
 * session has ended or expired, or its user is not active. Throws as D1 does.
 */
export async function findOwner(
  d1: D1Database,
  sessionId: SessionId,
  now: number,
): Promise<SessionOwner | null> {
  const [row] = await primary(d1)
    .select({
      id: users.id,
      email: users.email,
      name: users.name,
      role: users.role,
      timeZone: users.timeZone,
      walletId: wallets.id,
      region: wallets.region,
    })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .innerJoin(wallets, eq(wallets.userId, users.id))
    .where(and(eq(sessions.id, sessionId), goesOn(now), eq(users.status, 'active')))
    .orderBy(asc(wallets.id))
    .limit(1);
  return row ?? null;
}

/** What decides about a refresh. */
export type RefreshFacts = Pick<
  SessionRow,
  'userId' | 'refreshHash' | 'previousHash' | 'rotatedAt' | 'createdAt' | 'expiresAt'
>;

/** The session while it goes on at `now` (Unix ms) and its user is active; null else. */
export async function findSession(
  d1: D1Database,
  sessionId: SessionId,
  now: number,
): Promise<RefreshFacts | null> {
  const { userId, refreshHash, previousHash, rotatedAt, createdAt, expiresAt } = sessions;
  const [row] = await primary(d1)
    .select({ userId, refreshHash, previousHash, rotatedAt, createdAt, expiresAt })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(and(eq(sessions.id, sessionId), goesOn(now), eq(users.status, 'active')));
  return row ?? null;
}

/** Somebody's sessions that go on, the latest login first. */
export async function listSessions(
  d1: D1Database,
  userId: UserId,
  page: { readonly now: number; readonly before?: SessionId; readonly limit: number },
): Promise<Omit<SessionRow, 'userId' | 'refreshHash' | 'previousHash' | 'endedAt' | 'endedBy'>[]> {
  const { id, rotatedAt, createdAt, expiresAt, userAgent, address } = sessions;
  const { now, before, limit } = page;
  return primary(d1)
    .select({ id, rotatedAt, createdAt, expiresAt, userAgent, address })
    .from(sessions)
    .where(
      and(
        eq(sessions.userId, userId),
        goesOn(now),
        before === undefined ? undefined : lt(sessions.id, before),
      ),
    )
    .orderBy(desc(sessions.id))
    .limit(limit);
}

/** Begins a login, and deletes the rows of its user that are long over. */
export function beginSession(
  db: Database,
  session: NewSession,
  when: Condition,
): readonly [Part, Part] {
  const { id, userId, refreshHash, createdAt, expiresAt, userAgent, address } = session;
  const past = createdAt - KEEP_ENDED_MS;
  return [
    db.insert(sessions).select(
      sql`SELECT ${id}, ${userId}, ${refreshHash}, NULL, ${createdAt}, ${createdAt}, ${expiresAt},
          NULL, NULL, ${userAgent}, ${address} WHERE ${when}`,
    ),
    db
      .delete(sessions)
      .where(
        and(
          eq(sessions.userId, userId),
          or(lte(sessions.endedAt, past), lte(sessions.expiresAt, past)),
          when,
        ),
      ),
  ];
}

/**
 * Puts the next refresh token in force, if `from` still is and the session goes on. False: another
 * was faster, or it is over. `now` in Unix ms. Throws as D1 does.
 */
export async function rotateSession(
  d1: D1Database,
  sessionId: SessionId,
  {
    from,
    to,
    expiresAt,
    now,
  }: {
    readonly from: string;
    readonly to: string;
    readonly expiresAt: number;
    readonly now: number;
  },
): Promise<boolean> {
  const changed = await primary(d1)
    .update(sessions)
    .set({ refreshHash: to, previousHash: from, rotatedAt: now, expiresAt })
    .where(and(eq(sessions.id, sessionId), eq(sessions.refreshHash, from), goesOn(now)))
    .returning({ id: sessions.id });
  return changed[0]?.id === sessionId;
}

/** Ends a session; `by`: why. */
export function endSession(
  db: Database,
  sessionId: SessionId,
  { now, by, when }: { readonly now: number; readonly by: string; readonly when: Condition },
): Part {
  return db
    .update(sessions)
    .set({ endedAt: now, endedBy: by })
    .where(and(eq(sessions.id, sessionId), isNull(sessions.endedAt), when));
}

/** Holds while the session goes on; with `userId`: this user's; with `refreshHash`: unrotated. */
export function sessionHolds(
  sessionId: SessionId,
  {
    now,
    userId,
    refreshHash,
  }: { readonly now: number; readonly userId?: UserId; readonly refreshHash?: string },
): Condition {
  const holds = and(
    eq(sessions.id, sessionId),
    goesOn(now),
    userId === undefined ? undefined : eq(sessions.userId, userId),
    refreshHash === undefined ? undefined : eq(sessions.refreshHash, refreshHash),
  );
  return sql`EXISTS (SELECT 1 FROM ${sessions} WHERE ${holds})`;
}

function goesOn(now: number) {
  return and(isNull(sessions.endedAt), gt(sessions.expiresAt, now));
}
