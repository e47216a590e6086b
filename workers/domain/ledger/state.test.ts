import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  admitCall,
  copiesOf,
  creditCall,
  idOf,
  NOW,
  ownerOf,
  progressCall,
  settleCall,
  voidCall,
} from '../../../tests/support/ledger';
import { essenceOf, PaperLedger } from '../../../tests/support/paper-ledger';
import { nanos } from '../money';
import { HOUR_MS, SECOND_MS } from '../time';
import type { Entry } from './row';
import type { Checkpoint } from './state';
import {
  checkpointOf,
  emptyState,
  foldClosed,
  foldEntry,
  foldOpened,
  openRowOf,
  rebuild,
} from './state';

const OWNER = ownerOf(1);
const OTHER_KEY = idOf('key', 2);

type Step =
  | { readonly do: 'admit' | 'void' | 'evict'; readonly who: number }
  | { readonly do: 'progress' | 'credit' | 'correct'; readonly who: number; readonly cost: number }
  | { readonly do: 'settle'; readonly who: number; readonly cost: number; readonly sure: boolean }
  | { readonly do: 'alarm'; readonly who: number; readonly passedMs: number };

const who = fc.nat(9);
const cost = fc.nat(1_000_000_000);
const steps = fc.oneof(
  fc.record({ do: fc.constantFrom('admit', 'admit', 'void', 'evict'), who }),
  fc.record({ do: fc.constantFrom('progress', 'credit', 'correct'), who, cost }),
  fc.record({ do: fc.constant('settle'), who, cost, sure: fc.boolean() }),
  fc.record({ do: fc.constant('alarm'), who, passedMs: fc.nat(100 * SECOND_MS) }),
) as fc.Arbitrary<Step>;
const histories = fc.array(steps, { minLength: 1, maxLength: 40 });

function newLedger(every: number): PaperLedger {
  const ledger = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every });
  ledger.credit(creditCall('txn_first'));
  return ledger;
}

function take(ledger: PaperLedger, step: Step, index: number): void {
  const requestId = idOf('request', step.who);
  const keyId = step.who % 2 === 0 ? OWNER.keyId : OTHER_KEY;
  const named = { seq: null, requestId, keyId };
  switch (step.do) {
    case 'admit':
      ledger.admit(admitCall(keyId, requestId));
      return;
    case 'void':
      ledger.settle(voidCall(keyId, requestId));
      return;
    case 'evict':
      ledger.evict();
      return;
    case 'progress':
      ledger.progress(
        progressCall({ seq: 1, requestId }, { n: index, costNanos: nanos(step.cost) }),
      );
      return;
    case 'credit':
      ledger.credit(creditCall(`txn_${step.who}`, { amountNanos: nanos(step.cost) }));
      return;
    case 'correct':
      ledger.settle(settleCall(named, { costNanos: nanos(step.cost) }));
      return;
    case 'settle': {
      const certainty = step.sure ? 'reported' : 'estimated';
      ledger.settle(settleCall(named, { certainty, costNanos: nanos(step.cost) }));
      return;
    }
    case 'alarm':
      ledger.wallClock += step.passedMs;
      ledger.alarm();
  }
}

describe('the fold', () => {
  it('has as balance what came in less what each closing first cost', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const ledger = newLedger(3);
        for (const [index, step] of history.entries()) take(ledger, step, index);
        const rows = [...ledger.rows.values()];
        const entered = ledger.entries.reduce((sum, { amountNanos }) => sum + amountNanos, 0);
        const spent = rows.reduce((sum, { outcome }) => sum + (outcome?.costNanos ?? 0), 0);
        const known = rows.reduce((sum, row) => sum + (row.known?.costNanos ?? 0), 0);
        const used = [...ledger.state.keys.values()].reduce((sum, key) => sum + key.usedNanos, 0);
        expect(ledger.state.balanceNanos).toBe(entered - spent);
        expect(used).toBe(known);
      }),
    );
  });

  it('from a checkpoint at any point of a history is the fold of the whole history', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const ledger = newLedger(Number.POSITIVE_INFINITY);
        const checkpoints: string[] = [];
        for (const [index, step] of history.entries()) {
          checkpoints.push(JSON.stringify(checkpointOf(ledger.state)));
          take(ledger, step, index);
        }
        checkpoints.push(JSON.stringify(checkpointOf(ledger.state)));
        const whole = essenceOf(ledger.rebuiltFrom(null));
        expect(essenceOf(ledger.state)).toEqual(whole);
        for (const text of checkpoints) {
          const checkpoint = JSON.parse(text) as Checkpoint;
          expect(essenceOf(ledger.rebuiltFrom(checkpoint))).toEqual(whole);
        }
      }),
    );
  });

  it('counts as closed since the checkpoint what waking found closed after it', () => {
    const ledger = newLedger(Number.POSITIVE_INFINITY);
    for (const [index, id] of [1, 2, 3].entries()) {
      take(ledger, { do: 'settle', who: id, cost: 1, sure: true }, index);
    }
    expect(ledger.rebuiltFrom(null).closedSinceCheckpoint).toBe(3);
    expect(ledger.rebuiltFrom(checkpointOf(ledger.state)).closedSinceCheckpoint).toBe(0);
  });

  it('finds an open request by its id until it is closed', () => {
    const ledger = newLedger(3);
    const requestId = idOf('request', 4);
    expect(openRowOf(ledger.state, requestId)).toBeNull();
    take(ledger, { do: 'admit', who: 4 }, 0);
    expect(openRowOf(ledger.state, requestId)).toMatchObject({ requestId, seq: 1 });
    take(ledger, { do: 'void', who: 4 }, 1);
    expect(openRowOf(ledger.state, requestId)).toBeNull();
  });

  it('takes an entry once, by its number', () => {
    const state = emptyState();
    for (let time = 0; time < 3; time += 1) foldEntry(state, entry(5, 1));
    foldEntry(state, entry(9, 1));
    expect(state).toMatchObject({ balanceNanos: 5, lastEntry: 1 });
  });

  it('counts corrections alone as use of a key', () => {
    const state = emptyState();
    const ofKey = { ...entry(5, 1), keyId: OWNER.keyId };
    foldEntry(state, ofKey);
    expect(state.keys.size).toBe(0);
    foldEntry(state, { ...ofKey, n: 2, kind: 'correction' });
    expect(state.keys.get(OWNER.keyId)).toEqual({ usedNanos: -5, requests: 0 });
  });

  it('takes nothing of an amount that its sums cannot hold', () => {
    const state = emptyState();
    foldEntry(state, entry(-Number.MAX_SAFE_INTEGER, 1));
    const ledger = newLedger(3);
    take(ledger, { do: 'admit', who: 2 }, 0);
    take(ledger, { do: 'settle', who: 2, cost: 1, sure: true }, 1);
    const closed = ledger.rows.get(1);
    if (closed === undefined) throw new Error('no row');
    foldOpened(state, { ...closed, outcome: null });
    const before = essenceOf(state);
    expect(() => foldEntry(state, entry(-1, 2))).toThrow(RangeError);
    expect(() => foldClosed(state, closed)).toThrow(RangeError);
    expect(() => foldClosed(state, { ...closed, outcome: null })).toThrow('row 1 is not closed');
    expect(essenceOf({ ...state, keys: new Map() })).toEqual(before);
  });
});

function entry(amountNanos: number, n: number): Entry {
  const rest = { kind: 'grant', at: NOW, keyId: null, reason: '', actor: '' } as const;
  return { ...rest, n, entryId: `txn_${n}`, amountNanos: nanos(amountNanos) };
}

describe('rebuild', () => {
  it('of nothing is a wallet in which nothing has happened, with the clock as it is', () => {
    const stored = { checkpoint: null, rows: [], entries: [], wallClock: NOW };
    expect(rebuild(stored)).toEqual({ ...emptyState(), lastSeenAt: NOW });
  });

  it('does not let the clock go back behind what is stored', () => {
    const ledger = newLedger(3);
    ledger.wallClock += 5_000;
    take(ledger, { do: 'admit', who: 1 }, 0);
    ledger.wallClock -= 5_000;
    expect(ledger.rebuiltFrom(null).lastSeenAt).toBe(NOW + 5_000);
    const checkpoint = checkpointOf(ledger.state);
    expect(ledger.rebuiltFrom(checkpoint).lastSeenAt).toBe(NOW + 5_000);
    ledger.wallClock += 20_000;
    take(ledger, { do: 'settle', who: 1, cost: 1, sure: true }, 1);
    ledger.wallClock -= 20_000;
    expect(ledger.rebuiltFrom(null).lastSeenAt).toBe(NOW + 20_000);
    const leapt = { ...checkpoint, lastSeenAt: NOW + 50 * HOUR_MS };
    expect(ledger.rebuiltFrom(leapt).lastSeenAt).toBe(NOW + 20_000);
  });
});
