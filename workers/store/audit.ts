// The audit: who changed what. A line is written in the batch of the change it tells of, so there
// is none without the other. Lines are never changed.

import { and, desc, eq, gte, lt, sql } from 'drizzle-orm';
import type { AuditId, RequestId, SessionId } from '../domain/ids';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import type { Condition, Database, Part } from './db';
import { ALWAYS, primary } from './db';
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

export interface AuditFilter {
  readonly actorId?: string | undefined;
  readonly targetId?: string | undefined;
  readonly action?: string | undefined;
  /** Unix ms; `to` itself is left out. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Only lines older than this one. */
  readonly before?: AuditId | undefined;
  readonly limit: number;
}

/** Lines, newest first. Ids begin with their time, so dates are a range of ids. Throws as D1. */
export async function listAudit(d1: D1Database, filter: AuditFilter): Promise<AuditLine[]> {
  const { actorId, targetId, action, from, to, before, limit } = filter;
  const rows = await primary(d1)
    .select()
    .from(audit)
    .where(
      and(
        actorId === undefined ? undefined : eq(audit.actorId, actorId),
        targetId === undefined ? undefined : eq(audit.targetId, targetId),
        action === undefined ? undefined : eq(audit.action, action),
        from === undefined ? undefined : gte(audit.id, firstIdAt(from)),
        to === undefined ? undefined : lt(audit.id, firstIdAt(to)),
        before === undefined ? undefined : lt(audit.id, before),
      ),
    )
    .orderBy(desc(audit.id))
    .limit(limit);
  return rows.map((row) => ({ ...row, before: jsonOf(row.before), after: jsonOf(row.after) }));
}

function firstIdAt(at: number): AuditId {
  return newId('audit', at, new Uint8Array(ID_RANDOM_BYTES));
}

function jsonOf(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}
