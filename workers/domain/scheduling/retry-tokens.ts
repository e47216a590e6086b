// How much an isolate may call again what has failed: a few tokens for each provider, earned back
// by successes. In a total outage this, and not patience, bounds what is sent upstream.

/** A provider's tokens in one isolate. */
export interface RetryTokens {
  readonly left: number;
  /** Successes since the last token that was earned. */
  readonly successes: number;
}

/** As many as an isolate begins with, and never holds more. */
const TOKENS_MAX = 10;
const SUCCESSES_PER_TOKEN = 20;

export const FULL_TOKENS: RetryTokens = { left: TOKENS_MAX, successes: 0 };

/** One token less; null: there is none, and nothing may be called again. */
export function takeToken(tokens: RetryTokens): RetryTokens | null {
  return tokens.left < 1 ? null : { ...tokens, left: tokens.left - 1 };
}

/** After an answer that is one. */
export function afterSuccess({ left, successes }: RetryTokens): RetryTokens {
  if (left >= TOKENS_MAX) return FULL_TOKENS;
  return successes + 1 < SUCCESSES_PER_TOKEN
    ? { left, successes: successes + 1 }
    : { left: left + 1, successes: 0 };
}
