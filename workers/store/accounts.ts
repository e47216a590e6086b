// Upstream accounts in D1: rows in and out, credentials sealed on both ways. It opens none.

import { and, asc, eq, getTableColumns, ne, sql } from 'drizzle-orm';
import type { AccountId } from '../domain/ids';
import type { SealedCredential, SnapshotAccount } from '../domain/snapshot';
import type { Condition, Database, Part } from './db';
import { primary, raised } from './db';
import { accounts } from './schema';

export type AccountRow = typeof accounts.$inferSelect;

/** What the environment says of an account, with its credential sealed. */
export type EnvironmentAccountRow = Pick<
  SnapshotAccount,
  'id' | 'name' | 'kind' | 'baseUrl' | 'credential' | 'status'
>;

/** A row of `accounts` as the snapshot holds it. */
export function accountOf(row: AccountRow): SnapshotAccount {
  const { origin: _o, version: _v, createdAt: _c, notes: _n, ...held } = row;
  const { credentialKeyVersion: keyVersion, credentialIv: iv, ...rest } = held;
  const { credentialCiphertext: ciphertext, ...account } = rest;
  return { ...account, credential: { keyVersion, iv, ciphertext } };
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
    ...sealedColumns(credential),
    status,
    // Whoever sets the environment has said where its credentials go.
    allowsOtherHost: true,
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

/** An account with what admins see besides the snapshot. */
export interface ManagedAccount extends SnapshotAccount {
  readonly notes: string;
  readonly allowsOtherHost: boolean;
  readonly origin: AccountRow['origin'];
  readonly version: number;
  readonly createdAt: number;
}

/** All accounts, the oldest first. Throws as D1 does. */
export async function listAccounts(d1: D1Database): Promise<ManagedAccount[]> {
  const rows = await primary(d1).select().from(accounts).orderBy(asc(accounts.id));
  return rows.map(managed);
}

/** Throws as D1 does. */
export async function findAccount(d1: D1Database, id: AccountId): Promise<ManagedAccount | null> {
  const [row] = await primary(d1).select().from(accounts).where(eq(accounts.id, id));
  return row === undefined ? null : managed(row);
}

function managed(row: AccountRow): ManagedAccount {
  const { origin, version, createdAt, notes, allowsOtherHost } = row;
  return { ...accountOf(row), notes, allowsOtherHost, origin, version, createdAt };
}

/** Accounts whose credential another master key seals, the oldest first; at most so many. */
export async function accountsNotUnder(
  d1: D1Database,
  keyVersion: string,
  most: number,
): Promise<ManagedAccount[]> {
  const rows = await primary(d1)
    .select()
    .from(accounts)
    .where(ne(accounts.credentialKeyVersion, keyVersion))
    .orderBy(asc(accounts.id))
    .limit(most);
  return rows.map(managed);
}

/** While fewer than `most` accounts exist: every isolate holds all of them. */
export function fewerAccounts(db: Database, most: number): Condition {
  return sql`${db.$count(accounts)} < ${most}`;
}

/** While the account is as it was read: of two who change it at once, one does. */
export function accountIsAt(id: AccountId, version: number): Condition {
  return sql`EXISTS (SELECT 1 FROM ${accounts}
    WHERE ${accounts.id} = ${id} AND ${accounts.version} = ${version})`;
}

/** An admin's account. */
export function addAccount(db: Database, account: ManagedAccount, when: Condition): Part {
  const { credential, ...rest } = account;
  const row: AccountRow = { ...rest, ...sealedColumns(credential) };
  const named: Readonly<Record<string, unknown>> = row;
  // Every column in the table's order, each value in its column's own form.
  const values = Object.entries(getTableColumns(accounts)).map(([name, column]) =>
    sql.param(named[name], column),
  );
  return db.insert(accounts).select(sql`SELECT ${sql.join(values, sql`, `)} WHERE ${when}`);
}

export type AccountChange = Partial<
  Omit<ManagedAccount, 'id' | 'kind' | 'origin' | 'version' | 'createdAt'>
>;

/** Changes what is given, while `when` holds. `now` in Unix ms. */
export function changeAccount(
  db: Database,
  id: AccountId,
  writing: { readonly change: AccountChange; readonly now: number; readonly when: Condition },
): Part {
  const { change, now, when } = writing;
  const { credential, ...rest } = change;
  const sealed = credential === undefined ? {} : sealedColumns(credential);
  return db
    .update(accounts)
    .set({ ...rest, ...sealed, version: raised(accounts.version, now) })
    .where(and(eq(accounts.id, id), when));
}

function sealedColumns({ keyVersion, iv, ciphertext }: SealedCredential) {
  return {
    credentialKeyVersion: keyVersion,
    credentialIv: iv,
    credentialCiphertext: ciphertext,
  };
}

/** Sums and logs that name it keep its id. */
export function removeAccount(db: Database, id: AccountId, when: Condition): Part {
  return db.delete(accounts).where(and(eq(accounts.id, id), when));
}
