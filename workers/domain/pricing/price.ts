// Usage in, cost out: exact in pico-dollars, rounded up once a request to nano-dollars. It never
// credits, never answers zero for what it does not know, and never throws for what an upstream
// has sent. It does not guess usage: that is estimate.ts.

import type { Nanos } from '../money';
import { divideUp, nanos, NANOS_PER_DOLLAR, PICOS_PER_NANO } from '../money';
import type { ServiceTerms, TokenCounts, Usage, UsageEntry, UsageFlag } from '../usage/tokens';
import type { Catalogue, Factor, PriceBand, PriceRow } from './catalogue';
import { dearestOf, dearestOfFamily, findPrice, modelForms, ownValue, resolveModel } from './find';

/** Defence in depth: no model comes near these in one request; above, a count is cut. */
const TOKENS_MAX = 1_000_000_000;
const WEB_SEARCHES_MAX = 1_000_000;
/** No single request is charged more than a million dollars, however its figures add up. */
const COST_NANOS_MAX = 1_000_000 * NANOS_PER_DOLLAR;
/** What turns up unknown costs twice the dearest that is known. */
const UNKNOWN_FACTOR: NamedFactor = { term: 'unknown', value: null, factor: [2, 1] };

export interface PricingContext {
  /** The row that the lease carries: the asked model is priced by exactly these numbers. */
  readonly asked: PriceRow;
  /** For models served instead of the asked one. */
  readonly catalogue: Catalogue;
  /** Unix ms of admit: dates the rows taken from the catalogue. */
  readonly at: number;
}

interface PricedUsage {
  readonly costNanos: Nanos;
  /** Those of the usage and those that pricing adds, each once. */
  readonly flags: readonly UsageFlag[];
}

/** The cost of all entries together, each at its own model's price, rounded up once. */
export function priceUsage(usage: Usage, context: PricingContext): PricedUsage {
  const flags = new Set(usage.flags);
  const total = sumPicos(pricedEntries(usage, context, flags));
  if (upToNano(total) > BigInt(COST_NANOS_MAX)) flags.add('usage-absurd');
  return { costNanos: nanosOf(total), flags: [...flags] };
}

/** Rounded up to a whole nano-dollar, and cut to what a request can cost. */
export function nanosOf(picos: Picos): Nanos {
  return nanos(Math.min(Number(upToNano(picos)), COST_NANOS_MAX));
}

function upToNano({ numerator, denominator }: Picos): bigint {
  return divideUp(numerator, denominator * PICOS_PER_NANO);
}

/** The same, exact and without a bound. */
export function pricePicos(usage: Usage, context: PricingContext): Picos {
  return sumPicos(pricedEntries(usage, context, new Set()));
}

function sumPicos(entries: readonly PricedEntry[]): Picos {
  return entries.reduce((sum, entry) => addPicos(sum, entryPicos(entry)), NO_PICOS);
}

/** One entry with what it is priced by. */
export interface PricedEntry extends Rates {
  /** Cut to what can be believed. */
  readonly counts: TokenCounts;
}

/** Every entry of `usage` with the row and the factors that price it; what is odd goes to `flags`. */
export function pricedEntries(
  usage: Usage,
  context: PricingContext,
  flags: Set<UsageFlag>,
): readonly PricedEntry[] {
  return usage.entries.map((entry) => {
    const counts = soundCounts(entry.counts, flags);
    return { counts, ...ratesOf(entry, context, flags) };
  });
}

/** An exact amount of pico-dollars. */
export interface Picos {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

export const NO_PICOS: Picos = { numerator: 0n, denominator: 1n };

/** What a price of tokens is multiplied by, and why; `unknown`: something has no price. */
export interface NamedFactor {
  readonly term: 'speed' | 'geo' | 'tier' | 'unknown';
  /** As the answer said it; null: not said. */
  readonly value: string | null;
  readonly factor: Factor;
}

interface Rates {
  readonly row: PriceRow;
  readonly factors: readonly NamedFactor[];
}

/** The row and the factors of one entry; says in `flags` what about them is not as asked. */
function ratesOf(entry: UsageEntry, context: PricingContext, flags: Set<UsageFlag>): Rates {
  const served = servedRow(entry.model, context);
  if (served === null) {
    flags.add('model-unknown');
    return dearestRates(entry, context, flags);
  }
  if (served !== context.asked) flags.add('model-differs');
  if (served.isCeiling === true) flags.add('priced-by-ceiling');
  const factors = termFactors(served, entry.terms);
  if (factors.includes(null)) return dearestRates({ ...entry, row: served }, context, flags);
  return { row: served, factors: factors.filter((factor) => factor !== null) };
}

/** The asked row itself when the entry's model is the asked one; null: not known at that date. */
function servedRow(model: string, context: PricingContext): PriceRow | null {
  const { asked, catalogue, at } = context;
  const resolved = resolveModel(catalogue, model);
  // The isolate's catalogue may be another version than the one the lease was priced from.
  const isAsked =
    resolved === asked.model || (resolved === null && modelForms(model).includes(asked.model));
  if (isAsked) return asked;
  return resolved === null ? null : findPrice(catalogue, resolved, at);
}

/** Twice the dearest of the family, times the factors of those terms that are known. */
function dearestRates(
  entry: Pick<UsageEntry, 'model' | 'terms'> & { readonly row?: PriceRow },
  context: PricingContext,
  flags: Set<UsageFlag>,
): Rates {
  const { asked, catalogue, at } = context;
  const ofFamily = dearestOfFamily(catalogue, entry.row?.model ?? entry.model, at) ?? asked;
  // Never below twice the row that the entry's model has.
  const row = dearestOf(entry.row === undefined ? [ofFamily] : [ofFamily, entry.row]) ?? asked;
  const factors = termFactors(row, entry.terms);
  if (entry.row !== undefined || factors.includes(null)) flags.add('terms-unknown');
  return { row, factors: [UNKNOWN_FACTOR, ...factors.filter((factor) => factor !== null)] };
}

/** Factors for speed, geo and tier; null among them: a value without a price. */
function termFactors(row: PriceRow, terms: ServiceTerms): readonly (NamedFactor | null)[] {
  return (['speed', 'geo', 'tier'] as const).map((term) => {
    const value = terms[term];
    const factor = termFactor(row[term], value);
    return factor === null ? null : { term, value, factor };
  });
}

function termFactor(table: Readonly<Record<string, Factor>>, said: string | null): Factor | null {
  return said === null ? [1, 1] : ownValue(table, said);
}

/** Formula of the price reference: tokens at the band's prices, times factors, plus searches. */
function entryPicos({ counts, row, factors }: PricedEntry): Picos {
  const band = entryBand({ counts, row });
  let numerator =
    BigInt(counts.input) * BigInt(band.input) +
    BigInt(counts.cacheWrite5m) * BigInt(band.cacheWrite5m) +
    BigInt(counts.cacheWrite1h) * BigInt(band.cacheWrite1h) +
    BigInt(counts.cacheRead) * BigInt(band.cacheRead) +
    BigInt(counts.output) * BigInt(band.output);
  let denominator = 1n;
  for (const { factor } of factors) {
    numerator *= BigInt(factor[0]);
    denominator *= BigInt(factor[1]);
  }
  const searches = BigInt(counts.webSearches) * BigInt(row.webSearchPicos);
  return { numerator: numerator + searches * denominator, denominator };
}

/** The band that prices all tokens of an entry, by the length of its prompt. */
export function entryBand({ counts, row }: Pick<PricedEntry, 'counts' | 'row'>): PriceBand {
  const { input, cacheWrite5m, cacheWrite1h, cacheRead } = counts;
  return promptBand(row, input + cacheWrite5m + cacheWrite1h + cacheRead);
}

/** The band of `row` that prices a prompt of so many tokens, cached ones included. */
export function promptBand(row: PriceRow, promptTokens: number): PriceBand {
  return row.bands.findLast((band) => promptTokens > band.promptAbove) ?? row.bands[0];
}

/** Exact sum of both. */
export function addPicos(sum: Picos, added: Picos): Picos {
  // Kept on one denominator where it divides, so that many entries do not grow it.
  if (sum.denominator % added.denominator === 0n) {
    const scaled = added.numerator * (sum.denominator / added.denominator);
    return { numerator: sum.numerator + scaled, denominator: sum.denominator };
  }
  return {
    numerator: sum.numerator * added.denominator + added.numerator * sum.denominator,
    denominator: sum.denominator * added.denominator,
  };
}

/** Whole counts from 0 to what can be believed. */
function soundCounts(counts: TokenCounts, flags: Set<UsageFlag>): TokenCounts {
  const tokens = (count: number): number => soundCount(count, TOKENS_MAX, flags);
  return {
    input: tokens(counts.input),
    cacheWrite5m: tokens(counts.cacheWrite5m),
    cacheWrite1h: tokens(counts.cacheWrite1h),
    cacheRead: tokens(counts.cacheRead),
    output: tokens(counts.output),
    webSearches: soundCount(counts.webSearches, WEB_SEARCHES_MAX, flags),
  };
}

function soundCount(count: number, max: number, flags: Set<UsageFlag>): number {
  if (count > max) {
    flags.add('usage-absurd');
    return max;
  }
  if (Number.isInteger(count) && count >= 0) return count;
  flags.add('usage-negative');
  return 0;
}
