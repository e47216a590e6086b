// What an account is said to cost for a request: by its own price rows where it has some for the
// model, else by the list, times its factor. What the user pays is price.ts and never this.

import type { Nanos } from '../money';
import type { Usage } from '../usage/tokens';
import type { Factor, PriceRow } from './catalogue';
import { findPrice } from './find';
import type { PricingContext } from './price';
import { nanosOf, pricePicos } from './price';

/** What an account says of its prices. */
export interface AccountTerms {
  readonly costFactor: Factor;
  readonly ownPrices: readonly PriceRow[];
}

/** Exact, rounded up once; null: what the user pays, for it has no terms of its own. */
export function accountCost(
  usage: Usage,
  context: PricingContext,
  { costFactor, ownPrices }: AccountTerms,
): Nanos | null {
  const [numerator, denominator] = costFactor;
  if (ownPrices.length === 0 && numerator === denominator) return null;
  const { catalogue, at } = context;
  const own = ownPrices.filter(({ effectiveFrom }) => effectiveFrom <= at);
  // A model without a row of its own keeps that of the list.
  const owned = new Set(own.map(({ model }) => model));
  const rows = [...own, ...catalogue.rows.filter(({ model }) => !owned.has(model))];
  const ownAsked = findPrice({ ...catalogue, rows: own }, context.asked.model, at);
  const asked = ownAsked ?? context.asked;
  const picos = pricePicos(usage, { asked, catalogue: { ...catalogue, rows }, at });
  return nanosOf({
    numerator: picos.numerator * BigInt(numerator),
    denominator: picos.denominator * BigInt(denominator),
  });
}
