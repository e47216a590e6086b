// What a request used, in the units that are priced. Vendors' formats are read in protocols/;
// here is only what every vendor's usage comes down to (reference: pricing formula, step 1).

/** Counts of one attempt. All are whole and ≥ 0; `output` includes hidden thinking. */
export interface TokenCounts {
  /** Uncached input only. */
  readonly input: number;
  readonly cacheWrite5m: number;
  readonly cacheWrite1h: number;
  readonly cacheRead: number;
  readonly output: number;
  readonly webSearches: number;
}

export const NO_TOKENS: TokenCounts = {
  input: 0,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  cacheRead: 0,
  output: 0,
  webSearches: 0,
};

/** Open lists: a value that the price row does not know is priced as unknown, never as free. */
export interface ServiceTerms {
  /** `standard`, `fast`, or what the answer said; null: not said. */
  readonly speed: string | null;
  /** `global`, `us`, … as the answer said; null: not said. */
  readonly geo: string | null;
  /** `standard`, `priority`, `batch`, …; null: not said. */
  readonly tier: string | null;
}

/** One attempt that is billed at its own model's price. */
export interface UsageEntry {
  readonly model: string;
  readonly counts: TokenCounts;
  readonly terms: ServiceTerms;
}

/** Why a figure is not simply what the upstream reported; each is stored with the request. */
export type UsageFlag =
  | 'usage-missing' // a 200 without readable usage: estimated, quarantined for an admin
  | 'usage-negative' // a negative or non-integer count was read as 0
  | 'usage-absurd' // a count above what any model can produce was cut
  | 'model-unknown' // the answer names a model without a price
  | 'terms-unknown' // the answer names a speed, tier or geo without a price
  | 'priced-by-ceiling' // the model asked for has no price of its own
  | 'model-differs' // served by another model than asked, priced as served
  | 'estimated'; // the answer ended before the usage was known

/** All of a request's usage; `entries` is empty only when nothing is to be paid. */
export interface Usage {
  readonly entries: readonly UsageEntry[];
  readonly flags: readonly UsageFlag[];
}

/** Sum of all entries' counts, for logs and statements (not for pricing). */
export function totalCounts(usage: Usage): TokenCounts {
  const total = { ...NO_TOKENS };
  for (const { counts } of usage.entries) {
    total.input += counts.input;
    total.cacheWrite5m += counts.cacheWrite5m;
    total.cacheWrite1h += counts.cacheWrite1h;
    total.cacheRead += counts.cacheRead;
    total.output += counts.output;
    total.webSearches += counts.webSearches;
  }
  return total;
}

/** `counts` with each of them changed by its name. */
export function mapCounts(
  counts: TokenCounts,
  change: (count: number, name: keyof TokenCounts) => number,
): TokenCounts {
  return {
    input: change(counts.input, 'input'),
    cacheWrite5m: change(counts.cacheWrite5m, 'cacheWrite5m'),
    cacheWrite1h: change(counts.cacheWrite1h, 'cacheWrite1h'),
    cacheRead: change(counts.cacheRead, 'cacheRead'),
    output: change(counts.output, 'output'),
    webSearches: change(counts.webSearches, 'webSearches'),
  };
}
