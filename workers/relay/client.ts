// Whether the client is still there, and what its leaving means for the upstream: let go at once,
// or read on for a while, as its key says. It ends nothing itself; who runs something listens.

import type { Lease } from '../domain/ledger/calls';
import { SECOND_MS } from '../domain/time';

/** With settle's retries it fits into the 30 s that a request has after its client has left. */
const DRAIN_MS = 15 * SECOND_MS;

/** The client of one request. */
export interface Client {
  /** Aborted when it has left. */
  readonly left: AbortSignal;
  /** Aborted when nothing more is to be read for it: as it leaves, or when the drain is over. */
  readonly letGo: AbortSignal;
  /** Its answer is read on when it has left. */
  readonly drains: boolean;
  /** Unix ms; null: it is there. */
  readonly leftAt: () => number | null;
  /** Says that it has left, for those who notice it before the runtime does; again is nothing. */
  readonly leave: () => void;
}

/** The client behind `signal`, with the `lease` that says what its leaving means. */
export function clientOf(
  signal: AbortSignal,
  lease: Pick<Lease, 'seq' | 'whenClientLeaves'>,
  drainMs: number = DRAIN_MS,
): Client {
  // What class `free` used costs nothing: there is nothing to learn of it.
  const drains = lease.whenClientLeaves === 'drain' && lease.seq !== 0;
  const left = new AbortController();
  const letGo = drains ? new AbortController() : left;
  let leftAt: number | null = null;
  const leave = (): void => {
    if (leftAt !== null) return;
    leftAt = Date.now();
    left.abort();
    // Runs out by itself: what it would end has ended by then, or must.
    if (drains) setTimeout(() => letGo.abort(), drainMs);
  };
  onAbort(signal, leave);
  return { left: left.signal, letGo: letGo.signal, drains, leftAt: () => leftAt, leave };
}

/** Calls `action` when `signal` is aborted, at once if it is already; gives what undoes it. */
export function onAbort(signal: AbortSignal, action: () => void): () => void {
  if (signal.aborted) action();
  else signal.addEventListener('abort', action, { once: true });
  return () => signal.removeEventListener('abort', action);
}
