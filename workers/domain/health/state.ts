// What the Pool object knows of the accounts' health, and the bounds of it. A fold of reports,
// permits and instants, in memory; what must outlive the object is named in kept.ts. It is filled
// by report.ts and permits.ts and told by view.ts.

import type { Breaker } from '../breaker/breaker';
import { isIdle } from '../breaker/breaker';
import type { AccountId } from '../ids';
import type { Nanos } from '../money';
import type { SnapshotAccount } from '../snapshot';
import { providerOf } from '../snapshot';
import { MINUTE_MS, SECOND_MS } from '../time';
import type { Load, Mark, Subject } from './calls';
import { subjectName } from './calls';
import type { Spend } from './spend';

/** Busy isolates; beyond them the one that was silent longest is forgotten. */
export const ISOLATES_MAX = 5_000;
/** Permits at a time, slots included; beyond them none is given. */
export const PERMITS_MAX = 2_000;
/** Breakers that count anything; beyond them the one that is closed longest begins anew. */
export const BREAKERS_MAX = 2_000;
/** Names of accounts, families, models, providers: longer ones are not counted. */
export const NAME_CHARACTERS_MAX = 300;
/** What runs in an isolate counts no longer: signs of life come every 15 s, reports every 5 s. */
export const SILENT_MS = 25 * SECOND_MS;
/** Its last number is remembered for longer: a report may come that late a second time. */
const FORGOTTEN_MS = 5 * MINUTE_MS;
/** A permit that was not heard of for this long told nothing: its place is free again. */
export const PERMIT_LOST_MS = MINUTE_MS;
/** No call takes an exact place for longer, whatever its isolate says. */
const SLOT_MS_MAX = 2 * 60 * MINUTE_MS;
/** Marks of before a good probe or a reset are late, and ignored, for this long. */
const CLEARED_FOR_MS = MINUTE_MS;
const SWEEP_MS = SECOND_MS;

/** What of an account's settings its health depends on. */
export type KnownAccount = Pick<
  SnapshotAccount,
  'id' | 'isHard' | 'maxConcurrency' | 'dailyCapNanos' | 'monthlyCapNanos'
> & { readonly provider: string };

export interface BreakerEntry {
  readonly subject: Subject;
  readonly breaker: Breaker;
  /** Unix ms of the last call that it counted. */
  readonly usedAt: number;
}

interface Isolate {
  /** Number of the last report that was heard. */
  readonly n: number;
  readonly heardAt: number;
  readonly inFlight: Readonly<Record<string, number>>;
}

/** A call that was let through. */
export interface Permit {
  readonly isolate: string;
  readonly accountId: AccountId;
  readonly grantedAt: number;
  /** Unix ms of the last word of it or of its isolate. */
  readonly heardAt: number;
  /** Breakers that it probes, by name, with the opening that it was let through in. */
  readonly probes: readonly (readonly [name: string, at: number])[];
  /** Marks that it was let through in spite of, by name. */
  readonly marks: readonly string[];
  /** What it may cost of an exact limit; null: it takes no place. */
  readonly slotNanos: Nanos | null;
}

/** Mutable on purpose: one object, one writer, folded in place. */
export interface HealthState {
  /** Rises with all that an isolate must act upon. */
  version: number;
  /** What must outlive the object has changed since it was kept. */
  isUnsaved: boolean;
  /** By subject; those of breakers are not among them. */
  readonly marks: Map<string, Mark>;
  readonly breakers: Map<string, BreakerEntry>;
  readonly isolates: Map<string, Isolate>;
  readonly permits: Map<string, Permit>;
  /** Unix ms of the last last resort, by account. */
  readonly lastResorts: Map<AccountId, number>;
  /** Unix ms of a good probe by subject, of a reset by account id. */
  readonly cleared: Map<string, number>;
  readonly spend: Map<AccountId, Spend>;
  /** null: no snapshot has told. */
  accounts: ReadonlyMap<AccountId, KnownAccount> | null;
  /** As isolates were told last. */
  loads: { readonly at: number; readonly byAccount: Readonly<Record<string, Load>> };
  sweptAt: number;
}

/** Nothing known; versions go on from `version`. */
export function emptyHealth(version: number): HealthState {
  return {
    version,
    isUnsaved: false,
    marks: new Map(),
    breakers: new Map(),
    isolates: new Map(),
    permits: new Map(),
    lastResorts: new Map(),
    cleared: new Map(),
    spend: new Map(),
    accounts: null,
    loads: { at: 0, byAccount: {} },
    sweptAt: 0,
  };
}

/** Something has changed that isolates must hear of, and that must be kept. */
export function touch(state: HealthState, now: number): void {
  state.version = Math.max(state.version + 1, now);
  state.isUnsaved = true;
}

/** The accounts of the snapshot in force; what is known of others is forgotten. */
export function knowAccounts(
  state: HealthState,
  accounts: readonly SnapshotAccount[],
  now: number,
): void {
  state.accounts = new Map(
    accounts.map((account) => {
      const { id, isHard, maxConcurrency, dailyCapNanos, monthlyCapNanos } = account;
      const limits = { isHard, maxConcurrency, dailyCapNanos, monthlyCapNanos };
      return [id, { id, ...limits, provider: providerOf(account) }];
    }),
  );
  const providers = new Set([...state.accounts.values()].map(({ provider }) => provider));
  const isKnown = (subject: Subject): boolean =>
    subject.of === 'provider' ? providers.has(subject.provider) : isAccount(state, subject);
  let isChanged = false;
  for (const map of [state.marks, state.breakers]) {
    for (const [name, { subject }] of map) {
      if (!isKnown(subject)) isChanged = map.delete(name) || isChanged;
    }
  }
  for (const id of state.spend.keys()) {
    if (state.accounts.get(id) === undefined) state.spend.delete(id);
  }
  if (isChanged) touch(state, now);
}

function isAccount({ accounts }: HealthState, subject: Exclude<Subject, { of: 'provider' }>) {
  return accounts?.has(subject.accountId) ?? true;
}

/** Whether `accountId` is one of the snapshot's; true while there is no snapshot. */
export function isKnownAccount({ accounts }: HealthState, accountId: AccountId): boolean {
  return accounts?.has(accountId) ?? accountId.length <= NAME_CHARACTERS_MAX;
}

/** Whether a mark still says anything at `now` (Unix ms). */
export function isInForce({ until }: Pick<Mark, 'until'>, now: number): boolean {
  return until === null || now < until;
}

/** Puts the breaker of `subject` in its place, or makes place for it. */
export function putBreaker(
  state: HealthState,
  subject: Subject,
  entry: Omit<BreakerEntry, 'subject'>,
): void {
  const name = subjectName(subject);
  if (state.breakers.size >= BREAKERS_MAX && !state.breakers.has(name)) {
    const closed = [...state.breakers].filter(([, { breaker }]) => breaker.opening === null);
    const [oldest] = closed.toSorted(([, a], [, b]) => a.usedAt - b.usedAt);
    if (oldest === undefined) return;
    state.breakers.delete(oldest[0]);
  }
  state.breakers.set(name, { subject, ...entry });
}

/** Takes what is over out of memory; false: it was done within the last second. */
export function sweep(state: HealthState, now: number): boolean {
  if (Math.abs(now - state.sweptAt) < SWEEP_MS) return false;
  state.sweptAt = now;
  for (const [name, mark] of state.marks) {
    if (!isInForce(mark, now)) state.marks.delete(name);
  }
  for (const [name, { breaker }] of state.breakers) {
    if (isIdle(breaker, now)) state.breakers.delete(name);
  }
  for (const [name, { heardAt }] of state.isolates) {
    if (now - heardAt > FORGOTTEN_MS) state.isolates.delete(name);
  }
  for (const [name, at] of state.cleared) {
    if (now - at > CLEARED_FOR_MS) state.cleared.delete(name);
  }
  for (const [id, at] of state.lastResorts) {
    if (now - at > MINUTE_MS) state.lastResorts.delete(id);
  }
  return true;
}

/** Whether nobody will tell of this permit any more. */
export function isLost({ slotNanos, heardAt, grantedAt }: Permit, now: number): boolean {
  return now - heardAt > PERMIT_LOST_MS || (slotNanos !== null && now - grantedAt > SLOT_MS_MAX);
}

/** Places of an exact limit that are taken, and what they may still cost. */
export function slotsOf(
  state: HealthState,
  accountId: AccountId,
): { readonly count: number; readonly reservedNanos: number } {
  let count = 0;
  let reservedNanos = 0;
  for (const { accountId: id, slotNanos } of state.permits.values()) {
    if (id !== accountId || slotNanos === null) continue;
    count += 1;
    reservedNanos += slotNanos;
  }
  return { count, reservedNanos };
}
