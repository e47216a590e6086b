import { describe, expect, it } from 'vitest';
import {
  admitCall,
  copiesOf,
  creditCall,
  HOLD_NANOS,
  idOf,
  keyCopy,
  NOW,
  ownerOf,
  settleCall,
} from '../../../tests/support/ledger';
import { PaperLedger } from '../../../tests/support/paper-ledger';
import { nanos, NANOS_PER_DOLLAR } from '../money';

const OWNER = ownerOf(1);
const BALANCE = 10 * NANOS_PER_DOLLAR;
const NEW = {
  keyId: OWNER.keyId,
  name: 'laptop',
  status: 'active',
  expiresAt: null,
  walletId: OWNER.walletId,
  balanceNanos: BALANCE,
  openRequests: 0,
  usedNanos: 0,
  requests: 0,
  heldNanos: 0,
  availableNanos: BALANCE,
  overrunNanos: 0,
  limits: [],
  scope: {},
  whenClientLeaves: 'cancel',
};

function newLedger(): PaperLedger {
  const ledger = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every: 5 });
  ledger.credit(creditCall('txn_first'));
  return ledger;
}

function run(ledger: PaperLedger, n: number, costNanos: number | null): void {
  const answer = ledger.admit(admitCall(OWNER.keyId, idOf('request', n)));
  if (!answer.ok) throw new Error('refused');
  if (costNanos !== null) {
    ledger.settle(settleCall(answer.lease, { costNanos: nanos(costNanos) }));
  }
}

describe('what the holder of a key is told', () => {
  it('is nothing used, of a key that was not used yet', () => {
    expect(newLedger().keyInfo(OWNER.keyId)).toEqual(NEW);
  });

  it('is what the key used, what the wallet holds, and what is left', () => {
    const ledger = newLedger();
    run(ledger, 1, 5_000_000);
    run(ledger, 2, HOLD_NANOS + 3);
    run(ledger, 3, null);
    const usedNanos = 5_000_000 + HOLD_NANOS + 3;
    expect(ledger.keyInfo(OWNER.keyId)).toEqual({
      ...NEW,
      balanceNanos: BALANCE - usedNanos,
      openRequests: 1,
      usedNanos,
      requests: 2,
      heldNanos: HOLD_NANOS,
      availableNanos: BALANCE - usedNanos - HOLD_NANOS,
      overrunNanos: 3,
    });
  });

  it('is what the key may be used for, and what becomes of answers that it leaves', () => {
    const ledger = newLedger();
    const scope = {
      models: { allow: ['claude-*'], deny: ['*opus*'] },
      protocols: ['anthropic'],
      clients: ['claude-cli/*'],
      addresses: ['10.0.0.0/8'],
    } as const;
    const limits = { ...scope, concurrency: 3 };
    ledger.apply(keyCopy(OWNER, { limits, whenClientLeaves: 'drain', version: 2 }));
    const told = ledger.keyInfo(OWNER.keyId);
    expect(told.scope).toEqual(scope);
    expect(told.whenClientLeaves).toBe('drain');
  });

  it('is when a life ends that began with the first use', () => {
    const ledger = newLedger();
    const limits = { activation: { lifetimeMs: 5_000 } };
    ledger.apply(keyCopy(OWNER, { limits, version: 2 }));
    expect(ledger.keyInfo(OWNER.keyId).expiresAt).toBeNull();
    run(ledger, 1, 1);
    expect(ledger.keyInfo(OWNER.keyId).expiresAt).toBe(NOW + 5_000);
    ledger.apply(keyCopy(OWNER, { limits, version: 3, expiresAt: NOW + 1 }));
    expect(ledger.keyInfo(OWNER.keyId).expiresAt).toBe(NOW + 1);
  });

  it('has no life begun by the settle of a request that was never admitted', () => {
    const ledger = newLedger();
    ledger.apply(keyCopy(OWNER, { limits: { activation: { lifetimeMs: 5_000 } }, version: 2 }));
    const named = { seq: null, requestId: idOf('request', 1), keyId: OWNER.keyId };
    ledger.settle(settleCall(named));
    expect(ledger.keyInfo(OWNER.keyId)).toMatchObject({ expiresAt: null, requests: 1 });
  });
});
