// What comes with the deployment: accounts that the environment gives, and the shipped prices.
// Rows of origin `environment` and source `list` follow them; what an admin made is not touched.

import type { AccountId } from '../domain/ids';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import { LIST_ALIASES, LIST_PRICES, LIST_PRICES_VERSION } from '../domain/pricing/list-prices';
import type { SnapshotAccount } from '../domain/snapshot';
import { base64url } from '../platform/base64';
import { hmacSha256 } from '../platform/digest';
import type { EnvironmentAccount, VersionedSecrets } from '../platform/env';
import { newest } from '../platform/env';
import { seal, sealsNothing } from '../platform/seal';
import type { EnvironmentAccountRow } from './accounts';
import { environmentAccounts, putEnvironmentAccount } from './accounts';
import type { Database, Part } from './db';
import { primary, runBatch } from './db';
import { putListPrices } from './prices';
import { putSetting, readSettings } from './settings';
import { raiseSnapshotVersion } from './snapshot';

export interface EnvironmentFacts {
  /** null: the environment says nothing of accounts, so nothing is done about them. */
  readonly accounts: readonly EnvironmentAccount[] | null;
  readonly masterKeys: VersionedSecrets;
  /** Unix ms. */
  readonly now: number;
  /** As many random bytes as asked. */
  readonly random: (count: number) => Uint8Array;
}

/**
 * Makes the rows that belong to the deployment match it, in one batch that raises the snapshot's
 * version. Nothing new: one read. Only Pool calls it, one call at a time.
 */
export async function syncEnvironment(d1: D1Database, facts: EnvironmentFacts): Promise<void> {
  const db = primary(d1);
  const known = await readSettings(db, ['environment_fingerprint', 'list_prices_version']);
  const listed: unknown = JSON.parse(known.get('list_prices_version')?.value ?? '0');
  const parts: Part[] = [];
  if (Number(listed) < LIST_PRICES_VERSION) parts.push(...listPriceParts(db, facts.now));
  if (facts.accounts !== null) {
    const fingerprint = JSON.stringify(await fingerprintOf(facts.accounts, facts.masterKeys));
    if (known.get('environment_fingerprint')?.value !== fingerprint) {
      parts.push(...(await accountParts(db, facts.accounts, facts)));
      const setting = { name: 'environment_fingerprint', value: fingerprint } as const;
      parts.push(putSetting(db, setting, facts));
    }
  }
  if (parts.length > 0) await runBatch(db, [...parts, ...raiseSnapshotVersion(db, facts.now)]);
}

/**
 * A text that changes with whatever `syncEnvironment` would act on, so that its caller can tell
 * without reading the database that there is nothing to do.
 */
export async function environmentMark(
  facts: Pick<EnvironmentFacts, 'accounts' | 'masterKeys'>,
): Promise<string> {
  const { accounts, masterKeys } = facts;
  const fingerprint = accounts === null ? 'none' : await fingerprintOf(accounts, masterKeys);
  return `${LIST_PRICES_VERSION} ${fingerprint}`;
}

function listPriceParts(db: Database, now: number): Part[] {
  const value = JSON.stringify(LIST_PRICES_VERSION);
  return [
    ...putListPrices(db, { rows: LIST_PRICES, aliases: LIST_ALIASES }, now),
    putSetting(db, { name: 'list_prices_version', value }, { now }),
  ];
}

/**
 * Changes with the accounts and with the newest master key, so that a rotation seals them anew.
 * Keyed: whoever reads the database learns nothing of a credential, not even whether a guess is
 * right.
 */
async function fingerprintOf(
  accounts: readonly EnvironmentAccount[],
  masterKeys: VersionedSecrets,
): Promise<string> {
  const { version, secret } = newest(masterKeys);
  const given = accounts.map(({ name, kind, baseUrl, apiKey }) => [name, kind, baseUrl, apiKey]);
  const text = `environment accounts ${version} ${JSON.stringify(given)}`;
  return base64url(await hmacSha256(secret, text));
}

/** Every given account as a row of its own, and every row that is given no more put out of use. */
async function accountParts(
  db: Database,
  given: readonly EnvironmentAccount[],
  facts: EnvironmentFacts,
): Promise<Part[]> {
  const { masterKeys, now } = facts;
  const unmatched = await environmentAccounts(db);
  const rows: EnvironmentAccountRow[] = [];
  for (const account of given) {
    // By name, so that an account keeps its id: conversations stay where their cache is.
    const known = takeByName(unmatched, account.name);
    const id = known?.id ?? freshId(facts);
    // An admin's `disabled` or `draining` stays; what was gone and is back works again.
    const isKept = known !== null && !sealsNothing(known.credential);
    rows.push({
      id,
      name: account.name,
      kind: account.kind,
      baseUrl: account.baseUrl.replace(/\/+$/, ''),
      credential: await seal(account.apiKey, { masterKeys, accountId: id }),
      status: isKept ? known.status : 'active',
    });
  }
  for (const gone of unmatched) {
    // The row stays, because logs name it; the credential does not.
    const credential = await seal('', { masterKeys, accountId: gone.id });
    rows.push({ ...gone, credential, status: 'disabled' });
  }
  return rows.map((row) => putEnvironmentAccount(db, row, now));
}

function takeByName(accounts: SnapshotAccount[], name: string): SnapshotAccount | null {
  const index = accounts.findIndex((account) => account.name === name);
  const [found] = index === -1 ? [] : accounts.splice(index, 1);
  return found ?? null;
}

function freshId({ now, random }: EnvironmentFacts): AccountId {
  return newId('account', now, random(ID_RANDOM_BYTES));
}
