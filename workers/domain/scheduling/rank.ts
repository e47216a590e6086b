// From a snapshot's accounts to the list that a request tries: filter, tiers by priority, and in
// each tier the rendezvous choice. Pure; health, caps and cooldowns are not looked at here.

import type { SnapshotAccount } from '../snapshot';
import { rank } from './rendezvous';

/**
 * The accounts that may serve the request, first choice first; empty when there is none.
 * `tag` names the conversation (or the request, when no conversation can be told); `model` is the
 * catalogue's id, null for a request that names none.
 */
export function rankAccounts(
  accounts: readonly SnapshotAccount[],
  request: { readonly tag: string; readonly model: string | null },
): readonly SnapshotAccount[] {
  const tiers = new Map<number, SnapshotAccount[]>();
  for (const account of accounts) {
    if (!serves(account, request.model)) continue;
    const tier = tiers.get(account.priority);
    if (tier === undefined) tiers.set(account.priority, [account]);
    else tier.push(account);
  }
  return [...tiers].toSorted(([a], [b]) => a - b).flatMap(([, tier]) => rank(request.tag, tier));
}

function serves(account: SnapshotAccount, model: string | null): boolean {
  if (account.status !== 'active') return false;
  return model === null || account.models === null || account.models.includes(model);
}
