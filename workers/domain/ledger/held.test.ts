import { describe, expect, it } from 'vitest';
import {
  admitCall,
  copiesOf,
  creditCall,
  HOLD,
  idOf,
  NOW,
  ownerOf,
  progressCall,
  settleCall,
} from '../../../tests/support/ledger';
import { PaperLedger } from '../../../tests/support/paper-ledger';
import { addNanos, nanos } from '../money';

const OWNER = ownerOf(1);
const { inputNanos, outputNanos } = HOLD.parts;

/** What the key's overrun is once a request has reported this input, or none, and cost so much. */
function overrunAfter(reported: number | null, costNanos: number): number | undefined {
  const ledger = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every: 5 });
  ledger.credit(creditCall('txn_first'));
  const answer = ledger.admit(admitCall(OWNER.keyId, idOf('request', 1)));
  if (!answer.ok) throw new Error('refused');
  if (reported !== null) {
    ledger.progress(progressCall(answer.lease, { inputNanos: nanos(reported) }));
  }
  ledger.settle(settleCall(answer.lease, { costNanos: nanos(costNanos) }));
  return ledger.keyInfo(OWNER.keyId).overrunNanos;
}

describe('the overrun of a request', () => {
  it('is what it cost above what was set aside for input and output', () => {
    const held = addNanos(inputNanos, outputNanos);
    expect(overrunAfter(null, held)).toBe(0);
    expect(overrunAfter(null, held + 1)).toBe(1);
  });

  it('counts output that was paid from what the report of less input gave back', () => {
    expect(overrunAfter(1_000_000, 1_000_000 + outputNanos)).toBe(0);
    expect(overrunAfter(1_000_000, 1_000_000 + outputNanos + 1)).toBe(1);
  });

  it('counts input above its bound also when it was reported in time', () => {
    const dense = inputNanos + 7;
    expect(overrunAfter(dense, dense + outputNanos)).toBe(7);
  });
});
