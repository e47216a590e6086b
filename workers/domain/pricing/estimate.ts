// Guesses where nothing was reported: what an input most likely costs, and how much output was
// delivered. Neither is an upper bound; holds are another matter (ledger.md, holds).

import type { RequestSizes } from '../ledger/calls';
import type { LastPrompt } from '../ledger/conversation';
import type { Nanos } from '../money';
import { nanosFromPicosUp } from '../money';
import type { PriceRow } from './catalogue';
import { promptBand } from './price';

/** Bytes of a request's JSON a token, times ten: 2.6 (ledger.md, L of a cold conversation). */
const REQUEST_BYTES_PER_TEN_TOKENS = 26;
/** Bytes that a known conversation has grown by, a token (ledger.md, L). */
const NEW_BYTES_PER_TOKEN = 3;
/** Delivered bytes of text, tool JSON and visible thinking a token (ledger.md, client gone). */
const DELIVERED_BYTES_PER_TOKEN = 3;

/**
 * Tokens an inline item by size class. An image costs about (width × height) / 750 and at most
 * about 1,600 tokens: an icon or thumbnail of up to 64 kB some 500, a screenshot or photograph
 * the 1,600. Above 1 MB stands either a large image (1,600) or a document, at some 2,000 tokens a
 * page of text and picture: 5,000 lies between one image and a short document.
 */
export const LIKELY_MEDIA_TOKENS = { small: 500, medium: 1_600, large: 5_000 } as const;

/** Text and media of a request: what its prompt is guessed from. */
type PromptSizes = Pick<RequestSizes, 'textBytes' | 'media'>;

/**
 * What the input most likely costs. Of an unknown conversation (`last` null): its text and media
 * at the 5-minute write price. Of a known one: its last prompt at the read price, and what has come
 * since at the 5-minute write price. In the band of so many tokens.
 */
export function likelyInputNanos(
  sizes: PromptSizes,
  price: PriceRow,
  last: LastPrompt | null = null,
): Nanos {
  return nanosFromPicosUp(likelyInputPicos(sizes, price, last));
}

/** The same in pico-dollars, for those who multiply before they round. */
export function likelyInputPicos(
  sizes: PromptSizes,
  price: PriceRow,
  last: LastPrompt | null,
): bigint {
  const readTokens = last?.promptTokens ?? 0;
  const writtenTokens = last === null ? likelyTokens(sizes) : likelyNewTokens(sizes, last);
  const band = promptBand(price, readTokens + writtenTokens);
  return (
    BigInt(readTokens) * BigInt(band.cacheRead) + BigInt(writtenTokens) * BigInt(band.cacheWrite5m)
  );
}

/** How long the prompt most likely is, what stands in a known conversation included; in tokens. */
export function likelyPromptTokens(sizes: PromptSizes, last: LastPrompt | null): number {
  return last === null ? likelyTokens(sizes) : last.promptTokens + likelyNewTokens(sizes, last);
}

/** Tokens of media, at so many for an item of each size class. */
export function mediaTokens(media: RequestSizes['media'], each: RequestSizes['media']): number {
  return media.small * each.small + media.medium * each.medium + media.large * each.large;
}

/** Media of a request that its conversation did not have before, by size class. */
export function newMedia(sizes: PromptSizes, last: LastPrompt): RequestSizes['media'] {
  return {
    small: Math.max(0, sizes.media.small - last.media.small),
    medium: Math.max(0, sizes.media.medium - last.media.medium),
    large: Math.max(0, sizes.media.large - last.media.large),
  };
}

/** Tokens that text and media of a prompt most likely come to; whole, rounded up. */
export function likelyTokens({ textBytes, media }: PromptSizes): number {
  const textTokens = Math.ceil((textBytes * 10) / REQUEST_BYTES_PER_TEN_TOKENS);
  return textTokens + mediaTokens(media, LIKELY_MEDIA_TOKENS);
}

function likelyNewTokens(sizes: PromptSizes, last: LastPrompt): number {
  const newBytes = Math.max(0, sizes.textBytes - last.textBytes);
  const textTokens = Math.ceil(newBytes / NEW_BYTES_PER_TOKEN);
  return textTokens + mediaTokens(newMedia(sizes, last), LIKELY_MEDIA_TOKENS);
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
