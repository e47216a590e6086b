// Answers of real accounts, and what the failure table should make of each: its tests, and those of
// what is built on it.

import type { Called, Reply, Verdict } from '../../workers/domain/scheduling/failure';
import { HOUR_MS, MINUTE_MS } from '../../workers/domain/time';
import { accountId, MODEL, NOW } from './pool-accounts';

/** One account, called from Hong Kong. */
export const CALLED: Called = {
  accountId: accountId(1),
  family: 'opus',
  model: MODEL,
  provider: 'anthropic',
  colo: 'HKG',
  now: NOW,
};
const DECEMBER = Date.UTC(2026, 11, 1);

const OUT = { of: 'account', state: 'out', until: null } as const;
const OUT_THIS_MONTH = { ...OUT, until: DECEMBER } as const;
const WITHOUT_MODEL = { of: 'model', state: 'out', until: NOW + 10 * MINUTE_MS } as const;
const COOLING = { of: 'family', state: 'cooling', until: NOW + MINUTE_MS } as const;
const BAD = { next: 'account', isShowable: false } as const;
const MOVES = { next: 'account', counts: 'failure', isShowable: false } as const;
const OVERLOADED = {
  name: 'overloaded',
  next: 'provider',
  pause: 'overload',
  counts: 'overload',
  mayRepeat: true,
} as const;

/** One answer, and what should follow. */
export interface Example {
  readonly what: string;
  readonly reply: Reply;
  /** Where it differs from what is handed to the client as it is. */
  readonly verdict: Partial<Verdict>;
  readonly mark?: {
    readonly of: string;
    readonly state: string;
    readonly until: number | null;
  };
}

/** At least one of each row of the table; messages and codes as they were seen. */
export const EXAMPLES: readonly Example[] = [
  {
    what: 'a refused connection',
    reply: without('unreachable'),
    verdict: { ...MOVES, name: 'unreachable', pause: 'backoff', mayRepeat: true },
  },
  {
    what: 'no headers in time',
    reply: without('timeout'),
    verdict: { ...MOVES, name: 'timeout', isAbsorbed: true },
  },
  {
    what: 'a 200 that ends before its first event',
    reply: { ...without('broke-off'), status: 200 },
    verdict: { ...MOVES, name: 'broke-off', pause: 'backoff', isAbsorbed: true, mayRepeat: true },
  },
  {
    what: 'a page of HTML with 200',
    reply: { ...without('unreadable'), status: 200 },
    verdict: { ...MOVES, name: 'unreadable', pause: 'backoff', isAbsorbed: true },
  },
  {
    what: 'a token server that cannot be reached',
    reply: without('token-unreachable'),
    verdict: { ...MOVES, name: 'token-unreachable', pause: 'backoff', mayRepeat: true },
  },
  {
    what: 'a redirect',
    reply: { ...without('redirect'), status: 302 },
    verdict: { ...BAD, name: 'redirect' },
    mark: { ...OUT, until: NOW + 10 * MINUTE_MS },
  },
  {
    what: 'a credential that cannot be unsealed',
    reply: without('credential'),
    verdict: { ...BAD, name: 'credential' },
    mark: OUT,
  },
  {
    what: 'a token that is refused',
    reply: { ...without('token-refused'), status: 400 },
    verdict: { ...BAD, name: 'token-refused' },
    mark: OUT,
  },
  {
    what: 'a request that has no form for this account',
    reply: without('unsendable'),
    verdict: { name: 'unsendable', next: 'account', isShowable: false },
  },
  {
    what: 'an address that may not be called',
    reply: without('address'),
    verdict: { ...BAD, name: 'address' },
    mark: OUT,
  },
  {
    what: 'a wrong key',
    reply: said(401, 'authentication_error', 'invalid x-api-key'),
    verdict: { ...BAD, name: 'unauthenticated' },
    mark: OUT,
  },
  {
    what: 'a token that was revoked',
    reply: said(
      403,
      'permission_error',
      'OAuth token has been revoked. Please obtain a new token.',
    ),
    verdict: { ...BAD, name: 'unauthenticated' },
    mark: OUT,
  },
  {
    what: 'an organization that allows no tokens',
    reply: said(
      403,
      'permission_error',
      'OAuth authentication is currently not allowed for this organization.',
    ),
    verdict: { ...BAD, name: 'unauthenticated' },
    mark: OUT,
  },
  {
    what: 'a bill that was not paid',
    reply: said(402, 'billing_error', 'There is a problem with your billing information.'),
    verdict: { ...BAD, name: 'unpaid' },
    mark: OUT,
  },
  {
    what: 'no prepaid credit left',
    reply: said(
      400,
      'invalid_request_error',
      'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.',
    ),
    verdict: { ...BAD, name: 'unpaid' },
    mark: OUT,
  },
  ...['organization_on_hold', 'claude_code_key_creator_not_member', 'cmek_key_disabled'].map(
    (code): Example => ({
      what: `400 with ${code}`,
      reply: said(400, 'invalid_request_error', 'Not available.', code),
      verdict: { ...BAD, name: 'on-hold' },
      mark: OUT,
    }),
  ),
  {
    what: 'an organization that was disabled',
    reply: said(400, 'invalid_request_error', 'This organization has been disabled.'),
    verdict: { ...BAD, name: 'on-hold' },
    mark: OUT,
  },
  ...['API', 'workspace API'].map((which): Example => ({
    what: `the limit that the ${which} was given`,
    reply: said(
      400,
      'invalid_request_error',
      `You have reached your specified ${which} usage limits. You will regain access on 2026-12-01 at 00:00 UTC.`,
    ),
    verdict: { ...BAD, name: 'spend-limit' },
    mark: OUT_THIS_MONTH,
  })),
  ...['enforced_spend_limit_reached', 'contract_spend_limit_reached'].map((code): Example => ({
    what: `429 with ${code}`,
    reply: said(429, 'rate_limit_error', 'Spend limit reached.', code),
    verdict: { ...BAD, name: 'spend-limit' },
    mark: OUT_THIS_MONTH,
  })),
  {
    what: 'a data centre that is refused',
    reply: said(403, 'forbidden', 'Request not allowed'),
    verdict: { name: 'wrong-place', next: 'egress', isShowable: false },
    mark: { of: 'colo', state: 'elsewhere', until: NOW + HOUR_MS },
  },
  {
    what: 'a place that Google does not serve',
    reply: said(400, 'FAILED_PRECONDITION', 'User location is not supported for the API use.'),
    verdict: { name: 'wrong-place', next: 'egress', isShowable: false },
    mark: { of: 'colo', state: 'elsewhere', until: NOW + HOUR_MS },
  },
  {
    what: 'a model that the key may not use',
    reply: said(
      403,
      'permission_error',
      'Your API key does not have permission to use the specified resource.',
    ),
    verdict: { name: 'not-permitted', next: 'account', needsProof: true },
    mark: WITHOUT_MODEL,
  },
  {
    what: 'a thread that is not there',
    reply: said(404, 'not_found_error', 'Thread of the model not found.', 'thread_not_found'),
    verdict: { name: 'no-such-thread' },
  },
  {
    what: 'a model that is not there',
    reply: said(404, 'not_found_error', `model: ${MODEL}`),
    verdict: { name: 'no-such-model', next: 'account', needsProof: true },
    mark: WITHOUT_MODEL,
  },
  {
    what: 'a model that Google Cloud has not enabled',
    reply: said(
      404,
      'not_found_error',
      'Publisher Model `projects/p/locations/global/publishers/anthropic/models/m` was not found.',
    ),
    verdict: { name: 'no-such-model', next: 'account', needsProof: true },
    mark: WITHOUT_MODEL,
  },
  {
    what: 'a rate limit that says for how long',
    reply: { ...rateLimit(), retryAfterMs: 37_000 },
    verdict: { name: 'throttled', next: 'account' },
    mark: { ...COOLING, until: NOW + 37_000 },
  },
  {
    what: 'a rate limit that does not',
    reply: rateLimit(),
    verdict: { name: 'throttled', next: 'account' },
    mark: COOLING,
  },
  {
    what: 'traffic that grows too fast',
    reply: { ...rateLimit(), code: 'ramp_limit_exceeded', retryAfterMs: 5_000 },
    verdict: { name: 'throttled', next: 'account' },
    mark: { ...COOLING, until: NOW + 5_000 },
  },
  { what: 'overload', reply: said(529, 'overloaded_error', 'Overloaded'), verdict: OVERLOADED },
  {
    what: 'overload behind a gateway',
    reply: said(503, 'overloaded_error', 'Overloaded'),
    verdict: OVERLOADED,
  },
  {
    what: 'a time-out upstream',
    reply: said(504, 'timeout_error', 'Request timed out.'),
    verdict: { ...MOVES, name: 'gateway-timeout', isAbsorbed: true, isShowable: true },
  },
  ...[500, 502, 503, 520].map((status): Example => ({
    what: `a plain ${status}`,
    reply: said(status, 'api_error', 'Internal server error'),
    verdict: { ...MOVES, name: 'failed', pause: 'backoff', mayRepeat: true, isShowable: true },
  })),
  {
    what: 'a key store that is away',
    reply: said(503, 'api_error', 'Try again.', 'cmek_unavailable'),
    verdict: { ...MOVES, name: 'failed', pause: 'backoff', mayRepeat: true, isShowable: true },
  },
];

/** An answer, as it is read from a body of this API. */
export function said(
  status: number,
  type: string,
  message: string,
  code: string | null = null,
): Reply {
  return { how: 'answered', status, type, code, message, retryAfterMs: null };
}

/** No answer at all. */
export function without(how: Reply['how']): Reply {
  return { how, status: null, type: null, code: null, message: '', retryAfterMs: null };
}

/** The commonest 429. */
export function rateLimit(): Reply {
  return said(
    429,
    'rate_limit_error',
    "This request would exceed your organization's rate limit of 40,000 input tokens per minute.",
  );
}
