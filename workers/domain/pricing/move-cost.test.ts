import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MODEL, NOW, PRICE } from '../../../tests/support/ledger';
import type { ServiceTerms, TokenCounts, UsageEntry } from '../usage/tokens';
import { NO_TOKENS } from '../usage/tokens';
import type { PriceRow } from './catalogue';
import { rewriteCost } from './move-cost';
import { priceUsage } from './price';

const STANDARD: ServiceTerms = { speed: null, geo: null, tier: null };

function entry(counts: Partial<TokenCounts>, differs: Partial<UsageEntry> = {}): UsageEntry {
  return { model: MODEL, counts: { ...NO_TOKENS, ...counts }, terms: STANDARD, ...differs };
}

function costOf(
  entries: readonly UsageEntry[],
  cachedTokens: number,
  asked: PriceRow = PRICE,
): number {
  return rewriteCost({ entries, flags: [] }, { asked, cachedTokens, at: NOW });
}

describe('what writing a cache again cost', () => {
  it('is the dearer price of what was written, up to what the old cache held', () => {
    // 5 µ$ to write for five minutes, 0.2 µ$ to read.
    expect(costOf([entry({ cacheWrite5m: 1_000 })], 5_000)).toBe(1_000 * 4_800);
    expect(costOf([entry({ cacheWrite5m: 1_000 })], 300)).toBe(300 * 4_800);
    expect(costOf([entry({ cacheRead: 1_000, input: 9 })], 5_000)).toBe(0);
    expect(costOf([entry({ cacheWrite5m: 1_000 })], 0)).toBe(0);
  });

  it('takes what lives for an hour first, for it stands first in a prompt', () => {
    const both = [entry({ cacheWrite1h: 600, cacheWrite5m: 400 })];
    expect(costOf(both, 700)).toBe(600 * 7_800 + 100 * 4_800);
    expect(costOf(both, 500)).toBe(500 * 7_800);
  });

  it('is at the band of the prompt and times the terms of the answer, rounded up once', () => {
    const band = { ...PRICE.bands[0], promptAbove: 200_000, cacheWrite5m: 10_000_001 };
    const asked = {
      ...PRICE,
      bands: [PRICE.bands[0], band] as const,
      geo: { us: [11, 10] as const },
    };
    const long = entry({ cacheWrite5m: 1, input: 200_000 }, { terms: { ...STANDARD, geo: 'us' } });
    // 9.800001 µ$ times 1.1.
    expect(costOf([long], 9, asked)).toBe(10_781);
    expect(costOf([long, long], 9, asked)).toBe(21_561);
  });

  it('shares what was held among attempts, and leaves other models out', () => {
    const written = entry({ cacheWrite5m: 100 });
    expect(costOf([written, written], 150)).toBe(150 * 4_800);
    const other = entry({ cacheWrite5m: 100 }, { model: 'claude-haiku-9' });
    expect(costOf([other, written], 150)).toBe(100 * 4_800);
  });

  it('is never below nothing nor above the whole cost, whatever comes', () => {
    const counts = fc.record({
      input: fc.integer({ min: -5, max: 1_000_000 }),
      cacheWrite5m: fc.integer({ min: -5, max: 1_000_000 }),
      cacheWrite1h: fc.oneof(fc.integer({ min: 0, max: 1_000_000 }), fc.double()),
      cacheRead: fc.integer({ min: 0, max: 1_000_000 }),
    });
    const cached = fc.oneof(fc.integer({ min: -9, max: 2_000_000 }), fc.double());
    fc.assert(
      fc.property(fc.array(counts, { maxLength: 3 }), cached, (several, cachedTokens) => {
        const entries = several.map((each) => entry(each));
        const moved = costOf(entries, cachedTokens);
        const catalogue = { version: 1, rows: [PRICE], aliases: {} };
        const context = { asked: PRICE, catalogue, at: NOW };
        const { costNanos } = priceUsage({ entries, flags: [] }, context);
        expect(moved).toBeGreaterThanOrEqual(0);
        expect(moved).toBeLessThanOrEqual(costNanos);
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  it('is nothing where reading is no cheaper than writing', () => {
    const asked = { ...PRICE, bands: [{ ...PRICE.bands[0], cacheRead: 9_000_000 }] as const };
    expect(costOf([entry({ cacheWrite5m: 100, cacheWrite1h: 100 })], 500, asked)).toBe(0);
  });
});
