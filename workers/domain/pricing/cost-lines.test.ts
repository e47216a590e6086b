import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideUp, PICOS_PER_NANO } from '../money';
import type { UsageEntry } from '../usage/tokens';
import { NO_TOKENS } from '../usage/tokens';
import type { Catalogue } from './catalogue';
import { costLines, textOfPicos } from './cost-lines';
import { findPrice } from './find';
import { LIST_ALIASES, LIST_PRICES } from './list-prices';
import type { PricingContext } from './price';
import { priceUsage } from './price';

const CATALOGUE: Catalogue = { version: 1, rows: LIST_PRICES, aliases: LIST_ALIASES };
const NOW = Date.UTC(2026, 10, 23);
const PLAIN = { speed: null, geo: null, tier: null };
const MODELS = [...new Set(LIST_PRICES.map((row) => row.model))];

function contextOf(model: string): PricingContext {
  const asked = findPrice(CATALOGUE, model, NOW);
  if (asked === null) throw new Error(`no price for ${model}`);
  return { asked, catalogue: CATALOGUE, at: NOW };
}

describe('the lines of a cost', () => {
  it('come to what is charged, to the nano-dollar, whatever was used on whatever terms', () => {
    const count = fc.oneof(fc.nat(3), fc.nat(400_000), fc.constantFrom(-1, 2e9, 0.5));
    const entry: fc.Arbitrary<UsageEntry> = fc.record({
      model: fc.constantFrom(...MODELS, 'claude-opus-9', 'gpt-x'),
      counts: fc.record({
        input: count,
        cacheWrite5m: count,
        cacheWrite1h: count,
        cacheRead: count,
        output: count,
        webSearches: count,
      }),
      terms: fc.record({
        speed: fc.constantFrom(null, 'standard', 'fast', 'warp'),
        geo: fc.constantFrom(null, 'us', 'global', 'moon'),
        tier: fc.constantFrom(null, 'batch', 'priority', 'gold'),
      }),
    });
    const asked = fc.constantFrom(...MODELS);
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), asked, (entries, model) => {
        const usage = { entries, flags: [] };
        const { lines, picos, costNanos, flags } = costLines(usage, contextOf(model));
        expect({ costNanos, flags }).toEqual(priceUsage(usage, contextOf(model)));
        const { numerator, denominator } = picos;
        const cost = divideUp(numerator, denominator * PICOS_PER_NANO);
        expect(costNanos).toBe(Math.min(Number(cost), 1e15));
        // Said another way: every line alone, all on one denominator.
        const common = lines.reduce((product, line) => product * line.picos.denominator, 1n);
        const sum = lines.reduce((total, line) => {
          let over = BigInt(line.count) * BigInt(line.unitPicos);
          let under = 1n;
          for (const { factor } of line.factors) {
            over *= BigInt(factor[0]);
            under *= BigInt(factor[1]);
          }
          return total + (over * common) / under;
        }, 0n);
        expect(sum * denominator).toBe(numerator * common);
      }),
    );
  });

  it('name every kind that was used, its price and the factors that change it', () => {
    const counts = { ...NO_TOKENS, input: 1_000, output: 10, webSearches: 2 };
    const terms = { speed: 'fast', geo: 'us', tier: 'standard' };
    const usage = { entries: [{ model: 'claude-opus-5', counts, terms }], flags: [] };
    const { lines, costNanos } = costLines(usage, contextOf('claude-opus-5'));
    const factors = [
      { term: 'speed', value: 'fast', factor: [2, 1] },
      { term: 'geo', value: 'us', factor: [11, 10] },
    ];
    expect(lines.map(({ kind, count, unitPicos }) => [kind, count, unitPicos])).toEqual([
      ['input', 1_000, 5_000_000],
      ['output', 10, 25_000_000],
      ['webSearches', 2, 10_000_000_000],
    ]);
    expect(lines.map((line) => line.factors)).toEqual([factors, factors, []]);
    expect(lines.map(({ picos }) => textOfPicos(picos))).toEqual([
      '11000000000',
      '550000000',
      '20000000000',
    ]);
    expect(costNanos).toBe(11_000_000 + 550_000 + 20_000_000);
  });

  it('say that what has no price costs twice the dearest', () => {
    const counts = { ...NO_TOKENS, input: 1 };
    const usage = { entries: [{ model: 'claude-opus-9', counts, terms: PLAIN }], flags: [] };
    const { lines, flags } = costLines(usage, contextOf('claude-opus-5'));
    expect(lines[0]?.factors).toEqual([{ term: 'unknown', value: null, factor: [2, 1] }]);
    expect(flags).toEqual(['model-unknown']);
  });
});

describe('an amount of pico-dollars', () => {
  it('is shown as a decimal where that is exact, else as a fraction', () => {
    expect(textOfPicos({ numerator: 10n, denominator: 2n })).toBe('5');
    expect(textOfPicos({ numerator: 11n, denominator: 20n })).toBe('0.55');
    expect(textOfPicos({ numerator: 10n, denominator: 3n })).toBe('10/3');
    expect(textOfPicos({ numerator: 0n, denominator: 7n })).toBe('0');
  });
});
