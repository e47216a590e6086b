// Requests and list prices for tests of holds: whole by default, each test says what differs.

import type { RequestSizes } from '../../workers/domain/ledger/calls';
import type { Bounds, BoundsQuestion } from '../../workers/domain/ledger/hold';
import { boundsOf } from '../../workers/domain/ledger/hold';
import type { Nanos } from '../../workers/domain/money';
import { nanos, NANOS_PER_DOLLAR } from '../../workers/domain/money';
import type { PriceRow } from '../../workers/domain/pricing/catalogue';
import { findPrice } from '../../workers/domain/pricing/find';
import { LIST_ALIASES, LIST_PRICES } from '../../workers/domain/pricing/list-prices';

export const LIST = { version: 1, rows: LIST_PRICES, aliases: LIST_ALIASES };
/** When the list is looked at: Unix ms. */
export const LIST_AT = Date.UTC(2026, 10, 23);

/** The list's row of `model`. */
export function rowOf(model: string): PriceRow {
  const row = findPrice(LIST, model, LIST_AT);
  if (row === null) throw new Error(`no price of ${model}`);
  return row;
}

/** A plain streamed request of Claude Code's shape, 55 kB, marked for the cache. */
export function sizesOf(differs: Partial<RequestSizes> = {}): RequestSizes {
  return {
    stream: true,
    maxTokens: 128_000,
    textBytes: 55_000,
    media: { small: 0, medium: 0, large: 0 },
    cacheTtl: '5m',
    serverToolUses: 0,
    ...differs,
  };
}

type Differs = Partial<Omit<BoundsQuestion, 'sizes'>> & { readonly sizes?: Partial<RequestSizes> };

/** Bounds of a cold request to claude-opus-5-5 that asks for nothing special. */
export function boundsFor({ sizes, ...differs }: Differs = {}): Bounds {
  return boundsOf({
    asked: null,
    price: rowOf('claude-opus-5-5'),
    fallbacks: [],
    conversation: null,
    isWary: false,
    ...differs,
    sizes: sizesOf(sizes),
  });
}

/** Dollars with a fraction as nano-dollars. */
export function dollars(amount: number): Nanos {
  return nanos(Math.round(amount * NANOS_PER_DOLLAR));
}
