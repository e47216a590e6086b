// Upstream accounts in D1: rows in and out, credentials sealed on both ways. It opens none.

import { eq } from 'drizzle-orm';
import type { SnapshotAccount } from '../domain/snapshot';
import type { Database, Part } from './db';
import { raised } from './db';
import { accounts } from './schema';

export type AccountRow = typeof accounts.$inferSelect;

/** What the environment says of an account, with its credential sealed. */
export type EnvironmentAccountRow = Pick<
  SnapshotAccount,
  'id' | 'name' | 'kind' | 'baseUrl' | 'credential' | 'status'
>;

/** A row of `accounts` as the snapshot holds it. */
export function accountOf(row: AccountRow): SnapshotAccount {
  const { id, name, kind, baseUrl, status, group, weight, priority, models } = row;
  const credential = {
    keyVersion: row.credentialKeyVersion,
    iv: row.credentialIv,
    ciphertext: row.credentialCiphertext,
  };
  return { id, name, kind, baseUrl, credential, status, group, weight, priority, models };
}

/**
 * Makes the environment's account, or makes the one with this id match; what an admin has set
 * beside (weight, priority, group, models) stays. `now` in Unix ms.
 */
export function putEnvironmentAccount(
  db: Database,
  account: EnvironmentAccountRow,
  now: number,
): Part {
  const { id, name, kind, baseUrl, credential, status } = account;
  const given = {
    name,
    kind,
    baseUrl,
    credentialKeyVersion: credential.keyVersion,
    credentialIv: credential.iv,
    credentialCiphertext: credential.ciphertext,
    status,
  };
  const fresh = { group: null, weight: 1, priority: 0, models: null, createdAt: now, version: now };
  return db
    .insert(accounts)
    .values({ id, ...given, ...fresh, origin: 'environment' })
    .onConflictDoUpdate({
      target: accounts.id,
      set: { ...given, version: raised(accounts.version, now) },
      setWhere: eq(accounts.origin, 'environment'),
    });
}

/** The accounts that the environment has given, gone ones included, oldest first. */
export async function environmentAccounts(db: Database): Promise<SnapshotAccount[]> {
  const rows = await db
    .select()
    .from(accounts)
    .where(eq(accounts.origin, 'environment'))
    .orderBy(accounts.createdAt, accounts.id);
  return rows.map(accountOf);
}
