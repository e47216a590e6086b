// Price rows and how one is found: by exact id or listed alias and by date, never by prefix
// (`claude-sonnet-5` is a prefix of `claude-sonnet-5-5`, which costs something else).

/** Whole pico-dollars a token (= micro-dollars a million tokens). */
export interface TokenPrices {
  readonly input: number;
  readonly cacheWrite5m: number;
  readonly cacheWrite1h: number;
  /** Stored, never derived: its share of the input price differs by model. */
  readonly cacheRead: number;
  readonly output: number;
}

/** A price band: holds for prompts (in + writes + reads) of more than `promptAbove` tokens. */
export interface PriceBand extends TokenPrices {
  readonly promptAbove: number;
}

/** An exact factor: [numerator, denominator], both positive. */
export type Factor = readonly [number, number];

/** One model's price from one instant on. */
export interface PriceRow {
  /** Stable: `<model>@<effective date>`, e.g. `claude-sonnet-5-5@2026-10-07`. */
  readonly id: string;
  readonly model: string;
  /** `opus`, `sonnet`, `haiku`, …: an unknown model of it is priced at twice its dearest. */
  readonly family: string;
  /** Unix ms; holds until the next row of the same model. */
  readonly effectiveFrom: number;
  /** Ascending by `promptAbove`, the first 0; the last whose bound is passed prices the request. */
  readonly bands: readonly [PriceBand, ...PriceBand[]];
  /** Factors by the exact value in the answer; `standard`/`global`-like values are listed as 1. */
  readonly speed: Readonly<Record<string, Factor>>;
  readonly geo: Readonly<Record<string, Factor>>;
  readonly tier: Readonly<Record<string, Factor>>;
  /** Pico-dollars a web search. */
  readonly webSearchPicos: number;
  /** The most output tokens that the model gives; bounds a hold. */
  readonly maxOutputTokens: number;
  /** Shown where the upstream lists no models itself. */
  readonly displayName: string;
  /** These numbers stand in for a price that is not known; absent: it is the model's price. */
  readonly isCeiling?: true;
}

/** All price rows and aliases at one version. */
export interface Catalogue {
  readonly version: number;
  readonly rows: readonly PriceRow[];
  /** Alias → model. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Prices every asked model that has no row; null or absent: those are refused. */
  readonly ceiling?: PriceRow | null;
}
