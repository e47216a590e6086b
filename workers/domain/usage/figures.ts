// What usage comes to: requests, tokens, money and times, of any set of rollups or requests. Sums
// only: whoever groups them is told elsewhere, so every grouping comes to the same totals.

import type { Closing } from '../ledger/calls';
import type { Nanos } from '../money';
import { addNanos, ZERO_NANOS } from '../money';
import type { Histogram } from './histogram';
import { addHistograms, emptyHistogram } from './histogram';
import type { TokenCounts } from './tokens';
import { NO_TOKENS } from './tokens';

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

/** The times of nothing. */
export function noTimes(): Times {
  return { total: emptyHistogram(), firstByte: emptyHistogram() };
}

/** Both together. Throws RangeError when the cost leaves the safe integers. */
export function addFigures(a: Figures, b: Figures): Figures {
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    counts: {
      input: a.counts.input + b.counts.input,
      cacheWrite5m: a.counts.cacheWrite5m + b.counts.cacheWrite5m,
      cacheWrite1h: a.counts.cacheWrite1h + b.counts.cacheWrite1h,
      cacheRead: a.counts.cacheRead + b.counts.cacheRead,
      output: a.counts.output + b.counts.output,
      webSearches: a.counts.webSearches + b.counts.webSearches,
    },
    costNanos: addNanos(a.costNanos, b.costNanos),
  };
}

/** Both together. */
export function addTimes(a: Times, b: Times): Times {
  return {
    total: addHistograms(a.total, b.total),
    firstByte: addHistograms(a.firstByte, b.firstByte),
  };
}
