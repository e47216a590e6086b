// Logins in D1. A session's row decides whether somebody is logged in; tokens only name it.

import { and, asc, eq, gt, isNull } from 'drizzle-orm';
import type { SessionId, UserId, WalletId } from '../domain/ids';
import type { Region } from '../domain/region';
import { primary } from './db';
import { users, wallets } from './schema';
import { sessions } from './schema-control';

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
    .where(
      and(
        eq(sessions.id, sessionId),
        isNull(sessions.endedAt),
        gt(sessions.expiresAt, now),
        eq(users.status, 'active'),
      ),
    )
    .orderBy(asc(wallets.id))
    .limit(1);
  return row ?? null;
}
