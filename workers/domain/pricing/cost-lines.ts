// How the cost of a request adds up, line by line, for people who want to check it. The lines come
// to exactly what price.ts charges; this file sets no price of its own.

import type { Nanos } from '../money';
import type { TokenCounts, Usage, UsageFlag } from '../usage/tokens';
import type { NamedFactor, Picos, PricedEntry, PricingContext } from './price';
import { addPicos, entryBand, NO_PICOS, pricedEntries, priceUsage } from './price';

/** So many tokens (or searches) of one kind at one price. */
export interface CostLine {
  /** As the answer named it. */
  readonly model: string;
  /** Of the price row. */
  readonly priceId: string;
  readonly kind: keyof TokenCounts;
  readonly count: number;
  /** Pico-dollars each: for tokens also micro-dollars a million. */
  readonly unitPicos: number;
  /** The band's prices hold for prompts of more tokens than this. */
  readonly promptAbove: number;
  /** Those that change something; searches have none. */
  readonly factors: readonly NamedFactor[];
  /** Count times price times factors, exact. */
  readonly picos: Picos;
}

export interface CostLines {
  readonly lines: readonly CostLine[];
  /** Sum of the lines, exact. */
  readonly picos: Picos;
  /** The sum rounded up once to a whole nano-dollar, as priceUsage charges it. */
  readonly costNanos: Nanos;
  readonly flags: readonly UsageFlag[];
}

const TOKEN_KINDS = ['input', 'cacheWrite5m', 'cacheWrite1h', 'cacheRead', 'output'] as const;

/** The lines of `usage` as it is priced in `context`; a kind of which there is none has no line. */
export function costLines(usage: Usage, context: PricingContext): CostLines {
  const entries = pricedEntries(usage, context, new Set());
  const lines = entries.flatMap((entry, index) =>
    linesOf(entry, usage.entries[index]?.model ?? entry.row.model),
  );
  const picos = lines.reduce((sum, line) => addPicos(sum, line.picos), NO_PICOS);
  return { lines, picos, ...priceUsage(usage, context) };
}

/**
 * An amount as people read it: decimal where that is exact, which it is with every listed factor;
 * else as a fraction.
 */
export function textOfPicos({ numerator, denominator }: Picos): string {
  const whole = numerator / denominator;
  let rest = numerator % denominator;
  let digits = '';
  while (rest !== 0n && digits.length < DECIMALS_MAX) {
    rest *= 10n;
    digits += String(rest / denominator);
    rest %= denominator;
  }
  if (rest !== 0n) return `${numerator}/${denominator}`;
  return digits === '' ? String(whole) : `${whole}.${digits}`;
}

const DECIMALS_MAX = 12;

function linesOf(entry: PricedEntry, model: string): readonly CostLine[] {
  const { counts, row, factors } = entry;
  const band = entryBand(entry);
  const named = { model, priceId: row.id, promptAbove: band.promptAbove };
  const active = factors.filter(({ factor }) => factor[0] !== factor[1]);
  const tokens = TOKEN_KINDS.map((kind) => {
    const [count, unitPicos] = [counts[kind], band[kind]];
    return { ...named, kind, count, unitPicos, factors: active, picos: times(count, unitPicos) };
  }).map((line) => ({ ...line, picos: scaled(line.picos, active) }));
  const { webSearches: count } = counts;
  const unitPicos = row.webSearchPicos;
  const searches = { ...named, count, unitPicos, factors: [], picos: times(count, unitPicos) };
  return [...tokens, { ...searches, kind: 'webSearches' as const }].filter(
    ({ count }) => count > 0,
  );
}

function times(count: number, unitPicos: number): Picos {
  return { numerator: BigInt(count) * BigInt(unitPicos), denominator: 1n };
}

function scaled(picos: Picos, factors: readonly NamedFactor[]): Picos {
  let { numerator, denominator } = picos;
  for (const { factor } of factors) {
    numerator *= BigInt(factor[0]);
    denominator *= BigInt(factor[1]);
  }
  return { numerator, denominator };
}
