// Answers to calls that create or move money, kept for 24 hours under the caller's own key. The row
// is written in the batch of the effect: of two calls with one key one batch fails, whole.

import { and, eq, lte, sql } from 'drizzle-orm';
import { HOUR_MS } from '../domain/time';
import type { Condition, Database, Part } from './db';
import { ALWAYS, primary } from './db';
import { idempotency } from './schema-control';

const KEEP_MS = 24 * HOUR_MS;

export interface Repeatable {
  /** Whose key it is: a user's or a service token's id. */
  readonly actorId: string;
  /** As the caller sent it. */
  readonly key: string;
  readonly endpoint: string;
  /** SHA-256 of endpoint, parameters and body, base64url. */
  readonly hash: string;
}

export interface KeptAnswer {
  readonly status: number;
  /** JSON without secrets. */
  readonly answer: string;
}

/**
 * Takes the key and keeps the answer, both only while `when` holds. A key that is taken makes the
 * whole batch fail (see `isKeyTaken`); one older than 24 hours is given up first. `now` in Unix ms.
 */
export function keepAnswer(
  db: Database,
  { call, kept }: { readonly call: Repeatable; readonly kept: KeptAnswer },
  { now, when = ALWAYS }: { readonly now: number; readonly when?: Condition },
): readonly Part[] {
  const { actorId, key, endpoint, hash } = call;
  const mine = and(eq(idempotency.actorId, actorId), eq(idempotency.key, key));
  return [
    db.delete(idempotency).where(and(mine, lte(idempotency.createdAt, now - KEEP_MS))),
    db.insert(idempotency).select(
      sql`SELECT ${actorId}, ${key}, ${endpoint}, ${hash}, ${kept.status}, ${kept.answer}, ${now}
          WHERE ${when}`,
    ),
  ];
}

/** Whether a batch failed because another call has taken the key. */
export function isKeyTaken(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return /UNIQUE constraint failed: idempotency\./.test(String(cause));
}

/** What the key was used for in the last 24 hours; null: nothing. Throws as D1 does. */
export async function findAnswer(
  d1: D1Database,
  { actorId, key }: Pick<Repeatable, 'actorId' | 'key'>,
  now: number,
): Promise<(KeptAnswer & { readonly hash: string }) | null> {
  const { status, answer, hash, createdAt } = idempotency;
  const [row] = await primary(d1)
    .select({ status, answer, hash, createdAt })
    .from(idempotency)
    .where(and(eq(idempotency.actorId, actorId), eq(idempotency.key, key)));
  return row === undefined || row.createdAt <= now - KEEP_MS ? null : row;
}

/** Deletes answers of more than 24 hours before `now` (Unix ms). Throws as D1 does. */
export async function pruneAnswers(d1: D1Database, now: number): Promise<void> {
  await primary(d1)
    .delete(idempotency)
    .where(lte(idempotency.createdAt, now - KEEP_MS));
}
