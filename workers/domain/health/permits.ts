// Who may call an account that is held back, or whose limits are exact: permits given, and what
// becomes of them. A permit is given in one step, all that holds the account back together; it is
// counted until its end was told, or nobody can tell it any more.

import { mayProbe, phaseOf, withProbe, withProbeEnd } from '../breaker/breaker';
import { subjectName } from './calls';
import type { PermitAnswer, PermitCall, ProbeResult, Report, Subject } from './calls';
import { ZERO_NANOS } from '../money';
import { SECOND_MS } from '../time';
import { clearMark } from './marks';
import { spentAt } from './spend';
import type { HealthState, KnownAccount, Permit } from './state';
import {
  isInForce,
  isKnownAccount,
  isLost,
  PERMITS_MAX,
  putBreaker,
  slotsOf,
  sweep,
  touch,
} from './state';

/** An account that is out is asked no more often than this by requests that have nobody else. */
export const LAST_RESORT_EVERY_MS = 5 * SECOND_MS;
/** A request is held back by four things at most. */
const SUBJECTS_MAX = 8;

const DENIED: PermitAnswer = { granted: false };

/** What a permit lets through. */
type Passage = Pick<Permit, 'probes' | 'marks'>;

/**
 * Decides over `call` at `now` (Unix ms); `id` names the permit if it is given. A cooldown is
 * waited out by everybody. What holds nothing back any more lets everybody through.
 */
export function permit(
  state: HealthState,
  call: PermitCall,
  { now, id }: { readonly now: number; readonly id: string },
): PermitAnswer {
  endLost(state, now);
  const { accountId, kind, isolate } = call;
  if (state.permits.size >= PERMITS_MAX || !isKnownAccount(state, accountId)) return DENIED;
  if (kind === 'last-resort' && !mayLastResort(state, call, now)) return DENIED;
  const passage = passageOf(state, call, now);
  if (passage === null) return DENIED;
  const account = state.accounts?.get(accountId);
  const isSlot = account?.isHard ?? kind === 'slot';
  if (isSlot && !hasRoom(state, account, { call, now })) return DENIED;
  if (kind === 'last-resort') state.lastResorts.set(accountId, now);
  for (const [name] of passage.probes) {
    const entry = state.breakers.get(name);
    if (entry !== undefined) {
      putBreaker(state, entry.subject, { ...entry, breaker: withProbe(entry.breaker) });
    }
  }
  const slotNanos = isSlot ? (call.reserveNanos ?? ZERO_NANOS) : null;
  state.permits.set(id, {
    isolate,
    accountId,
    grantedAt: now,
    heardAt: now,
    ...passage,
    slotNanos,
  });
  if (isSlot) state.isUnsaved = true;
  return { granted: true, permit: id };
}

function mayLastResort(state: HealthState, { accountId }: PermitCall, now: number): boolean {
  const last = state.lastResorts.get(accountId);
  // A clock that went back must not keep an account out.
  return last === undefined || Math.abs(now - last) >= LAST_RESORT_EVERY_MS;
}

/** What stands in the way and lets this call through; null: something does not. */
function passageOf(state: HealthState, call: PermitCall, now: number): Passage | null {
  const isLast = call.kind === 'last-resort';
  const probes: (readonly [string, number])[] = [];
  const marks: string[] = [];
  for (const name of namesOf(call)) {
    const mark = state.marks.get(name);
    if (mark !== undefined && isInForce(mark, now)) {
      if (mark.state === 'cooling' || (mark.state === 'out' && !isLast)) return null;
      if (mark.state === 'out') marks.push(name);
    }
    const breaker = state.breakers.get(name)?.breaker;
    if (breaker === undefined || phaseOf(breaker, now) === 'closed') continue;
    if (call.kind === 'slot' || !mayProbe(breaker, now, isLast)) return null;
    if (breaker.opening !== null) probes.push([name, breaker.opening.at]);
  }
  return { probes, marks };
}

/** The account itself, whether the caller knows of it or not. */
function namesOf({ accountId, subjects }: PermitCall): ReadonlySet<string> {
  const account: Subject = { of: 'account', accountId };
  return new Set([account, ...subjects.slice(0, SUBJECTS_MAX)].map(subjectName));
}

/** Whether one more call fits the account's exact limits. */
function hasRoom(
  state: HealthState,
  account: KnownAccount | undefined,
  { call, now }: { readonly call: PermitCall; readonly now: number },
): boolean {
  // Without a snapshot nobody knows the limits.
  if (account === undefined) return false;
  const { maxConcurrency, dailyCapNanos, monthlyCapNanos } = account;
  const { count, reservedNanos } = slotsOf(state, account.id);
  if (maxConcurrency !== null && count >= maxConcurrency) return false;
  const { dayNanos, monthNanos } = spentAt(state.spend.get(account.id), now);
  const nextNanos = reservedNanos + (call.reserveNanos ?? 0);
  const fits = (spentNanos: number, capNanos: number | null): boolean =>
    capNanos === null || (spentNanos < capNanos && spentNanos + nextNanos <= capNanos);
  return fits(dayNanos, dailyCapNanos) && fits(monthNanos, monthlyCapNanos);
}

/** A call by permit has ended, or has shown how it goes. What is not known was lost before. */
export function endPermit(state: HealthState, result: ProbeResult, now: number): void {
  const held = state.permits.get(result.permit);
  if (held === undefined) return;
  const goesOn = result.isRunning === true && held.slotNanos !== null;
  if (!goesOn) {
    state.permits.delete(result.permit);
    if (held.slotNanos !== null) state.isUnsaved = true;
  } else if (result.isGood === null) {
    state.permits.set(result.permit, { ...held, heardAt: now });
    return;
  } else {
    state.permits.set(result.permit, { ...held, heardAt: now, probes: [], marks: [] });
  }
  for (const [name, at] of held.probes) endProbe(state, name, { at, now, isGood: result.isGood });
  if (result.isGood !== true) return;
  for (const name of held.marks) clearMark(state, name, { grantedAt: held.grantedAt, now });
}

function endProbe(
  state: HealthState,
  name: string,
  { at, now, isGood }: { readonly at: number; readonly now: number } & Pick<ProbeResult, 'isGood'>,
): void {
  const entry = state.breakers.get(name);
  if (entry === undefined) return;
  const breaker = withProbeEnd(entry.breaker, { at, isGood }, now);
  const wasUntil = entry.breaker.opening?.until;
  putBreaker(state, entry.subject, { breaker, usedAt: now });
  if (breaker.opening?.until !== wasUntil) touch(state, now);
}

/** The isolate lives: its slots do, but for those that it does not know to have been given. */
export function hearIsolate(
  state: HealthState,
  { isolate, permits }: Pick<Report, 'isolate' | 'permits'>,
  now: number,
): void {
  const used = permits === undefined ? null : new Set(permits);
  for (const [id, held] of state.permits) {
    if (held.isolate !== isolate || held.slotNanos === null) continue;
    if (used === null || used.has(id)) state.permits.set(id, { ...held, heardAt: now });
  }
}

/**
 * Permits that nobody tells of have told nothing. They do not count as bad: an isolate that ends
 * says nothing of an account, and one that hangs is told of by its caller's own clock.
 */
export function endLost(state: HealthState, now: number): void {
  if (!sweep(state, now)) return;
  for (const [id, held] of state.permits) {
    if (isLost(held, now)) endPermit(state, { permit: id, isGood: null }, now);
  }
}
