// Sealing credentials under the newest master key, so that an older one may go. Each account is a
// change of its own: one that fails, or that somebody else changes meanwhile, holds up no other.

import { commit } from '../commit';
import type { accounts } from '../contract/accounts';
import { pushNow } from '../push';
import type { Acting, Call, Outcome } from '../visit';
import { ok } from '../../domain/result';
import { newest } from '../../platform/env';
import type { Credential } from '../../platform/seal';
import { HIDDEN, seal, unseal } from '../../platform/seal';
import type { ManagedAccount } from '../../store/accounts';
import { accountIsAt, accountsNotUnder, changeAccount } from '../../store/accounts';
import { raiseSnapshotVersion } from '../../store/snapshot';

/** Each is an AES round and a batch of D1: a call stays well under what one may take. */
const ACCOUNTS_A_CALL = 40;
/** All that there can be (routes.ts), so that what remains is told whole. */
const ACCOUNTS_MAX = 1_000;

type Resealing = typeof accounts.reseal;

/** Seals some of those that are not under the newest key, and says what is left. */
export async function reseal(visit: Acting<Resealing>): Promise<Outcome<Resealing>> {
  const { env, config } = visit;
  const { version: keyVersion } = newest(config.masterKeys);
  const waiting = await accountsNotUnder(env.DB, keyVersion, ACCOUNTS_MAX);
  const unreadable: ManagedAccount[] = [];
  let resealed = 0;
  for (const account of waiting) {
    if (resealed >= ACCOUNTS_A_CALL) break;
    const credential = await opened(account, config);
    if (credential === null) unreadable.push(account);
    else if (await isResealed(visit, account, credential)) resealed += 1;
  }
  if (resealed > 0) await pushNow(env, { pool: true });
  return ok({
    body: {
      keyVersion,
      resealed,
      remaining: waiting.length - resealed,
      unreadable: unreadable.map(({ id, name, credential }) => {
        return { id, name, credentialKeyVersion: credential.keyVersion };
      }),
    },
  });
}

async function opened(
  { id, credential }: ManagedAccount,
  { masterKeys }: Call['config'],
): Promise<Credential | null> {
  return unseal(credential, { masterKeys, accountId: id }).catch(() => null);
}

/** Whether it was as it had been read, and is under the newest key now. */
async function isResealed(
  visit: Acting<Resealing>,
  { id, version, credential: before }: ManagedAccount,
  opened: Credential,
): Promise<boolean> {
  const { config, now } = visit;
  const sealed = await seal(opened.reveal(), { masterKeys: config.masterKeys, accountId: id });
  const told = (keyVersion: string) => ({ credential: HIDDEN, credentialKeyVersion: keyVersion });
  const outcome = await commit(visit, {
    audit: { targetId: id, before: told(before.keyVersion), after: told(sealed.keyVersion) },
    only: accountIsAt(id, version),
    parts: (db, when) => [
      changeAccount(db, id, { change: { credential: sealed }, now, when }),
      ...raiseSnapshotVersion(db, now, when),
    ],
    reply: { body: { keyVersion: sealed.keyVersion, resealed: 1, remaining: 0, unreadable: [] } },
  });
  return outcome.ok;
}
