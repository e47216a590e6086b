import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServiceTerms, TokenCounts, UsageEntry } from '../usage/tokens';
import { NO_TOKENS } from '../usage/tokens';
import type { Catalogue, PriceRow } from './catalogue';
import { findPrice } from './find';
import { LIST_ALIASES, LIST_PRICES } from './list-prices';
import { priceUsage } from './price';

const CATALOGUE: Catalogue = { version: 1, rows: LIST_PRICES, aliases: LIST_ALIASES };
const NOW = Date.UTC(2026, 10, 23);
const PLAIN: ServiceTerms = { speed: null, geo: null, tier: null };
const MODELS = [...new Set(LIST_PRICES.map((row) => row.model))];

describe('priceUsage', () => {
  it.each([
    [entry('claude-opus-5-5', [12, 100, 200, 40_000, 87, 2]), 31_888_000],
    [entry('claude-sonnet-5-5', [1_000, 0, 0, 100_000, 500, 0]), 17_000_000],
    [entry('claude-haiku-5-5', [500, 0, 0, 99_500, 100, 0]), 1_095_000],
    [entry('claude-haiku-5-5', [501, 0, 0, 99_500, 100, 0]), 5_475_500],
    [entry('claude-opus-5-5', [1_000, 0, 0, 0, 1_000, 0], { speed: 'fast' }), 48_000_000],
    [entry('claude-opus-5-5', [1_000, 0, 0, 0, 1_000, 0], { geo: 'us' }), 26_400_000],
    [entry('claude-opus-5-5', [1_000, 0, 0, 0, 1_000, 0], { tier: 'batch' }), 12_000_000],
  ])('agrees with the worked example %j', (worked, costNanos) => {
    expect(price([worked])).toEqual({ costNanos, flags: [] });
  });

  it('charges nothing for nothing', () => {
    expect(price([])).toEqual({ costNanos: 0, flags: [] });
    expect(price([entry('claude-opus-5', [0, 0, 0, 0, 0, 0])]).costNanos).toBe(0);
  });

  it('takes terms that say the usual as terms that say nothing', () => {
    const usual = { speed: 'standard', geo: 'global', tier: 'standard' };
    const said = entry('claude-opus-5', [10, 20, 30, 40, 50, 1], usual);
    expect(price([said])).toEqual(price([{ ...said, terms: PLAIN }]));
    const absent = { ...said, terms: { ...usual, geo: 'not_available', tier: 'priority' } };
    expect(price([absent])).toEqual(price([said]));
  });

  it('multiplies factors and leaves web searches out of them', () => {
    const terms = { speed: 'fast', geo: 'us', tier: 'batch' };
    // 1,000 × 5 $/M × 2 × 11/10 × 1/2, and one search at one cent.
    expect(price([entry('claude-opus-5', [1_000, 0, 0, 0, 0, 1], terms)]).costNanos).toBe(
      5_500_000 + 10_000_000,
    );
  });

  it('prices the long prompt of Sonnet 4.5 by the upper band, output too', () => {
    expect(price([entry('claude-sonnet-4-5', [0, 0, 0, 200_000, 10, 0])]).costNanos).toBe(
      60_000_000 + 150_000,
    );
    expect(price([entry('claude-sonnet-4-5', [1, 0, 0, 200_000, 10, 0])]).costNanos).toBe(
      6_000 + 120_000_000 + 225_000,
    );
  });

  it('counts writes and reads of the cache into how long the prompt is', () => {
    const cost = (...numbers: readonly number[]) => price([entry('claude-haiku-5-5', numbers)]);
    expect(cost(1, 50_000, 49_999).costNanos).toBe(100 + 6_250_000 + 9_999_800);
    expect(cost(1, 50_000, 50_000).costNanos).toBe(500 + 31_250_000 + 50_000_000);
    expect(cost(100_000, 1).costNanos).toBe(50_000_000 + 625);
    expect(cost(0, 100_000, 1).costNanos).toBe(62_500_000 + 1_000);
  });

  it('prices the asked model by the numbers of the lease, whatever came since', () => {
    const asked = rowOf('claude-opus-5');
    const raised = { ...asked, bands: [{ ...asked.bands[0], input: 99_000_000 }] as const };
    const catalogue = { ...CATALOGUE, rows: [raised] };
    for (const model of ['claude-opus-5', 'claude-opus-5-20260101', 'anthropic.claude-opus-5']) {
      const usage = { entries: [entry(model, [1_000, 0, 0, 0, 0, 0])], flags: [] };
      const context = { asked, at: NOW };
      const expected = { costNanos: 5_000_000, flags: [] };
      expect(priceUsage(usage, { ...context, catalogue })).toEqual(expected);
      const without = { ...catalogue, rows: [] };
      expect(priceUsage(usage, { ...context, catalogue: without })).toEqual(expected);
    }
  });

  it('prices another known model by its own row at the date of admit, and says so', () => {
    const usage = { entries: [entry('claude-sonnet-5-5', [0, 0, 0, 1_000, 0, 0])], flags: [] };
    const context = { asked: rowOf('claude-opus-5'), catalogue: CATALOGUE };
    const before = priceUsage(usage, { ...context, at: Date.UTC(2026, 9, 6) });
    expect(before).toEqual({ costNanos: 200_000, flags: ['model-differs'] });
    const since = priceUsage(usage, { ...context, at: NOW });
    expect(since).toEqual({ costNanos: 100_000, flags: ['model-differs'] });
  });

  it('prices a dated model that has a row of its own by that, also when its short name is asked', () => {
    const own = { ...rowOf('claude-opus-5'), model: 'claude-opus-5-20260101', id: 'own' };
    const dated = { ...own, bands: [band(1_000_000)] as const };
    const usage = { entries: [entry('claude-opus-5-20260101', [1_000, 0, 0, 0, 0, 0])], flags: [] };
    const catalogue = { ...CATALOGUE, rows: [...LIST_PRICES, dated] };
    expect(priceUsage(usage, { asked: rowOf('claude-opus-5'), catalogue, at: NOW })).toEqual({
      costNanos: 1_000_000,
      flags: ['model-differs'],
    });
  });

  it('prices an unknown model at twice the dearest of its family, and says so', () => {
    expect(price([entry('claude-haiku-9', [1_000, 0, 0, 0, 1_000, 0])], 'claude-opus-5')).toEqual({
      costNanos: 2 * (1_000_000 + 5_000_000),
      flags: ['model-unknown'],
    });
    expect(price([entry('other-9', [1_000, 0, 0, 0, 0, 0])], 'claude-haiku-5-5')).toEqual({
      costNanos: 2 * 15_000_000,
      flags: ['model-unknown'],
    });
  });

  it('prices an unknown model by twice the asked row where the catalogue is empty', () => {
    const usage = { entries: [entry('other-9', [1_000, 0, 0, 0, 0, 0])], flags: [] };
    const catalogue = { version: 1, rows: [], aliases: {} };
    expect(priceUsage(usage, { asked: rowOf('claude-opus-5'), catalogue, at: NOW })).toEqual({
      costNanos: 10_000_000,
      flags: ['model-unknown'],
    });
  });

  it.each([{ speed: 'ludicrous' }, { geo: 'moon' }, { tier: 'steerage' }, { tier: 'toString' }])(
    'prices the unknown terms %j at twice the dearest of the family, and says so',
    (terms) => {
      expect(price([entry('claude-opus-5-5', [1_000, 0, 0, 0, 0, 0], terms)])).toEqual({
        costNanos: 2 * 15_000_000,
        flags: ['terms-unknown'],
      });
    },
  );

  it('says so too when only another model of the family has such terms', () => {
    const fast = entry('claude-opus-4-7', [1_000, 0, 0, 0, 0, 0], { speed: 'fast' });
    expect(price([fast])).toEqual({
      costNanos: 2 * 2 * 15_000_000,
      flags: ['terms-unknown'],
    });
  });

  it('keeps the known factors beside an unknown value, and doubles once', () => {
    const terms = { speed: 'fast', geo: 'moon', tier: 'steerage' };
    expect(price([entry('claude-opus-5-5', [1_000, 0, 0, 0, 0, 0], terms)])).toEqual({
      costNanos: 2 * 2 * 15_000_000,
      flags: ['terms-unknown'],
    });
  });

  it('never prices unknown terms below twice the row of the lease', () => {
    const asked = { ...rowOf('claude-opus-5'), bands: [band(90_000_000)] as const };
    const usage = {
      entries: [entry('claude-opus-5', [1_000, 0, 0, 0, 0, 0], { geo: 'moon' })],
      flags: [],
    };
    expect(priceUsage(usage, { asked, catalogue: CATALOGUE, at: NOW }).costNanos).toBe(180_000_000);
  });

  it('prices a model without a price by the ceiling of its lease, and says so', () => {
    const asked = capped('gpt-9', [1_000, 2_000]);
    const priced = (model: string, terms: Partial<ServiceTerms> = {}) =>
      priceUsage(
        { entries: [entry(model, [10, 0, 0, 0, 5, 0], terms)], flags: [] },
        { asked, catalogue: CATALOGUE, at: NOW },
      );
    const usual = { costNanos: 20, flags: ['priced-by-ceiling'] };
    expect(priced('gpt-9')).toEqual(usual);
    expect(priced('gpt-9-20260101', { speed: 'standard' })).toEqual(usual);
  });

  it('flags no known model that answers in the place of one under the ceiling', () => {
    const asked = capped('gpt-9', [1_000, 2_000]);
    const usage = { entries: [entry('claude-opus-5-5', [10, 0, 0, 0, 5, 0])], flags: [] };
    const priced = priceUsage(usage, { asked, catalogue: CATALOGUE, at: NOW });
    expect(priced).toEqual({ ...price(usage.entries), flags: ['model-differs'] });
  });

  it('says everything that is unusual, each once, beside what the meter said', () => {
    const odd = entry('claude-none', [-1, 0.5, Number.NaN, 0, 2e9, 0], { speed: 'odd' });
    const usage = { entries: [odd, odd], flags: ['estimated'] as const };
    const { flags } = priceUsage(usage, {
      asked: rowOf('claude-opus-5'),
      catalogue: CATALOGUE,
      at: NOW,
    });
    expect(flags.toSorted()).toEqual([
      'estimated',
      'model-unknown',
      'terms-unknown',
      'usage-absurd',
      'usage-negative',
    ]);
  });

  it('reads a negative or broken count as zero: nothing is ever credited', () => {
    for (const count of [-1, -1e300, 0.5, Number.NaN, -Infinity]) {
      const result = price([entry('claude-opus-5', [count, 0, 0, 0, 1, count])]);
      expect(result).toEqual({ costNanos: 25_000, flags: ['usage-negative'] });
    }
  });

  it('stays a payable number for any figures an answer can hold', () => {
    const most = entry('claude-none', [Infinity, 1e300, 2e9, 2e9, 2e9, 1e300], { speed: 'odd' });
    const result = price(Array.from({ length: 50 }, () => most));
    expect(result.costNanos).toBe(1_000_000 * 1_000_000_000);
    expect(result.flags).toContain('usage-absurd');
  });

  it('charges up to a million dollars as they are, and says so when a sum is cut to them', () => {
    const each = entry('claude-fable-5', [0, 0, 0, 0, 1_000_000_000, 0]);
    const most = 1_000_000 * 1_000_000_000;
    // 50,000 dollars each.
    const exactly = price(Array.from({ length: 20 }, () => each));
    expect(exactly).toEqual({ costNanos: most, flags: [] });
    const above = price(Array.from({ length: 21 }, () => each));
    expect(above).toEqual({ costNanos: most, flags: ['usage-absurd'] });
  });

  it('rounds once a request, not once an entry', () => {
    // A hundredth of a dollar a million: 10 cache reads come to 100 pico-dollars each.
    const tiny = entry('claude-haiku-5-5', [0, 0, 0, 1, 0, 0], { tier: 'batch' });
    expect(price([tiny]).costNanos).toBe(5);
    const odd = { ...tiny, terms: { ...PLAIN, geo: 'us', tier: 'batch' } };
    // 10,000 × 11/10 × 1/2 = 5,500 picos: one alone is rounded up, two make 11 exactly.
    expect([price([odd]).costNanos, price([odd, odd]).costNanos]).toEqual([6, 11]);
  });
});

/** The ceiling as a lease carries it: pico-dollars a token of input and of output. */
function capped(model: string, [input, output]: readonly [number, number]): PriceRow {
  const [row] = LIST_PRICES;
  if (row === undefined) throw new Error('no prices');
  const band = { ...row.bands[0], input, output };
  return { ...row, id: 'ceiling:x', model, bands: [band], isCeiling: true };
}

describe('the cost of any usage', () => {
  const count = fc.oneof(fc.integer({ min: 0, max: 300_000 }), fc.integer({ min: 0, max: 1e9 }));
  const counts: fc.Arbitrary<readonly number[]> = fc.tuple(
    count,
    count,
    count,
    count,
    count,
    fc.integer({ min: 0, max: 100 }),
  );
  const terms = fc.record({
    speed: fc.constantFrom(null, 'standard', 'fast', 'odd'),
    geo: fc.constantFrom(null, 'global', 'us', 'moon'),
    tier: fc.constantFrom(null, 'standard', 'batch', 'flex'),
  });
  const model = fc.constantFrom(...MODELS, 'claude-opus-9', 'claude-haiku-9', 'other');
  const entries = fc.array(
    fc.tuple(model, counts, terms).map(([name, numbers, said]) => entry(name, numbers, said)),
    { maxLength: 4 },
  );

  it('is never negative, also for figures that make no sense', () => {
    const wild = fc.tuple(
      fc.double(),
      fc.double(),
      fc.double(),
      fc.double(),
      fc.double(),
      fc.double(),
    );
    fc.assert(
      fc.property(model, wild, terms, (name, numbers, said) => {
        const { costNanos } = price([entry(name, numbers, said)]);
        expect(costNanos).toBeGreaterThanOrEqual(0);
        expect(Number.isSafeInteger(costNanos)).toBe(true);
      }),
    );
  });

  it('never falls when any one count rises', () => {
    const names = fc.constantFrom(...(Object.keys(NO_TOKENS) as (keyof TokenCounts)[]));
    fc.assert(
      fc.property(model, counts, terms, names, fc.nat({ max: 1e6 }), (...given) => {
        const [name, numbers, said, raised, by] = given;
        const less = entry(name, numbers, said);
        const more = { ...less, counts: { ...less.counts, [raised]: less.counts[raised] + by } };
        expect(price([more]).costNanos).toBeGreaterThanOrEqual(price([less]).costNanos);
      }),
    );
  });

  it('lies less than one nano-dollar above the exact value, over all entries', () => {
    const known = terms.filter(({ speed, geo, tier }) => {
      return speed !== 'odd' && speed !== 'fast' && geo !== 'moon' && tier !== 'flex';
    });
    const flat = fc.constantFrom('claude-opus-5-5', 'claude-sonnet-5-5', 'claude-fable-5-2');
    const many = fc.array(fc.tuple(flat, counts, known), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(many, (list) => {
        const { costNanos } = price(
          list.map(([name, numbers, said]) => entry(name, numbers, said)),
        );
        // Exact in twentieths of a pico-dollar: the factors have denominators 10 and 2.
        const exact = list.reduce((sum, [name, numbers, said]) => {
          return sum + twentieths(rowOf(name), numbers, said);
        }, 0n);
        const above = BigInt(costNanos) * 20_000n - exact;
        expect(above >= 0n && above < 20_000n).toBe(true);
      }),
    );
  });

  it('is at most one nano-dollar an entry below the sum of entries priced alone', () => {
    fc.assert(
      fc.property(entries, (list) => {
        const together = price(list).costNanos;
        const alone = list.reduce((sum, one) => sum + price([one]).costNanos, 0);
        expect(alone - together).toBeGreaterThanOrEqual(0);
        expect(alone - together).toBeLessThanOrEqual(list.length);
      }),
    );
  });

  it('does not depend on the order of entries', () => {
    fc.assert(
      fc.property(entries, (list) => {
        expect(price(list.toReversed()).costNanos).toBe(price(list).costNanos);
      }),
    );
  });

  it('of an unknown model is at least twice that of any model of the family', () => {
    const opus = fc.constantFrom(...MODELS.filter((name) => name.includes('-opus-')));
    const noSearch = counts.map((numbers) => [...numbers.slice(0, 5), 0]);
    fc.assert(
      fc.property(opus, noSearch, (name, numbers) => {
        const known = price([entry(name, numbers)]).costNanos;
        const unknown = price([entry('claude-opus-9', numbers)]).costNanos;
        expect(unknown).toBeGreaterThanOrEqual(2 * known - 1);
      }),
    );
  });
});

function twentieths(row: PriceRow, counts: readonly number[], terms: ServiceTerms): bigint {
  const { input, cacheWrite5m, cacheWrite1h, cacheRead, output } = row.bands[0];
  const prices = [input, cacheWrite5m, cacheWrite1h, cacheRead, output];
  const tokens = prices.reduce((sum, per, index) => {
    return sum + BigInt(per) * BigInt(counts[index] ?? 0);
  }, 0n);
  const geo = terms.geo === 'us' ? 11n : 10n;
  const tier = terms.tier === 'batch' ? 1n : 2n;
  return tokens * geo * tier + BigInt(counts[5] ?? 0) * BigInt(row.webSearchPicos) * 20n;
}

function price(entries: readonly UsageEntry[], askedModel?: string) {
  const asked = askedModel ?? MODELS.find((model) => model === entries[0]?.model);
  return priceUsage(
    { entries, flags: [] },
    { asked: rowOf(asked ?? 'claude-opus-5'), catalogue: CATALOGUE, at: NOW },
  );
}

function rowOf(model: string): PriceRow {
  const row = findPrice(CATALOGUE, model, NOW);
  if (row === null) throw new Error(`no price of ${model}`);
  return row;
}

function band(each: number): PriceRow['bands'][0] {
  return {
    promptAbove: 0,
    input: each,
    cacheWrite5m: each,
    cacheWrite1h: each,
    cacheRead: each,
    output: each,
  };
}

/** `numbers` in the order of the worked examples: in, w5, w1h, r, out, searches. */
function entry(
  model: string,
  numbers: readonly number[],
  terms: Partial<ServiceTerms> = {},
): UsageEntry {
  const [
    input = 0,
    cacheWrite5m = 0,
    cacheWrite1h = 0,
    cacheRead = 0,
    output = 0,
    webSearches = 0,
  ] = numbers;
  return {
    model,
    counts: { input, cacheWrite5m, cacheWrite1h, cacheRead, output, webSearches },
    terms: { ...PLAIN, ...terms },
  };
}
