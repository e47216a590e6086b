// Prices and other names of models as admins manage them, and what a sample would cost. Prices are
// whole pico-dollars a token (micro-dollars a million), or a search.

import * as z from 'zod/mini';
import { endpoint, reads, writes } from './endpoint';
import { instant, label, nanos } from './fields';

/** $10,000 a million tokens, and $10 a search. */
const TOKEN_PICOS_MAX = 10_000_000_000;
const SEARCH_PICOS_MAX = 10_000_000_000_000;
const TOKENS_MAX = 1_000_000_000;
const SEARCHES_MAX = 1_000_000;
const OUTPUT_TOKENS_MAX = 10_000_000;
const FACTOR_MAX = 1_000_000;
const FACTORS_MAX = 32;
const BANDS_MAX = 8;
const DATE_MAX = Date.UTC(2100, 0, 1);

const whole = (most: number) => z.int().check(z.nonnegative(), z.maximum(most));
const picos = whole(TOKEN_PICOS_MAX);
const word = z.string().check(z.regex(/^[\x21-\x7e]{1,64}$/));
const model = z.string().check(z.regex(/^[\x21-\x7e]{1,200}$/));
const date = instant.check(z.maximum(DATE_MAX));

const factorPart = z.int().check(z.positive(), z.maximum(FACTOR_MAX));
/** [numerator, denominator] by the value that the answer says. */
const factors = z.record(word, z.tuple([factorPart, factorPart])).check(
  z.refine((table) => Object.keys(table).length <= FACTORS_MAX, {
    error: 'has too many entries',
  }),
);

const band = z.strictObject({
  /** Holds for prompts of more tokens than this, cached ones included. */
  promptAbove: whole(TOKENS_MAX),
  input: picos,
  cacheWrite5m: picos,
  cacheWrite1h: picos,
  cacheRead: picos,
  output: picos,
});
const bands = z.tuple([band], band).check(
  z.maxLength(BANDS_MAX),
  z.refine(
    (given) => given.every((one, at) => one.promptAbove > (given[at - 1]?.promptAbove ?? -1)),
    { error: 'must rise by promptAbove' },
  ),
  z.refine(([first]) => first.promptAbove === 0, { error: 'must begin at promptAbove 0' }),
);

/** What a price is made of; factors that are left out are the usual ones. */
const numbers = {
  bands,
  speed: z.optional(factors),
  geo: z.optional(factors),
  tier: z.optional(factors),
  webSearchPicos: z.optional(whole(SEARCH_PICOS_MAX)),
  maxOutputTokens: z.int().check(z.positive(), z.maximum(OUTPUT_TOKENS_MAX)),
} as const;

/** What an account is said to cost for a model; holds are made of the price alone. */
const { maxOutputTokens: _, ...ofAnAccount } = numbers;
export const ownPrice = z.strictObject({ model, ...ofAnAccount });

const shownFactors = z.record(z.string(), z.tuple([z.int(), z.int()]));
export const shownOwnPrice = z.strictObject({
  model: z.string(),
  bands: z.array(band),
  speed: shownFactors,
  geo: shownFactors,
  tier: shownFactors,
  webSearchPicos: z.int(),
});

const price = z.strictObject({
  id: z.string(),
  model: z.string(),
  family: z.string(),
  effectiveFrom: instant,
  bands: z.array(band),
  speed: shownFactors,
  geo: shownFactors,
  tier: shownFactors,
  webSearchPicos: z.int(),
  maxOutputTokens: z.int(),
  displayName: z.string(),
  /** `list` came with the release. */
  source: z.enum(['list', 'admin']),
  state: z.enum(['past', 'in-force', 'future']),
});
export type Price = z.infer<typeof price>;

const ceiling = z.strictObject({
  id: z.string(),
  bands: z.array(band),
  speed: shownFactors,
  geo: shownFactors,
  tier: shownFactors,
  webSearchPicos: z.int(),
  maxOutputTokens: z.int(),
});
export type Ceiling = z.infer<typeof ceiling>;

const alias = z.strictObject({
  alias: z.string(),
  model: z.string(),
  source: z.enum(['list', 'admin']),
});

const tokens = z.optional(whole(TOKENS_MAX));
const said = z.optional(z.nullable(word));
const sample = z.strictObject({
  input: tokens,
  cacheWrite5m: tokens,
  cacheWrite1h: tokens,
  cacheRead: tokens,
  output: tokens,
  webSearches: z.optional(whole(SEARCHES_MAX)),
  /** As an answer would say them. */
  speed: said,
  geo: said,
  tier: said,
});
export type Sample = z.infer<typeof sample>;

const costLine = z.strictObject({
  kind: z.string(),
  count: z.int(),
  unitPicos: z.int(),
  promptAbove: z.int(),
  factors: z.array(
    z.strictObject({
      term: z.string(),
      value: z.nullable(z.string()),
      factor: z.tuple([z.int(), z.int()]),
    }),
  ),
  /** Exact: a decimal or a fraction. */
  picos: z.string(),
});

export const prices = {
  list: endpoint({
    name: 'admin.prices.list',
    method: 'GET',
    path: '/admin/prices',
    access: reads('prices'),
    summary: 'Lists prices by model and date: those in force, or all of them.',
    query: z.strictObject({
      model: z.optional(model),
      state: z.optional(z.enum(['in-force', 'future', 'all'])),
    }),
    answer: z.strictObject({ items: z.array(price), ceiling: z.nullable(ceiling) }),
  }),
  create: endpoint({
    name: 'admin.prices.create',
    method: 'POST',
    path: '/admin/prices',
    access: writes('prices'),
    summary: 'Adds a price from a date on; requests that are open keep theirs.',
    body: z.strictObject({
      model,
      /** `opus`, ...: budgets may be kept by it. */
      family: word,
      displayName: z.optional(label),
      /** Absent: now. In the past only for a model that has no price yet. */
      effectiveFrom: z.optional(date),
      ...numbers,
    }),
    answer: z.strictObject({ price, replayed: z.optional(z.boolean()) }),
    status: 201,
    idempotent: true,
  }),
  aliases: endpoint({
    name: 'admin.prices.aliases',
    method: 'GET',
    path: '/admin/prices/aliases',
    access: reads('prices'),
    summary: 'Lists other names of models.',
    answer: z.strictObject({ items: z.array(alias) }),
  }),
  setAlias: endpoint({
    name: 'admin.prices.setAlias',
    method: 'PUT',
    path: '/admin/prices/aliases/{alias}',
    access: writes('prices'),
    summary: 'Makes a text another name of a model that has a price.',
    body: z.strictObject({ model }),
    answer: alias,
  }),
  deleteAlias: endpoint({
    name: 'admin.prices.deleteAlias',
    method: 'DELETE',
    path: '/admin/prices/aliases/{alias}',
    access: writes('prices'),
    summary: 'Takes an own name away; one of the release means again what it meant.',
    status: 204,
  }),
  setCeiling: endpoint({
    name: 'admin.prices.setCeiling',
    method: 'PUT',
    path: '/admin/prices/ceiling',
    access: writes('prices'),
    summary: 'Lets models without a price in, at these prices.',
    body: z.strictObject(numbers),
    answer: ceiling,
  }),
  deleteCeiling: endpoint({
    name: 'admin.prices.deleteCeiling',
    method: 'DELETE',
    path: '/admin/prices/ceiling',
    access: writes('prices'),
    summary: 'Refuses models without a price again.',
    status: 204,
  }),
  preview: endpoint({
    name: 'admin.prices.preview',
    method: 'POST',
    path: '/admin/prices/preview',
    access: reads('prices'),
    summary: 'Shows what a sample would cost, line by line.',
    body: z.strictObject({ model, usage: sample, at: z.optional(date) }),
    answer: z.strictObject({
      model: z.string(),
      priceId: z.string(),
      byCeiling: z.boolean(),
      lines: z.array(costLine),
      picos: z.string(),
      /** Rounded up once, as a request is charged. */
      costNanos: nanos,
      flags: z.array(z.string()),
    }),
  }),
  unknown: endpoint({
    name: 'admin.prices.unknown',
    method: 'GET',
    path: '/admin/prices/unknown',
    access: reads('prices'),
    summary: 'Lists models that were asked for and had no price, the latest first.',
    answer: z.strictObject({
      items: z.array(
        z.strictObject({
          model: z.string(),
          firstSeenAt: instant,
          lastSeenAt: instant,
          /** At most one a minute from one wallet. */
          times: z.int(),
          /** It has a price by now. */
          isPriced: z.boolean(),
        }),
      ),
    }),
  }),
  forgetUnknown: endpoint({
    name: 'admin.prices.forgetUnknown',
    method: 'DELETE',
    path: '/admin/prices/unknown',
    access: writes('prices'),
    summary: 'Empties the list of models without a price.',
    status: 204,
  }),
  delete: endpoint({
    name: 'admin.prices.delete',
    method: 'DELETE',
    path: '/admin/prices/{id}',
    access: writes('prices'),
    summary: 'Deletes an own price that is not in force yet.',
    status: 204,
  }),
} as const;
