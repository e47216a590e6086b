import { describe, expect, it } from 'vitest';
import type { Catalogue } from './catalogue';
import { findPrice, resolveModel } from './find';
import { LIST_ALIASES, LIST_PRICES, LIST_PRICES_VERSION } from './list-prices';

const CATALOGUE: Catalogue = {
  version: LIST_PRICES_VERSION,
  rows: LIST_PRICES,
  aliases: LIST_ALIASES,
};
const NOW = Date.UTC(2026, 10, 23);

describe('the list prices', () => {
  it('have one id a row and only whole, positive numbers', () => {
    expect(new Set(LIST_PRICES.map((row) => row.id)).size).toBe(LIST_PRICES.length);
    for (const row of LIST_PRICES) {
      const numbers = row.bands.flatMap(({ promptAbove: _, ...prices }) => Object.values(prices));
      numbers.push(row.webSearchPicos, row.maxOutputTokens);
      for (const table of [row.speed, row.geo, row.tier]) {
        numbers.push(...Object.values(table).flat());
      }
      expect([row.id, numbers.every((n) => Number.isSafeInteger(n) && n > 0)]).toEqual([
        row.id,
        true,
      ]);
    }
  });

  it('have bands that rise from zero and never get cheaper', () => {
    for (const { bands } of LIST_PRICES) {
      expect(bands[0].promptAbove).toBe(0);
      bands.slice(1).forEach((band, index) => {
        const below = bands[index] ?? band;
        expect(band.promptAbove).toBeGreaterThan(below.promptAbove);
        expect(band.input).toBeGreaterThanOrEqual(below.input);
        expect(band.output).toBeGreaterThanOrEqual(below.output);
        expect(band.cacheRead).toBeGreaterThanOrEqual(below.cacheRead);
      });
    }
  });

  it('write to the cache at 1.25 and 2 times the input price, in every band', () => {
    for (const band of LIST_PRICES.flatMap((row) => row.bands)) {
      expect(band.cacheWrite5m * 4).toBe(band.input * 5);
      expect(band.cacheWrite1h).toBe(band.input * 2);
    }
  });

  it('sell output at five times the input price, the long band of Sonnet 4.5 apart', () => {
    for (const { model, bands } of LIST_PRICES) {
      const [band] = bands;
      expect([model, band.output]).toEqual([model, band.input * 5]);
    }
  });

  it.each([
    ['claude-fable-5-2', 8, 0.2, 40],
    ['claude-fable-5-1', 10, 0.25, 50],
    ['claude-mythos-5-1', 10, 0.25, 50],
    ['claude-fable-5', 10, 1, 50],
    ['claude-mythos-5', 10, 1, 50],
    ['claude-opus-5-5', 4, 0.2, 20],
    ['claude-opus-5', 5, 0.5, 25],
    ['claude-opus-4-8', 5, 0.5, 25],
    ['claude-opus-4-7', 5, 0.5, 25],
    ['claude-opus-4-6', 5, 0.5, 25],
    ['claude-opus-4-5', 5, 0.5, 25],
    ['claude-opus-4-1', 15, 1.5, 75],
    ['claude-opus-4', 15, 1.5, 75],
    ['claude-sonnet-5-5', 2, 0.1, 10],
    ['claude-sonnet-5', 2, 0.2, 10],
    ['claude-sonnet-4-6', 3, 0.3, 15],
    ['claude-sonnet-4-5', 3, 0.3, 15],
    ['claude-haiku-5-5', 0.1, 0.01, 0.5],
    ['claude-haiku-4-5', 1, 0.1, 5],
  ])('give %s at $%d in, $%d read, $%d out a million', (model, ...dollarsPerMillion) => {
    const band = findPrice(CATALOGUE, model, NOW)?.bands[0];
    const perToken = dollarsPerMillion.map((dollars) => Math.round(dollars * 1_000_000));
    expect([band?.input, band?.cacheRead, band?.output]).toEqual(perToken);
  });

  it('show each model under the name that its id is made of', () => {
    for (const { model, displayName } of LIST_PRICES) {
      expect(displayName).toMatch(/^Claude [A-Z][a-z]+ [0-9.]+$/);
      expect(displayName.toLowerCase().replaceAll(/[ .]/g, '-')).toBe(model);
    }
  });

  it('do not know the model whose price no source gives', () => {
    expect(resolveModel(CATALOGUE, 'claude-mythos-5-2')).toBe(null);
  });

  it('have a cheaper cache read of Sonnet 5.5 from 2026-10-07 on, to the millisecond', () => {
    const change = Date.UTC(2026, 9, 7);
    const before = findPrice(CATALOGUE, 'claude-sonnet-5-5', change - 1);
    const since = findPrice(CATALOGUE, 'claude-sonnet-5-5', change);
    expect([before?.bands[0].cacheRead, since?.bands[0].cacheRead]).toEqual([200_000, 100_000]);
    expect(since?.id).toBe('claude-sonnet-5-5@2026-10-07');
  });

  it('sell fast mode only where its price is known', () => {
    const fast = LIST_PRICES.filter((row) => row.speed['fast'] !== undefined);
    expect(fast.map((row) => row.model)).toEqual([
      'claude-opus-5-5',
      'claude-opus-5',
      'claude-opus-4-8',
    ]);
  });

  it('charge US inference from Claude 4.6 on', () => {
    const without = LIST_PRICES.filter((row) => row.geo['us'] === undefined);
    expect(without.map((row) => row.model)).toEqual([
      'claude-opus-4-5',
      'claude-opus-4-1',
      'claude-opus-4',
      'claude-sonnet-4-5',
      'claude-haiku-4-5',
    ]);
  });

  it('have aliases that lead to a price and hide no model', () => {
    for (const [alias, model] of Object.entries(LIST_ALIASES)) {
      expect(findPrice(CATALOGUE, model, NOW)?.model).toBe(model);
      expect(LIST_PRICES.some((row) => row.model === alias)).toBe(false);
    }
  });
});
