// What a key's holder is told of the key and its wallet. It decides nothing and changes nothing.

import { subtractNanos, ZERO_NANOS } from '../money';
import type { KeyInfo } from './calls';
import type { Copies } from './decide';
import type { WalletState } from './state';

/** The figures of a key that was just checked, as they stand. */
export function keyInfoOf({ key, wallet }: Copies, state: WalletState): KeyInfo {
  const { balanceNanos, heldNanos } = state;
  const totals = state.keys.get(key.id);
  return {
    keyId: key.id,
    name: key.name,
    status: 'active',
    expiresAt: key.expiresAt,
    walletId: wallet.id,
    balanceNanos,
    openRequests: state.open.size,
    usedNanos: totals?.usedNanos ?? ZERO_NANOS,
    requests: totals?.requests ?? 0,
    heldNanos,
    availableNanos: subtractNanos(balanceNanos, heldNanos),
    overrunNanos: totals?.overrunNanos ?? ZERO_NANOS,
  };
}
