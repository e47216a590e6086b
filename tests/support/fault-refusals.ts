// The refusals of an upstream as rows of the table of faults: every status that means something,
// and the words that say more than a status.

import { errorBody, json } from './answers';
import type { Fault, Held } from './faults';
import { CREDENTIAL, MINUTE_MS, OUT, own, USUAL } from './faults';

const OUT_THIS_MONTH: Held = { of: 'account', state: 'out', lastsMs: 'month' };
const OUT_FOR_MODEL: Held = { of: 'model', state: 'out', lastsMs: 10 * MINUTE_MS };

interface Refusal extends Partial<Fault> {
  readonly outcome: string;
  /** The upstream's; absent: words of no meaning. */
  readonly words?: string;
  /** `details.error_code`. */
  readonly detail?: string;
}

/** A refusal in the API's own form. */
function refusal(status: number, type: string, given: Refusal): Fault {
  const { words = `words of ${status}`, detail, ...differs } = given;
  const details = detail === undefined ? {} : { details: { error_code: detail } };
  const body =
    detail === undefined
      ? errorBody(type, words)
      : JSON.stringify({ type: 'error', error: { type, message: words, ...details } });
  return {
    ...USUAL,
    what: `a ${status} ${type} (${detail ?? words})`,
    answer: json(body, status),
    status,
    shown: own(status, type, body),
    ...differs,
  };
}

/** The client's own affair. */
function passed(status: number, type: string, words?: string): Fault {
  const said = words === undefined ? {} : { words };
  return refusal(status, type, { outcome: 'refused', moves: false, ...said });
}

const THROTTLED: Held = { of: 'family', state: 'cooling', lastsMs: MINUTE_MS };
const SHUT = { held: OUT, shown: CREDENTIAL } as const;
const SPENT = { outcome: 'spend-limit', held: OUT_THIS_MONTH, shown: CREDENTIAL } as const;

/** Every status that means something. */
export const STATUSES: readonly Fault[] = [
  passed(400, 'invalid_request_error'),
  refusal(401, 'authentication_error', { outcome: 'unauthenticated', ...SHUT }),
  refusal(402, 'billing_error', { outcome: 'unpaid', ...SHUT }),
  refusal(403, 'permission_error', {
    outcome: 'not-permitted',
    held: OUT_FOR_MODEL,
    needsProof: true,
  }),
  refusal(404, 'not_found_error', {
    outcome: 'no-such-model',
    words: 'model: of no account',
    held: OUT_FOR_MODEL,
    needsProof: true,
  }),
  passed(404, 'not_found_error'),
  passed(408, 'timeout_error'),
  passed(409, 'conflict_error'),
  passed(413, 'request_too_large'),
  passed(422, 'invalid_request_error'),
  refusal(429, 'rate_limit_error', { outcome: 'throttled', held: THROTTLED }),
  refusal(500, 'api_error', { outcome: 'failed', repeats: true }),
  refusal(502, 'api_error', { outcome: 'failed', repeats: true }),
  refusal(503, 'api_error', { outcome: 'failed', repeats: true }),
  refusal(504, 'timeout_error', { outcome: 'gateway-timeout' }),
  refusal(529, 'overloaded_error', { outcome: 'overloaded', repeats: true }),
];

/** Statuses that say more than their number. */
export const WORDS: readonly Fault[] = [
  refusal(429, 'rate_limit_error', { ...SPENT, detail: 'enforced_spend_limit_reached' }),
  refusal(400, 'invalid_request_error', {
    ...SPENT,
    words: 'You have reached your specified API usage limits. You will regain access later.',
  }),
  refusal(400, 'invalid_request_error', {
    ...SHUT,
    outcome: 'unpaid',
    words: 'Your credit balance is too low to access the Anthropic API.',
  }),
  refusal(400, 'invalid_request_error', {
    ...SHUT,
    outcome: 'on-hold',
    detail: 'organization_on_hold',
  }),
  refusal(403, 'permission_error', {
    ...SHUT,
    outcome: 'unauthenticated',
    words: 'OAuth token has been revoked. Please obtain a new token.',
  }),
  refusal(503, 'overloaded_error', { outcome: 'overloaded', repeats: true }),
  passed(400, 'invalid_request_error', 'Unexpected value `Your credit balance is too low`.'),
];

/** Longer than the tests take. */
const RETRY_SECONDS = 597;

/** The same, with a `retry-after` in seconds or as a date. */
export function withRetryAfter(fault: Fault, how: 'seconds' | 'date'): Fault {
  const said = (): string =>
    how === 'seconds'
      ? String(RETRY_SECONDS)
      : new Date(Date.now() + RETRY_SECONDS * 1_000).toUTCString();
  const { answer, held, shown, what } = fault;
  const isThrottled = held?.state === 'cooling';
  return {
    ...fault,
    what: `${what} with retry-after as ${how}`,
    forms: how === 'seconds' ? ['stream'] : ['JSON'],
    answer: (response, seen) => {
      response.setHeader('retry-after', said());
      if (answer !== 'refused') return answer(response, seen);
    },
    held: isThrottled ? { ...held, lastsMs: RETRY_SECONDS * 1_000 } : held,
    shown:
      shown.body === null ? shown : { ...shown, retryAfter: how === 'seconds' ? /^597$/ : / GMT$/ },
  };
}
