// Unsealed credentials: in this isolate alone, by what was sealed, from their first use on.

import type { SnapshotAccount } from '../domain/snapshot';
import { log } from '../observe/log';
import type { VersionedSecrets } from '../platform/env';
import type { Credential } from '../platform/seal';
import { unseal } from '../platform/seal';

const unsealed = new Map<string, Credential>();
const UNSEALED_MAX = 1_000;

/** The account's credential; null when it cannot be opened, which is logged. */
export async function credentialOf(
  account: SnapshotAccount,
  masterKeys: VersionedSecrets,
): Promise<Credential | null> {
  const name = `${account.id} ${account.credential.ciphertext}`;
  const known = unsealed.get(name);
  if (known !== undefined) return known;
  try {
    const opened = await unseal(account.credential, { masterKeys, accountId: account.id });
    if (unsealed.size >= UNSEALED_MAX) unsealed.clear();
    unsealed.set(name, opened);
    return opened;
  } catch (error) {
    log('credential-unreadable', { account: account.id, error: String(error) });
    return null;
  }
}
