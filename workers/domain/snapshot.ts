// What the Pool object hands to an isolate: everything that the relay needs to know of accounts,
// prices and settings without ever asking D1. One version covers the whole.

import type { RelayError } from './errors';
import type { AccountId } from './ids';
import type { Catalogue } from './pricing/catalogue';
import type { Result } from './result';

/** AES-256-GCM under the named master key, the account id as additional data. All base64. */
export interface SealedCredential {
  readonly keyVersion: string;
  readonly iv: string;
  readonly ciphertext: string;
}

/** Kinds of upstream that exist today; the registry is exhaustive over this list. */
export const ACCOUNT_KINDS = ['anthropic', 'anthropic-compatible'] as const;
export type AccountKind = (typeof ACCOUNT_KINDS)[number];

/** An upstream credential as the relay sees it. */
export interface SnapshotAccount {
  readonly id: AccountId;
  readonly name: string;
  readonly kind: AccountKind;
  /** Without a trailing slash; may have a path prefix. */
  readonly baseUrl: string;
  readonly credential: SealedCredential;
  /** `draining` takes no new conversation; `disabled` nothing. */
  readonly status: 'active' | 'draining' | 'disabled';
  /** Accounts that share a prompt cache share a group; null: a group of its own. */
  readonly group: string | null;
  readonly weight: number;
  /** Lower is tried first. */
  readonly priority: number;
  /** Models this account serves; null: all that have a price. */
  readonly models: readonly string[] | null;
}

/** The isolate's whole picture at one version. */
export interface Snapshot {
  readonly version: number;
  readonly accounts: readonly SnapshotAccount[];
  readonly catalogue: Catalogue;
}

/** With the snapshot, whether anybody watches the relay; absent: nobody, or an older object. */
export type SnapshotAnswer = Result<Snapshot | 'unchanged', RelayError> & {
  /** Isolates tell the Live object of their requests until then, in Unix ms. */
  readonly live?: { readonly until: number };
};

/** The Pool object as callers see it (platform/objects.ts gives the stub). */
export interface PoolPort {
  /** `unchanged` when the caller's version is the one in force. */
  snapshot(version: number | null): Promise<SnapshotAnswer>;
  /** After a change in D1: re-read the whole from the primary if `version` is higher. */
  refresh(version: number): Promise<void>;
  /** Answers when the object holds a snapshot or can load one. */
  ping(): Promise<'ok' | 'empty'>;
  /** Somebody watches until then (Unix ms), or longer if it is said again; null: nobody. */
  setLive(until: number | null): Promise<void>;
}
