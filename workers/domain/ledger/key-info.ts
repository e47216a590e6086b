// What a key's holder is told of the key and its wallet. It decides nothing and changes nothing.

import type { LimitSet } from '../limits/limit-set';
import { usableUntil } from '../limits/limit-set';
import { subtractNanos, ZERO_NANOS } from '../money';
import type { KeyInfo, KeyScope } from './calls';
import type { Copies } from './decide';
import { limitFactsOf, standingsOf } from './limited';
import type { WalletState } from './state';

/** The figures of a key that was just checked, as they stand at `now` (Unix ms). */
export function keyInfoOf(copies: Copies, state: WalletState, now: number): KeyInfo {
  const { key, wallet } = copies;
  const { balanceNanos, heldNanos } = state;
  const totals = state.keys.get(key.id);
  const { limits = {} } = key;
  const firstUsedAt = totals?.firstUsedAt ?? null;
  return {
    keyId: key.id,
    name: key.name,
    status: 'active',
    expiresAt: usableUntil({ limits, expiresAt: key.expiresAt, firstUsedAt }),
    walletId: wallet.id,
    balanceNanos,
    openRequests: state.open.size,
    usedNanos: totals?.usedNanos ?? ZERO_NANOS,
    requests: totals?.requests ?? 0,
    heldNanos,
    availableNanos: subtractNanos(balanceNanos, heldNanos),
    overrunNanos: totals?.overrunNanos ?? ZERO_NANOS,
    limits: standingsOf(limitFactsOf(copies, state, now)),
    scope: scopeOf(limits),
    whenClientLeaves: key.whenClientLeaves ?? 'cancel',
  };
}

function scopeOf({ models, protocols, clients, addresses }: LimitSet): KeyScope {
  return {
    ...(models === undefined ? {} : { models }),
    ...(protocols === undefined ? {} : { protocols }),
    ...(clients === undefined ? {} : { clients }),
    ...(addresses === undefined ? {} : { addresses }),
  };
}
