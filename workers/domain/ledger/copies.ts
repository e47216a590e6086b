// The rows of D1 of which a Ledger object keeps a copy. D1 is the truth; a copy follows by version.

import type { KeyId, UserId, WalletId } from '../ids';
import type { LimitSet } from '../limits/limit-set';

/** The higher version wins; deletion is a version too. */
interface Versioned {
  /** max(previous + 1, Unix ms) at the change. */
  readonly version: number;
  /** Absent: nothing is limited. */
  readonly limits?: LimitSet;
}

export interface UserCopy extends Versioned {
  readonly kind: 'user';
  readonly id: UserId;
  readonly status: 'active' | 'suspended' | 'deleted';
  /** IANA name; calendar limits and days follow it. */
  readonly timeZone: string;
}

export interface WalletCopy extends Versioned {
  readonly kind: 'wallet';
  readonly id: WalletId;
  readonly userId: UserId;
  readonly status: 'active' | 'suspended' | 'deleted';
}

export interface KeyCopy extends Versioned {
  readonly kind: 'key';
  readonly id: KeyId;
  readonly walletId: WalletId;
  readonly userId: UserId;
  readonly name: string;
  /** SHA-256 of the whole key, base64url. */
  readonly hash: string;
  /** Of the key before a rotation, with the instant (Unix ms) until which it still opens. */
  readonly previous: { readonly hash: string; readonly until: number } | null;
  readonly status: 'active' | 'disabled' | 'deleted';
  /** Unix ms; null: never. */
  readonly expiresAt: number | null;
  /** Absent: `cancel`. */
  readonly whenClientLeaves?: WhenClientLeaves;
}

/**
 * What becomes of an answer whose client has gone: the upstream is let go at once, or read on for
 * at most 15 s, so that what it used is known rather than estimated.
 */
export type WhenClientLeaves = 'cancel' | 'drain';

export type Copy = UserCopy | WalletCopy | KeyCopy;
