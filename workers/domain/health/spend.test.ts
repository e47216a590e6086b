import { describe, expect, it } from 'vitest';
import { NOW } from '../../../tests/support/ledger';
import type { Nanos } from '../money';
import { nanos } from '../money';
import { HOUR_MS, MINUTE_MS } from '../time';
import type { Spend } from './spend';
import { correctedBy, spentAt, withCost } from './spend';

const DAY_MS = 24 * HOUR_MS;
/** NOW is noon of the 23rd. */
const MIDNIGHT = NOW + 12 * HOUR_MS;
const NEXT_MONTH = Date.UTC(2035, 11, 1);

function spent(...costs: readonly (readonly [at: number, nanos: number])[]) {
  let spend: Spend | undefined;
  for (const [at, cost] of costs) spend = withCost(spend, nanos(cost), at);
  return spend;
}

function figures(spend: Spend | undefined, now: number): readonly [Nanos, Nanos] {
  const { dayNanos, monthNanos } = spentAt(spend, now);
  return [dayNanos, monthNanos];
}

function corrected(
  spend: Spend | undefined,
  { day, month }: { readonly day: number; readonly month: number },
  { asOf = NOW, now = NOW } = {},
): readonly [Nanos, Nanos] {
  const sums = { dayNanos: nanos(day), monthNanos: nanos(month) };
  return figures(correctedBy(spend, sums, { asOf, now }), now);
}

describe('what an account has cost', () => {
  it('is counted by the UTC day and month, and begins anew at their first instants', () => {
    const spend = spent([NOW - DAY_MS, 7], [NOW, 5]);
    expect(figures(spend, MIDNIGHT - 1)).toEqual([5, 12]);
    expect(figures(spend, MIDNIGHT)).toEqual([0, 12]);
    expect(figures(spend, NEXT_MONTH - 1)).toEqual([0, 12]);
    expect(figures(spend, NEXT_MONTH)).toEqual([0, 0]);
    expect(figures(undefined, NOW)).toEqual([0, 0]);
  });

  it('never leaves what a number can hold', () => {
    const most = Number.MAX_SAFE_INTEGER;
    expect(figures(spent([NOW, most], [NOW, most]), NOW)).toEqual([most, most]);
  });
});

describe('the sums of D1', () => {
  it('replace what was counted, up or down', () => {
    const old = spent([NOW - 10 * MINUTE_MS, 100]);
    expect(corrected(old, { day: 250, month: 900 })).toEqual([250, 900]);
    expect(corrected(old, { day: 40, month: 60 })).toEqual([40, 60]);
    expect(corrected(undefined, { day: 40, month: 60 })).toEqual([40, 60]);
  });

  it('are too early for what was told within two minutes before them, or since', () => {
    const spend = spent(
      [NOW - 3 * MINUTE_MS, 100],
      [NOW - 2 * MINUTE_MS, 30],
      [NOW, 7],
      [NOW + MINUTE_MS, 2],
    );
    const now = NOW + MINUTE_MS;
    expect(corrected(spend, { day: 100, month: 500 }, { asOf: NOW, now })).toEqual([139, 539]);
  });

  it('of another day change nothing', () => {
    const spend = spent([NOW, 5]);
    expect(corrected(spend, { day: 99, month: 99 }, { asOf: NOW - DAY_MS })).toEqual([5, 5]);
  });
});

describe('a part of it', () => {
  it('is kept for four minutes only, however many reports come', () => {
    let spend: Spend | undefined;
    for (let ms = 0; ms < HOUR_MS; ms += 5_000) {
      spend = withCost(spend, nanos(1), NOW + ms);
    }
    expect(spend?.recent).toHaveLength(8);
    expect(figures(spend, NOW + HOUR_MS)).toEqual([720, 720]);
  });
});
