// The applied migrations and schema.ts say the same.

import { env } from 'cloudflare:workers';
import { getTableColumns, is } from 'drizzle-orm';
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import { describe, expect, it } from 'vitest';
import { nanos } from '../domain/money';
import { primary } from './db';
import * as schema from './schema';
import * as controlSchema from './schema-control';

const tables = Object.values({ ...schema, ...controlSchema })
  .filter((value) => is(value, SQLiteTable))
  .map((table) => getTableConfig(table));

interface ColumnInfo {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly pk: number;
}

async function rowsOf<T>(query: string): Promise<T[]> {
  return (await env.DB.prepare(query).all<T>()).results;
}

function sorted<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => a.name.localeCompare(b.name));
}

describe('the applied schema', () => {
  it('has exactly the tables of the code', async () => {
    const applied = await rowsOf<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 3) <> '_cf' " +
        "AND name NOT LIKE 'sqlite%' AND name <> 'd1_migrations' ORDER BY name",
    );
    expect(applied.map(({ name }) => name)).toEqual(tables.map(({ name }) => name).toSorted());
  });

  it.each(tables.map((table) => table.name))('%s has the columns of the code', async (name) => {
    const table = tables.find((candidate) => candidate.name === name);
    const applied = await rowsOf<ColumnInfo>(`PRAGMA table_info(${name})`);
    const composite = table?.primaryKeys[0]?.columns.map((column) => column.name) ?? [];
    const expected = (table?.columns ?? []).map((column) => ({
      name: column.name,
      type: column.getSQLType().toUpperCase(),
      notnull: Number(column.notNull),
      pk: column.primary ? 1 : composite.indexOf(column.name) + 1,
    }));
    const found = applied.map(({ name: column, type, notnull, pk }) => ({
      name: column,
      type: type.toUpperCase(),
      notnull,
      pk,
    }));
    expect(sorted(found)).toEqual(sorted(expected));
  });

  it.each(tables.map((table) => table.name))('%s has the indexes of the code', async (name) => {
    const table = tables.find((candidate) => candidate.name === name);
    const applied = await rowsOf<{ name: string; unique: number; origin: string }>(
      `PRAGMA index_list(${name})`,
    );
    const found = applied
      .filter(({ origin }) => origin === 'c')
      .map((index) => ({ name: index.name, unique: index.unique }));
    const single = (table?.columns ?? [])
      .filter((column) => column.isUnique)
      .map((column) => ({ name: column.uniqueName ?? '', unique: 1 }));
    const declared = (table?.indexes ?? []).map(({ config }) => ({
      name: config.name,
      unique: Number(config.unique),
    }));
    expect(sorted(found)).toEqual(sorted([...single, ...declared]));
  });

  it('every table is STRICT and WITHOUT ROWID', async () => {
    const list = await rowsOf<{ name: string; strict: number; wr: number }>('PRAGMA table_list');
    const ours = list.filter((row) => tables.some((table) => table.name === row.name));
    expect(ours).toHaveLength(tables.length);
    for (const row of ours) expect(row).toMatchObject({ strict: 1, wr: 1 });
  });

  it('every amount of money is a whole number in an INTEGER column', () => {
    const money = tables.flatMap((table) =>
      table.columns.filter((column) => column.name.endsWith('_nanos')),
    );
    expect(money.length).toBeGreaterThanOrEqual(3);
    for (const column of money) expect(column.getSQLType()).toBe('integer');
  });
});

describe('money in the database', () => {
  const { walletId } = getTableColumns(schema.balances);

  it('comes back as it went in, up to the largest safe amount', async () => {
    const db = primary(env.DB);
    const amounts = [0, -1, 31_888_000, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER];
    for (const [index, amount] of amounts.entries()) {
      const id = `wal_amount${index}` as const;
      const row = { walletId: id, balanceNanos: nanos(amount), asOf: 1 };
      await db.insert(schema.balances).values(row);
    }
    const rows = await db.select().from(schema.balances).orderBy(walletId);
    expect(rows.map((row) => row.balanceNanos)).toEqual(amounts);
  });

  it('is refused when it is not a safe integer, written or read', async () => {
    const db = primary(env.DB);
    const unsafe = { walletId: 'wal_unsafe', asOf: 1 } as const;
    await expect(async () => {
      // The brand is what normally prevents this.
      const balanceNanos = 0.5 as ReturnType<typeof nanos>;
      await db.insert(schema.balances).values({ ...unsafe, balanceNanos });
    }).rejects.toThrow('not a whole nano-dollar amount');
    await env.DB.exec("INSERT INTO balances VALUES ('wal_unsafe', 9007199254740993, 1)");
    await expect(async () => db.select().from(schema.balances)).rejects.toThrow(
      'not a whole nano-dollar amount',
    );
  });
});
