// One change of the control plane as one transaction: its line in the audit comes first and is its
// claim. Everything else of the batch happens only if that line was written, so a change is whole
// or not at all, never without its line, and of two that exclude each other one is done.

import { eq, exists, sql } from 'drizzle-orm';
import type { AuditId } from '../domain/ids';
import type { AuditLine } from './audit';
import { auditPart } from './audit';
import type { Condition, Database, Part } from './db';
import { ALWAYS, primary } from './db';
import type { KeptAnswer, Repeatable } from './idempotency';
import { keepAnswer } from './idempotency';
import { audit } from './schema-control';

export interface Change {
  readonly line: AuditLine;
  /** The change is made only while this holds; looked at once, before anything else. */
  readonly only?: Condition | ((db: Database) => Condition);
  /** The statements; each must ask `when`. Rows for the outbox are among them. */
  readonly parts: (db: Database, when: Condition) => readonly Part[];
  /** The caller's own key and what a repeated call is answered with; null: none was sent. */
  readonly repeat: { readonly call: Repeatable; readonly kept: KeptAnswer } | null;
  /** Unix ms. */
  readonly now: number;
}

/**
 * Whether the change was made. Throws as D1 does, with nothing changed: also when another call has
 * taken the same key (`isKeyTaken`), or a unique value is taken.
 */
export async function commitChange(d1: D1Database, change: Change): Promise<boolean> {
  const { line, only = ALWAYS, parts, repeat, now } = change;
  const db = primary(d1);
  const done = isDone(db, line.id);
  const claim = auditPart(db, line, typeof only === 'function' ? only(db) : only);
  const kept = repeat === null ? [] : keepAnswer(db, repeat, { now, when: done });
  const asked = db.select({ id: audit.id }).from(audit).where(eq(audit.id, line.id));
  const results = await db.batch([claim, ...kept, ...parts(db, done), asked]);
  const [row] = results.at(-1) as readonly { readonly id: AuditId }[];
  return row?.id === line.id;
}

function isDone(db: Database, id: AuditId): Condition {
  return sql`${exists(
    db
      .select({ one: sql`1` })
      .from(audit)
      .where(eq(audit.id, id)),
  )}`;
}
