import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Catalogue, Factor, PriceRow } from './catalogue';
import {
  dearestOf,
  dearestOfFamily,
  findPrice,
  modelForms,
  priceAsked,
  resolveModel,
} from './find';
import { LIST_ALIASES, LIST_PRICES } from './list-prices';

const CATALOGUE: Catalogue = { version: 1, rows: LIST_PRICES, aliases: LIST_ALIASES };
const NOW = Date.UTC(2026, 10, 23);
const MODELS = [...new Set(LIST_PRICES.map((row) => row.model))];
const models = fc.constantFrom(...MODELS);

describe('resolveModel', () => {
  it('takes every exact id as itself', () => {
    for (const model of MODELS) expect(resolveModel(CATALOGUE, model)).toBe(model);
  });

  it.each([
    ['claude-haiku-4-5-20251001', 'claude-haiku-4-5'],
    ['claude-opus-4-0', 'claude-opus-4'],
    ['anthropic.claude-opus-5-5', 'claude-opus-5-5'],
    ['us.anthropic.claude-opus-4-6', 'claude-opus-4-6'],
    ['eu.anthropic.claude-sonnet-4-5-20250929-v1:0', 'claude-sonnet-4-5'],
    ['jp.anthropic.claude-opus-4-6-v1', 'claude-opus-4-6'],
    ['au.anthropic.claude-sonnet-5', 'claude-sonnet-5'],
    ['us-gov.anthropic.claude-opus-5', 'claude-opus-5'],
    ['apac.anthropic.claude-sonnet-5', 'claude-sonnet-5'],
    ['global.anthropic.claude-haiku-4-5-20251001-v1:0[1m]', 'claude-haiku-4-5'],
    ['claude-opus-4-5@20251101', 'claude-opus-4-5'],
    ['claude-sonnet-4-5[1m]', 'claude-sonnet-4-5'],
    ['claude-opus-5-20260101', 'claude-opus-5'],
    ['claude-sonnet-4-6-v2:0', 'claude-sonnet-4-6'],
  ])('takes %s for %s', (raw, model) => {
    expect(resolveModel(CATALOGUE, raw)).toBe(model);
  });

  it.each([
    '',
    'haiku',
    'opus',
    'claude',
    'claude-opus',
    'claude-opus-5-',
    'claude-opus-5-6',
    'claude-opus-5-5-fast',
    'claude-opus-5@latest',
    'claude-opus-5-2026010',
    'claude-opus-5-20260101-20260101',
    'claude-opus-5-202601011',
    'claude-opus-5-v3:0',
    'claude-opus-5[2m]',
    'us.claude-opus-5',
    'mars.anthropic.claude-opus-5',
    'anthropic/claude-opus-5',
    'CLAUDE-OPUS-5',
    ' claude-opus-5',
    'claude-opus-5\n',
    'mars\nclaude-opus-5',
    'mars\nclaude-opus-5-20260101',
    'constructor',
    '__proto__',
    'toString',
  ])('does not know "%s"', (raw) => {
    expect(resolveModel(CATALOGUE, raw)).toBe(null);
  });

  it('never resolves a longer id by its prefix', () => {
    fc.assert(
      fc.property(models, fc.stringMatching(/^[a-z0-9.-]{1,12}$/), (model, rest) => {
        const resolved = resolveModel(CATALOGUE, model + rest);
        // Another listed id, or the documented date suffix, is the only way to be known.
        const dated = /^-20[0-9]{6}$/.test(rest);
        const listed = MODELS.includes(model + rest) || model + rest in LIST_ALIASES;
        expect(resolved !== null).toBe(dated || listed);
      }),
    );
  });

  it('never resolves a shortened id to the longer one', () => {
    fc.assert(
      fc.property(models, fc.nat(), (model, cut) => {
        const shortened = model.slice(0, cut % model.length);
        expect(resolveModel(CATALOGUE, shortened)).not.toBe(model);
      }),
    );
  });

  it('follows an alias only to a model that has a price', () => {
    const aliases = { mine: 'claude-opus-5', stale: 'claude-gone' };
    const catalogue = { ...CATALOGUE, aliases };
    expect(resolveModel(catalogue, 'mine')).toBe('claude-opus-5');
    expect(resolveModel(catalogue, 'stale')).toBe(null);
  });

  it('prefers a row of the very id to what its date is taken off', () => {
    const [row] = LIST_PRICES;
    if (row === undefined) throw new Error('no rows');
    const dated = { ...row, model: `${row.model}-20260101`, id: 'dated' };
    const catalogue = { ...CATALOGUE, rows: [...LIST_PRICES, dated] };
    expect(resolveModel(catalogue, `anthropic.${dated.model}`)).toBe(dated.model);
  });

  it('does not look up a text longer than any id, even one that is listed', () => {
    const longest = 'm'.repeat(200);
    const aliases = { [longest]: 'claude-opus-5', [`${longest}m`]: 'claude-opus-5' };
    expect(resolveModel({ ...CATALOGUE, aliases }, longest)).toBe('claude-opus-5');
    expect(resolveModel({ ...CATALOGUE, aliases }, `${longest}m`)).toBe(null);
  });
});

describe('modelForms', () => {
  it('gives what was written, then without the spelling around it, then without the date', () => {
    const dated = 'us.anthropic.claude-opus-5-20260101-v1:0';
    const bare = 'claude-opus-5-20260101';
    expect(modelForms(dated)).toEqual([dated, bare, 'claude-opus-5']);
    expect(modelForms('mine')).toEqual(['mine', 'mine']);
  });

  it('finds no form of a text that is empty or too long', () => {
    expect([modelForms(''), modelForms('m'.repeat(201))]).toEqual([[], []]);
  });
});

describe('findPrice', () => {
  const [first] = LIST_PRICES;
  if (first === undefined) throw new Error('no rows');
  const at = (effectiveFrom: number) => ({
    ...first,
    model: 'm',
    id: `m@${effectiveFrom}`,
    effectiveFrom,
  });
  const catalogue: Catalogue = { version: 1, rows: [at(300), at(100), at(200)], aliases: {} };

  it('finds the row in force, whatever the order of rows', () => {
    const found = [100, 199, 200, 299, 300, 9_999].map((now) => findPrice(catalogue, 'm', now)?.id);
    expect(found).toEqual(['m@100', 'm@100', 'm@200', 'm@200', 'm@300', 'm@300']);
  });

  it('takes the later listed of two rows of one instant', () => {
    const rows = [at(100), { ...at(100), id: 'second' }, at(50)];
    expect(findPrice({ ...catalogue, rows }, 'm', 100)?.id).toBe('second');
  });

  it('finds nothing before the first row, nor for an unlisted model', () => {
    expect(findPrice(catalogue, 'm', 99)).toBe(null);
    expect(findPrice(catalogue, 'n', 100)).toBe(null);
  });
});

describe('priceAsked', () => {
  const [first] = LIST_PRICES;
  if (first === undefined) throw new Error('no prices');
  const ceiling: PriceRow = { ...first, id: 'ceiling:x', model: 'ceiling', isCeiling: true };
  const capped: Catalogue = { ...CATALOGUE, ceiling };

  it('is the row in force of a known model, whether there is a ceiling or not', () => {
    fc.assert(
      fc.property(models, (model) => {
        const row = findPrice(CATALOGUE, model, NOW);
        expect(priceAsked(CATALOGUE, model, NOW)).toBe(row);
        expect(priceAsked(capped, `us.anthropic.${model}`, NOW)).toBe(row);
      }),
    );
  });

  it('is nothing for an unknown model without a ceiling', () => {
    expect(priceAsked(CATALOGUE, 'gpt-9', NOW)).toBe(null);
    expect(priceAsked({ ...CATALOGUE, ceiling: null }, 'gpt-9', NOW)).toBe(null);
  });

  it('is the ceiling under the barest name that was asked for', () => {
    const numbers = { ...ceiling, model: 'gpt-9', displayName: 'gpt-9' };
    expect(priceAsked(capped, 'gpt-9', NOW)).toEqual(numbers);
    expect(priceAsked(capped, 'gpt-9-20260101[1m]', NOW)).toEqual(numbers);
  });

  it('prices a known model by the ceiling before its first row is in force', () => {
    const rows = [{ ...first, effectiveFrom: NOW + 1 }];
    const early = priceAsked({ ...capped, rows }, first.model, NOW);
    expect(early).toMatchObject({ id: 'ceiling:x', model: first.model, isCeiling: true });
  });

  it.each(['', ' ', 'a b', 'line\nbreak', 'ünknown', 'x'.repeat(201)])(
    'is nothing for "%s", which is no name of a model',
    (raw) => {
      expect(priceAsked(capped, raw, NOW)).toBe(null);
    },
  );
});

describe('dearestOfFamily', () => {
  it('goes by the word in the id that names a family', () => {
    const opus = dearestOfFamily(CATALOGUE, 'claude-opus-9', NOW);
    expect(opus?.family).toBe('opus');
    expect(opus?.bands).toEqual([{ promptAbove: 0, ...prices('claude-opus-4') }]);
    expect(dearestOfFamily(CATALOGUE, 'claude-fable-9', NOW)?.bands[0].cacheRead).toBe(1_000_000);
  });

  it('goes by the family of a known model, whatever words its id is made of', () => {
    const own = { ...listed('claude-opus-4'), model: 'haiku-killer', id: 'own' };
    const catalogue = { ...CATALOGUE, rows: [...LIST_PRICES, own] };
    const dearest = dearestOfFamily(catalogue, 'haiku-killer', NOW);
    expect(dearest?.family).toBe('opus');
    expect(dearest?.bands[0].output).toBe(75_000_000);
  });

  it('leaves out a model whose first price is not in force yet', () => {
    const later = { ...listed('claude-opus-4'), model: 'claude-haiku-9', effectiveFrom: NOW + 1 };
    const catalogue = { ...CATALOGUE, rows: [later, ...LIST_PRICES] };
    const output = dearestOfFamily(catalogue, 'claude-haiku-8', NOW)?.bands[0].output;
    expect(output).toBe(5_000_000);
  });

  it('counts the dearest band of a family', () => {
    expect(dearestOfFamily(CATALOGUE, 'x.sonnet@1', NOW)?.bands[0].output).toBe(22_500_000);
  });

  it('takes the dearest of all where no family is named', () => {
    for (const model of ['gpt-9', 'claude-opusculum-1', '']) {
      expect(dearestOfFamily(CATALOGUE, model, NOW)?.bands[0].output).toBe(75_000_000);
    }
  });

  it('knows the highest factor of the family for each value', () => {
    const opus = dearestOfFamily(CATALOGUE, 'claude-opus-9', NOW);
    expect(opus?.speed).toEqual({ standard: [1, 1], fast: [2, 1] });
    expect(opus?.geo['us']).toEqual([11, 10]);
  });

  it('looks only at rows in force', () => {
    const read = (at: number) => {
      const rows = LIST_PRICES.filter((row) => row.model === 'claude-sonnet-5-5');
      return dearestOfFamily({ ...CATALOGUE, rows }, 'sonnet', at)?.bands[0].cacheRead;
    };
    expect([read(Date.UTC(2026, 9, 6)), read(NOW)]).toEqual([200_000, 100_000]);
  });

  it('has no answer without rows', () => {
    expect(dearestOfFamily({ version: 1, rows: [], aliases: {} }, 'claude-opus-9', NOW)).toBe(null);
    expect(dearestOf([])).toBe(null);
  });

  function listed(model: string): PriceRow {
    const row = findPrice(CATALOGUE, model, NOW);
    if (row === null) throw new Error(`no price of ${model}`);
    return row;
  }

  function prices(model: string) {
    const { promptAbove: _, ...rest } = findPrice(CATALOGUE, model, NOW)?.bands[0] ?? {
      promptAbove: 0,
    };
    return rest;
  }
});

describe('dearestOf', () => {
  const [first] = LIST_PRICES;
  if (first === undefined) throw new Error('no rows');

  it('takes searches and the longest output from whichever row has more, and names the rows', () => {
    const less = { ...first, id: 'less', webSearchPicos: 5, maxOutputTokens: 32_000 };
    const more = { ...first, id: 'more', webSearchPicos: 7, maxOutputTokens: 64_000 };
    for (const rows of [
      [less, more],
      [more, less],
    ]) {
      const row = dearestOf(rows);
      expect([row?.webSearchPicos, row?.maxOutputTokens]).toEqual([7, 64_000]);
    }
    expect(dearestOf([less, more])?.id).toBe('dearest:less,more');
  });

  it('compares factors as fractions, in any order of rows, the first of equals', () => {
    const speed = (...factors: readonly Factor[]) =>
      dearestOf(factors.map((odd) => ({ ...first, speed: { odd } })))?.speed['odd'];
    expect(speed([11, 10], [6, 5])).toEqual([6, 5]);
    expect(speed([6, 5], [11, 10])).toEqual([6, 5]);
    expect(speed([1, 2], [2, 4])).toEqual([1, 2]);
  });
});
