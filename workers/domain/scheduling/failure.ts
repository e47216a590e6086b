// What became of a call, and what follows from it: the failure table as data. The first row that
// fits decides over the next attempt, over what the account's breaker counts, and over what holds
// it back from now on. Sources: reference, Anthropic wire facts §5; pool.md §3.

import type { Mark, Subject } from '../health/calls';
import type { AccountId } from '../ids';
import { ownValue } from '../pricing/find';
import { MINUTE_MS, SECOND_MS } from '../time';

/** What came back of one call, as far as it can be told before any of it reaches the client. */
export interface Reply {
  /**
   * `answered`: headers came, or the first event of a stream said an error. `broke-off`: a 200 that
   * ended before its first event. `unreadable`: a 2xx that is no answer of this API. `unsendable`:
   * the request has no form that this account could be sent.
   */
  readonly how:
    | 'answered'
    | 'unreachable'
    | 'timeout'
    | 'broke-off'
    | 'unreadable'
    | 'redirect'
    | 'credential'
    | 'token-refused'
    | 'token-unreachable'
    | 'address'
    | 'unsendable';
  /** HTTP status; of an error event the status that its type stands for; null: no answer. */
  readonly status: number | null;
  /** `error.type`, `error.details.error_code` and `error.message` of the body, if it has them. */
  readonly type: string | null;
  readonly code: string | null;
  readonly message: string;
  /** As the answer says; null: it does not. */
  readonly retryAfterMs: number | null;
}

/** Where the request goes next: `none` hands the answer to the client. */
export type NextStep = 'none' | 'account' | 'provider' | 'egress';

/** What the call counts for: the account's breaker, everybody's overload, or nothing. */
export type CountsAs = 'success' | 'failure' | 'overload' | 'none';

export interface Verdict {
  /** As attempts and marks name it; stable (docs/errors.md). */
  readonly name: string;
  readonly next: NextStep;
  /** How long to rest before the next attempt. */
  readonly pause: 'none' | 'backoff' | 'overload';
  readonly counts: CountsAs;
  /** Nobody pays for what the upstream may have done. */
  readonly isAbsorbed: boolean;
  /** The same account may be asked again when no other is left. */
  readonly mayRepeat: boolean;
  /** The upstream's own words may be shown when all is lost; else they speak of the account. */
  readonly isShowable: boolean;
  /**
   * The request may be what is wrong: it holds the account back only once another account has
   * answered the same request. Else one user's odd requests would close a model to all.
   */
  readonly needsProof: boolean;
  readonly holds: Hold | null;
}

/** What is held back, and for how long. */
interface Hold {
  readonly of: Subject['of'];
  readonly state: Mark['state'];
  /** `retry-after`: as the answer says, else a minute; `month`: until it ends (UTC); null: open. */
  readonly lasts: number | 'retry-after' | 'month' | null;
}

interface Row extends Partial<Verdict> {
  readonly name: string;
  readonly how?: readonly Reply['how'][];
  readonly status?: readonly number[];
  /** At least this status. */
  readonly statusFrom?: number;
  readonly type?: RegExp;
  readonly code?: RegExp;
  readonly message?: RegExp;
}

const OUT: Hold = { of: 'account', state: 'out', lasts: null };
const OUT_THIS_MONTH: Hold = { of: 'account', state: 'out', lasts: 'month' };
const WITHOUT_MODEL: Hold = { of: 'model', state: 'out', lasts: 10 * MINUTE_MS };

/** The table, first fit first. What a row leaves out is as in `PASSED_ON`. */
export const FAILURES: readonly Row[] = [
  moves('unreachable', { how: ['unreachable'], pause: 'backoff', mayRepeat: true }),
  moves('timeout', { how: ['timeout'], isAbsorbed: true }),
  moves('broke-off', { how: ['broke-off'], pause: 'backoff', isAbsorbed: true, mayRepeat: true }),
  moves('unreadable', { how: ['unreadable'], pause: 'backoff', isAbsorbed: true }),
  moves('token-unreachable', { how: ['token-unreachable'], pause: 'backoff', mayRepeat: true }),
  bad('redirect', { how: ['redirect'], holds: { ...OUT, lasts: 10 * MINUTE_MS } }),
  bad('credential', { how: ['credential'] }),
  bad('token-refused', { how: ['token-refused'] }),
  bad('address', { how: ['address'] }),
  // The request's fault as much as the account's: nothing was sent, so it says nothing of either.
  { name: 'unsendable', how: ['unsendable'], next: 'account', isShowable: false },
  bad('unauthenticated', { status: [401] }),
  bad('unauthenticated', { status: [403], message: /^OAuth (?:token|authentication) / }),
  bad('unpaid', { status: [402] }),
  // What a prepaid organization without credit is answered, with `invalid_request_error`.
  bad('unpaid', { status: [400], message: /^Your credit balance is too low/ }),
  bad('on-hold', {
    status: [400, 403],
    code: /^(?:organization_on_hold|claude_code_key_creator_not_member|cmek_.*)$/,
  }),
  bad('on-hold', {
    status: [400, 403],
    message: /^(?:This|Your) organization has been disabled/,
  }),
  bad('spend-limit', {
    status: [400, 429],
    message: /^You have reached your specified (?:[a-z]+ )?API usage limits/i,
    holds: OUT_THIS_MONTH,
  }),
  bad('spend-limit', { status: [429], code: /spend_limit_reached$/, holds: OUT_THIS_MONTH }),
  {
    ...bad('wrong-place', {}),
    // The second is Google's, with 400. From the beginning: what is quoted may be a client's words.
    status: [400, 403],
    message: /^(?:Request not allowed|User location is not supported)/i,
    next: 'egress',
    holds: { of: 'colo', state: 'elsewhere', lasts: 60 * MINUTE_MS },
  },
  {
    name: 'not-permitted',
    status: [403],
    next: 'account',
    needsProof: true,
    holds: WITHOUT_MODEL,
  },
  { name: 'no-such-thread', status: [404], code: /^thread_not_found$/ },
  {
    name: 'no-such-model',
    status: [404],
    message: /\bmodel\b/i,
    next: 'account',
    needsProof: true,
    holds: WITHOUT_MODEL,
  },
  {
    name: 'throttled',
    status: [429],
    next: 'account',
    holds: { of: 'family', state: 'cooling', lasts: 'retry-after' },
  },
  { ...overload(), status: [529] },
  { ...overload(), statusFrom: 500, type: /^overloaded_error$/ },
  moves('gateway-timeout', { status: [504], isAbsorbed: true, isShowable: true }),
  moves('failed', { statusFrom: 500, pause: 'backoff', mayRepeat: true, isShowable: true }),
];

/** What no row fits is the client's own affair. */
const PASSED_ON: Verdict = {
  name: 'refused',
  next: 'none',
  pause: 'none',
  counts: 'none',
  isAbsorbed: false,
  mayRepeat: false,
  isShowable: true,
  needsProof: false,
  holds: null,
};

/** An answer that is one. */
export const ANSWERED: Verdict = { ...PASSED_ON, name: 'answered', counts: 'success' };

/** The account failed this time: its breaker counts it. */
function moves(name: string, row: Omit<Row, 'name'>): Row {
  return { next: 'account', counts: 'failure', isShowable: false, ...row, name };
}

/** The account is of no use until somebody, or a probe, says otherwise. */
function bad(name: string, row: Omit<Row, 'name'>): Row {
  return { next: 'account', isShowable: false, holds: OUT, ...row, name };
}

function overload(): Row {
  const next = { next: 'provider', pause: 'overload' } as const;
  return { name: 'overloaded', ...next, counts: 'overload', mayRepeat: true };
}

/** What follows from `reply`. A status below 400 without an error is `ANSWERED`. */
export function verdictOn(reply: Reply): Verdict {
  if (reply.how === 'answered' && (reply.status ?? 0) < 400) return ANSWERED;
  const row = FAILURES.find((one) => fits(one, reply));
  if (row === undefined) return PASSED_ON;
  const { name, next, pause, counts, ...rest } = { ...PASSED_ON, ...row };
  const { isAbsorbed, mayRepeat, isShowable, needsProof, holds } = rest;
  return { name, next, pause, counts, isAbsorbed, mayRepeat, isShowable, needsProof, holds };
}

function fits(row: Row, { how, status, type, code, message }: Reply): boolean {
  const { how: hows = ['answered'], status: statuses, statusFrom = 0 } = row;
  if (!hows.includes(how)) return false;
  if (statuses !== undefined && !statuses.includes(status ?? 0)) return false;
  if ((status ?? 0) < statusFrom) return false;
  if (row.type !== undefined && !row.type.test(type ?? '')) return false;
  if (row.code !== undefined && !row.code.test(code ?? '')) return false;
  return row.message === undefined || row.message.test(message);
}

/** Whether a call by permit was good that came to this; null: it tells nothing of the account. */
export function isGoodProbe({ counts, next, holds }: Verdict): boolean | null {
  if (counts === 'success' || next === 'none') return true;
  // What holds back a part of it, or the place, may be the request's doing.
  return counts === 'none' && holds?.of !== 'account' ? null : false;
}

/** Without a `retry-after` a momentary throttle is waited out for this long. */
const THROTTLED_MS = MINUTE_MS;
/** Nor is "at once" an answer to being throttled: the header counts whole seconds. */
const THROTTLED_MS_MIN = SECOND_MS;
/** No answer keeps an account away for longer than a day by its `retry-after` alone. */
const RETRY_AFTER_MS_MAX = 24 * 60 * MINUTE_MS;

/** Who was called, for what, from where. */
export interface Called {
  readonly accountId: AccountId;
  readonly family: string;
  readonly model: string;
  readonly provider: string;
  /** Three letters; null: not known. */
  readonly colo: string | null;
  /** Unix ms. */
  readonly now: number;
}

/** What holds back what was called, from now on; null: nothing. */
export function markOf(
  { holds, name }: Verdict,
  { retryAfterMs }: Pick<Reply, 'retryAfterMs'>,
  called: Called,
): Mark | null {
  if (holds === null) return null;
  const subject = subjectOf(holds.of, called);
  if (subject === null) return null;
  const { now } = called;
  const until = untilOf(holds.lasts, retryAfterMs, now);
  return { subject, state: holds.state, reason: name, since: now, until };
}

function untilOf(lasts: Hold['lasts'], retryAfterMs: number | null, now: number): number | null {
  if (lasts === null) return null;
  if (lasts === 'month') return endOfMonth(now);
  if (typeof lasts === 'number') return now + lasts;
  const saidMs = Math.max(retryAfterMs ?? THROTTLED_MS, THROTTLED_MS_MIN);
  return now + Math.min(saidMs, RETRY_AFTER_MS_MAX);
}

/** The first instant (Unix ms) of the next month, UTC. */
function endOfMonth(now: number): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

function subjectOf(of: Subject['of'], called: Called): Subject | null {
  const { accountId, family, model, provider, colo } = called;
  switch (of) {
    case 'account':
      return { of, accountId };
    case 'family':
      return { of, accountId, family };
    case 'model':
      return { of, accountId, model };
    case 'provider':
      return { of, provider, model };
    case 'colo':
      return colo === null ? null : { of, accountId, colo };
  }
}

/** The status that an error event's type stands for; 500 for what is not known. */
export function statusOfErrorType(type: string): number {
  return ownValue(STATUS_BY_TYPE, type) ?? 500;
}

const STATUS_BY_TYPE: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  conflict_error: 409,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

/**
 * `retry-after` in ms (RFC 9110 §10.2.3: whole seconds or a date; `retry-after-ms` before it, as
 * the SDKs read it); null: not said, or nothing that can be read. A safe integer, never negative.
 */
export function retryAfterMsOf(
  headers: { get(name: string): string | null },
  now: number,
): number | null {
  const exactMs = numberIn(headers.get('retry-after-ms'));
  if (exactMs !== null) return wholeMs(exactMs);
  const said = headers.get('retry-after');
  const seconds = numberIn(said);
  if (seconds !== null) return wholeMs(seconds * SECOND_MS);
  // Only the one form of a date that may still be sent: `Date.parse` finds one in almost any words.
  if (said === null || !HTTP_DATE.test(said.trim())) return null;
  const date = Date.parse(said);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

function numberIn(text: string | null): number | null {
  return text !== null && /^\s*\d+(?:\.\d+)?\s*$/.test(text) ? Number(text) : null;
}

function wholeMs(ms: number): number {
  return Math.min(Math.ceil(ms), Number.MAX_SAFE_INTEGER);
}
