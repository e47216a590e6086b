// One request's way through the relay, and what each step adds to it.

import type { KeyParts } from '../domain/keys/format';
import type { Attempt, Lease } from '../domain/ledger/calls';
import type { RequestId } from '../domain/ids';
import type { Snapshot, SnapshotAccount } from '../domain/snapshot';
import type { Config } from '../platform/env';
import type { Essentials } from '../protocols/protocol';
import type { Client } from './client';
import type { Operation } from './routes';

/** Known from the first line on. */
export interface Visit {
  readonly request: Request;
  readonly url: URL;
  readonly env: Env;
  readonly ctx: Pick<ExecutionContext, 'waitUntil'>;
  readonly config: Config;
  readonly operation: Operation;
  readonly requestId: RequestId;
  /** Unix ms. */
  readonly receivedAt: number;
}

/** Whose key it is: checked against the Worker's secret, not yet against the ledger. */
export interface Bearer {
  readonly parts: Pick<KeyParts, 'region' | 'walletId' | 'keyId'>;
  /** SHA-256 of the whole key, base64url; empty for a `session`. */
  readonly hash: string;
  /** The key was chosen by its owner, who is logged in, and not sent (relay.ts). */
  readonly by?: 'session';
}

/** The body as it came, and what was read from it. */
export interface ReadBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same, unpacked; what `essentials` gives positions in. */
  readonly plain: Uint8Array;
  readonly essentials: Essentials;
  /** Gives the bytes' share of the isolate's buffer back; more than once does no harm. */
  readonly release: () => void;
}

/** After admit: what must be settled, whatever happens. */
export interface Admitted extends Visit {
  readonly bearer: Bearer;
  readonly lease: Lease;
  readonly admitMs: number;
}

/** What may be dispatched, and with what. */
export interface Journey extends Admitted {
  readonly snapshot: Snapshot;
  /** null for requests without a body. */
  readonly body: ReadBody | null;
}

/** After forward: who answers. */
export interface Answer {
  readonly account: SnapshotAccount;
  /** Status and headers; its body is `beginning` and `rest`. */
  readonly response: Response;
  /** What has been read of the body. */
  readonly beginning: Uint8Array<ArrayBuffer>;
  /** What follows it; null: nothing. */
  readonly rest: ReadableStream<Uint8Array> | null;
  readonly attempts: readonly Attempt[];
  readonly firstByteMs: number;
  /** Ends the upstream call, its body included. */
  readonly cancel: () => void;
  /** The permit by which it holds a place at an account with exact limits; absent: none. */
  readonly slot?: string;
  /** For whom; it may have left meanwhile. */
  readonly client: Client;
}
