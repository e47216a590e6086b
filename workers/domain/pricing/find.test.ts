import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Catalogue } from './catalogue';
import { dearestOf, dearestOfFamily, findPrice, resolveModel } from './find';
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
    'claude-opus-5-v3:0',
    'claude-opus-5[2m]',
    'us.claude-opus-5',
    'mars.anthropic.claude-opus-5',
    'anthropic/claude-opus-5',
    'CLAUDE-OPUS-5',
    ' claude-opus-5',
    'claude-opus-5\n',
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

  it('finds nothing before the first row, nor for an unlisted model', () => {
    expect(findPrice(catalogue, 'm', 99)).toBe(null);
    expect(findPrice(catalogue, 'n', 100)).toBe(null);
  });
});

describe('dearestOfFamily', () => {
  it('goes by the word in the id that names a family', () => {
    const opus = dearestOfFamily(CATALOGUE, 'claude-opus-9', NOW);
    expect(opus?.family).toBe('opus');
    expect(opus?.bands).toEqual([{ promptAbove: 0, ...prices('claude-opus-4') }]);
    expect(dearestOfFamily(CATALOGUE, 'claude-fable-9', NOW)?.bands[0].cacheRead).toBe(1_000_000);
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

  function prices(model: string) {
    const { promptAbove: _, ...rest } = findPrice(CATALOGUE, model, NOW)?.bands[0] ?? {
      promptAbove: 0,
    };
    return rest;
  }
});
