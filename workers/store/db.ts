// The way into D1. All reads and writes of this folder go to the primary: nothing here may act on
// a replica's past. The relay path never comes here.

import type { SQL } from 'drizzle-orm';
import { sql } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import type { DrizzleD1Database } from 'drizzle-orm/d1';
import { drizzle } from 'drizzle-orm/d1';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';

export type Database = DrizzleD1Database;

/** One statement of a batch. A batch is a transaction: all of it, or nothing. */
export type Part = BatchItem<'sqlite'>;

/** The database at its primary. */
export function primary(d1: D1Database): Database {
  const session = d1.withSession('first-primary');
  // drizzle's type asks for a whole D1Database; it uses `prepare` and `batch`, which a session has.
  return drizzle(session as unknown as D1Database);
}

/** Runs `parts` as one transaction; an empty list does nothing. */
export async function runBatch(db: Database, parts: readonly Part[]): Promise<void> {
  const [first, ...rest] = parts;
  if (first !== undefined) await db.batch([first, ...rest]);
}

/** A row's next version: rises with every change, and also after a restore. `now` in Unix ms. */
export function raised(version: SQLiteColumn, now: number): SQL {
  return sql`max(${version} + 1, ${now})`;
}

/**
 * Whether `column` holds `text` as it is, ASCII letters in either case. No LIKE: D1 takes patterns
 * of at most 50 bytes, and % and _ would have to be escaped.
 */
export function contains(column: SQLiteColumn, text: string): SQL {
  return sql`instr(lower(${column}), lower(${text})) > 0`;
}

/** A statement whose change is made only while this holds; see store/setup.ts. */
export type Condition = SQL;

/** Holds always. SQLite needs a WHERE between SELECT and ON CONFLICT. */
export const ALWAYS: Condition = sql`true`;

/** Holds while both do. */
export function bothHold(one: Condition, other: Condition): Condition {
  return sql`(${one} AND ${other})`;
}
