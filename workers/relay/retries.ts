// What this isolate may still call again: retry tokens by provider, in module memory.

import type { RetryTokens } from '../domain/scheduling/retry-tokens';
import { afterSuccess, FULL_TOKENS, takeToken } from '../domain/scheduling/retry-tokens';

const PROVIDERS_MAX = 1_000;
const held = new Map<string, RetryTokens>();

/** Takes a token of `provider`; false: there is none, and nothing is called again. */
export function spendRetry(provider: string): boolean {
  const taken = takeToken(held.get(provider) ?? FULL_TOKENS);
  if (taken !== null) keep(provider, taken);
  return taken !== null;
}

/** Whether a token of `provider` is left. */
export function hasRetry(provider: string): boolean {
  return takeToken(held.get(provider) ?? FULL_TOKENS) !== null;
}

/** An answer of `provider` earns a part of one. */
export function earnRetry(provider: string): void {
  const tokens = held.get(provider);
  if (tokens !== undefined) keep(provider, afterSuccess(tokens));
}

function keep(provider: string, tokens: RetryTokens): void {
  if (held.size >= PROVIDERS_MAX && !held.has(provider)) held.clear();
  held.set(provider, tokens);
}
