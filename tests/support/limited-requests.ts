// The requests of the simulation of limits, in two families of models: what their client asks, what
// their upstream counts, and what limits are asked for them. It decides nothing.

import type { KeyId, RequestId } from '../../workers/domain/ids';
import type { AdmitCall } from '../../workers/domain/ledger/calls';
import type { Catalogue, PriceRow } from '../../workers/domain/pricing/catalogue';
import type { Usage } from '../../workers/domain/usage/tokens';
import { NO_TOKENS } from '../../workers/domain/usage/tokens';
import { admitCall, idOf, PRICE } from './ledger';
import type { Asks } from './limit-book';
import { anyOf, between, KEYS } from './limit-sets';

/** Of every request here: 2,600 bytes at 2.6 bytes a token, and at most. */
const LIKELY_TOKENS = 1_000;
const BOUND_TOKENS = 3_300;
const WARY_BOUND_TOKENS = 4_600;
const SLICE_TOKENS = 1_024;

/** A second family, a quarter as dear. */
const SMALL_PRICE: PriceRow = {
  ...PRICE,
  id: 'claude-haiku-5-5@2026-01-01',
  model: 'claude-haiku-5-5',
  family: 'haiku',
  bands: [
    {
      promptAbove: 0,
      input: 1_000_000,
      cacheWrite5m: 1_250_000,
      cacheWrite1h: 2_000_000,
      cacheRead: 50_000,
      output: 5_000_000,
    },
  ],
};
export const TWO_FAMILIES: Catalogue = { version: 7, rows: [PRICE, SMALL_PRICE], aliases: {} };

/** As its client and its upstream know it. */
export interface LimitedRequest {
  readonly requestId: RequestId;
  readonly keyId: KeyId;
  readonly call: AdmitCall;
  readonly price: PriceRow;
  readonly inputTokens: number;
  /** Output tokens if nothing keeps it from them. */
  readonly wanted: number;
}

interface Used {
  readonly input: number;
  readonly output: number;
}

/** The request number `n`. */
export function limitedRequest(random: () => number, n: number): LimitedRequest {
  const requestId = idOf('request', n);
  const keyId = anyOf(random, KEYS);
  const price = anyOf(random, [PRICE, SMALL_PRICE]);
  const call = admitCall(keyId, requestId, { model: price.model });
  const maxTokens = anyOf(random, [200, 1_000, 4_000]);
  const sizes = { ...call.sizes, stream: random() < 0.7, maxTokens };
  // Seldom denser than any bound: then the wallet is wary for a day.
  const inputTokens = between(random, random() < 0.03 ? [3_000, 6_000] : [10, 2_500]);
  const wanted = between(random, [0, random() < 0.05 ? 2 * maxTokens : maxTokens]);
  return { requestId, keyId, price, inputTokens, wanted, call: { ...call, sizes } };
}

/** What its limits are asked; `isWary`: its wallet has lately passed a bound. */
export function asksOf(request: LimitedRequest, isWary: boolean): Asks {
  const { stream, maxTokens } = request.call.sizes;
  const slice = Math.min(maxTokens ?? 0, stream ? SLICE_TOKENS : Infinity);
  const bound = isWary ? WARY_BOUND_TOKENS : BOUND_TOKENS;
  const writePicos = request.price.bands[0]?.cacheWrite5m ?? 0;
  const costOf = (tokens: number): number =>
    (tokens * writePicos) / 1_000 + slice * outputNanosOf(request);
  return {
    tokens: { needed: LIKELY_TOKENS + slice, hold: bound + slice },
    nanos: { needed: costOf(LIKELY_TOKENS), hold: costOf(bound) },
  };
}

/** In nano-dollars. */
export function costOf(request: LimitedRequest, { input, output }: Used): number {
  return (input * (request.price.bands[0]?.input ?? 0)) / 1_000 + output * outputNanosOf(request);
}

/** Of one token. */
export function outputNanosOf({ price }: LimitedRequest): number {
  return (price.bands[0]?.output ?? 0) / 1_000;
}

export function usageOf({ price: { model } }: LimitedRequest, used: Used): Usage {
  const terms = { speed: null, geo: null, tier: null };
  return { entries: [{ model, counts: { ...NO_TOKENS, ...used }, terms }], flags: [] };
}
