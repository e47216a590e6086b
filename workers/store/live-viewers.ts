// Who of those that watch the relay may still do so: logins and tokens of many sockets, asked for
// in one query. What a viewer must be is said in control/contract/live.ts.

import { and, eq, gt, inArray, isNull, sql } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';
import { unionAll } from 'drizzle-orm/sqlite-core';
import type { ServiceTokenId, SessionId } from '../domain/ids';
import type { Viewer } from '../domain/live';
import { primary } from './db';
import { users } from './schema';
import { serviceTokens, sessions } from './schema-control';

/** Roles that may watch. */
const STAFF = ['admin', 'viewer'] as const;

/**
 * The ids of the viewers' logins that go on at `now` (Unix ms), of active staff, and of their
 * tokens that are neither revoked nor expired; a token's scopes never change. Throws as D1 does.
 */
export async function stillAllowed(
  d1: D1Database,
  viewers: readonly Viewer[],
  now: number,
): Promise<ReadonlySet<SessionId | ServiceTokenId>> {
  const ids = viewers.map((viewer) =>
    viewer.kind === 'person' ? viewer.sessionId : viewer.tokenId,
  );
  const db = primary(d1);
  const rows = await unionAll(
    db
      .select({ id: sql<SessionId | ServiceTokenId>`${sessions.id}` })
      .from(sessions)
      .innerJoin(users, eq(users.id, sessions.userId))
      .where(
        and(
          isOneOf(sessions.id, ids),
          isNull(sessions.endedAt),
          gt(sessions.expiresAt, now),
          eq(users.status, 'active'),
          inArray(users.role, STAFF),
        ),
      ),
    db
      .select({ id: sql<SessionId | ServiceTokenId>`${serviceTokens.id}` })
      .from(serviceTokens)
      .where(
        and(
          isOneOf(serviceTokens.id, ids),
          isNull(serviceTokens.revokedAt),
          gt(serviceTokens.expiresAt, now),
        ),
      ),
  );
  return new Set(rows.map(({ id }) => id));
}

/** One parameter for any number of ids: D1 takes a hundred at most. */
function isOneOf(column: SQLiteColumn, ids: readonly string[]) {
  return sql`${column} IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;
}
