// The vendor's list prices that a new installation starts with. After that the database holds the
// prices and an admin may change them; this list is not consulted while a request is priced.
// It holds no model whose price is not known: such a model is refused, never guessed.
//
// Sources, as of 2026-11-23. "P": Anthropic's price page (copies of 2026-09 to 2026-10). "M": the
// vendor's page of that model. "R": a release note, or a reseller that says it matches the list.
// "D": derived by the documented multiplier, not seen as a number.
// claude-mythos-5-2 is missing on purpose: no source gives its price.

import type { Factor, PriceBand, PriceRow } from './catalogue';

/** Rises with every change of this file's rows or aliases. */
export const LIST_PRICES_VERSION = 1;

/** $10 per 1,000 searches (P); web fetch and code execution beside it are free. */
const WEB_SEARCH_PICOS = 10_000_000_000;

const SAME: Factor = [1, 1];
/** US inference: 1.1 × on every token category, Claude 4.6 and later (P). */
const US_INFERENCE: Factor = [11, 10];
/** Batches: 50 % off input and output, the cache multipliers stack (P). */
const BATCH: Factor = [1, 2];
/** Fast mode: Opus 5 and 4.8 at 10/50 (P), Opus 5.5 at 8/40 (R). */
const FAST: Factor = [2, 1];

/** Pico-dollars a token: input, 5-minute write, 1-hour write, cache read, output. */
type Five = readonly [number, number, number, number, number];

const FABLE_5_2: Five = [8_000_000, 10_000_000, 16_000_000, 200_000, 40_000_000];
const FABLE_5_1: Five = [10_000_000, 12_500_000, 20_000_000, 250_000, 50_000_000];
const FABLE_5: Five = [10_000_000, 12_500_000, 20_000_000, 1_000_000, 50_000_000];
const OPUS_5_5: Five = [4_000_000, 5_000_000, 8_000_000, 200_000, 20_000_000];
const OPUS_4_5_TO_5: Five = [5_000_000, 6_250_000, 10_000_000, 500_000, 25_000_000];
const OPUS_4: Five = [15_000_000, 18_750_000, 30_000_000, 1_500_000, 75_000_000];
const SONNET_5_5: Five = [2_000_000, 2_500_000, 4_000_000, 100_000, 10_000_000];
const SONNET_5: Five = [2_000_000, 2_500_000, 4_000_000, 200_000, 10_000_000];
const SONNET_4: Five = [3_000_000, 3_750_000, 6_000_000, 300_000, 15_000_000];
const SONNET_4_LONG: Five = [6_000_000, 7_500_000, 12_000_000, 600_000, 22_500_000];
const HAIKU_5_5: Five = [100_000, 125_000, 200_000, 10_000, 500_000];
const HAIKU_5_5_LONG: Five = [500_000, 625_000, 1_000_000, 50_000, 2_500_000];
const HAIKU_4_5: Five = [1_000_000, 1_250_000, 2_000_000, 100_000, 5_000_000];

/** When the cache read of Claude Sonnet 5.5 fell from $0.20 to $0.10 a million (R). */
const SONNET_5_5_CHEAPER_READS = Date.UTC(2026, 9, 7);

/** Every Claude model with a known price, newest family first. */
export const LIST_PRICES: readonly PriceRow[] = [
  // R: one reseller's page of 2026-11-10; the 1-hour write is D. Fast is offered, price unknown.
  row('claude-fable-5-2', 'Claude Fable 5.2', { bands: flat(FABLE_5_2) }),
  row('claude-fable-5-1', 'Claude Fable 5.1', { bands: flat(FABLE_5_1) }), // P
  row('claude-mythos-5-1', 'Claude Mythos 5.1', { bands: flat(FABLE_5_1) }), // P
  row('claude-fable-5', 'Claude Fable 5', { bands: flat(FABLE_5) }), // P
  row('claude-mythos-5', 'Claude Mythos 5', { bands: flat(FABLE_5) }), // P
  row('claude-opus-5-5', 'Claude Opus 5.5', { bands: flat(OPUS_5_5), fast: true }), // P, M
  row('claude-opus-5', 'Claude Opus 5', { bands: flat(OPUS_4_5_TO_5), fast: true }), // P
  row('claude-opus-4-8', 'Claude Opus 4.8', { bands: flat(OPUS_4_5_TO_5), fast: true }), // P
  row('claude-opus-4-7', 'Claude Opus 4.7', { bands: flat(OPUS_4_5_TO_5) }), // P
  row('claude-opus-4-6', 'Claude Opus 4.6', { bands: flat(OPUS_4_5_TO_5) }), // P
  row('claude-opus-4-5', 'Claude Opus 4.5', { bands: flat(OPUS_4_5_TO_5), before46: 64_000 }), // P
  // P; retired on the vendor's own API, still served elsewhere.
  row('claude-opus-4-1', 'Claude Opus 4.1', { bands: flat(OPUS_4), before46: 32_000 }),
  row('claude-opus-4', 'Claude Opus 4', { bands: flat(OPUS_4), before46: 32_000 }),
  // P, R: two dated rows, only the read price differs.
  row('claude-sonnet-5-5', 'Claude Sonnet 5.5', { bands: flat(SONNET_5) }),
  row('claude-sonnet-5-5', 'Claude Sonnet 5.5', {
    bands: flat(SONNET_5_5),
    effectiveFrom: SONNET_5_5_CHEAPER_READS,
  }),
  // P; the rise to 3/15 announced for 2026-09-01 was called off.
  row('claude-sonnet-5', 'Claude Sonnet 5', { bands: flat(SONNET_5) }),
  row('claude-sonnet-4-6', 'Claude Sonnet 4.6', { bands: flat(SONNET_4) }), // P
  // P; above 200,000 tokens (1M beta) a public price data set.
  row('claude-sonnet-4-5', 'Claude Sonnet 4.5', {
    bands: [band(0, SONNET_4), band(200_000, SONNET_4_LONG)],
    before46: 64_000,
  }),
  // M: the whole request, output too, moves to the upper band.
  row('claude-haiku-5-5', 'Claude Haiku 5.5', {
    bands: [band(0, HAIKU_5_5), band(100_000, HAIKU_5_5_LONG)],
  }),
  row('claude-haiku-4-5', 'Claude Haiku 4.5', { bands: flat(HAIKU_4_5), before46: 64_000 }), // P
];

/**
 * Documented other names → model. Short names (`opus`, `haiku`) are Claude Code's own and never
 * leave it; platform forms (Bedrock, Google Cloud) are resolved by rule in find.ts.
 */
export const LIST_ALIASES: Readonly<Record<string, string>> = {
  'claude-opus-4-0': 'claude-opus-4',
  'claude-opus-4-20250514': 'claude-opus-4',
  'claude-opus-4-1-20250805': 'claude-opus-4-1',
  'claude-opus-4-5-20251101': 'claude-opus-4-5',
  'claude-sonnet-4-5-20250929': 'claude-sonnet-4-5',
  'claude-haiku-4-5-20251001': 'claude-haiku-4-5',
};

interface RowDetails {
  readonly bands: PriceRow['bands'];
  /** Unix ms; default: from the beginning, since no earlier price is known. */
  readonly effectiveFrom?: number;
  readonly fast?: boolean;
  /** Models before Claude 4.6: their output maximum; they have no US inference factor. */
  readonly before46?: number;
}

function row(model: string, displayName: string, details: RowDetails): PriceRow {
  const { bands, effectiveFrom = 0, fast = false, before46 } = details;
  return {
    id: `${model}@${new Date(effectiveFrom).toISOString().slice(0, 10)}`,
    model,
    family: model.split('-')[1] ?? model,
    effectiveFrom,
    bands,
    speed: fast ? { standard: SAME, fast: FAST } : { standard: SAME },
    // `not_available` is what the answer says where the choice of a place does not exist.
    geo: {
      global: SAME,
      not_available: SAME,
      ...(before46 === undefined ? { us: US_INFERENCE } : {}),
    },
    // Priority is a commitment, not a multiplier (P).
    tier: { standard: SAME, priority: SAME, batch: BATCH },
    webSearchPicos: WEB_SEARCH_PICOS,
    maxOutputTokens: before46 ?? 128_000,
    displayName,
  };
}

/** One price however long the prompt is. */
function flat(five: Five): PriceRow['bands'] {
  return [band(0, five)];
}

function band(promptAbove: number, five: Five): PriceBand {
  const [input, cacheWrite5m, cacheWrite1h, cacheRead, output] = five;
  return { promptAbove, input, cacheWrite5m, cacheWrite1h, cacheRead, output };
}
