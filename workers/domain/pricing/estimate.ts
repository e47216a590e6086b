// Guesses where nothing was reported: what an input most likely costs, and how much output was
// delivered. Neither is an upper bound; holds are another matter (ledger.md, holds).

import type { RequestSizes } from '../ledger/calls';
import type { Nanos } from '../money';
import { nanosFromPicosUp } from '../money';
import type { PriceRow } from './catalogue';
import { promptBand } from './price';

/** Bytes of a request's JSON a token, times ten: 2.6 (ledger.md, L of a cold conversation). */
const REQUEST_BYTES_PER_TEN_TOKENS = 26;
/** Delivered bytes of text, tool JSON and visible thinking a token (ledger.md, client gone). */
const DELIVERED_BYTES_PER_TOKEN = 3;

/**
 * Tokens an inline item by size class. An image costs about (width × height) / 750 and at most
 * about 1,600 tokens: an icon or thumbnail of up to 64 kB some 500, a screenshot or photograph
 * the 1,600. Above 1 MB stands either a large image (1,600) or a document, at some 2,000 tokens a
 * page of text and picture: 5,000 lies between one image and a short document.
 */
const MEDIA_TOKENS = { small: 500, medium: 1_600, large: 5_000 } as const;

/**
 * What the input of a request of an unknown conversation most likely costs: its text and media at
 * the 5-minute write price, in the band of so many tokens.
 */
export function likelyInputNanos(
  sizes: Pick<RequestSizes, 'textBytes' | 'media'>,
  price: PriceRow,
): Nanos {
  const tokens = likelyInputTokens(sizes);
  const picos = BigInt(tokens) * BigInt(promptBand(price, tokens).cacheWrite5m);
  return nanosFromPicosUp(picos);
}

/** Tokens of text and media together; whole, rounded up. */
function likelyInputTokens(sizes: Pick<RequestSizes, 'textBytes' | 'media'>): number {
  const { textBytes, media } = sizes;
  return (
    Math.ceil((textBytes * 10) / REQUEST_BYTES_PER_TEN_TOKENS) +
    media.small * MEDIA_TOKENS.small +
    media.medium * MEDIA_TOKENS.medium +
    media.large * MEDIA_TOKENS.large
  );
}

/**
 * Output tokens to charge when the client left: the last cumulative count that was reported, or
 * what the UTF-8 bytes delivered come to, whichever is larger.
 */
export function outputTokensDelivered(delivered: {
  readonly reportedOutput: number;
  readonly deliveredBytes: number;
}): number {
  const { reportedOutput, deliveredBytes } = delivered;
  return Math.max(reportedOutput, Math.ceil(deliveredBytes / DELIVERED_BYTES_PER_TOKEN));
}
