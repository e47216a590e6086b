// What a request does next: whom it calls, after what rest, by which permit, or that it gives up.
// A state and a choice in, a step out; the shell (relay/forward.ts) calls, waits and comes back. It
// judges no answer (failure.ts) and ranks no account (choose.ts).

import type { PermitKind } from '../health/calls';
import type { AccountId } from '../ids';
import { MINUTE_MS, SECOND_MS } from '../time';
import type { Candidate, Choice } from './choose';
import type { Verdict } from './failure';

const RETRIES_MAX = 3;
/** No further attempt starts after so much time of fast failures. */
const FAST_FAILURES_MS = 10 * SECOND_MS;
/** Nor after this, whatever the time was spent on. */
const LAST_START_MS = MINUTE_MS;
/** A warm conversation waits so long for its account rather than lose its cache. */
export const COOLDOWN_WAIT_MS = 20 * SECOND_MS;
const BACKOFF_MS = 100;
const BACKOFF_MS_MAX = 2 * SECOND_MS;
const OVERLOAD_MS_MIN = 200;
const OVERLOAD_MS_MAX = SECOND_MS;
/** Each refused permit may have cost 300 ms: after so many only what needs none is called. */
const DENIALS_MAX = 8;
/** Where all is out, every request comes here: it must not ask for each account in turn. */
const LAST_RESORTS_MAX = 2;

/** What has been tried for one request. */
export interface Attempts {
  /** Unix ms. */
  readonly startedAt: number;
  readonly calls: readonly Call[];
  /** Time that does not count as failing fast: one timeout, one chosen wait. */
  readonly excusedMs: number;
  readonly hasTimedOut: boolean;
  readonly hasWaited: boolean;
  /** Accounts whose permit was refused, or a token for them: not asked for again. */
  readonly denied: readonly AccountId[];
}

interface Call {
  readonly accountId: AccountId;
  readonly provider: string;
  /** It left through another region. */
  readonly isElsewhere: boolean;
  readonly verdict: Pick<Verdict, 'name' | 'next' | 'pause' | 'mayRepeat'>;
}

/** Nothing tried yet. */
export function firstAttempts(now: number): Attempts {
  const untried = { calls: [], excusedMs: 0, hasTimedOut: false, hasWaited: false, denied: [] };
  return { startedAt: now, ...untried };
}

/** What the shell is to do. */
export type Step =
  | {
      readonly do: 'call';
      readonly candidate: Candidate;
      /** Rest before it. */
      readonly pauseMs: number;
      /** null: none is needed. */
      readonly permit: PermitKind | null;
      /** It calls again what has failed, and costs a token unless the account did well just now. */
      readonly isRetry: boolean;
    }
  /** The same account is free again then. */
  | { readonly do: 'wait'; readonly untilMs: number }
  | { readonly do: 'give-up' };

export interface Circumstances {
  /** Unix ms. */
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  /** Whose prompt cache is warm; null: nobody's. */
  readonly warm: AccountId | null;
  /** How long that may be waited for. */
  readonly waitMsMax: number;
  /** Calls may leave through another region: the request's own country is one that is served. */
  readonly canLeaveElsewhere: boolean;
}

/** The next step. Every request comes to `give-up`, or to an answer, after a bounded number. */
export function nextStep(state: Attempts, choice: Choice, given: Circumstances): Step {
  const pauseMs = pauseOf(state, given);
  if (!mayStart(state, given.now + pauseMs)) return { do: 'give-up' };
  const left = untried(state, choice.candidates, given);
  const wait = waitFor(left, state, given);
  if (wait !== null) return wait;
  const candidate = nextCandidate(state, left);
  if (candidate === null) return { do: 'give-up' };
  const isRetry = state.calls.length > 0;
  return { do: 'call', candidate, pauseMs, permit: permitFor(candidate), isRetry };
}

function mayStart(state: Attempts, at: number): boolean {
  const { calls, startedAt, excusedMs, hasTimedOut, hasWaited } = state;
  // What was only waited for has not failed: the first call is made however late it is.
  if (calls.length === 0) return true;
  const extra = hasTimedOut || hasWaited ? 1 : 0;
  if (calls.length > RETRIES_MAX + extra) return false;
  const passedMs = at - startedAt;
  return passedMs <= LAST_START_MS && passedMs - excusedMs <= FAST_FAILURES_MS;
}

/**
 * Those that were not called nor refused by Pool. Before them what was called but is now another
 * matter (its cooldown waited out, its place another one); after them what may be asked once more.
 */
function untried(
  state: Attempts,
  candidates: readonly Candidate[],
  given: Circumstances,
): readonly Candidate[] {
  const first: Candidate[] = [];
  const fresh: Candidate[] = [];
  const again: Candidate[] = [];
  for (const candidate of candidates) {
    const { account, isElsewhere } = candidate;
    if (state.denied.includes(account.id) || (isElsewhere && !given.canLeaveElsewhere)) continue;
    const [call, ...more] = state.calls.filter(({ accountId }) => accountId === account.id);
    if (call === undefined) fresh.push(candidate);
    else if (more.length > 0) continue;
    else if (isAnotherMatter(call, candidate, state.hasWaited ? given.warm : null)) {
      first.push(candidate);
    } else if (call.verdict.mayRepeat || call.verdict.name === 'throttled') again.push(candidate);
  }
  return [...first, ...fresh, ...again];
}

function isAnotherMatter(call: Call, candidate: Candidate, waitedFor: AccountId | null): boolean {
  if (call.verdict.next === 'egress') return candidate.isElsewhere && !call.isElsewhere;
  return call.verdict.name === 'throttled' && call.accountId === waitedFor;
}

/**
 * The cooldown of the conversation's own account, if it is short, nothing was waited for yet, and
 * no better tier would be called after it all the same.
 */
function waitFor(
  left: readonly Candidate[],
  state: Attempts,
  { now, warm, waitMsMax }: Circumstances,
): Step | null {
  if (warm === null || state.hasWaited) return null;
  const own = left.find(({ account }) => account.id === warm);
  if (own?.standing !== 'cooling' || own.until === null) return null;
  const { priority } = own.account;
  if (left.some((other) => other.account.priority < priority && isCallable(other))) return null;
  const isShort = own.until - now <= waitMsMax;
  // With room to start: a timer comes late.
  const isInTime = own.until - state.startedAt <= LAST_START_MS - SECOND_MS;
  return isShort && isInTime ? { do: 'wait', untilMs: own.until } : null;
}

function isCallable({ standing }: Candidate): boolean {
  return standing === 'ready' || standing === 'half-open';
}

function nextCandidate({ calls, denied }: Attempts, left: readonly Candidate[]): Candidate | null {
  const mayAsk = denied.length < DENIALS_MAX;
  const callable = left.filter((one) => isCallable(one) && (mayAsk || permitFor(one) === null));
  // Overload is everybody's at that provider: another one first.
  const overloaded = new Set(
    calls.flatMap(({ provider, verdict }) => (verdict.next === 'provider' ? [provider] : [])),
  );
  const calmer = callable.find(({ provider }) => !overloaded.has(provider));
  const [first] = callable;
  if (calmer !== undefined) return calmer;
  if (first !== undefined) return first;
  // Nothing else is left, and nothing was called: what is out is asked whether it still is.
  if (calls.length > 0 || denied.length >= LAST_RESORTS_MAX) return null;
  return left.find(({ standing }) => standing === 'shut') ?? null;
}

function permitFor({ standing, account }: Candidate): PermitKind | null {
  if (standing === 'shut') return 'last-resort';
  if (standing === 'half-open') return 'probe';
  return account.isHard ? 'slot' : null;
}

/** Full jitter: many that failed together do not come back together. */
function pauseOf({ calls }: Attempts, { random }: Circumstances): number {
  const last = calls.at(-1)?.verdict.pause ?? 'none';
  switch (last) {
    case 'none':
      return 0;
    case 'overload':
      return Math.floor(OVERLOAD_MS_MIN + random * (OVERLOAD_MS_MAX - OVERLOAD_MS_MIN));
    case 'backoff':
      return Math.floor(random * Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** calls.length));
  }
}

/** After a call that was not the answer; `tookMs` from its beginning. */
export function afterCall(
  state: Attempts,
  candidate: Pick<Candidate, 'account' | 'provider'> & Partial<Pick<Candidate, 'isElsewhere'>>,
  { verdict, tookMs }: { readonly verdict: Verdict; readonly tookMs: number },
): Attempts {
  const { name, next, pause, mayRepeat } = verdict;
  const { account, provider, isElsewhere = false } = candidate;
  const said = { name, next, pause, mayRepeat };
  const call = { accountId: account.id, provider, isElsewhere, verdict: said };
  const isExcused = name === 'timeout' && !state.hasTimedOut;
  return {
    ...state,
    calls: [...state.calls, call],
    hasTimedOut: state.hasTimedOut || name === 'timeout',
    excusedMs: state.excusedMs + (isExcused ? tookMs : 0),
  };
}

/** After a wait that a step asked for. */
export function afterWait(state: Attempts, waitedMs: number): Attempts {
  return { ...state, hasWaited: true, excusedMs: state.excusedMs + waitedMs };
}

/** After a permit that was not given, or without a retry token to call with. */
export function afterDenial(state: Attempts, accountId: AccountId): Attempts {
  return { ...state, denied: [...state.denied, accountId] };
}
