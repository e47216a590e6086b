// The words between isolates and the Pool object about how accounts are: what each isolate has
// seen, what holds an account back, and who may call it all the same. Across a deploy an old Worker
// may speak to a new object: fields are only ever added, and added ones are optional.

import type { AccountId } from '../ids';
import type { Nanos } from '../money';

/** What a mark or a breaker is about. */
export type Subject =
  | { readonly of: 'account'; readonly accountId: AccountId }
  /** One family of models (`opus`, …) at one account. */
  | { readonly of: 'family'; readonly accountId: AccountId; readonly family: string }
  | { readonly of: 'model'; readonly accountId: AccountId; readonly model: string }
  /** Everybody's overload: all accounts of one provider, for one model. */
  | { readonly of: 'provider'; readonly provider: string; readonly model: string }
  /** An account that refuses the data centre which the isolate runs in. */
  | { readonly of: 'colo'; readonly accountId: AccountId; readonly colo: string };

/** One text a subject, for maps. */
export function subjectName(subject: Subject): string {
  switch (subject.of) {
    case 'account':
      return `account ${subject.accountId}`;
    case 'family':
      return `family ${subject.accountId} ${subject.family}`;
    case 'model':
      return `model ${subject.accountId} ${subject.model}`;
    case 'provider':
      return `provider ${subject.provider} ${subject.model}`;
    case 'colo':
      return `colo ${subject.accountId} ${subject.colo}`;
  }
}

/**
 * `cooling`: no call before `until`, and then as ever. `out`: no call but probes by permit. `open`:
 * no call before `until`, then probes by permit until enough of them were good. `elsewhere`: calls
 * leave through another region.
 */
export type MarkState = 'cooling' | 'out' | 'open' | 'elsewhere';

/** What holds a subject back. */
export interface Mark {
  readonly subject: Subject;
  readonly state: MarkState;
  /** Name of the failure, as attempts name it (scheduling/failure.ts). */
  readonly reason: string;
  /** Unix ms. */
  readonly since: number;
  /** Unix ms; null: until a probe is good, or an admin resets it. */
  readonly until: number | null;
}

/** What an account carries, counted over all isolates: approximate, rather too high. */
export interface Load {
  readonly inFlight: number;
  /** Since midnight UTC, and since the month began (UTC). */
  readonly dayNanos: Nanos;
  readonly monthNanos: Nanos;
}

/** How the accounts are. */
export interface Health {
  /** Of its own: it never goes to D1. */
  readonly version: number;
  readonly marks: readonly Mark[];
  /** By account id; absent: nothing. */
  readonly loads: Readonly<Record<string, Load>>;
}

export const NO_HEALTH: Health = { version: 0, marks: [], loads: {} };

/** Calls of one account for one model since the isolate's last report. */
export interface Tally {
  readonly accountId: AccountId;
  readonly provider: string;
  readonly family: string;
  readonly model: string;
  /** Answers that count for the account. A client's own fault counts nowhere. */
  readonly successes: number;
  readonly failures: number;
  /** Said to be overloaded: counts against the provider, not the account. */
  readonly overloads: number;
  /** What the account is said to have cost, attempts that nobody paid for included. */
  readonly costNanos: Nanos;
  readonly absorbedNanos: Nanos;
}

/** A call that was made by a permit, and how it ended; null: the answer told nothing of it. */
export interface ProbeResult {
  readonly permit: string;
  readonly isGood: boolean | null;
  /** The call goes on: what it takes of an exact limit stays taken until it is told of again. */
  readonly isRunning?: true;
}

/** Sums of one isolate. */
export interface Report {
  /** Chosen at random by the isolate when it began. */
  readonly isolate: string;
  /** Rises by one a report; one that was heard already changes nothing. */
  readonly n: number;
  readonly tallies: readonly Tally[];
  /** What answers said outright: cooldowns, accounts that are out. */
  readonly marks: readonly Mark[];
  readonly probes: readonly ProbeResult[];
  /** Calls that run now, by account id; absolute, forgotten when the isolate is silent. */
  readonly inFlight: Readonly<Record<string, number>>;
  readonly healthVersion: number | null;
  /** Permits that are in use; absent: not told, by an isolate of before. */
  readonly permits?: readonly string[];
}

export interface ReportAnswer {
  readonly health: Health | 'unchanged';
}

/**
 * `probe`: of something half open. `last-resort`: of something that is out, because nothing else is
 * left. `slot`: of an account whose limits are exact.
 */
export type PermitKind = 'probe' | 'last-resort' | 'slot';

export interface PermitCall {
  readonly isolate: string;
  readonly kind: PermitKind;
  readonly accountId: AccountId;
  /** What holds the account back for this request: all of it must let the call through. */
  readonly subjects: readonly Subject[];
  /** What the call can cost at most, where the account's caps are exact; absent: nothing. */
  readonly reserveNanos?: Nanos;
}

export type PermitAnswer =
  | { readonly granted: true; readonly permit: string }
  | { readonly granted: false };

/** How one account stands, for people. */
export interface AccountState {
  readonly accountId: AccountId;
  /** `ready` when nothing of it is held back as a whole. */
  readonly state: 'ready' | MarkState;
  /** Everything that holds it or a part of it back, its provider's overload included. */
  readonly marks: readonly Mark[];
  readonly load: Load;
}

/** What accounts have cost by the sums of D1, which replace what was counted meanwhile. */
export interface SpendCall {
  /** Unix ms at which the sums were taken. */
  readonly asOf: number;
  /** What is counted of accounts that are not among them stays as it is. */
  readonly sums: readonly SpendSum[];
}

export interface SpendSum {
  readonly accountId: AccountId;
  /** Since midnight, and since the month began (UTC); attempts that nobody paid for included. */
  readonly dayNanos: Nanos;
  readonly monthNanos: Nanos;
}

export interface ResetCall {
  readonly accountId: AccountId;
  /** Who asked, for the log. */
  readonly actor: string;
}
