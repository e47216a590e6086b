// What a settle says beside the cost: what the account now holds for the wallet, whose cache the
// prompt is in, what the account is said to cost. Plain functions of what was read.

import type { SettleCall } from '../domain/ledger/calls';
import { accountCost } from '../domain/pricing/account-cost';
import type { SnapshotAccount } from '../domain/snapshot';
import type { Usage } from '../domain/usage/tokens';
import type { MeterReading } from '../protocols/protocol';
import type { Priced } from './ending';

/** What of a settle follows from the account that answered. */
export type Kept = Pick<SettleCall, 'heldIds' | 'messageId' | 'cacheGroup' | 'accountNanos'>;

export interface Served {
  readonly account: Pick<SnapshotAccount, 'group' | 'costFactor' | 'ownPrices'>;
  readonly reading: Pick<MeterReading, 'heldIds' | 'messageId'>;
  readonly usage: Usage;
}

/** Each is absent where it says nothing that the ledger does not know by itself. */
export function keptOf(served: Served, { lease, snapshot }: Priced): Kept {
  const { account, reading, usage } = served;
  const { heldIds, messageId } = reading;
  const { price: asked, admittedAt: at } = lease;
  const { catalogue } = snapshot;
  const nanos = asked === null ? null : accountCost(usage, { asked, catalogue, at }, account);
  return {
    ...(heldIds.length === 0 ? {} : { heldIds }),
    // Cut to what a log can carry, it would be another id.
    ...(messageId === null || !heldIds.includes(messageId) ? {} : { messageId }),
    ...(account.group === null ? {} : { cacheGroup: account.group }),
    ...(nanos === null ? {} : { accountNanos: nanos }),
  };
}
