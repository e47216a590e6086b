import { describe, expect, it } from 'vitest';
import {
  admitCall,
  copiesOf,
  creditCall,
  extendCall,
  idOf,
  keyCopy,
  NOW,
  ownerOf,
  settleCall,
  userCopy,
} from '../../../tests/support/ledger';
import { PaperLedger } from '../../../tests/support/paper-ledger';
import type { LimitSet } from '../limits/limit-set';
import { nanos } from '../money';
import { HOUR_MS, SECOND_MS } from '../time';
import type { AdmitAnswer } from './calls';

const OWNER = ownerOf(1);

function newLedger(limits: LimitSet = {}, wallClock = NOW): PaperLedger {
  const ledger = new PaperLedger(copiesOf(OWNER), { wallClock, every: 1 });
  ledger.credit(creditCall('txn_first'));
  change(ledger, limits, 2);
  return ledger;
}

function change(ledger: PaperLedger, limits: LimitSet, version: number): void {
  ledger.apply(keyCopy(OWNER, { limits, version }));
}

function admit(ledger: PaperLedger, n: number): AdmitAnswer {
  return ledger.admit(admitCall(OWNER.keyId, idOf('request', n)));
}

function complete(ledger: PaperLedger, n: number): void {
  const answer = admit(ledger, n);
  if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
  ledger.settle(settleCall(answer.lease));
}

const perHour = (limit: number): LimitSet => ({ requests: [{ limit, spanMs: HOUR_MS }] });

describe('a window that a clock was misread in', () => {
  it('counts what came before the reading, when its limit is new at that moment', () => {
    const ledger = newLedger();
    for (const n of [1, 2]) expect(admit(ledger, n).ok).toBe(true);
    change(ledger, perHour(3), 3);
    ledger.wallClock = NOW + 3 * HOUR_MS;
    expect(admit(ledger, 3).ok).toBe(true);
    ledger.wallClock = NOW + SECOND_MS;
    expect(admit(ledger, 4).ok).toBe(false);
  });

  it('counts what came before the reading, when the object woke at that moment', () => {
    const ledger = newLedger(perHour(2));
    complete(ledger, 1);
    ledger.wallClock = NOW + 60 * HOUR_MS;
    ledger.evict();
    complete(ledger, 2);
    ledger.wallClock = NOW + SECOND_MS;
    ledger.evict();
    expect(admit(ledger, 3).ok).toBe(false);
  });
});

describe('a window whose limit is new', () => {
  it('counts as one that was there before, to the end of the last bucket', () => {
    const bucketMs = Math.ceil(HOUR_MS / 999);
    const bucketStart = Math.ceil(NOW / bucketMs) * bucketMs;
    const early = newLedger(perHour(3), bucketStart);
    const late = newLedger({}, bucketStart);
    for (const ledger of [early, late]) {
      complete(ledger, 1);
      ledger.wallClock += HOUR_MS + bucketMs - 2;
    }
    change(late, perHour(3), 3);
    const told = [early, late].map((ledger) => ledger.keyInfo(OWNER.keyId).limits);
    expect(told[0]).toMatchObject([{ used: 1, remaining: 2 }]);
    expect(told[1]).toEqual(told[0]);
  });
});

describe('a wallet whose zone has changed since its checkpoint', () => {
  it('wakes with each day after the change counted for itself', () => {
    const day: LimitSet = { budgets: [{ period: 'day', limitNanos: nanos(80_000_000) }] };
    const ledger = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every: 2 });
    ledger.credit(creditCall('txn_first'));
    change(ledger, day, 2);
    for (const n of [1, 2]) complete(ledger, n);
    ledger.apply(userCopy(OWNER, { timeZone: 'Asia/Tokyo', version: 2 }));
    // Days in Tokyo begin at 15:00 UTC, between these two, which are of one day in UTC.
    for (const [n, hours] of [
      [3, 48],
      [4, 52],
    ] as const) {
      ledger.wallClock = NOW + hours * HOUR_MS;
      admit(ledger, n);
    }
    ledger.settle(settleCall({ seq: 3, requestId: idOf('request', 3), keyId: OWNER.keyId }));
    const told = ledger.keyInfo(OWNER.keyId).limits;
    ledger.evict();
    expect(told).toMatchObject([{ used: 0 }]);
    expect(ledger.keyInfo(OWNER.keyId).limits).toEqual(told);
  });
});

describe('a wallet whose zone changes twice in a day', () => {
  it('still counts what was spent in the day before of the zone between', () => {
    const day: LimitSet = { budgets: [{ period: 'day', limitNanos: nanos(80_000_000) }] };
    // Four in the morning in UTC is the day before in New York and in Havana.
    const ledger = newLedger(day, Date.UTC(2036, 0, 1, 4));
    const move = (timeZone: string, version: number) => {
      ledger.apply(userCopy(OWNER, { timeZone, version }));
      return ledger.keyInfo(OWNER.keyId).limits;
    };
    move('America/New_York', 2);
    complete(ledger, 1);
    ledger.wallClock += 19 * HOUR_MS;
    expect(move('America/Havana', 3)).toMatchObject([{ used: 0 }]);
    expect(move('UTC', 4)).toMatchObject([{ used: 1_000_000 }]);
  });
});

describe('a request that runs past midnight', () => {
  it('is given more only from the budget of the day that it counts in', () => {
    const day: LimitSet = { budgets: [{ period: 'day', limitNanos: nanos(80_000_000) }] };
    const ledger = newLedger(day);
    complete(ledger, 1);
    const sizes = { ...admitCall(OWNER.keyId, idOf('request', 2)).sizes, maxTokens: 9_000 };
    const answer = ledger.admit(admitCall(OWNER.keyId, idOf('request', 2), { sizes }));
    if (!answer.ok) throw new Error('refused');
    ledger.wallClock += 13 * HOUR_MS;
    const spent = ledger.state.heldNanos + 1_000_000;
    const more = ledger.extend(extendCall(answer.lease, 9_000));
    const left = Math.floor((80_000_000 - spent) / 20_000);
    const upTo = (answer.lease.hold?.heldOutputTokensUpTo ?? 0) + left;
    expect(more).toEqual({ state: 'held', heldOutputTokensUpTo: upTo });
  });

  it('is given no more by a change of zone', () => {
    const day: LimitSet = { budgets: [{ period: 'day', limitNanos: nanos(50_000_000) }] };
    const ledger = newLedger(day);
    const spent = admit(ledger, 1);
    const sizes = { ...admitCall(OWNER.keyId, idOf('request', 2)).sizes, maxTokens: 9_000 };
    ledger.wallClock += 2 * HOUR_MS;
    if (!spent.ok) throw new Error('refused');
    ledger.settle(settleCall(spent.lease, { costNanos: nanos(10_000_000) }));
    const answer = ledger.admit(admitCall(OWNER.keyId, idOf('request', 2), { sizes }));
    if (!answer.ok) throw new Error('refused');
    for (let hours = 0; hours < 20; hours += 1) {
      ledger.wallClock += HOUR_MS;
      ledger.keyInfo(OWNER.keyId);
    }
    ledger.apply(userCopy(OWNER, { timeZone: 'Europe/Berlin', version: 2 }));
    const left = 40_000_000 - ledger.state.heldNanos;
    const more = ledger.extend(extendCall(answer.lease, 9_000));
    const upTo = (answer.lease.hold?.heldOutputTokensUpTo ?? 0) + Math.floor(left / 20_000);
    expect(more).toEqual({ state: 'held', heldOutputTokensUpTo: upTo });
  });
});
