// What answers have said outright of an account: merged, bounded, and taken away again. Breakers
// have marks of their own, which view.ts makes.

import type { AccountId } from '../ids';
import type { SnapshotAccount } from '../snapshot';
import { providerOf } from '../snapshot';
import { HOUR_MS } from '../time';
import type { Mark, Subject } from './calls';
import { subjectName } from './calls';
import type { HealthState } from './state';
import { isInForce, isKnownAccount, NAME_CHARACTERS_MAX, touch } from './state';

/** Of all accounts together; beyond them those that end first go, the least weighty kind first. */
export const MARKS_MAX = 2_000;
/** Users choose the names of models: one account's marks of them must not push out others'. */
export const MODEL_MARKS_MAX = 20;
/** Cloudflare has some 330 places. */
export const COLO_MARKS_MAX = 500;
/** A place is tried again each day. */
const ELSEWHERE_MS_MAX = 24 * HOUR_MS;

/**
 * Merges `mark` in: of two about one subject the one that holds for longer stays. What is over,
 * what is older than a good probe or a reset, and what is a breaker's to say, is ignored.
 */
export function mergeMark(state: HealthState, given: Mark, now: number): void {
  const mark = bounded(given, now);
  const { subject } = mark;
  if (mark.state === 'open' || subject.of === 'provider' || !isInForce(mark, now)) return;
  const name = subjectName(subject);
  if (name.length > NAME_CHARACTERS_MAX || !isKnownAccount(state, subject.accountId)) return;
  if (isCleared(state, subject.accountId, mark) || isCleared(state, name, mark)) return;
  const held = state.marks.get(name);
  if (held !== undefined && isInForce(held, now)) {
    if (endOf(held) >= endOf(mark)) return;
    const isSame = held.state === mark.state && held.reason === mark.reason;
    state.marks.set(name, isSame ? { ...mark, since: held.since } : mark);
  } else {
    state.marks.set(name, mark);
    makeRoom(state, subject, now);
  }
  touch(state, now);
}

/** An isolate's clock may be ahead: nothing has begun later than now. */
function bounded(mark: Mark, now: number): Mark {
  const since = Math.min(mark.since, now);
  if (mark.state !== 'elsewhere') return { ...mark, since };
  return { ...mark, since, until: Math.min(endOf(mark), now + ELSEWHERE_MS_MAX) };
}

function endOf({ until }: Pick<Mark, 'until'>): number {
  return until ?? Number.POSITIVE_INFINITY;
}

function isCleared({ cleared }: HealthState, name: string, { since }: Mark): boolean {
  const at = cleared.get(name);
  return at !== undefined && since <= at;
}

const WEIGHTS = { colo: 0, model: 1, provider: 2, family: 3, account: 4 } as const;

function makeRoom(state: HealthState, subject: Subject, now: number): void {
  const alike = [...state.marks].filter(([, mark]) => isAlike(mark.subject, subject));
  if (subject.of === 'model') drop(state, alike, MODEL_MARKS_MAX);
  if (subject.of === 'colo') drop(state, alike, COLO_MARKS_MAX);
  if (state.marks.size <= MARKS_MAX) return;
  for (const [name, mark] of state.marks) {
    if (!isInForce(mark, now)) state.marks.delete(name);
  }
  drop(state, [...state.marks], MARKS_MAX);
}

function isAlike(one: Subject, other: Subject): boolean {
  if (one.of === 'model' && other.of === 'model') return one.accountId === other.accountId;
  return one.of === other.of;
}

function drop(state: HealthState, marks: readonly (readonly [string, Mark])[], most: number) {
  const first = marks.toSorted(
    ([, a], [, b]) => WEIGHTS[a.subject.of] - WEIGHTS[b.subject.of] || endOf(a) - endOf(b),
  );
  for (const [name] of first.slice(0, Math.max(0, marks.length - most))) state.marks.delete(name);
}

/** A probe was good that was let through at `grantedAt`: what was said before is over. */
export function clearMark(
  state: HealthState,
  name: string,
  { grantedAt, now }: { readonly grantedAt: number; readonly now: number },
): void {
  const mark = state.marks.get(name);
  if (mark === undefined || mark.since > grantedAt) return;
  state.marks.delete(name);
  state.cleared.set(name, grantedAt);
  touch(state, now);
}

/** Forgets what holds the account back, its provider's overload included. `now` in Unix ms. */
export function resetAccount(
  state: HealthState,
  account: Pick<SnapshotAccount, 'id' | 'kind' | 'baseUrl'>,
  now: number,
): void {
  const provider = providerOf(account);
  const isMeant = (subject: Subject): boolean =>
    subject.of === 'provider' ? subject.provider === provider : isOf(subject, account.id);
  for (const map of [state.marks, state.breakers]) {
    for (const [name, { subject }] of map) if (isMeant(subject)) map.delete(name);
  }
  state.lastResorts.delete(account.id);
  state.cleared.set(account.id, now);
  touch(state, now);
}

/** Whether the subject is the account or a part of it. */
export function isOf(subject: Subject, accountId: AccountId): boolean {
  return subject.of !== 'provider' && subject.accountId === accountId;
}
