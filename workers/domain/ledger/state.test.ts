import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  admitCall,
  copiesOf,
  creditCall,
  extendCall,
  HOLD_NANOS,
  idOf,
  keyCopy,
  MODEL,
  NOW,
  ownerOf,
  progressCall,
  settleCall,
  userCopy,
  voidCall,
  walletCopy,
} from '../../../tests/support/ledger';
import { essenceOf, PaperLedger } from '../../../tests/support/paper-ledger';
import { nanos } from '../money';
import { HOUR_MS, SECOND_MS } from '../time';
import type { Usage } from '../usage/tokens';
import { NO_TOKENS } from '../usage/tokens';
import type { AdmitCall } from './calls';
import type { LimitStanding } from './limited';
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
  | {
      readonly do: 'settle';
      readonly who: number;
      readonly cost: number;
      readonly sure: boolean;
      /** Above 4,125 at PRICE the wallet becomes wary; 0: no usage is known. */
      readonly input: number;
    }
  | { readonly do: 'extend'; readonly who: number; readonly upTo: number }
  | { readonly do: 'alarm'; readonly who: number; readonly passedMs: number };

const who = fc.nat(9);
const cost = fc.nat(1_000_000_000);
const steps = fc.oneof(
  fc.record({ do: fc.constantFrom('admit', 'admit', 'void', 'evict'), who }),
  fc.record({ do: fc.constantFrom('progress', 'credit', 'correct'), who, cost }),
  fc.record({
    do: fc.constant('settle'),
    who,
    cost,
    sure: fc.boolean(),
    input: fc.constantFrom(0, 100, 4_125, 5_000),
  }),
  fc.record({ do: fc.constant('extend'), who, upTo: fc.nat(2_000) }),
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
      ledger.admit(admitCall(keyId, requestId, conversing(step.who)));
      return;
    case 'void':
      ledger.settle(voidCall(keyId, requestId));
      return;
    case 'evict':
      ledger.evict();
      return;
    case 'progress':
      ledger.progress(
        progressCall(
          { seq: 1, requestId },
          { n: index, costNanos: nanos(step.cost), inputNanos: nanos(step.cost % 20_000_000) },
        ),
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
      const usage = usageOf(step.input);
      ledger.settle(settleCall(named, { certainty, usage, costNanos: nanos(step.cost) }));
      return;
    }
    case 'extend':
      ledger.extend(extendCall({ seq: 1, requestId }, step.upTo));
      return;
    case 'alarm':
      ledger.wallClock += step.passedMs;
      ledger.alarm();
  }
}

/** Three conversations, and requests without one. */
function conversing(who: number): Partial<AdmitCall> {
  const { sizes } = admitCall(OWNER.keyId, idOf('request', who));
  const conversation = who % 4 === 0 ? null : `talk-${who % 4}`;
  return { conversation, sizes: { ...sizes, maxTokens: 2_000 } };
}

function usageOf(input: number): Usage {
  const terms = { speed: null, geo: null, tier: null };
  const entry = { model: MODEL, counts: { ...NO_TOKENS, input }, terms };
  return { entries: input === 0 ? [] : [entry], flags: [] };
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

  it('stands under limits alike, whichever checkpoint it woke from', () => {
    const windows = [{ limit: 1_000_000_000_000, spanMs: 90_000 }];
    const limits = { requests: windows, tokens: windows, cost: windows, concurrency: 100 };
    const budgets = [
      { period: 'day' as const, limitNanos: nanos(1e12) },
      { period: 'total' as const, limitNanos: nanos(1e12), family: 'opus' },
    ];
    const copies = {
      key: keyCopy(OWNER, { limits }),
      user: userCopy(OWNER, { limits: { ...limits, budgets }, timeZone: 'Asia/Tokyo' }),
      wallet: walletCopy(OWNER, { limits: { ...limits, budgets } }),
    };
    fc.assert(
      fc.property(histories, (history) => {
        const start = { wallClock: NOW, every: Number.POSITIVE_INFINITY };
        const ledger = new PaperLedger(copies, start);
        ledger.credit(creditCall('txn_first'));
        const checkpoints = [JSON.stringify(checkpointOf(ledger.state))];
        for (const [index, step] of history.entries()) {
          take(ledger, step, index);
          checkpoints.push(JSON.stringify(checkpointOf(ledger.state)));
        }
        const standing = ledger.standings().map(figuresAlone);
        expect(ledger.standings(ledger.rebuiltFrom(null)).map(figuresAlone)).toEqual(standing);
        for (const text of checkpoints) {
          const woken = ledger.rebuiltFrom(JSON.parse(text) as Checkpoint);
          expect(ledger.standings(woken).map(figuresAlone)).toEqual(standing);
        }
      }),
    );
  });

  it('counts as closed since the checkpoint what waking found closed after it', () => {
    const ledger = newLedger(Number.POSITIVE_INFINITY);
    for (const [index, id] of [1, 2, 3].entries()) {
      take(ledger, { do: 'settle', who: id, cost: 1, sure: true, input: 0 }, index);
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
    expect(state.keys.get(OWNER.keyId)).toEqual({
      usedNanos: -5,
      requests: 0,
      overrunNanos: 0,
      firstUsedAt: null,
    });
  });

  it('takes nothing of an amount that its sums cannot hold', () => {
    const state = emptyState();
    foldEntry(state, entry(-Number.MAX_SAFE_INTEGER, 1));
    const ledger = newLedger(3);
    take(ledger, { do: 'admit', who: 2 }, 0);
    take(ledger, { do: 'settle', who: 2, cost: 1, sure: true, input: 0 }, 1);
    const closed = ledger.rows.get(1);
    if (closed === undefined) throw new Error('no row');
    foldOpened(state, { ...closed, outcome: null });
    const before = essenceOf(state);
    expect(() => foldEntry(state, entry(-1, 2))).toThrow(RangeError);
    expect(() => foldClosed(state, closed)).toThrow(RangeError);
    expect(() => foldClosed(state, { ...closed, outcome: null })).toThrow('row 1 is not closed');
    expect(essenceOf(state)).toEqual(before);
  });
});

/** Without when it resets: a window that was counted from rows keeps no emptied buckets. */
function figuresAlone({ resetsAt: _resetsAt, ...figures }: LimitStanding) {
  return figures;
}

function entry(amountNanos: number, n: number): Entry {
  const rest = { kind: 'grant', at: NOW, keyId: null, reason: '', actor: '' } as const;
  return { ...rest, n, entryId: `txn_${n}`, amountNanos: nanos(amountNanos) };
}

describe('holds', () => {
  const REQUEST = { seq: 1, requestId: idOf('request', 1) };
  const reported = (inputTokens: number, costNanos: number) =>
    settleCall(
      { ...REQUEST, keyId: OWNER.keyId },
      { usage: usageOf(inputTokens), costNanos: nanos(costNanos) },
    );

  function running(): PaperLedger {
    const ledger = newLedger(3);
    ledger.admit(admitCall(OWNER.keyId, REQUEST.requestId, { conversation: 'talk' }));
    return ledger;
  }

  it('take what the row holds, or what it has cost so far, until it is closed', () => {
    const ledger = running();
    expect(ledger.state.heldNanos).toBe(HOLD_NANOS);
    ledger.progress(progressCall(REQUEST, { n: 1, inputNanos: nanos(500_000) }));
    expect(ledger.state.heldNanos).toBe(20_500_000);
    ledger.progress(progressCall(REQUEST, { n: 2, costNanos: nanos(90_000_000) }));
    expect(ledger.state.heldNanos).toBe(90_000_000);
    ledger.settle(reported(10, 1));
    expect(ledger.state.heldNanos).toBe(0);
  });

  it('that a cost passes are overrun of the key, by the figures known last', () => {
    const ledger = running();
    ledger.progress(progressCall(REQUEST, { costNanos: nanos(HOLD_NANOS + 7) }));
    ledger.wallClock += 100 * SECOND_MS;
    ledger.alarm();
    expect(ledger.state.keys.get(OWNER.keyId)).toMatchObject({ overrunNanos: 7 });
    ledger.settle(reported(10, HOLD_NANOS + 2));
    expect(ledger.state.keys.get(OWNER.keyId)).toMatchObject({ overrunNanos: 2 });
  });

  it('of later requests follow what a conversation has shown', () => {
    const ledger = running();
    ledger.settle(reported(700, 1));
    const known = [...ledger.state.conversations.known.values()];
    expect(known).toMatchObject([{ tag: 'talk', promptTokens: 700, seq: 1 }]);
    expect(ledger.state.conversations.open.size).toBe(0);
  });

  it('make a wallet wary for a day once the input has cost more than its bound', () => {
    const within = running();
    within.settle(reported(4_125, 1));
    expect(within.state.waryUntil).toBe(0);
    const beyond = running();
    beyond.settle(reported(4_126, 1));
    expect(beyond.state.waryUntil).toBe(NOW + 24 * HOUR_MS);
  });

  it('follow what a correction has shown, as they follow a first closing', () => {
    const ledger = running();
    ledger.settle(settleCall({ ...REQUEST, keyId: OWNER.keyId }, { certainty: 'estimated' }));
    const unsure = [...ledger.state.conversations.known.values()];
    expect(unsure).toMatchObject([{ tag: 'talk', unconfirmed: true }]);
    expect(ledger.state.waryUntil).toBe(0);
    ledger.wallClock += SECOND_MS;
    ledger.settle(reported(5_000, 1));
    const known = [...ledger.state.conversations.known.values()];
    expect(known).toMatchObject([{ tag: 'talk', promptTokens: 5_000 }]);
    expect(known[0]?.unconfirmed).toBeUndefined();
    expect(ledger.state.waryUntil).toBe(NOW + SECOND_MS + 24 * HOUR_MS);
  });

  it('and overrun of a checkpoint that did not know them are none', () => {
    const ledger = running();
    ledger.settle(reported(10, 1));
    const { seq, entry, openSeqs, balanceNanos, lastSeenAt } = checkpointOf(ledger.state);
    const keys = [[OWNER.keyId, { usedNanos: nanos(1), requests: 1 }]] as const;
    const older = { seq, entry, openSeqs, balanceNanos, keys, lastSeenAt };
    expect(ledger.rebuiltFrom(older)).toMatchObject({ heldNanos: 0, waryUntil: 0 });
    expect(ledger.rebuiltFrom(older).keys.get(OWNER.keyId)).toMatchObject({ overrunNanos: 0 });
  });
});

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
    take(ledger, { do: 'settle', who: 1, cost: 1, sure: true, input: 0 }, 1);
    ledger.wallClock -= 20_000;
    expect(ledger.rebuiltFrom(null).lastSeenAt).toBe(NOW + 20_000);
    ledger.wallClock += 30_000;
    ledger.credit(creditCall('txn_late'));
    ledger.wallClock -= 30_000;
    expect(ledger.rebuiltFrom(null).lastSeenAt).toBe(NOW + 30_000);
    const leapt = { ...checkpoint, lastSeenAt: NOW + 50 * HOUR_MS };
    expect(ledger.rebuiltFrom(leapt).lastSeenAt).toBe(NOW + 30_000);
  });
});
