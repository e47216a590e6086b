// Prices in the words of the contract: what a row is at an instant, what is usual where an admin
// says nothing, and the row that is made of an admin's numbers.

import type { Ceiling, Price } from '../contract/prices';
import type { prices } from '../contract/prices';
import type { Visit } from '../visit';
import type { Catalogue, Factor, PriceRow } from '../../domain/pricing/catalogue';
import { findPrice } from '../../domain/pricing/find';
import type { ManagedPrices } from '../../store/prices';

const SAME: Factor = [1, 1];
/** What answers say that asked for nothing special; another value costs twice the dearest. */
const USUAL = {
  speed: { standard: SAME },
  geo: { global: SAME, not_available: SAME },
  tier: { standard: SAME, priority: SAME },
} as const;
/** $10 per 1,000 searches. */
const SEARCH_PICOS = 10_000_000_000;

type Numbers = Visit<typeof prices.setCeiling>['body'];

/** The part of a row that its numbers make. */
export function rowNumbers(
  body: Numbers,
): Pick<PriceRow, 'bands' | 'speed' | 'geo' | 'tier' | 'webSearchPicos' | 'maxOutputTokens'> {
  const { bands, maxOutputTokens, webSearchPicos = SEARCH_PICOS } = body;
  const { speed = USUAL.speed, geo = USUAL.geo, tier = USUAL.tier } = body;
  return { bands, speed, geo, tier, webSearchPicos, maxOutputTokens };
}

/** What requests are priced from. */
export function catalogueOf({ prices: rows, aliases, ceiling }: ManagedPrices): Catalogue {
  return {
    version: 0,
    rows: rows.map(({ row }) => row),
    aliases: Object.fromEntries(aliases.map(({ alias, model }) => [alias, model])),
    ceiling,
  };
}

/** All prices with what they are at `now` (Unix ms). */
export function shownPrices(managed: ManagedPrices, now: number): Price[] {
  const catalogue = catalogueOf(managed);
  return managed.prices.map(({ row, source }) =>
    shownPrice(row, source, stateOf(row, catalogue, now)),
  );
}

function stateOf(row: PriceRow, catalogue: Catalogue, now: number): Price['state'] {
  if (row.effectiveFrom > now) return 'future';
  return findPrice(catalogue, row.model, now)?.id === row.id ? 'in-force' : 'past';
}

/** A row as the contract has it. */
export function shownPrice(row: PriceRow, source: Price['source'], state: Price['state']): Price {
  const { id, model, family, effectiveFrom, displayName } = row;
  return { id, model, family, effectiveFrom, displayName, ...shownNumbers(row), source, state };
}

/** The ceiling as the contract has it. */
export function shownCeiling(row: PriceRow): Ceiling {
  return { id: row.id, ...shownNumbers(row) };
}

/** Its numbers as the contract has them. */
export function shownNumbers(row: PriceRow): Omit<Ceiling, 'id'> {
  const { bands, speed, geo, tier, webSearchPicos, maxOutputTokens } = row;
  return {
    bands: [...bands],
    speed: shownFactors(speed),
    geo: shownFactors(geo),
    tier: shownFactors(tier),
    webSearchPicos,
    maxOutputTokens,
  };
}

function shownFactors(table: Readonly<Record<string, Factor>>): Record<string, [number, number]> {
  return Object.fromEntries(
    Object.entries(table).map(([name, [numerator, denominator]]) => [
      name,
      [numerator, denominator],
    ]),
  );
}
