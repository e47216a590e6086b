// Price rows and aliases in D1: the shipped list's and the admins'. A row that cannot be read
// throws: a wrong price is worse than an old snapshot.

import { sql } from 'drizzle-orm';
import * as z from 'zod/mini';
import type { Catalogue, PriceRow } from '../domain/pricing/catalogue';
import type { Database, Part } from './db';
import { raised } from './db';
import { aliases, prices } from './schema';

type PriceRecord = typeof prices.$inferSelect;
type AliasRecord = typeof aliases.$inferSelect;

/** All rows and aliases as one catalogue; throws where a row cannot be read. */
export function catalogueOf(
  version: number,
  records: { readonly prices: readonly PriceRecord[]; readonly aliases: readonly AliasRecord[] },
): Catalogue {
  const named = records.aliases.map(({ alias, model }) => [alias, model] as const);
  return {
    version,
    rows: records.prices.map(readPrice),
    aliases: Object.fromEntries(named),
  };
}

/** Takes the shipped prices and aliases over. Rows of an admin stay as they are. */
export function putListPrices(
  db: Database,
  list: { readonly rows: readonly PriceRow[]; readonly aliases: Readonly<Record<string, string>> },
  now: number,
): Part[] {
  // As one JSON parameter each: a statement takes no more than a hundred parameters.
  const rows = JSON.stringify(list.rows);
  const named = JSON.stringify(list.aliases);
  return [
    db
      .insert(prices)
      .select(
        sql`SELECT value ->> '$.id', value ->> '$.model', value ->> '$.effectiveFrom', value,
          'list', ${now} FROM json_each(${rows}) WHERE true`,
      )
      .onConflictDoUpdate({
        target: prices.id,
        set: {
          model: sql`excluded.model`,
          effectiveFrom: sql`excluded.effective_from`,
          document: sql`excluded.document`,
          version: raised(prices.version, now),
        },
        setWhere: sql`${prices.source} = 'list'`,
      }),
    db
      .insert(aliases)
      .select(sql`SELECT key, value, 'list' FROM json_each(${named}) WHERE true`)
      .onConflictDoUpdate({
        target: aliases.alias,
        set: { model: sql`excluded.model` },
        setWhere: sql`${aliases.source} = 'list'`,
      }),
  ];
}

/** zod's `int` is a safe integer. */
const amount = z.int().check(z.nonnegative());
const factor = z.tuple([z.int().check(z.positive()), z.int().check(z.positive())]);
const factors = z.record(z.string(), factor);
const band = z.object({
  promptAbove: amount,
  input: amount,
  cacheWrite5m: amount,
  cacheWrite1h: amount,
  cacheRead: amount,
  output: amount,
});
const document = z.object({
  id: z.string(),
  model: z.string(),
  family: z.string(),
  effectiveFrom: z.int(),
  bands: z.tuple([band], band),
  speed: factors,
  geo: factors,
  tier: factors,
  webSearchPicos: amount,
  maxOutputTokens: z.int().check(z.positive()),
  displayName: z.string(),
});

function readPrice(record: PriceRecord): PriceRow {
  const read = document.safeParse(JSON.parse(record.document));
  if (!read.success) {
    const where = read.error.issues[0]?.path.join('.') ?? '';
    throw new Error(`price ${record.id} cannot be read at ${where}`);
  }
  return read.data;
}
