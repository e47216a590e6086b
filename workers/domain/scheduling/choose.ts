// Which accounts may serve a request, best first, and how each of them stands now. A conversation
// gets the same list at every edge; what fails or recovers changes only how its entries stand. It
// calls nobody and remembers nothing.

import type { Load, Mark, Subject } from '../health/calls';
import type { AccountId } from '../ids';
import type { SnapshotAccount } from '../snapshot';
import { providerOf } from '../snapshot';
import { isActiveAt } from './active-hours';
import { rank } from './rendezvous';

/** What a choice must know of the request. */
export interface Asked {
  /** Names the conversation, or the request where no conversation can be told. */
  readonly tag: string;
  /** The catalogue's id; null for a request that names none. */
  readonly model: string | null;
  readonly family: string | null;
  /** Of each of these sets the account must carry a label. */
  readonly groups: readonly (readonly string[])[];
  /** Who answered this conversation last, while its prompt cache may be warm; null: nobody. */
  readonly warm: AccountId | null;
  /** Who holds what the body names: nobody else may be called; null: it names nothing. */
  readonly owner: AccountId | null;
  /** Where the isolate runs; null: not known. */
  readonly colo: string | null;
  /** Unix ms. */
  readonly now: number;
}

/** How accounts are, and what their kinds can do. */
export interface Views {
  readonly markOf: (subject: Subject) => Mark | null;
  /** false: there is no mark of this account at all, so none is looked for; absent: not known. */
  readonly isMarked?: (accountId: AccountId) => boolean;
  readonly loadOf: (accountId: AccountId) => Load;
  /** What of this request the account's kind cannot take, in words; null: nothing. */
  readonly refusalOf: (account: SnapshotAccount) => string | null;
}

/**
 * `cooling` until an instant; `half-open`: by a probe's permit; `shut`: by a last resort's permit,
 * when nothing else is left.
 */
export type Standing = 'ready' | 'cooling' | 'half-open' | 'shut';

export interface Candidate {
  readonly account: SnapshotAccount;
  readonly provider: string;
  readonly standing: Standing;
  /** Unix ms at which that ends by itself; null: it does not, or it is ready. */
  readonly until: number | null;
  /** What holds it back: a permit must name all of it. */
  readonly held: readonly Subject[];
  /** It refuses this place: calls leave through another region. */
  readonly isElsewhere: boolean;
}

/** Why an account is not on the list at all. */
export type Absence =
  | 'status'
  | 'model'
  | 'group'
  | 'hours'
  | 'cap'
  | 'concurrency'
  | 'owner'
  | { readonly cannot: string };

export interface Choice {
  /** Best first. */
  readonly candidates: readonly Candidate[];
  readonly absent: readonly { readonly account: SnapshotAccount; readonly why: Absence }[];
}

/** Pure; fewer than 50 µs for 50 accounts (bench/choosing.mjs). */
export function choose(accounts: readonly SnapshotAccount[], asked: Asked, views: Views): Choice {
  const absent: Choice['absent'][number][] = [];
  const tiers = new Map<number, SnapshotAccount[]>();
  for (const account of accounts) {
    const why = absenceOf(account, asked, views);
    if (why !== null) {
      absent.push({ account, why });
      continue;
    }
    const tier = tiers.get(account.priority);
    if (tier === undefined) tiers.set(account.priority, [account]);
    else tier.push(account);
  }
  const warm = accounts.find(({ id }) => id === asked.warm) ?? null;
  const marksOf = marksIn(views, asked);
  const candidates = [...tiers]
    .toSorted(([one], [other]) => one - other)
    .flatMap(([, tier]) => warmFirst(ranked(asked.tag, tier), warm))
    .map((account) => candidateOf(account, marksOf(account), asked.now));
  return { candidates, absent };
}

/** Weight 0 takes no conversation by choice; it still serves those that are its own. */
function ranked(tag: string, tier: readonly SnapshotAccount[]): readonly SnapshotAccount[] {
  return [...rank(tag, tier), ...tier.filter(({ weight }) => weight <= 0)];
}

/**
 * A conversation stays with the account that answered it last: going back to a first choice that
 * has recovered would lose the cache a second time. Where that account is not to be had, those
 * that share its cache are next. Within a tier only: a tier is an admin's word.
 */
function warmFirst(
  tier: readonly SnapshotAccount[],
  warm: SnapshotAccount | null,
): readonly SnapshotAccount[] {
  if (warm === null) return tier;
  const own: SnapshotAccount[] = [];
  const mates: SnapshotAccount[] = [];
  const others: SnapshotAccount[] = [];
  for (const account of tier) {
    if (account === warm) own.push(account);
    else if (warm.group !== null && account.group === warm.group) mates.push(account);
    else others.push(account);
  }
  return [...own, ...mates, ...others];
}

function absenceOf(account: SnapshotAccount, asked: Asked, views: Views): Absence | null {
  const { id, status, models, weight } = account;
  const isItsOwn = asked.warm === id || asked.owner === id;
  if (asked.owner !== null && asked.owner !== id) return 'owner';
  if (status === 'disabled') return 'status';
  if (!isItsOwn && (status === 'draining' || weight <= 0)) return 'status';
  if (asked.model !== null && models !== null && !models.includes(asked.model)) return 'model';
  if (!asked.groups.every((set) => set.some((label) => account.groups.includes(label)))) {
    return 'group';
  }
  if (!isActiveAt(account.activeHours, asked.now)) return 'hours';
  const cannot = views.refusalOf(account);
  if (cannot !== null) return { cannot };
  return overloadOf(account, views);
}

/**
 * Soft: counted some seconds late. Where limits are exact a slot is asked for instead; a cap that
 * was reached stays so until its day or month ends, so there is no need to ask for that.
 */
function overloadOf(account: SnapshotAccount, { loadOf }: Views): 'cap' | 'concurrency' | null {
  const { id, isHard, dailyCapNanos, monthlyCapNanos } = account;
  const maxConcurrency = isHard ? null : account.maxConcurrency;
  if (maxConcurrency === null && dailyCapNanos === null && monthlyCapNanos === null) return null;
  const { inFlight, dayNanos, monthNanos } = loadOf(id);
  if (dailyCapNanos !== null && dayNanos >= dailyCapNanos) return 'cap';
  if (monthlyCapNanos !== null && monthNanos >= monthlyCapNanos) return 'cap';
  return maxConcurrency !== null && inFlight >= maxConcurrency ? 'concurrency' : null;
}

function candidateOf(account: SnapshotAccount, marks: readonly Mark[], now: number): Candidate {
  let standing: Standing = 'ready';
  let until: number | null = null;
  let isElsewhere = false;
  const held: Subject[] = [];
  for (const mark of marks) {
    if (mark.state === 'elsewhere') isElsewhere ||= mark.until === null || now < mark.until;
    const stands = standingOf(mark, now);
    if (stands === 'ready') continue;
    held.push(mark.subject);
    if (WEIGHT[stands] < WEIGHT[standing]) continue;
    until = WEIGHT[stands] > WEIGHT[standing] ? mark.until : later(until, mark.until);
    standing = stands;
  }
  return { account, provider: providerOf(account), standing, until, held, isElsewhere };
}

const WEIGHT = { ready: 0, 'half-open': 1, cooling: 2, shut: 3 } as const;

function standingOf({ state, until }: Mark, now: number): Standing {
  const isOver = until !== null && until <= now;
  switch (state) {
    case 'cooling':
      return isOver ? 'ready' : 'cooling';
    case 'out':
      return isOver ? 'ready' : 'shut';
    case 'open':
      return isOver ? 'half-open' : 'shut';
    case 'elsewhere':
      return 'ready';
  }
}

/** null is never over, so later than any instant. */
function later(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : Math.max(one, other);
}

const NONE: readonly Mark[] = [];

/** The marks that matter to what is asked: this is most of a choice's time, so each once. */
function marksIn(views: Views, asked: Asked): (account: SnapshotAccount) => readonly Mark[] {
  const overloads = new Map<string, readonly Mark[]>();
  return (account) => {
    const provider = providerOf(account);
    let overload = overloads.get(provider);
    if (overload === undefined) {
      overload = found(views, providerSubjects(provider, asked));
      overloads.set(provider, overload);
    }
    if (views.isMarked?.(account.id) === false) return overload;
    const own = found(views, subjectsOf(account.id, asked));
    return own.length === 0 ? overload : [...own, ...overload];
  };
}

function found({ markOf }: Views, subjects: readonly Subject[]): readonly Mark[] {
  let marks: Mark[] | null = null;
  for (const subject of subjects) {
    const mark = markOf(subject);
    if (mark !== null) (marks ??= []).push(mark);
  }
  return marks ?? NONE;
}

function providerSubjects(provider: string, { model }: Asked): readonly Subject[] {
  return model === null ? [] : [{ of: 'provider', provider, model }];
}

function subjectsOf(accountId: AccountId, { model, family, colo }: Asked): readonly Subject[] {
  const subjects: Subject[] = [{ of: 'account', accountId }];
  if (model !== null) subjects.push({ of: 'model', accountId, model });
  if (model !== null && family !== null) subjects.push({ of: 'family', accountId, family });
  if (colo !== null) subjects.push({ of: 'colo', accountId, colo });
  return subjects;
}
