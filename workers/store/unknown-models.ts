// Models that somebody asked for and that have no price, in D1: a list for admins to price from.
// Ledger objects note them behind a refusal; names are whatever a client sent.

import { desc, sql } from 'drizzle-orm';
import type { Condition, Database, Part } from './db';
import { primary } from './db';
import { unknownModels } from './schema-control';

/** So many different ones are kept; further ones are not, until an admin empties the list. */
export const UNKNOWN_MODELS_MAX = 1_000;
const NAME_CHARACTERS_MAX = 200;

export type UnknownModel = typeof unknownModels.$inferSelect;

/** Counts `model` once more; the name is cut. `now` in Unix ms. Throws as D1 does. */
export async function noteUnknownModel(d1: D1Database, model: string, now: number): Promise<void> {
  const name = model.slice(0, NAME_CHARACTERS_MAX);
  const db = primary(d1);
  await db
    .insert(unknownModels)
    .select(
      sql`SELECT ${name}, ${now}, ${now}, 1 WHERE
        (SELECT count(*) FROM ${unknownModels}) < ${UNKNOWN_MODELS_MAX}
        OR EXISTS (SELECT 1 FROM ${unknownModels} WHERE ${unknownModels.model} = ${name})`,
    )
    .onConflictDoUpdate({
      target: unknownModels.model,
      set: {
        lastSeenAt: sql`max(${unknownModels.lastSeenAt}, ${now})`,
        times: sql`${unknownModels.times} + 1`,
      },
    });
}

/** All of them, the latest first. Throws as D1 does. */
export async function listUnknownModels(d1: D1Database): Promise<UnknownModel[]> {
  return primary(d1)
    .select()
    .from(unknownModels)
    .orderBy(desc(unknownModels.lastSeenAt), unknownModels.model)
    .limit(UNKNOWN_MODELS_MAX);
}

/** Empties the list while `when` holds. */
export function forgetUnknownModels(db: Database, when: Condition): Part {
  return db.delete(unknownModels).where(when);
}
