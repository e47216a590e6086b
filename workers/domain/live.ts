// What those who watch the relay are told while they watch: requests as they begin, answer, run and
// end. A view that may lose something, and says so; what is true of money stands in the ledger.

import type { AccountId, KeyId, RequestId, ServiceTokenId, SessionId, UserId } from './ids';
import type { Closing, Timings } from './ledger/calls';
import type { Nanos } from './money';
import { SECOND_MS } from './time';
import type { TokenCounts } from './usage/tokens';

/** Who or what it happened to. */
interface Happening {
  /** Unix ms by the isolate's clock. */
  readonly at: number;
  readonly requestId: RequestId;
}

/** Other kinds are added over time: who reads them passes over what it does not know. */
export type LiveEvent =
  | (Happening & {
      readonly kind: 'started';
      readonly userId: UserId;
      readonly keyId: KeyId;
      readonly model: string | null;
    })
  | (Happening & {
      readonly kind: 'first-byte';
      readonly accountId: AccountId;
      readonly status: number;
      readonly firstByteMs: number;
    })
  /** A sign of life, every 15 s: what an open request has cost so far. */
  | (Happening & { readonly kind: 'running'; readonly costNanos: Nanos })
  | (Happening & {
      readonly kind: 'finished';
      readonly userId: UserId;
      readonly keyId: KeyId;
      readonly model: string | null;
      /** null: no account answered. */
      readonly accountId: AccountId | null;
      readonly status: number | null;
      readonly closing: Closing;
      readonly tokens: TokenCounts;
      readonly costNanos: Nanos;
      readonly timings: Timings;
    });

/** What one isolate tells of at most a second. */
export interface LiveMessage {
  readonly events: readonly LiveEvent[];
  /** How many of all events these are; null: all of them. */
  readonly sampled: { readonly told: number; readonly of: number } | null;
}

/** Who watches, as the socket's attachment keeps it. */
export type Viewer =
  | { readonly kind: 'person'; readonly sessionId: SessionId }
  | { readonly kind: 'service'; readonly tokenId: ServiceTokenId };

/** The Live object as isolates see it; sockets reach it by `fetch` (platform/objects.ts). */
export interface LivePort {
  /** Passed on to whoever watches; to nobody if nobody does. */
  tell(message: LiveMessage): Promise<void>;
}

/** Below this, by isolate, every request is told of. */
const REQUESTS_A_SECOND = 50;

/** How many requests began in an isolate, in the second under way and in the one before it. */
export interface Rate {
  /** Unix seconds. */
  readonly second: number;
  readonly begun: number;
  readonly before: number;
}

export const NO_RATE: Rate = { second: 0, begun: 0, before: 0 };

/** The rate with one more request at `now` (Unix ms). A clock that goes back begins anew. */
export function withRequest(rate: Rate, now: number): Rate {
  const second = Math.floor(now / SECOND_MS);
  const { begun, before } = rateAt(rate, second);
  return { second, begun: begun + 1, before };
}

function rateAt(rate: Rate, second: number): Rate {
  if (second === rate.second) return rate;
  return { second, begun: 0, before: second === rate.second + 1 ? rate.begun : 0 };
}

/** The share of requests that is told of at `now` (Unix ms), above 0 and at most 1. */
export function shareTold(rate: Rate, now: number): number {
  const { begun, before } = rateAt(rate, Math.floor(now / SECOND_MS));
  return Math.min(1, REQUESTS_A_SECOND / Math.max(begun, before, 1));
}

const HASHES = 2 ** 32;

/**
 * Whether a request is among this share of all: by its id, so the same for all its events, and
 * what is told of is told to its end. What is among a share is among every larger one.
 */
export function isAmong(requestId: RequestId, share: number): boolean {
  return share >= 1 || hashOf(requestId) < share * HASHES;
}

/** FNV-1a with the end of MurmurHash3, which spreads ids that differ in their last character. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
