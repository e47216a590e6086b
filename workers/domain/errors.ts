// Every error that anyone outside can meet, and what it means: status, code, safe words, whether a
// retry can help. protocols/*/errors.ts only lay these facts into their own envelope.

import type { Nanos } from './money';
import { formatDollars, nanos } from './money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from './time';

/** Whose limit it is. */
export type LimitScope = 'key' | 'user' | 'wallet';

export type RelayError =
  | {
      readonly kind: 'unauthenticated';
      readonly why: 'missing' | 'malformed' | 'conflicting' | 'unknown' | 'revoked' | 'expired';
    }
  | { readonly kind: 'forbidden'; readonly why: 'user-suspended' | 'wallet-suspended' | 'origin' }
  | { readonly kind: 'bad-request'; readonly message: string }
  | { readonly kind: 'unsupported-encoding'; readonly encoding: string }
  | { readonly kind: 'too-large'; readonly limitBytes: number; readonly decoded: boolean }
  | { readonly kind: 'not-found'; readonly what: string }
  | { readonly kind: 'method-not-allowed'; readonly method: string; readonly allow: string }
  | { readonly kind: 'unknown-model'; readonly model: string }
  | { readonly kind: 'held-elsewhere'; readonly field: string }
  | { readonly kind: 'not-offered'; readonly what: string }
  | {
      readonly kind: 'out-of-credit';
      readonly neededNanos: Nanos;
      readonly availableNanos: Nanos;
      /** Of a request for one whole answer: what it would need as a stream, when that is less. */
      readonly neededAsStreamNanos?: Nanos;
    }
  | {
      readonly kind: 'rate-limited';
      readonly scope: LimitScope;
      readonly what: 'requests' | 'tokens' | 'cost' | 'concurrency';
      /** Requests, tokens or nano-dollars. */
      readonly limit: number;
      /** Of the sliding window; null: requests in flight hold what is left. */
      readonly spanMs: number | null;
      /** null: this request alone is above the limit, so that waiting does not help. */
      readonly retryAfterMs: number | null;
      /** What it needs and what is left, in the limit's unit, where something is left. */
      readonly needed?: number;
      readonly left?: number;
    }
  | {
      readonly kind: 'budget-spent';
      readonly scope: LimitScope;
      readonly period: 'day' | 'week' | 'month' | 'total';
      readonly limitNanos: Nanos;
      /** Unix ms; null: never (`total`). */
      readonly resetsAt: number | null;
      /** Until `resetsAt`; null: never, also for a request that is above the whole budget. */
      readonly retryAfterMs: number | null;
      /** What the request needs and what is left, where something is left. */
      readonly neededNanos?: Nanos;
      readonly leftNanos?: Nanos;
    }
  | {
      readonly kind: 'not-allowed';
      readonly what: 'model' | 'client' | 'address' | 'protocol';
    }
  | { readonly kind: 'already-closed' }
  | { readonly kind: 'conflict'; readonly what: string }
  | {
      readonly kind: 'busy';
      readonly what: 'buffers' | 'ledger' | 'pool' | 'database';
      readonly retryAfterMs: number;
    }
  | { readonly kind: 'too-many-refusals'; readonly retryAfterMs: number }
  | { readonly kind: 'no-upstream'; readonly retryAfterMs: number }
  | {
      readonly kind: 'upstream-failed';
      readonly why: 'unreachable' | 'credential' | 'redirect' | 'unreadable';
    }
  | { readonly kind: 'upstream-ended' }
  | { readonly kind: 'upstream-timeout' }
  | { readonly kind: 'ended-by-relay'; readonly why: 'revoked' | 'stopped' | 'limit' | 'credit' }
  | { readonly kind: 'bad-environment'; readonly variable: string }
  | { readonly kind: 'internal'; readonly cause: unknown };

export type ErrorKind = RelayError['kind'];

/** Anthropic's words for classes of errors; other protocols map from `status` and `code`. */
export type ErrorClass =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'billing_error'
  | 'permission_error'
  | 'not_found_error'
  | 'conflict_error'
  | 'request_too_large'
  | 'rate_limit_error'
  | 'timeout_error'
  | 'overloaded_error'
  | 'api_error';

export interface ErrorFacts {
  readonly status: number;
  readonly errorClass: ErrorClass;
  /** Stable and machine-readable; never changes once published (docs/errors.md). */
  readonly code: string;
  /** Safe to show: names no secret, no account, no host. */
  readonly message: string;
  /** What clients should do: true/false is said in `x-should-retry`; null: their own rule. */
  readonly retry: boolean | null;
  readonly retryAfterMs: number | null;
  /** Value of `allow` for 405. */
  readonly allow?: string;
}

const UNAUTHENTICATED: Readonly<
  Record<Extract<RelayError, { kind: 'unauthenticated' }>['why'], string>
> = {
  missing: 'No relay key was sent. Send it as "Authorization: Bearer <key>" or as the API key.',
  malformed: 'This is not a key of this relay. Check that it was copied whole.',
  conflicting: 'Two different keys were sent. Send one, or the same in both headers.',
  unknown: 'This relay key does not exist.',
  revoked: 'This relay key is disabled or deleted.',
  expired: 'This relay key has expired.',
};

const FORBIDDEN: Readonly<Record<Extract<RelayError, { kind: 'forbidden' }>['why'], string>> = {
  'user-suspended': 'This user is suspended.',
  'wallet-suspended': 'The wallet of this key is suspended.',
  origin: 'This origin may not call this address.',
};

const ENDED: Readonly<Record<Extract<RelayError, { kind: 'ended-by-relay' }>['why'], string>> = {
  revoked: 'The key of this request, or its user, was disabled while it ran.',
  stopped: 'This request was stopped.',
  limit: 'This request reached a limit of its key, its user or its wallet.',
  credit: 'Credit was used up while this request ran. Add credit and try again.',
};

const NOT_ALLOWED: Readonly<Record<Extract<RelayError, { kind: 'not-allowed' }>['what'], string>> =
  {
    model: 'This key may not use this model; ask for one that it may use.',
    client: 'This key may not be used by this client; use one that it is meant for.',
    address: 'This key may not be used from this address; use it from one that it is meant for.',
    protocol: 'This key may not speak this protocol; use the one that it is meant for.',
  };

const PERIOD_ADJECTIVE = {
  day: 'daily',
  week: 'weekly',
  month: 'monthly',
  total: 'total',
} as const;

/** A limit that lifts within this time may be waited for; one that does not ends the retries. */
const RETRY_WITHIN_MS = 5 * MINUTE_MS;

type FactsOf = { readonly [K in ErrorKind]: (e: Extract<RelayError, { kind: K }>) => ErrorFacts };

/** Will not lift by trying again. */
function final(
  [status, errorClass]: readonly [number, ErrorClass],
  code: string,
  message: string,
): ErrorFacts {
  return { status, errorClass, code, message, retry: false, retryAfterMs: null };
}

/** May lift by itself. */
function passing(
  status: number,
  errorClass: ErrorClass,
  words: { readonly code: string; readonly message: string; readonly retryAfterMs?: number },
): ErrorFacts {
  const { code, message, retryAfterMs = null } = words;
  return { status, errorClass, code, message, retry: null, retryAfterMs };
}

const FACTS: FactsOf = {
  unauthenticated: ({ why }) =>
    final([401, 'authentication_error'], `key-${why}`, UNAUTHENTICATED[why]),
  forbidden: ({ why }) => final([403, 'permission_error'], why, FORBIDDEN[why]),
  'bad-request': ({ message }) => final([400, 'invalid_request_error'], 'bad-request', message),
  'unsupported-encoding': ({ encoding }) =>
    final(
      [415, 'invalid_request_error'],
      'request_body_encoding_unsupported',
      `Content-Encoding "${encoding}" is not supported. Send the body plain, gzip or deflate.`,
    ),
  'too-large': ({ limitBytes, decoded }) =>
    final(
      [413, 'request_too_large'],
      decoded ? 'request_body_too_large_after_decoding' : 'request-too-large',
      `Request exceeds the maximum size of ${limitBytes} bytes${decoded ? ' after decoding' : ''}.`,
    ),
  'not-found': ({ what }) => final([404, 'not_found_error'], 'not-found', `Not found: ${what}`),
  'method-not-allowed': ({ method, allow }) => ({
    ...final(
      [405, 'invalid_request_error'],
      'method-not-allowed',
      `Method ${method} is not allowed here. Allowed: ${allow}.`,
    ),
    allow,
  }),
  'unknown-model': ({ model }) =>
    final([404, 'not_found_error'], 'unknown-model', `model: ${model} is not known to this relay`),
  'held-elsewhere': ({ field }) =>
    final(
      [404, 'not_found_error'],
      'held-elsewhere',
      `${field}: this id was not made through this wallet, or it is too old`,
    ),
  'not-offered': ({ what }) =>
    final([404, 'not_found_error'], 'not-offered', `${what} are not offered by this relay yet.`),
  'out-of-credit': (error) => final([429, 'billing_error'], 'out-of-credit', creditMessage(error)),
  'rate-limited': (error) => ({
    status: 429,
    errorClass: 'rate_limit_error',
    code: error.retryAfterMs === null ? `above-${error.what}-limit` : `${error.what}-limit`,
    message: rateMessage(error),
    retry: error.retryAfterMs !== null && error.retryAfterMs <= RETRY_WITHIN_MS ? null : false,
    retryAfterMs: error.retryAfterMs,
  }),
  'budget-spent': (error) => ({
    ...final([429, 'billing_error'], `budget-spent-${error.period}`, budgetMessage(error)),
    retryAfterMs: error.retryAfterMs,
  }),
  'not-allowed': ({ what }) =>
    final([403, 'permission_error'], `${what}-not-allowed`, NOT_ALLOWED[what]),
  'already-closed': () =>
    final([409, 'conflict_error'], 'already-closed', 'This request was closed already.'),
  conflict: ({ what }) => final([409, 'conflict_error'], 'conflict', what),
  busy: ({ what, retryAfterMs }) =>
    passing(503, 'overloaded_error', {
      code: `busy-${what}`,
      message: 'The relay is busy. Try again shortly.',
      retryAfterMs,
    }),
  'too-many-refusals': ({ retryAfterMs }) => ({
    ...final(
      [429, 'rate_limit_error'],
      'too-many-refusals',
      'Too many requests without a valid key came from this address.',
    ),
    retryAfterMs,
  }),
  'no-upstream': ({ retryAfterMs }) =>
    passing(503, 'overloaded_error', {
      code: 'no-upstream',
      message: 'No upstream account can take this request now.',
      retryAfterMs,
    }),
  'upstream-failed': ({ why }) =>
    passing(502, 'api_error', {
      code: why === 'redirect' ? 'upstream_redirect' : `upstream-${why}`,
      message: 'The upstream did not answer this request. The relay has noted it.',
    }),
  'upstream-ended': () =>
    passing(502, 'api_error', {
      code: 'upstream-ended',
      message: 'The upstream ended the answer before it was complete.',
    }),
  'upstream-timeout': () =>
    passing(504, 'timeout_error', {
      code: 'upstream-timeout',
      message: 'The upstream did not answer in time.',
    }),
  'ended-by-relay': ({ why }) =>
    final(
      why === 'credit' ? [429, 'billing_error'] : [403, 'permission_error'],
      `ended-${why}`,
      ENDED[why],
    ),
  'bad-environment': ({ variable }) =>
    final(
      [500, 'api_error'],
      'bad-environment',
      `The relay is not set up: ${variable} is not valid.`,
    ),
  internal: () =>
    passing(500, 'api_error', { code: 'internal', message: 'Internal error in the relay.' }),
};

/** Everything the outside may know of an error; `internal.cause` stays inside. */
export function facts(error: RelayError): ErrorFacts {
  // The table is keyed by kind; the compiler cannot follow the pair through the index.
  const of = FACTS[error.kind] as (e: RelayError) => ErrorFacts;
  return of(error);
}

function creditMessage(error: Extract<RelayError, { kind: 'out-of-credit' }>): string {
  const { neededNanos, availableNanos, neededAsStreamNanos } = error;
  const asStream =
    neededAsStreamNanos === undefined
      ? ''
      : ` Streamed, it would need about ${formatDollars(neededAsStreamNanos)}.`;
  return (
    `Credit is used up: this request needs about ${formatDollars(neededNanos)}, ` +
    `available is ${formatDollars(availableNanos)}.${asStream} Add credit and try again.`
  );
}

function rateMessage(error: Extract<RelayError, { kind: 'rate-limited' }>): string {
  const { scope, what, limit, spanMs, retryAfterMs, needed, left } = error;
  const inUnit = (count: number): string =>
    what === 'cost' ? formatDollars(nanos(count)) : `${count} ${what}`;
  const amount = inUnit(limit);
  const within = spanMs === null ? '' : ` in ${inWords(spanMs)}`;
  if (retryAfterMs === null) {
    return (
      `This request alone is above the limit of this ${scope}, ${amount}${within}; ` +
      'send a smaller one or ask for a higher limit.'
    );
  }
  const wait = `try again in ${inWords(retryAfterMs)}.`;
  if (what === 'concurrency') {
    return `This ${scope} may run ${limit} at once and they are running; ${wait}`;
  }
  if (spanMs === null) {
    return `What is left of ${amount} of this ${scope} is held by running requests; ${wait}`;
  }
  if (needed !== undefined && left !== undefined) {
    const short = shortOf(inUnit(needed), inUnit(left));
    return `What this ${scope} has left of its ${amount}${within} ${short}; ${wait}`;
  }
  return `This ${scope} has used its ${amount}${within}; ${wait}`;
}

/** "resets Nov 23 (23:00 UTC)": Claude Code puts the local time for what stands before the "(". */
function budgetMessage(error: Extract<RelayError, { kind: 'budget-spent' }>): string {
  const { scope, period, limitNanos, resetsAt, retryAfterMs, neededNanos, leftNanos } = error;
  const budget = `${PERIOD_ADJECTIVE[period]} budget of this ${scope}, ${formatDollars(limitNanos)}`;
  const spent = `The ${budget}`;
  if (resetsAt !== null && retryAfterMs === null) {
    return `This request alone is above the ${budget}; send a smaller one or ask for a higher one.`;
  }
  const state =
    neededNanos === undefined || leftNanos === undefined
      ? 'is spent'
      : `${shortOf(formatDollars(neededNanos), formatDollars(leftNanos))},`;
  if (resetsAt === null) return `${spent}, ${state} and does not reset; ask for a higher one.`;
  // `Mon, 23 Nov 2026 23:00:00 GMT`
  const [, day, month, , time = ''] = new Date(resetsAt).toUTCString().split(' ');
  const reset = `${month} ${Number(day)} (${time.slice(0, 5)} UTC)`;
  return `${spent}, ${state} and resets ${reset}; wait until then or ask for a higher one.`;
}

function shortOf(needed: string, left: string): string {
  return `does not leave enough for this request: ${needed} needed, ${left} left`;
}

/** Rounded up to the largest unit that keeps it near: `45 seconds`, `12 minutes`, `2 hours`. */
function inWords(durationMs: number): string {
  const [unit, unitMs] = unitOf(durationMs);
  const count = Math.max(1, Math.ceil(durationMs / unitMs));
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

function unitOf(durationMs: number): readonly [string, number] {
  if (durationMs >= 2 * HOUR_MS || durationMs === HOUR_MS) return ['hour', HOUR_MS];
  if (durationMs >= 2 * MINUTE_MS || durationMs === MINUTE_MS) return ['minute', MINUTE_MS];
  return ['second', SECOND_MS];
}
