// Calls, rows and copies for tests of the ledger: whole by default, each test says what differs.
// Everything is made from numbers, so that a run repeats itself.

import type {
  AdmitCall,
  CreditCall,
  ExtendCall,
  ProgressCall,
  SettleCall,
} from '../../workers/domain/ledger/calls';
import type { KeyCopy, UserCopy, WalletCopy } from '../../workers/domain/ledger/copies';
import type { Copies } from '../../workers/domain/ledger/decide';
import type { RowHold } from '../../workers/domain/ledger/row';
import type {
  AccountId,
  IdKind,
  KeyId,
  RequestId,
  UserId,
  WalletId,
} from '../../workers/domain/ids';
import { newId } from '../../workers/domain/ids';
import { nanos, nanosFromDollars } from '../../workers/domain/money';
import type { Catalogue, PriceRow } from '../../workers/domain/pricing/catalogue';

/** Years ahead of any real clock, so that no alarm set by it goes off by itself. */
export const NOW = Date.UTC(2035, 10, 23, 12);
export const MODEL = 'claude-opus-5-5';
export const HASH = 'hash-of-the-whole-key';

/** The id number `n` of its kind. */
export function idOf<K extends IdKind>(kind: K, n: number): ReturnType<typeof newId<K>> {
  const bytes = new Uint8Array(10);
  new DataView(bytes.buffer).setUint32(6, n);
  return newId(kind, NOW, bytes);
}

export interface Owner {
  readonly walletId: WalletId;
  readonly userId: UserId;
  readonly keyId: KeyId;
}

/** Wallet, user and key number `n`. */
export function ownerOf(n: number): Owner {
  return { walletId: idOf('wallet', n), userId: idOf('user', n), keyId: idOf('key', n) };
}

/** Account `n` (0 or 1) of those that only requests of this wallet go to. */
export function accountOf({ walletId }: Pick<Owner, 'walletId'>, n: number): AccountId {
  // Behind its first letters, which tell the time, a wallet's id is its own.
  return `acc_${n === 0 ? 'A' : 'B'}${walletId.slice(5)}` as AccountId;
}

export function keyCopy(owner: Owner, differs: Partial<KeyCopy> = {}): KeyCopy {
  return {
    kind: 'key',
    id: owner.keyId,
    walletId: owner.walletId,
    userId: owner.userId,
    name: 'laptop',
    hash: HASH,
    previous: null,
    status: 'active',
    expiresAt: null,
    version: 1,
    ...differs,
  };
}

export function userCopy(owner: Owner, differs: Partial<UserCopy> = {}): UserCopy {
  const { userId: id } = owner;
  return { kind: 'user', id, status: 'active', timeZone: 'UTC', version: 1, ...differs };
}

export function walletCopy(owner: Owner, differs: Partial<WalletCopy> = {}): WalletCopy {
  const { walletId: id, userId } = owner;
  return { kind: 'wallet', id, userId, status: 'active', version: 1, ...differs };
}

export function copiesOf(owner: Owner): Copies {
  return { key: keyCopy(owner), user: userCopy(owner), wallet: walletCopy(owner) };
}

export const PRICE: PriceRow = {
  id: `${MODEL}@2026-01-01`,
  model: MODEL,
  family: 'opus',
  effectiveFrom: 0,
  bands: [
    {
      promptAbove: 0,
      input: 4_000_000,
      cacheWrite5m: 5_000_000,
      cacheWrite1h: 8_000_000,
      cacheRead: 200_000,
      output: 20_000_000,
    },
  ],
  speed: {},
  geo: {},
  tier: {},
  webSearchPicos: 10_000_000_000,
  maxOutputTokens: 128_000,
  displayName: 'Claude Opus 5.5',
};

export const CATALOGUE: Catalogue = {
  version: 7,
  rows: [PRICE],
  aliases: { 'claude-opus-latest': MODEL },
};

export function admitCall(
  keyId: KeyId,
  requestId: RequestId,
  differs?: Partial<AdmitCall>,
): AdmitCall {
  return {
    requestId,
    keyId,
    keyHash: HASH,
    class: 'metered',
    model: MODEL,
    fallbackModels: [],
    pricesVersion: null,
    sizes: {
      stream: true,
      maxTokens: 1_000,
      textBytes: 2_600,
      media: { small: 0, medium: 0, large: 0 },
      cacheTtl: 'none',
      serverToolUses: 0,
    },
    conversation: null,
    heldIds: [],
    tags: { session: 'a-session' },
    ...differs,
  };
}

/** Of 2,600 bytes at the 5-minute write price: what PRICE and `admitCall` make of it. */
export const LIKELY_INPUT_NANOS = nanos(5_000_000);

/** Of the same: 2,000 tokens and half a token a byte, 1,000 tokens of output. */
export const HOLD: RowHold = {
  parts: {
    inputNanos: nanos(16_500_000),
    toolsNanos: nanos(0),
    outputNanos: nanos(20_000_000),
    heldOutputTokensUpTo: 1_000,
    all: false,
    inputReported: false,
  },
  boundNanos: nanos(16_500_000),
  setAsideNanos: nanos(16_500_000),
  inputTokens: 3_300,
  outputTokensMax: 1_000,
  outputPicosPerToken: 20_000_000,
  reportInput: false,
};
export const HOLD_NANOS = nanos(36_500_000);
/** With less than this a wallet is out of credit for it. */
export const NEEDED_NANOS = nanos(LIKELY_INPUT_NANOS + 20_000_000);

export function settleCall(
  { seq, requestId, keyId }: Pick<SettleCall, 'seq' | 'requestId' | 'keyId'>,
  differs: Partial<SettleCall> = {},
): SettleCall {
  return {
    seq,
    requestId,
    keyId,
    closing: 'completed',
    certainty: 'reported',
    usage: { entries: [], flags: [] },
    costNanos: nanos(1_000_000),
    admittedAt: NOW,
    model: MODEL,
    accountId: null,
    status: 200,
    attempts: [],
    timings: { admitMs: 1, firstByteMs: 2, totalMs: 3 },
    ...differs,
  };
}

/** What a Worker sends that never got the answer to its admit. */
export function voidCall(keyId: KeyId, requestId: RequestId): SettleCall {
  const nothing = { closing: 'void', costNanos: nanos(0), admittedAt: null, status: null } as const;
  return settleCall({ seq: null, requestId, keyId }, nothing);
}

export function progressCall(
  { seq, requestId }: Pick<ProgressCall, 'seq' | 'requestId'>,
  differs: Partial<ProgressCall> = {},
): ProgressCall {
  return { seq, requestId, n: 1, costNanos: nanos(0), dispatched: true, ...differs };
}

export function extendCall(
  { seq, requestId }: Pick<ExtendCall, 'seq' | 'requestId'>,
  heldOutputTokensUpTo: number,
): ExtendCall {
  return { seq, requestId, heldOutputTokensUpTo };
}

export function creditCall(entryId: string, differs: Partial<CreditCall> = {}): CreditCall {
  const amountNanos = nanosFromDollars(10);
  return { entryId, kind: 'grant', amountNanos, reason: 'a test', actor: 'tester', ...differs };
}

/** A generator of numbers in [0, 1) that repeats itself (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
