// A D1 that is down, that does what it is asked and loses its reply, or that is taken back to what
// it held of a wallet at an earlier time.

import { env } from 'cloudflare:workers';
import { vi } from 'vitest';
import { atDatabase } from './crash-points';
import { IS_OWN_ACCOUNT } from './drained';
import type { Wallet } from './wallet-object';

type Luck = 'up' | 'down' | 'replies-lost';

/** How the next calls fare; the test's own go through `quietly`. */
export const database: { luck: Luck } = { luck: 'up' };

/** Until mocks are restored, every session of D1 fares as `database.luck` says. */
export function spoilDatabase(): void {
  database.luck = 'up';
  const withSession = env.DB.withSession.bind(env.DB);
  vi.spyOn(env.DB, 'withSession').mockImplementation((...constraint) => {
    if (database.luck === 'down') throw new Error('D1 is down');
    const session = withSession(...constraint);
    const batch = async (statements: D1PreparedStatement[]) => {
      atDatabase('before');
      const results = await session.batch(statements);
      atDatabase('after');
      if (database.luck === 'replies-lost') throw new Error('the reply was lost');
      return results;
    };
    const prepare = session.prepare.bind(session);
    // Of the same type as what it stands for.
    return Object.assign(Object.create(session), { batch, prepare }) as D1DatabaseSession;
  });
}

/** What the test itself asks of D1 is always done. */
export async function quietly<T>(action: () => Promise<T>): Promise<T> {
  const { luck } = database;
  database.luck = 'up';
  try {
    return await action();
  } finally {
    database.luck = luck;
  }
}

const TABLES = [
  ['requests', 'wallet_id = ?1'],
  ['balances', 'wallet_id = ?1'],
  ['ledger_cursor', 'wallet_id = ?1'],
  ['rollups', 'user_id = (SELECT user_id FROM wallets WHERE id = ?1)'],
  ['account_days', IS_OWN_ACCOUNT],
] as const;

type Held = Readonly<Record<string, string | number | null>>;

/** Everything that the wallet's object has brought to D1 so far, table by table. */
export type DatabaseCopy = readonly (readonly Held[])[];

/** What D1 holds of it now. */
export async function copyDatabase({ owner }: Pick<Wallet, 'owner'>): Promise<DatabaseCopy> {
  const queries = TABLES.map(([table, isOwn]) =>
    env.DB.prepare(`SELECT * FROM ${table} WHERE ${isOwn}`).bind(owner.walletId),
  );
  return (await env.DB.batch<Held>(queries)).map(({ results }) => results);
}

/** D1 holds of the wallet what it held when the copy was made. */
export async function restoreDatabase(
  { owner }: Pick<Wallet, 'owner'>,
  copy: DatabaseCopy,
): Promise<void> {
  const statements = TABLES.flatMap(([table, isOwn], index) => {
    const gone = env.DB.prepare(`DELETE FROM ${table} WHERE ${isOwn}`).bind(owner.walletId);
    const rows = copy[index] ?? [];
    const names = Object.keys(rows[0] ?? {});
    if (names.length === 0) return [gone];
    const values = names.map((name) => `value ->> '$.${name}'`);
    const back = env.DB.prepare(
      `INSERT INTO ${table} (${names.join()}) SELECT ${values.join()} FROM json_each(?)`,
    ).bind(JSON.stringify(rows));
    return [gone, back];
  });
  await env.DB.batch(statements);
}
