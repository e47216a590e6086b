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
  userCopy,
  walletCopy,
} from '../../../tests/support/ledger';
import { PaperLedger } from '../../../tests/support/paper-ledger';
import { countersToJson, emptyCounters } from '../limits/counters';
import type { LimitSet } from '../limits/limit-set';
import { addToWindow, BUCKETS_MAX } from '../limits/window';
import { nanos } from '../money';
import { HOUR_MS, MINUTE_MS } from '../time';
import {
  countersForCheckpoint,
  countersFromCheckpoint,
  countersOf,
  forgetWindows,
} from './counting';
import { checkpointOf, emptyState, foldOpened, rebuild } from './state';

const OWNER = ownerOf(1);
const CENT_NANOS = 10_000_000;
const DAY: LimitSet = { budgets: [{ period: 'day', limitNanos: nanos(100 * CENT_NANOS) }] };
const HOURLY: LimitSet = { requests: [{ limit: 9, spanMs: HOUR_MS }] };

function newLedger(limits: LimitSet = {}): PaperLedger {
  const copies = { ...copiesOf(OWNER), key: keyCopy(OWNER, { limits }) };
  const ledger = new PaperLedger(copies, { wallClock: NOW, every: 1 });
  ledger.credit(creditCall('txn_first'));
  return ledger;
}

function open(ledger: PaperLedger, n: number) {
  const answer = ledger.admit(admitCall(OWNER.keyId, idOf('request', n)));
  if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
  return answer.lease;
}

describe('limits that are new', () => {
  it('count for each window what came in its own span', () => {
    const ledger = newLedger();
    open(ledger, 1);
    ledger.wallClock += 30 * MINUTE_MS;
    const spans = [MINUTE_MS, HOUR_MS];
    const requests = spans.map((spanMs) => ({ limit: 9, spanMs }));
    ledger.apply(keyCopy(OWNER, { version: 2, limits: { requests } }));
    expect(ledger.keyInfo(OWNER.keyId).limits).toMatchObject([
      { spanMs: MINUTE_MS, used: 0 },
      { spanMs: HOUR_MS, used: 1 },
    ]);
  });
});

describe('budgets', () => {
  it('keep what open requests hold when the zone of their owner changes', () => {
    const ledger = newLedger(DAY);
    open(ledger, 1);
    ledger.apply(userCopy(OWNER, { version: 2, timeZone: 'Asia/Tokyo' }));
    expect(ledger.keyInfo(OWNER.keyId).limits).toMatchObject([
      { kind: 'budget', used: 0, remaining: 100 * CENT_NANOS - HOLD_NANOS },
    ]);
  });

  it('count for key and wallet what was settled without an admit', () => {
    const ledger = newLedger(DAY);
    ledger.apply(userCopy(OWNER, { version: 2, limits: DAY }));
    ledger.apply(walletCopy(OWNER, { version: 2, limits: DAY }));
    const stranger = { seq: null, requestId: idOf('request', 1), keyId: OWNER.keyId };
    ledger.settle(settleCall(stranger, { costNanos: nanos(CENT_NANOS) }));
    // Of a row that no admit opened its user is not known.
    expect(ledger.keyInfo(OWNER.keyId).limits).toMatchObject([
      { scope: 'key', used: CENT_NANOS },
      { scope: 'user', used: 0 },
      { scope: 'wallet', used: CENT_NANOS },
    ]);
  });

  it('keep yesterday through an eviction, for what began then and still runs', () => {
    const ledger = newLedger(DAY);
    ledger.settle(settleCall(open(ledger, 1), { costNanos: nanos(CENT_NANOS) }));
    ledger.wallClock += 24 * HOUR_MS;
    ledger.settle(settleCall(open(ledger, 2), { costNanos: nanos(2 * CENT_NANOS) }));
    const days = () => ledger.state.book.sums.get(`${OWNER.keyId}|day|`);
    const before = days();
    expect(before?.map(({ spentNanos }) => spentNanos)).toEqual([CENT_NANOS, 2 * CENT_NANOS]);
    ledger.evict();
    expect(days()).toEqual(before);
  });
});

describe('a wallet that wakes in another zone than its checkpoint', () => {
  /** As told after waking; the checkpoint is of `savedAt`, the clock then shows `wokenAt`. */
  function toldAfter({
    savedAt,
    wokenAt,
    seenAt,
  }: Record<'savedAt' | 'wokenAt' | 'seenAt', number>) {
    const ledger = newLedger(DAY);
    ledger.wallClock = savedAt;
    ledger.settle(settleCall(open(ledger, 1), { costNanos: nanos(CENT_NANOS) }));
    const checkpoint = { ...checkpointOf(ledger.state), lastSeenAt: seenAt };
    ledger.apply(userCopy(OWNER, { version: 2, timeZone: 'Asia/Tokyo' }));
    ledger.wallClock = wokenAt;
    return ledger.standings(ledger.rebuiltFrom(checkpoint));
  }

  it('has spent in the running day what the checkpoint knew, after a misread clock too', () => {
    const misread = { savedAt: NOW, wokenAt: NOW, seenAt: NOW + 50 * HOUR_MS };
    expect(toldAfter(misread)).toMatchObject([{ used: CENT_NANOS }]);
  });

  it('has spent it in the day that was seen last, when the clock has gone back over midnight', () => {
    // 15:00 UTC is midnight in Tokyo.
    const midnight = NOW + 3 * HOUR_MS;
    const savedAt = midnight + 10 * MINUTE_MS;
    const back = { savedAt, seenAt: savedAt, wokenAt: midnight - 5 * MINUTE_MS };
    expect(toldAfter(back)).toMatchObject([{ used: CENT_NANOS }]);
  });

  it('keeps the zone of the checkpoint where none is told', () => {
    const ledger = newLedger();
    ledger.apply(userCopy(OWNER, { version: 2, timeZone: 'Asia/Tokyo' }));
    open(ledger, 1);
    const checkpoint = checkpointOf(ledger.state);
    const woken = rebuild({ checkpoint, rows: [], entries: [], wallClock: NOW });
    expect(woken.book.timeZone).toBe('Asia/Tokyo');
  });
});

describe('an open row of which nothing is held', () => {
  it('counts as one at once and holds no tokens', () => {
    const ledger = newLedger();
    const { seq } = open(ledger, 1);
    const row = ledger.rows.get(seq);
    if (row === undefined) throw new Error('no row');
    const { hold: _, ...bare } = row;
    const state = emptyState();
    foldOpened(state, bare);
    const counters = countersOf(state, OWNER.keyId);
    expect(counters).toMatchObject({ open: 1, heldTokens: 0, heldNanos: 0 });
  });
});

describe('the windows of a checkpoint', () => {
  /** Counters of a holder whose every bucket is full. */
  function crowded() {
    const counters = emptyCounters(HOURLY);
    const [window] = counters.byKind.requests;
    if (window === undefined) throw new Error('no window');
    for (let n = 0; n < BUCKETS_MAX; n += 1) {
      addToWindow(window, { at: NOW + n * window.bucketMs, amount: 1_000_000_000, seenAt: NOW });
    }
    return counters;
  }

  it('come back by holder; one of a holder without any is not written down', () => {
    const state = emptyState();
    const full = crowded();
    state.counters.set('idle', emptyCounters({}));
    state.counters.set('busy', full);
    const saved = countersForCheckpoint(state);
    expect(saved).toEqual([['busy', countersToJson(full)]]);
    expect(countersFromCheckpoint(saved).get('busy')?.windows).toEqual(full.windows);
    expect(countersFromCheckpoint(undefined).size).toBe(0);
  });

  it('are those of the first holders as far as four million characters go', () => {
    const state = emptyState();
    for (let n = 0; n < 500; n += 1) state.counters.set(`key${n}`, crowded());
    const each = JSON.stringify(countersToJson(crowded())).length;
    const saved = countersForCheckpoint(state);
    expect(saved).toHaveLength(Math.floor(4_000_000 / each));
    expect(saved[0]?.[0]).toBe('key0');
  });

  it('are forgotten of all holders together', () => {
    const state = emptyState();
    for (const holder of ['a', 'b']) state.counters.set(holder, crowded());
    forgetWindows(state);
    expect([...state.counters.values()].map(({ windows }) => windows.size)).toEqual([0, 0]);
  });
});
