// What the Pool object hands to an isolate: everything that the relay needs to know of accounts,
// prices and settings without ever asking D1. One version covers the whole.

import type { RelayError } from './errors';
import type {
  AccountState,
  Health,
  PermitAnswer,
  PermitCall,
  Report,
  ReportAnswer,
  ResetCall,
  SpendCall,
} from './health/calls';
import type { AccountId } from './ids';
import type { Nanos } from './money';
import type { Catalogue, Factor, PriceRow } from './pricing/catalogue';
import type { Region } from './region';
import type { Result } from './result';

/** AES-256-GCM under the named master key, the account id as additional data. All base64. */
export interface SealedCredential {
  readonly keyVersion: string;
  readonly iv: string;
  readonly ciphertext: string;
}

/** Kinds of upstream that exist today; the registry is exhaustive over this list. */
export const ACCOUNT_KINDS = [
  'anthropic',
  'anthropic-compatible',
  'aws',
  'bedrock',
  'bedrock-mantle',
  'vertex',
  'foundry',
] as const;
export type AccountKind = (typeof ACCOUNT_KINDS)[number];

/** When an account takes new requests, by the clocks of a time zone. */
export interface ActiveHours {
  /** IANA name. */
  readonly timeZone: string;
  /** 0 is Sunday. */
  readonly days: readonly number[];
  /** Minutes after midnight, 0 to 1440; an end before its start is on the next day. */
  readonly fromMinute: number;
  readonly toMinute: number;
}

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
  /** Public model → the name that this account calls it by; others keep theirs. */
  readonly modelNames: Readonly<Record<string, string>>;
  /** Of the cloud; null where the kind has none. */
  readonly region: string | null;
  /** Google Cloud project or Foundry resource; null where the kind has none. */
  readonly project: string | null;
  /** Anthropic workspace that requests are made in; null: the credential's own. */
  readonly workspace: string | null;
  /** Labels that keys and users may be bound to; not the prompt cache's `group`. */
  readonly groups: readonly string[];
  /** Requests at once; null: no limit. */
  readonly maxConcurrency: number | null;
  readonly dailyCapNanos: Nanos | null;
  readonly monthlyCapNanos: Nanos | null;
  /** Caps and concurrency are exact, at the price of an awaited call for each request. */
  readonly isHard: boolean;
  /** null: always. */
  readonly activeHours: ActiveHours | null;
  /** Requests leave from an object in this region; null: from where they arrive. */
  readonly egress: Region | null;
  /** What the account is said to cost, relative to the price; never what the user pays. */
  readonly costFactor: Factor;
  /** What the account is said to cost for these models, before `costFactor`. */
  readonly ownPrices: readonly PriceRow[];
  /** An admin has said that a host may be called which is not the kind's own; absent: no. */
  readonly allowsOtherHost?: boolean;
}

/** An account on which nothing is set but what it must have. */
export const ACCOUNT_DEFAULTS = {
  status: 'active',
  group: null,
  weight: 1,
  priority: 0,
  models: null,
  modelNames: {},
  region: null,
  project: null,
  workspace: null,
  groups: [],
  maxConcurrency: null,
  dailyCapNanos: null,
  monthlyCapNanos: null,
  isHard: false,
  activeHours: null,
  egress: null,
  costFactor: [1, 1],
  ownPrices: [],
} as const satisfies Omit<SnapshotAccount, 'id' | 'name' | 'kind' | 'baseUrl' | 'credential'>;

/** Whose overload it is when an account says that it is overloaded: accounts there share it. */
export function providerOf({ kind, baseUrl }: Pick<SnapshotAccount, 'kind' | 'baseUrl'>): string {
  switch (kind) {
    case 'anthropic':
    case 'aws':
    case 'bedrock':
    case 'vertex':
    case 'foundry':
      return kind;
    case 'bedrock-mantle':
      // Two doors to the same machines.
      return 'bedrock';
    case 'anthropic-compatible':
      // Each host is a provider of its own; `https://` and a path are none of its name.
      return `compatible:${baseUrl.split('/')[2] ?? baseUrl}`;
  }
}

/** What an admin sets for the relay path as a whole. */
export interface RelaySettings {
  /** Countries (ISO 3166, upper case) from which a request may be sent on from elsewhere. */
  readonly egressCountries: readonly string[];
  /** Where such a request leaves from. */
  readonly egressRegion: Region;
  /** How long a stream may be without headers, by model; others: 30 s. */
  readonly headerTimeoutMs: Readonly<Record<string, number>>;
}

/** The isolate's whole picture at one version. */
export interface Snapshot {
  readonly version: number;
  readonly accounts: readonly SnapshotAccount[];
  readonly catalogue: Catalogue;
  /** Absent in one that was stored before there were any: then the defaults. */
  readonly settings?: RelaySettings;
}

/** With the snapshot, whether anybody watches the relay; absent: nobody, or an older object. */
export type SnapshotAnswer = Result<Snapshot | 'unchanged', RelayError> & {
  /** Isolates tell the Live object of their requests until then, in Unix ms. */
  readonly live?: { readonly until: number };
  /** How the accounts are; absent: as the caller knows it, or an older object. */
  readonly health?: Health;
};

/** The part of the Pool object that looks after the accounts' health. */
export interface PoolHealthPort {
  /** What an isolate has seen of the accounts; answers with how they are now. */
  report(report: Report): Promise<ReportAnswer>;
  /** The right to call an account that is held back, or that counts exactly. */
  permit(call: PermitCall): Promise<PermitAnswer>;
  /** Every account's state with its reason, for admins. */
  states(): Promise<readonly AccountState[]>;
  /** Forgets what holds an account back, its provider's overload included. */
  reset(call: ResetCall): Promise<void>;
  /** The sums of D1, which correct what isolates have told. */
  spentAsOf(call: SpendCall): Promise<void>;
}

/** The Pool object as callers see it (platform/objects.ts gives the stub). */
export interface PoolPort extends PoolHealthPort {
  /**
   * `unchanged` when the caller's version is the one in force. `health` comes when the caller's
   * version of it is another one; a caller that names none gets none.
   */
  snapshot(version: number | null, healthVersion?: number | null): Promise<SnapshotAnswer>;
  /** After a change in D1: re-read the whole from the primary if `version` is higher. */
  refresh(version: number): Promise<void>;
  /** Answers when the object holds a snapshot or can load one. */
  ping(): Promise<'ok' | 'empty'>;
  /** Somebody watches until then (Unix ms), or longer if it is said again; null: nobody. */
  setLive(until: number | null): Promise<void>;
}
