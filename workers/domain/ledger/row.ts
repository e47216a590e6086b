// One request, one row: opened by admit, closed once. Everything else that the ledger knows of
// money is a fold over these rows and over entries.

import type { AccountId, KeyId, RequestId, UserId } from '../ids';
import type { Nanos } from '../money';
import type { PriceRow } from '../pricing/catalogue';
import type { Usage } from '../usage/tokens';
import type {
  Attempt,
  Certainty,
  Closing,
  EntryKind,
  RequestSizes,
  RequestTags,
  Timings,
} from './calls';
import type { Hold } from './hold';
import type { WarmCache } from './warm';

/** What ties a request to an account; each is absent where nothing does. */
export interface Ties {
  /** Holds what the request names. */
  readonly owner?: AccountId;
  /** Of that, what was not used lately: its life begins again. */
  readonly usedIds?: readonly string[];
  /** Answered the conversation last. */
  readonly warm?: WarmCache;
}

/** What admit wrote down: enough to answer the same lease again. */
export interface Opened extends Ties {
  readonly requestId: RequestId;
  readonly keyId: KeyId;
  readonly userId: UserId;
  readonly model: string;
  readonly price: PriceRow;
  readonly pricesVersion: number;
  readonly likelyInputNanos: Nanos;
  readonly sizes: RequestSizes;
  readonly conversation: string | null;
  readonly tags: RequestTags;
}

/**
 * What settle (or the alarm) wrote down: the details beside the columns that money is read from.
 */
export interface Closed {
  /** As the settle with these details named it: after a correction not the row's first closing. */
  readonly closing: Closing;
  readonly usage: Usage;
  readonly model: string | null;
  readonly accountId: AccountId | null;
  readonly status: number | null;
  readonly attempts: readonly Attempt[];
  readonly timings: Timings | null;
  /** As the settle named them, cut to what a row keeps. */
  readonly heldIds?: readonly string[];
  readonly messageId?: string;
  readonly cacheGroup?: string;
  readonly accountNanos?: Nanos;
  /** Of the cost, what writing a cache again came to that another account had; absent: nothing. */
  readonly movedNanos?: Nanos;
}

/** The money part of a closing. */
export interface Outcome {
  readonly closing: Closing;
  readonly certainty: Certainty;
  readonly costNanos: Nanos;
  /** Unix ms by the object's clock. */
  readonly closedAt: number;
}

/** Last sign of life of an open request. */
export interface Progress {
  readonly n: number;
  readonly costNanos: Nanos;
  readonly dispatched: boolean;
  /** Absent: nothing was known of it yet. */
  readonly details?: ProgressDetails;
}

/** What a request that never ends is closed with, beside its cost. */
export interface ProgressDetails {
  readonly usage?: Usage;
  readonly accountId?: AccountId;
}

/** What is set aside for a request, and what it was admitted with. */
export interface RowHold {
  /** As it stands now; after the closing as it last stood. */
  readonly parts: Hold;
  /** U: what input and server tools cost at most. */
  readonly boundNanos: Nanos;
  /** What admit set aside for them; less than U at a low balance. */
  readonly setAsideNanos: Nanos;
  /** Upper bound of the prompt, without what server tools add. */
  readonly inputTokens: number;
  readonly outputTokensMax: number;
  readonly outputPicosPerToken: number;
  /** The input cost is to be reported as soon as it is known. */
  readonly reportInput: boolean;
}

export interface RequestRow {
  readonly seq: number;
  readonly requestId: RequestId;
  readonly keyId: KeyId;
  readonly admittedAt: number;
  readonly leaseUntil: number;
  /** null only in a row that a settle wrote for a request that the object never admitted. */
  readonly opened: Opened | null;
  readonly progress: Progress | null;
  /** Absent: nothing was ever held, as for a request that was never admitted. */
  readonly hold?: RowHold;
  /** Who asked that it be ended while it ran. */
  readonly stoppedBy?: string;
  /** The first closing; never changes. */
  readonly outcome: Outcome | null;
  /** The best-known figure: equals `outcome` until a settle of higher certainty corrects it. */
  readonly known: { readonly certainty: Certainty; readonly costNanos: Nanos } | null;
  readonly closed: Closed | null;
}

/** Money that moved by another way than a request, or the correction of one. */
export interface Entry {
  /** Row number, rising. */
  readonly n: number;
  readonly entryId: string;
  readonly kind: EntryKind;
  /** Signed: what the balance gains. */
  readonly amountNanos: Nanos;
  readonly at: number;
  readonly keyId: KeyId | null;
  readonly reason: string;
  readonly actor: string;
  /** Of a correction: what the row was and what it became. Older entries do not say. */
  readonly change?: Correction;
}

/** A closed row before and after a settle that knew more. */
export interface Correction {
  readonly before: RequestRow;
  readonly after: RequestRow;
}
