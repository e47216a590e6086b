// What an admin's dashboard opens with, besides usage: how many people and keys there are, what is
// owed to them, how the accounts stand. Small tables, read whole.

import { asc, count, eq, sql } from 'drizzle-orm';
import type { Nanos } from '../domain/money';
import { nanos } from '../domain/money';
import { primary } from './db';
import type { AccountRow } from './accounts';
import { accounts, balances, keys, users } from './schema';

export interface Overview {
  /** Deleted ones are not counted. */
  readonly users: number;
  readonly activeUsers: number;
  readonly keys: number;
  /** Of all wallets, each as of its last batch. */
  readonly balanceNanos: Nanos;
  readonly accounts: readonly Pick<AccountRow, 'id' | 'name' | 'kind' | 'status'>[];
}

/** All at one instant. Throws as D1 does. */
export async function readOverview(d1: D1Database): Promise<Overview> {
  const db = primary(d1);
  const { id, name, kind, status } = accounts;
  const [people, [held], [owed], states] = await db.batch([
    db.select({ status: users.status, count: count() }).from(users).groupBy(users.status),
    db.select({ count: count() }).from(keys).where(eq(keys.status, 'active')),
    db.select({ sum: sql<number>`coalesce(sum(${balances.balanceNanos}), 0)` }).from(balances),
    db.select({ id, name, kind, status }).from(accounts).orderBy(asc(accounts.name)),
  ]);
  const peopleIn = (status: string) =>
    people.reduce((sum, row) => sum + (row.status === status ? row.count : 0), 0);
  return {
    users: peopleIn('active') + peopleIn('suspended'),
    activeUsers: peopleIn('active'),
    keys: held?.count ?? 0,
    balanceNanos: nanos(owed?.sum ?? 0),
    accounts: states,
  };
}
