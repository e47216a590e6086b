// The audit: who changed what. A line is written in the batch of the change it tells of, so there
// is none without the other. Lines are never changed.

import { sql } from 'drizzle-orm';
import type { AuditId, RequestId, SessionId } from '../domain/ids';
import type { Condition, Database, Part } from './db';
import { ALWAYS } from './db';
import { audit } from './schema-control';

export interface AuditLine {
  readonly id: AuditId;
  /** Unix ms. */
  readonly at: number;
  /** A user's or service token's id, or a word such as `setup`. */
  readonly actorId: string;
  readonly sessionId: SessionId | null;
  readonly address: string;
  /** The endpoint's name. */
  readonly action: string;
  readonly targetId: string;
  /** What was and what is; null: nothing. The caller leaves secrets out. */
  readonly before: unknown;
  readonly after: unknown;
  readonly requestId: RequestId;
}

/** The line, written only while `when` holds: the condition of the change itself. */
export function auditPart(db: Database, line: AuditLine, when: Condition = ALWAYS): Part {
  const { id, at, actorId, sessionId, address, action, targetId, requestId } = line;
  const [before, after] = [line.before, line.after].map((value) =>
    value === null || value === undefined ? null : JSON.stringify(value),
  );
  return db.insert(audit).select(
    sql`SELECT ${id}, ${at}, ${actorId}, ${sessionId}, ${address}, ${action}, ${targetId},
        ${before}, ${after}, ${requestId} WHERE ${when}`,
  );
}
