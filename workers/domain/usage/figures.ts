// What usage comes to: requests, tokens, money and times, of any set of rollups or requests. Sums
// only: whoever groups them is told elsewhere, so every grouping comes to the same totals.

import type { Closing } from '../ledger/calls';
import type { Nanos } from '../money';
import { addNanos, nanos, ZERO_NANOS } from '../money';
import type { Histogram } from './histogram';
import { sumHistograms } from './histogram';
import type { TokenCounts } from './tokens';
import { mapCounts, NO_TOKENS } from './tokens';

/** Of requests that are over, each dated by its admit. */
export interface Figures {
  readonly requests: number;
  /** Those that neither completed nor were left by their client. */
  readonly errors: number;
  readonly counts: TokenCounts;
  readonly costNanos: Nanos;
}

/** How long requests took; those of which it is not known are counted in neither. */
export interface Times {
  readonly total: Histogram;
  readonly firstByte: Histogram;
}

export const NO_FIGURES: Figures = {
  requests: 0,
  errors: 0,
  counts: NO_TOKENS,
  costNanos: ZERO_NANOS,
};

/** Closings that are no error: the answer was whole, or the client wanted no more of it. */
export const FINE_CLOSINGS: readonly Closing[] = ['completed', 'client-left'];

/** Both together. Throws RangeError when the cost leaves the safe integers. */
export function addFigures(a: Figures, b: Figures): Figures {
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    counts: mapCounts(a.counts, (count, name) => count + b.counts[name]),
    costNanos: addNanos(a.costNanos, b.costNanos),
  };
}

/** Each figure as `change` makes it. Throws RangeError when the cost is no safe integer. */
export function mapFigures(
  { requests, errors, counts, costNanos }: Figures,
  change: (figure: number) => number,
): Figures {
  return {
    requests: change(requests),
    errors: change(errors),
    counts: mapCounts(counts, change),
    costNanos: nanos(change(costNanos)),
  };
}

/** All together; null adds nothing. */
export function sumTimes(parts: readonly (Times | null)[]): Times {
  const known = parts.filter((times) => times !== null);
  return {
    total: sumHistograms(known.map(({ total }) => total)),
    firstByte: sumHistograms(known.map(({ firstByte }) => firstByte)),
  };
}
