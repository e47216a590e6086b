import { describe, expect, it } from 'vitest';
import { nanos } from '../money';
import type { Counters, CountersJson } from './counters';
import {
  alignCounters,
  countEnded,
  countHeld,
  countOpened,
  countUsed,
  countersFromJson,
  countersToJson,
  emptyCounters,
  windowFigures,
} from './counters';
import type { LimitSet } from './limit-set';
import { addToWindow } from './window';

const NOW = 1_800_000_000_000;
const MINUTE = { limit: 10, spanMs: 60_000 };
const HOUR = { limit: 50, spanMs: 3_600_000 };
const LIMITS: LimitSet = { requests: [MINUTE, HOUR], tokens: [MINUTE], cost: [HOUR] };

function used(counters: Counters, now = NOW): Record<string, readonly number[]> {
  const holder = { limits: LIMITS, counters };
  return Object.fromEntries(
    (['requests', 'tokens', 'cost'] as const).map((kind) => [
      kind,
      windowFigures(holder, kind, now).map((figure) => figure.used),
    ]),
  );
}

describe('the counters of a holder', () => {
  it('count a request at its admit and what it used at its end, in every window of the kind', () => {
    const counters = emptyCounters(LIMITS);
    countOpened(counters, { at: NOW, seenAt: NOW });
    countOpened(counters, { at: NOW, seenAt: NOW });
    countHeld(counters, { tokens: 500, nanos: nanos(700) });
    expect(counters).toMatchObject({ open: 2, heldTokens: 500, heldNanos: 700 });
    countEnded(counters);
    countHeld(counters, { tokens: -500, nanos: nanos(-700) });
    countUsed(counters, { tokens: 30, costNanos: nanos(40), at: NOW, seenAt: NOW + 5_000 });
    expect(counters).toMatchObject({ open: 1, heldTokens: 0, heldNanos: 0 });
    expect(used(counters)).toEqual({ requests: [2, 2], tokens: [30], cost: [40] });
    expect(used(counters, NOW + 70_000)).toEqual({ requests: [0, 2], tokens: [0], cost: [40] });
  });

  it('show no window of a kind that is not limited', () => {
    const holder = { limits: {}, counters: emptyCounters({}) };
    expect(windowFigures(holder, 'requests', NOW)).toEqual([]);
  });

  it('follow a correction back', () => {
    const counters = emptyCounters(LIMITS);
    countUsed(counters, { tokens: 30, costNanos: nanos(40), at: NOW, seenAt: NOW });
    countUsed(counters, { tokens: -10, costNanos: nanos(-15), at: NOW, seenAt: NOW + 1_000 });
    expect(used(counters)).toEqual({ requests: [0, 0], tokens: [20], cost: [25] });
  });

  it('never count below nothing open: that would be a bug', () => {
    const counters = emptyCounters(LIMITS);
    expect(() => countEnded(counters)).toThrow('more requests ended');
  });

  it('keep what they counted when limits change, and name the windows that are new', () => {
    const counters = emptyCounters(LIMITS);
    countOpened(counters, { at: NOW, seenAt: NOW });
    const raised: LimitSet = { requests: [{ ...MINUTE, limit: 99 }], tokens: [HOUR] };
    const added = alignCounters(counters, raised);
    expect(added.map(({ kind, window }) => [kind, window.spanMs])).toEqual([['tokens', 3_600_000]]);
    expect([...counters.windows.keys()].toSorted()).toEqual(['requests:60000', 'tokens:3600000']);
    for (const { window } of added) addToWindow(window, { at: NOW, amount: 7, seenAt: NOW });
    const holder = { limits: raised, counters };
    expect(windowFigures(holder, 'tokens', NOW)[0]?.used).toBe(7);
    expect(windowFigures(holder, 'requests', NOW)[0]?.used).toBe(1);
    expect(alignCounters(counters, raised)).toEqual([]);
  });

  it('come back from a checkpoint with nothing open and nothing held', () => {
    const counters = emptyCounters(LIMITS);
    countOpened(counters, { at: NOW, seenAt: NOW });
    countHeld(counters, { tokens: 5, nanos: nanos(5) });
    const json: unknown = JSON.parse(JSON.stringify(countersToJson(counters)));
    const restored = countersFromJson(json as CountersJson);
    expect(restored).toMatchObject({ open: 0, heldTokens: 0, heldNanos: 0 });
    expect(restored.windows).toEqual(counters.windows);
  });
});
