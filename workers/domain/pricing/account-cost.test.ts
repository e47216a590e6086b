import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CATALOGUE, MODEL, NOW, PRICE } from '../../../tests/support/ledger';
import type { TokenCounts, Usage } from '../usage/tokens';
import { NO_TOKENS } from '../usage/tokens';
import { accountCost } from './account-cost';
import type { PriceRow } from './catalogue';
import { priceUsage } from './price';

const CONTEXT = { asked: PRICE, catalogue: CATALOGUE, at: NOW };

function usageOf(counts: Partial<TokenCounts>, model = MODEL): Usage {
  const terms = { speed: null, geo: null, tier: null };
  return { entries: [{ model, counts: { ...NO_TOKENS, ...counts }, terms }], flags: [] };
}

function own(input: number, effectiveFrom = 0): PriceRow {
  const bands = [{ ...PRICE.bands[0], input }] as const;
  return { ...PRICE, id: `own@${effectiveFrom}`, effectiveFrom, bands };
}

describe('what an account is said to cost', () => {
  it('is not said where it has no terms of its own', () => {
    expect(
      accountCost(usageOf({ input: 7 }), CONTEXT, { costFactor: [1, 1], ownPrices: [] }),
    ).toBeNull();
    expect(
      accountCost(usageOf({ input: 7 }), CONTEXT, { costFactor: [3, 3], ownPrices: [] }),
    ).toBeNull();
  });

  it('is the list times its factor, rounded up once at the end', () => {
    const terms = { costFactor: [1, 3], ownPrices: [] } as const;
    // 4,000 nano-dollars a token; the list alone would round nothing.
    expect(accountCost(usageOf({ input: 1 }), CONTEXT, terms)).toBe(1_334);
    expect(accountCost(usageOf({ input: 2 }), CONTEXT, terms)).toBe(2_667);
  });

  it('is by its own row in force where it has one for the model, also times its factor', () => {
    const ownPrices = [own(1_000_000), own(2_000_000, NOW), own(9_000_000, NOW + 1)];
    const usage = usageOf({ input: 10 });
    expect(accountCost(usage, CONTEXT, { costFactor: [1, 1], ownPrices })).toBe(20_000);
    expect(accountCost(usage, CONTEXT, { costFactor: [3, 2], ownPrices })).toBe(30_000);
    // What is not in force yet leaves the list.
    const late = { costFactor: [1, 1], ownPrices: [own(1, NOW + 1)] } as const;
    expect(accountCost(usage, CONTEXT, late)).toBe(40_000);
  });

  it('is by the row of the model that served, its own before that of the list', () => {
    const small = { ...PRICE, id: 'small', model: 'small-1' };
    const catalogue = { ...CATALOGUE, rows: [PRICE, small] };
    const usage = usageOf({ input: 10 }, 'small-1');
    const cost = (row: PriceRow) =>
      accountCost(usage, { ...CONTEXT, catalogue }, { costFactor: [1, 1], ownPrices: [row] });
    expect(cost({ ...own(1_000_000), model: 'small-1' })).toBe(10_000);
    expect(cost({ ...own(1_000_000, NOW + 1), model: 'small-1' })).toBe(40_000);
  });

  it('is by the list for a model of which it has no row', () => {
    const other = { ...own(1), model: 'claude-haiku-9' };
    const terms = { costFactor: [1, 1], ownPrices: [other] } as const;
    expect(accountCost(usageOf({ input: 10 }), CONTEXT, terms)).toBe(40_000);
  });

  it('with a factor of one is what the user pays, and never throws for what upstreams send', () => {
    const count = fc.oneof(fc.nat(2_000_000_000), fc.double(), fc.integer());
    const counts = fc.record({ input: count, output: count, cacheRead: count });
    const factor = fc.constantFrom([1, 1] as const, [999_983, 1] as const);
    fc.assert(
      fc.property(counts, factor, fc.boolean(), (each, costFactor, isOther) => {
        const usage = usageOf(each, isOther ? 'nobody-knows-it' : MODEL);
        // A row of some other model, so that it is reckoned at all.
        const ownPrices = [{ ...own(1), model: 'another' }];
        const cost = accountCost(usage, CONTEXT, { costFactor, ownPrices });
        expect(Number.isSafeInteger(cost)).toBe(true);
        if (costFactor[0] !== 1 || isOther) return;
        expect(cost).toBe(priceUsage(usage, CONTEXT).costNanos);
      }),
      { seed: 5, numRuns: 300 },
    );
  });
});
