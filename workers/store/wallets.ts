// Wallets in D1: statements for batches. Money is not here: a wallet's balance is its Ledger
// object's.

import { sql } from 'drizzle-orm';
import type { Condition, Database, Part } from './db';
import { wallets } from './schema';

export type WalletRow = typeof wallets.$inferSelect;
export type NewWallet = Pick<WalletRow, 'id' | 'userId' | 'region'>;

/** Makes the wallet; one that exists stays as it is. `now` in Unix ms. */
export function addWallet(
  db: Database,
  wallet: NewWallet,
  { now, when }: { readonly now: number; readonly when: Condition },
): Part {
  const { id, userId, region } = wallet;
  return db
    .insert(wallets)
    .select(sql`SELECT ${id}, ${userId}, ${region}, 'active', ${now}, ${now}, '{}' WHERE ${when}`)
    .onConflictDoNothing();
}
