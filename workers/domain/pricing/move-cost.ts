// What a conversation's move to another account cost: its prompt was written into a cache again
// that could have been read from the old one. Exact, rounded up once. Whether there was a move is
// for others to say.

import type { Nanos } from '../money';
import type { Usage } from '../usage/tokens';
import type { PriceRow } from './catalogue';
import type { Picos, PricedEntry } from './price';
import { addPicos, entryBand, nanosOf, NO_PICOS, pricedEntries } from './price';

/**
 * Of the cost of `usage`, what writing instead of reading came to, for at most the `cachedTokens`
 * that the old cache held. Only what the asked model wrote counts: another one had no such cache.
 * `at` in Unix ms.
 */
export function rewriteCost(
  usage: Usage,
  known: { readonly asked: PriceRow; readonly cachedTokens: number; readonly at: number },
): Nanos {
  const { asked, at } = known;
  const catalogue = { version: 0, rows: [asked], aliases: {} };
  let left = Number.isSafeInteger(known.cachedTokens) ? Math.max(0, known.cachedTokens) : 0;
  let total: Picos = NO_PICOS;
  for (const entry of pricedEntries(usage, { asked, catalogue, at }, new Set())) {
    if (entry.row !== asked) continue;
    const { tokens, picos } = rewritten(entry, left);
    left -= tokens;
    total = addPicos(total, picos);
  }
  return nanosOf(total);
}

/** What lives longer stands before what does not, so it is what the old cache had first. */
function rewritten(
  { counts, row, factors }: PricedEntry,
  mostTokens: number,
): { readonly tokens: number; readonly picos: Picos } {
  const band = entryBand({ counts, row });
  const long = Math.min(counts.cacheWrite1h, mostTokens);
  const short = Math.min(counts.cacheWrite5m, mostTokens - long);
  const dearer = (write: number): bigint => BigInt(Math.max(0, write - band.cacheRead));
  let numerator =
    BigInt(long) * dearer(band.cacheWrite1h) + BigInt(short) * dearer(band.cacheWrite5m);
  let denominator = 1n;
  for (const { factor } of factors) {
    numerator *= BigInt(factor[0]);
    denominator *= BigInt(factor[1]);
  }
  return { tokens: long + short, picos: { numerator, denominator } };
}
