// What a Ledger object tells of a wallet to those who may ask: its balance, its statement, its own
// requests. These calls write nothing and read a bounded number of rows. A page may therefore hold
// fewer items than were asked for and still name a next one; only `next: null` is the end.

import type { AccountId, KeyId, RequestId, UserId } from '../ids';
import type { Nanos } from '../money';
import type { PriceRow } from '../pricing/catalogue';
import type { TokenCounts, Usage, UsageFlag } from '../usage/tokens';
import type {
  Attempt,
  Certainty,
  Closing,
  EntryKind,
  RequestSizes,
  RequestTags,
  Timings,
} from './calls';
import type { LimitStanding } from './limited';

/** How a wallet stands now. */
export interface WalletBalance {
  readonly balanceNanos: Nanos;
  /** What open requests hold together. */
  readonly heldNanos: Nanos;
  /** Balance less holds. */
  readonly availableNanos: Nanos;
  /** Unix ms by the object's clock. */
  readonly asOf: number;
  readonly openCount: number;
  /** The oldest of them, at most 100. */
  readonly openRequests: readonly OpenRequest[];
  /** Every limit of the wallet's owner and of the wallet; those of keys are not among them. */
  readonly limits: readonly LimitStanding[];
}

/** A request that runs. */
export interface OpenRequest {
  readonly requestId: RequestId;
  readonly keyId: KeyId;
  readonly model: string;
  /** Unix ms. */
  readonly admittedAt: number;
  readonly heldNanos: Nanos;
  /** As of its last sign of life. */
  readonly costNanos: Nanos;
}

/**
 * `charge`: a request, at the cost of its first closing, dated by its admit. `older`: all requests
 * that are no longer kept, in one line. The others are entries.
 */
export const LINE_KINDS = [
  'charge',
  'grant',
  'redeem',
  'adjust',
  'refund',
  'correction',
  'older',
] as const satisfies readonly (EntryKind | 'charge' | 'older')[];
export type LineKind = (typeof LINE_KINDS)[number];

/** What moved the balance. */
export interface StatementLine {
  readonly kind: LineKind;
  /** Unix ms: admit of a request, posting of an entry. */
  readonly at: number;
  /** Signed: what the balance gained. */
  readonly amountNanos: Nanos;
  /** After this line; the newest line's is the present balance. */
  readonly balanceNanos: Nanos;
  /** Of a charge. */
  readonly request?: {
    readonly requestId: RequestId;
    readonly model: string;
    readonly closing: Closing;
    readonly certainty: Certainty;
    /** Unix ms. */
    readonly closedAt: number;
  };
  /** Of an entry. */
  readonly entry?: {
    readonly entryId: string;
    readonly reason: string;
    /** A user's or service token's id, or a word. */
    readonly actor: string;
  };
  /** Of a charge and of its correction. */
  readonly keyId?: KeyId;
}

/** Which of them are told; what is left out does not filter. The balances are true all the same. */
export interface StatementFilter {
  readonly kinds?: readonly LineKind[];
  readonly keyId?: KeyId;
  /** Unix ms, included. */
  readonly since?: number;
  /** Unix ms, not included. */
  readonly until?: number;
}

export interface StatementCall extends StatementFilter {
  /** `next` of the page before; absent: from the newest on. */
  readonly before?: string;
  /** 1 to 500. */
  readonly limit: number;
}

export interface StatementPage {
  /** Newest first. */
  readonly lines: readonly StatementLine[];
  /** null: this was the last page. */
  readonly next: string | null;
}

export interface RequestsCall {
  /** `next` of the page before; absent: from the newest on. */
  readonly before?: string;
  /** 1 to 500. */
  readonly limit: number;
  readonly keyId?: KeyId;
  /** As served, or as asked for. */
  readonly model?: string;
  /** `open`: those that run. */
  readonly closing?: Closing | 'open';
  /** Unix ms of admit, included. */
  readonly since?: number;
  /** Unix ms of admit, not included. */
  readonly until?: number;
}

export interface RequestsPage {
  /** Newest first. */
  readonly requests: readonly OwnRequest[];
  /** null: this was the last page. */
  readonly next: string | null;
}

/** A request as its wallet knows it, by the best-known figures. */
export interface OwnRequest {
  readonly requestId: RequestId;
  readonly keyId: KeyId;
  /** null: the object never admitted it. */
  readonly userId: UserId | null;
  /** Unix ms. */
  readonly admittedAt: number;
  /** Unix ms; null: it runs. */
  readonly closedAt: number | null;
  /** As served; where nothing said so, as asked for; else ''. */
  readonly model: string;
  /** null: it runs. */
  readonly closing: Closing | null;
  readonly certainty: Certainty | null;
  /** HTTP status of the upstream's answer; null: none, or not known. */
  readonly status: number | null;
  /** Of one that runs, as of its last sign of life. */
  readonly costNanos: Nanos;
  /** 0 once it is closed. */
  readonly heldNanos: Nanos;
  /** Sums over all attempts that are paid. */
  readonly counts: TokenCounts;
  readonly flags: readonly UsageFlag[];
  readonly accountId: AccountId | null;
  readonly timings: Timings | null;
  readonly tags: RequestTags;
}

/** Everything that is kept of a request. */
export interface OwnRequestDetail extends OwnRequest {
  /** As admitted; null: the object never admitted it. */
  readonly opened: {
    /** Alias resolved. */
    readonly model: string;
    readonly price: PriceRow;
    readonly pricesVersion: number;
    readonly sizes: RequestSizes;
    readonly likelyInputNanos: Nanos;
  } | null;
  readonly attempts: readonly Attempt[];
  /** By model and terms, as it is priced; null: not known. */
  readonly usage: Usage | null;
  /** The first closing, which stands in the statement; null: it runs. */
  readonly first: {
    readonly closing: Closing;
    readonly certainty: Certainty;
    readonly costNanos: Nanos;
  } | null;
  /** What was learned later, oldest first. */
  readonly corrections: readonly {
    /** Unix ms. */
    readonly at: number;
    /** Signed: what the balance gained. */
    readonly amountNanos: Nanos;
    readonly reason: string;
  }[];
  /** What was set aside, as it last stood; null: nothing ever was. */
  readonly hold: {
    readonly inputNanos: Nanos;
    readonly toolsNanos: Nanos;
    readonly outputNanos: Nanos;
    readonly heldOutputTokensUpTo: number;
    /** U: what input and server tools cost at most. */
    readonly boundNanos: Nanos;
  } | null;
  /** What it cost above what was set aside. */
  readonly overrunNanos: Nanos;
  /** Of the cost, what writing a cache again came to that another account had. */
  readonly movedNanos: Nanos;
  /** The account that had it; null: there was no move, or none that cost anything. */
  readonly movedFrom: AccountId | null;
  /** What the account is said to cost for it; null: as much as the user pays, or not known. */
  readonly accountNanos: Nanos | null;
  /** Who asked that it be ended while it ran; null: nobody. */
  readonly stoppedBy: string | null;
}
