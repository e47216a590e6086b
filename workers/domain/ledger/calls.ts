// The words between the Worker and the Ledger object: what each call carries and answers.
// All idempotent, all with absolute values. Answers are tagged, none is thrown. Across a deploy an
// old Worker may speak to a new object: fields are only ever added, and added ones are optional.

import type { RelayError } from '../errors';
import type { AccountId, KeyId, RequestId, UserId, WalletId } from '../ids';
import type { Nanos } from '../money';
import type { PriceRow } from '../pricing/catalogue';
import type { Result } from '../result';
import type { Usage } from '../usage/tokens';
import type { LimitSet } from '../limits/limit-set';
import type { UsageDocument } from '../limits/notice';
import type { ModelRules } from '../limits/scope';
import type { Copy, WhenClientLeaves } from './copies';
import type { LimitStanding } from './limited';
import type {
  OwnRequestDetail,
  RequestsCall,
  RequestsPage,
  StatementCall,
  StatementPage,
  WalletBalance,
} from './reads';

/** `metered` costs money; `free` (count_tokens, models) checks the key and never a balance. */
export type RequestClass = 'metered' | 'free';

/** What the body says about how much may be used, found without parsing it whole. */
export interface RequestSizes {
  readonly stream: boolean;
  /** Asked `max_tokens`; null for requests without one (count_tokens). */
  readonly maxTokens: number | null;
  /** Body bytes without media data. */
  readonly textBytes: number;
  /** Inline media by size class: items up to 64 kB, up to 1 MB, above. */
  readonly media: { readonly small: number; readonly medium: number; readonly large: number };
  /** The longest cache lifetime that a `cache_control` asks for. */
  readonly cacheTtl: 'none' | '5m' | '1h';
  /**
   * Declared server tools (search, fetch, code): how many calls they may make together; one that
   * fetches whole pages counts for each 10,000 tokens that it may bring in.
   */
  readonly serverToolUses: number;
}

/** Ids of the client's own book-keeping; opaque, bounded, never secret. */
export interface RequestTags {
  readonly session?: string;
  readonly agent?: string;
  readonly requestClass?: string;
  readonly prompt?: string;
}

/** An id in the body of something that the provider holds. */
export interface HeldId {
  /** Where it stands, for the refusal: `container`, `file_id`, … */
  readonly field: string;
  readonly id: string;
}

/** Terms that change the price, as the client asked for them; null: not asked for. */
export interface AskedTerms {
  readonly speed: string | null;
  readonly geo: string | null;
  readonly tier: string | null;
}

export interface AdmitCall {
  readonly requestId: RequestId;
  readonly keyId: KeyId;
  /** SHA-256 of the whole key, base64url. */
  readonly keyHash: string;
  /**
   * The key was chosen by its owner, who is logged in, and not sent: no hash is compared, and
   * everything else holds. Said by the playground's entrance alone.
   */
  readonly by?: 'session';
  readonly class: RequestClass;
  /** As the client wrote it; null for requests that name none (`GET /v1/models`). */
  readonly model: string | null;
  /** Other models that the request allows to be served (`fallbacks`). */
  readonly fallbackModels: readonly string[];
  /** The isolate's snapshot version; null when it has none yet. */
  readonly pricesVersion: number | null;
  readonly sizes: RequestSizes;
  /** Absent from an older Worker: then as if nothing was asked for. */
  readonly asked?: AskedTerms;
  /** 64-bit tag of the conversation, with a sub-agent's id behind it; null: none can be told. */
  readonly conversation: string | null;
  /** Ids in the body of things that a provider holds; let through only for their owner. */
  readonly heldIds: readonly HeldId[];
  readonly tags: RequestTags;
  /** As the client sent it; absent: none, or an older Worker. */
  readonly userAgent?: string;
  /** The client's IP address; absent: not known, or an older Worker. */
  readonly address?: string;
}

/** The right to make one upstream call; without it nothing is dispatched. */
export interface Lease {
  /** Row number in the wallet's object; 0 for class `free`, which has no row. */
  readonly seq: number;
  readonly requestId: RequestId;
  readonly walletId: WalletId;
  readonly userId: UserId;
  readonly keyId: KeyId;
  /** Alias resolved; null where the request names no model. */
  readonly model: string | null;
  /** The numbers this request is priced with, whatever changes meanwhile; null for `free`. */
  readonly price: PriceRow | null;
  /** Snapshot version that `price` came from. */
  readonly pricesVersion: number;
  /** Unix ms by the object's clock; everything is dated by it. */
  readonly admittedAt: number;
  /** What the input most likely costs: charged when the client leaves before anything is known. */
  readonly likelyInputNanos: Nanos;
  /** What the wallet holds for this request; absent: nothing is held, nothing to extend. */
  readonly hold?: LeaseHold;
  /** Headers for the answer: how the user's own limits stand. Absent: nothing is limited. */
  readonly notice?: Readonly<Record<string, string>>;
  /** As the key says; absent: `cancel`. */
  readonly whenClientLeaves?: WhenClientLeaves;
  /** Of a request that names no model: which ones the key may use; absent: all. */
  readonly models?: ModelRules;
  /** The account that holds what the body names (containers, files, …); absent: it names none. */
  readonly owner?: AccountId;
  /** Who answered this conversation last, while its prompt cache may be warm; absent: nobody. */
  readonly warm?: WarmAccount;
  /** Labels that key and user are bound to: of each, the account has one; absent: any account. */
  readonly groups?: readonly (readonly string[])[];
  /** A conversation that is warm may wait for its account; absent: up to 20 s. */
  readonly waitsForCacheMs?: number;
}

export interface WarmAccount {
  readonly accountId: AccountId;
  /** Unix ms. */
  readonly until: number;
  /** How much of the last prompt is cached; 0: moving costs nothing. Absent: not known. */
  readonly cachedTokens?: number;
}

/** What the Worker needs to know of a hold (ledger.md §4). */
export interface LeaseHold {
  /** Output may be passed on up to this count without asking; more by `extend`. */
  readonly heldOutputTokensUpTo: number;
  /** No extension goes beyond: asked `max_tokens`, cut to what the model gives. */
  readonly outputTokensMax: number;
  /** Whole pico-dollars a token, at the dearest price that can apply. */
  readonly outputPicosPerToken: number;
  /** U: what input and server tools cost at most; the true cost above it is overrun. */
  readonly boundNanos: Nanos;
  /** The hold keeps others out: the input cost is to be reported as soon as it is known. */
  readonly reportInput: boolean;
}

/** `closed`: the id was closed before this admit arrived (a `void` overtook it). */
export type AdmitAnswer =
  | { readonly ok: true; readonly lease: Lease }
  | { readonly ok: false; readonly error: RelayError };

/** How a request ended. `recovered` is written by the object's alarm alone. */
export const CLOSINGS = [
  'completed',
  'upstream-refused',
  'upstream-failed',
  'client-left',
  'cut-by-credit',
  'cut-by-limit',
  'revoked',
  'stopped',
  'void',
  'recovered',
] as const;
export type Closing = (typeof CLOSINGS)[number];

/** How well the cost is known, lowest first. A settle corrects only a lower certainty. */
export const CERTAINTIES = ['recovered', 'estimated', 'reported'] as const;
export type Certainty = (typeof CERTAINTIES)[number];

/** One try on one account. */
export interface Attempt {
  readonly accountId: AccountId;
  /** HTTP status; null: no answer came. */
  readonly status: number | null;
  /** `answered`, `refused`, `reset`, `timeout`, `redirect`, … */
  readonly outcome: string;
  readonly durationMs: number;
  /** What it may have cost the account, and nobody paid; absent: nothing. */
  readonly absorbedNanos?: Nanos;
}

/** Whole milliseconds since the Worker received the request. */
export interface Timings {
  readonly admitMs: number;
  readonly firstByteMs: number | null;
  readonly totalMs: number;
}

export interface SettleCall {
  /** null: the lease never arrived (`void` after a lost reply). */
  readonly seq: number | null;
  readonly requestId: RequestId;
  readonly keyId: KeyId;
  readonly closing: Exclude<Closing, 'recovered'>;
  readonly certainty: Exclude<Certainty, 'recovered'>;
  readonly usage: Usage;
  readonly costNanos: Nanos;
  /** Unix ms of admit, so that a row unknown to the object can be dated; null for `void`. */
  readonly admittedAt: number | null;
  readonly model: string | null;
  readonly accountId: AccountId | null;
  readonly status: number | null;
  readonly attempts: readonly Attempt[];
  readonly timings: Timings;
  /** Ids of what the account now holds for this wallet; absent: none, or an older Worker. */
  readonly heldIds?: readonly string[];
  /** Of these the answer's own id: there are so many that they are kept apart. */
  readonly messageId?: string;
  /** Accounts with the same word share their prompt cache; absent: the account has its own. */
  readonly cacheGroup?: string;
  /** What the account is said to cost for it; absent: as much as the user pays. */
  readonly accountNanos?: Nanos;
}

/** What stands in the row after the call: the first closing, at its best-known cost. */
export interface SettleAnswer {
  readonly closing: Closing;
  readonly certainty: Certainty;
  readonly costNanos: Nanos;
}

export interface ProgressCall {
  readonly seq: number;
  readonly requestId: RequestId;
  /** Rises by one a call; an older one changes nothing. */
  readonly n: number;
  readonly costNanos: Nanos;
  /** Whether any account has been called yet. */
  readonly dispatched: boolean;
  /** Input cost that the upstream has reported so far; absent: none yet. */
  readonly inputNanos?: Nanos;
  /** What the upstream has reported so far; absent: nothing yet. */
  readonly usage?: Usage;
  /** The account that was called last. */
  readonly accountId?: AccountId;
}

/** Asks to hold more output; absolute, so that repeats and overtakes do no harm. */
export interface ExtendCall {
  readonly seq: number;
  readonly requestId: RequestId;
  readonly heldOutputTokensUpTo: number;
}

/** `held` may be less than asked for, when no more is left; `refused`: nothing more is left. */
export type ExtendAnswer =
  | { readonly state: 'held'; readonly heldOutputTokensUpTo: number }
  | { readonly state: 'refused' }
  | Exclude<ProgressAnswer, { readonly state: 'open' }>;

/** `stop` and `closed` end the stream; what was used is then settled. */
export type ProgressAnswer =
  | { readonly state: 'open' }
  | { readonly state: 'stop'; readonly closing: 'revoked' | 'stopped' | 'cut-by-limit' }
  | { readonly state: 'closed'; readonly closing: Closing }
  | { readonly state: 'unknown' };

/** Asks that a running request be ended; who asks stands in its row. */
export interface StopCall {
  readonly requestId: RequestId;
  readonly actor: string;
}

/** `stopping`: its next sign of life, at most 15 s away, is answered with stop. */
export type StopAnswer =
  | { readonly state: 'stopping' }
  | { readonly state: 'closed'; readonly closing: Closing }
  | { readonly state: 'unknown' };

/** Money that comes in (or is taken back) by other ways than a request. */
export type EntryKind = 'grant' | 'redeem' | 'adjust' | 'refund' | 'correction';

export interface CreditCall {
  /** Idempotency: the same id is applied once. */
  readonly entryId: string;
  readonly kind: Exclude<EntryKind, 'correction'>;
  readonly amountNanos: Nanos;
  readonly reason: string;
  readonly actor: string;
}

export interface CreditAnswer {
  readonly applied: boolean;
  readonly balanceNanos: Nanos;
}

/** What a key's holder may know (`GET /api/v1/key-info`). */
export interface KeyInfo {
  readonly keyId: KeyId;
  readonly name: string;
  readonly status: 'active' | 'disabled' | 'deleted' | 'expired';
  readonly expiresAt: number | null;
  readonly walletId: WalletId;
  readonly balanceNanos: Nanos;
  readonly openRequests: number;
  /** All-time, of this key. */
  readonly usedNanos: Nanos;
  readonly requests: number;
  /** What the wallet's open requests hold together. An older object says no more from here on. */
  readonly heldNanos?: Nanos;
  /** Balance less holds. */
  readonly availableNanos?: Nanos;
  /** All-time, of this key: what requests cost above what was set aside for them. */
  readonly overrunNanos?: Nanos;
  /** Every limit that this key meets: its own, its user's, its wallet's. */
  readonly limits?: readonly LimitStanding[];
  /** What this key may be used for. */
  readonly scope?: KeyScope;
  readonly whenClientLeaves?: WhenClientLeaves;
}

/** What is left out is not restricted. */
export type KeyScope = Pick<LimitSet, 'models' | 'protocols' | 'clients' | 'addresses'>;

/** Who asks for what a key's holder may know. */
export interface HolderCall {
  readonly keyId: KeyId;
  /** SHA-256 of the whole key, base64url. */
  readonly keyHash: string;
}

/** The Ledger object as callers see it (platform/objects.ts gives the stub). */
export interface LedgerPort {
  admit(call: AdmitCall): Promise<AdmitAnswer>;
  extend(call: ExtendCall): Promise<ExtendAnswer>;
  progress(call: ProgressCall): Promise<ProgressAnswer>;
  settle(call: SettleCall): Promise<SettleAnswer>;
  credit(call: CreditCall): Promise<CreditAnswer>;
  /** Keeps each copy whose version is higher than the one held. */
  apply(copies: readonly Copy[]): Promise<void>;
  stop(call: StopCall): Promise<StopAnswer>;
  keyInfo(call: HolderCall): Promise<Result<KeyInfo, RelayError>>;
  /** The figures of a key whatever its status, for those who manage it. */
  keyFigures(call: Pick<HolderCall, 'keyId'>): Promise<Result<KeyInfo, RelayError>>;
  /** What the key's user has spent, and the caps on it, for `GET /api/oauth/usage`. */
  usage(call: HolderCall): Promise<Result<UsageDocument, RelayError>>;
  /** How the wallet stands; for its owner and for admins, as the reads that follow. */
  balance(): Promise<WalletBalance>;
  /** What moved the balance, newest first. A cursor that is none: `bad-request`. */
  statement(call: StatementCall): Promise<Result<StatementPage, RelayError>>;
  /** The wallet's requests, newest first. A cursor that is none: `bad-request`. */
  requests(call: RequestsCall): Promise<Result<RequestsPage, RelayError>>;
  /** One request with everything that is kept of it; null: not this wallet's, or too old. */
  request(requestId: RequestId): Promise<OwnRequestDetail | null>;
  /** Answers when the object can read its storage. */
  ping(): Promise<'ok'>;
}
