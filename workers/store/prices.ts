// Price rows and aliases in D1: the shipped list's and the admins'. A row that cannot be read
// throws: a wrong price is worse than an old snapshot.

import { and, asc, eq, sql } from 'drizzle-orm';
import * as z from 'zod/mini';
import type { Catalogue, PriceRow } from '../domain/pricing/catalogue';
import type { Condition, Database, Part } from './db';
import { primary, raised } from './db';
import { aliases, prices, settings } from './schema';

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

export interface ManagedPrices {
  readonly prices: readonly { readonly row: PriceRow; readonly source: PriceRecord['source'] }[];
  readonly aliases: readonly AliasRecord[];
  readonly ceiling: PriceRow | null;
}

/** Everything that prices requests, as admins see it, at one instant. Throws as D1 does. */
export async function readPrices(d1: D1Database): Promise<ManagedPrices> {
  const db = primary(d1);
  const [rows, named, ceilings] = await db.batch([
    db.select().from(prices).orderBy(asc(prices.model), asc(prices.effectiveFrom), asc(prices.id)),
    db.select().from(aliases).orderBy(asc(aliases.alias)),
    db.select().from(settings).where(eq(settings.name, 'price_ceiling')),
  ]);
  return {
    prices: rows.map((record) => ({ row: readPrice(record), source: record.source })),
    aliases: named,
    ceiling: readCeiling(ceilings[0]?.value),
  };
}

/** While no price has this id and admins have made fewer than `most`. */
export function priceFits(db: Database, id: string, most: number): Condition {
  const own = db.$count(prices, eq(prices.source, 'admin'));
  return sql`${db.$count(prices, eq(prices.id, id))} = 0 AND ${own} < ${most}`;
}

/** An admin's price. `now` in Unix ms. */
export function addPrice(
  db: Database,
  row: PriceRow,
  { now, when }: { readonly now: number; readonly when: Condition },
): Part {
  const text = JSON.stringify(row);
  return db.insert(prices).select(
    sql`SELECT ${row.id}, ${row.model}, ${row.effectiveFrom}, ${text}, 'admin', ${now}
      WHERE ${when}`,
  );
}

/** While this is a price that an admin has made and that is not in force at `now` (Unix ms). */
export function priceIsAhead(id: string, now: number): Condition {
  return sql`EXISTS (SELECT 1 FROM ${prices} WHERE ${prices.id} = ${id}
    AND ${prices.source} = 'admin' AND ${prices.effectiveFrom} > ${now})`;
}

export function removePrice(db: Database, id: string, when: Condition): Part {
  return db.delete(prices).where(and(eq(prices.id, id), when));
}

/** While there is this alias, or fewer than `most`. */
export function aliasFits(db: Database, alias: string, most: number): Condition {
  const mine = db.$count(aliases, eq(aliases.alias, alias));
  return sql`(${mine} > 0 OR ${db.$count(aliases)} < ${most})`;
}

/** Makes or changes a name; `list` puts the release's own back. */
export function putAlias(db: Database, row: AliasRecord, when: Condition): Part {
  return db
    .insert(aliases)
    .select(sql`SELECT ${row.alias}, ${row.model}, ${row.source} WHERE ${when}`)
    .onConflictDoUpdate({
      target: aliases.alias,
      set: { model: sql`excluded.model`, source: sql`excluded.source` },
    });
}

/** While this is a name that an admin has made. */
export function aliasIsOwn(alias: string): Condition {
  return sql`EXISTS (SELECT 1 FROM ${aliases}
    WHERE ${aliases.alias} = ${alias} AND ${aliases.source} = 'admin')`;
}

export function removeAlias(db: Database, alias: string, when: Condition): Part {
  return db.delete(aliases).where(and(eq(aliases.alias, alias), when));
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

function readPrice({ id, document: text }: Pick<PriceRecord, 'id' | 'document'>): PriceRow {
  const read = document.safeParse(JSON.parse(text));
  if (!read.success) {
    const where = read.error.issues[0]?.path.join('.') ?? '';
    throw new Error(`price ${id} cannot be read at ${where}`);
  }
  return read.data;
}

/** The ceiling as its setting holds it (JSON); null: there is none. Throws where it is no price. */
export function readCeiling(value: string | undefined): PriceRow | null {
  if (value === undefined || value === 'null') return null;
  return { ...readPrice({ id: 'ceiling', document: value }), isCeiling: true };
}
