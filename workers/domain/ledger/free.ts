// Class `free` in memory: how many requests a key made lately and has under way. Nothing of it is
// stored, so an eviction empties it: the stated exception to exactness (ledger.md §4).

import type { RelayError } from '../errors';
import type { KeyId, RequestId } from '../ids';
import { HELD_RETRY_MS } from '../limits/limits';
import type { WindowCounter } from '../limits/window';
import { addToWindow, emptyWindow, fitsWindow, retryAfterMs } from '../limits/window';
import { MINUTE_MS } from '../time';
import { LEASE_MS } from './decide';

/** Of one key, in any minute. */
const FREE_REQUESTS = 300;
/** Of one key, at once. */
const FREE_AT_ONCE = 100;

interface FreeUse {
  readonly window: WindowCounter;
  /** Unix ms of admit by request; gone when settled, or when a lease would have run out. */
  readonly open: Map<RequestId, number>;
}

/** By key. Mutable on purpose: one object, one writer. */
export type FreeBook = Map<KeyId, FreeUse>;

/** Takes a place for a request, or says why there is none. `now` in Unix ms. */
export function takeFree(
  book: FreeBook,
  { keyId, requestId }: { readonly keyId: KeyId; readonly requestId: RequestId },
  now: number,
): RelayError | null {
  const use = book.get(keyId) ?? { window: emptyWindow(MINUTE_MS), open: new Map() };
  book.set(keyId, use);
  // The same request again has its place.
  if (use.open.has(requestId)) return null;
  for (const [id, at] of use.open) {
    if (at > now - LEASE_MS) break;
    use.open.delete(id);
  }
  const refused = { kind: 'rate-limited', scope: 'key' } as const;
  if (use.open.size >= FREE_AT_ONCE) {
    const wait = { spanMs: null, retryAfterMs: HELD_RETRY_MS };
    return { ...refused, what: 'concurrency', limit: FREE_AT_ONCE, ...wait };
  }
  const question = { limit: FREE_REQUESTS, amount: 1, now };
  if (!fitsWindow(use.window, question)) {
    const wait = { spanMs: MINUTE_MS, retryAfterMs: retryAfterMs(use.window, question) };
    return { ...refused, what: 'requests', limit: FREE_REQUESTS, ...wait };
  }
  addToWindow(use.window, { at: now, amount: 1, seenAt: now });
  use.open.set(requestId, now);
  return null;
}

/** A request that ended gives its place back; one that is not known has none. */
export function giveBackFree(
  book: FreeBook,
  { keyId, requestId }: { readonly keyId: KeyId; readonly requestId: RequestId },
): void {
  book.get(keyId)?.open.delete(requestId);
}
