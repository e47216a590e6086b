// API keys in D1: statements for batches, and the rows that a Ledger object keeps a copy of.

import { eq, sql } from 'drizzle-orm';
import type { KeyId } from '../domain/ids';
import type { Copy } from '../domain/ledger/copies';
import { KEY_COPY, readCopy, USER_COPY, WALLET_COPY } from './copies';
import type { Condition, Database, Part } from './db';
import { primary, raised } from './db';
import { keys, users, wallets } from './schema';

export type KeyRow = typeof keys.$inferSelect;
export type NewKey = Pick<KeyRow, 'id' | 'walletId' | 'userId' | 'name' | 'hash' | 'tagVersion'>;

/**
 * Makes the key, or puts this one in the place of the one with the same id, which is dead from
 * then on. `now` in Unix ms.
 */
export function putKey(
  db: Database,
  key: NewKey,
  { now, when }: { readonly now: number; readonly when: Condition },
): Part {
  const { id, walletId, userId, name, hash, tagVersion } = key;
  return db
    .insert(keys)
    .select(
      sql`SELECT ${id}, ${walletId}, ${userId}, ${name}, ${hash}, NULL, NULL, ${tagVersion},
        'active', NULL, ${now}, ${now}, '{}', 'cancel', '[]' WHERE ${when}`,
    )
    .onConflictDoUpdate({
      target: keys.id,
      set: {
        hash: sql`excluded.hash`,
        tagVersion: sql`excluded.tag_version`,
        previousHash: null,
        previousUntil: null,
        version: raised(keys.version, now),
      },
    });
}

/** Key, user and wallet as a Ledger object keeps them; null when there is no such key. */
export async function loadCopies(d1: D1Database, keyId: KeyId): Promise<Copy[] | null> {
  const [row] = await primary(d1)
    .select({ key: KEY_COPY, user: USER_COPY, wallet: WALLET_COPY })
    .from(keys)
    .innerJoin(users, eq(users.id, keys.userId))
    .innerJoin(wallets, eq(wallets.id, keys.walletId))
    .where(eq(keys.id, keyId));
  return row === undefined ? null : [row.key, row.user, row.wallet].map(readCopy);
}
