// The smallest real call with an account (upstreams/trial.ts), and all that an admin may learn from
// it. The credential is in the call and in nothing that is answered.

import type { Trial } from '../contract/accounts';
import type { Call } from '../visit';
import { redacted } from './redact';
import { SECOND_MS } from '../../domain/time';
import { unseal } from '../../platform/seal';
import type { ManagedAccount } from '../../store/accounts';
import type { TrialAnswer, TrialFailure } from '../../upstreams/trial';
import { tryUpstream } from '../../upstreams/trial';

const TIMEOUT_MS = 20 * SECOND_MS;
const VALUE_CHARACTERS_MAX = 200;
const MESSAGE_CHARACTERS_MAX = 500;
const RATE_LIMITS_MAX = 40;

/** What came back of a call with `account` for `model`; never throws for what an upstream does. */
export async function tryAccount(
  account: ManagedAccount,
  model: string,
  { config }: Pick<Call, 'config'>,
): Promise<Trial> {
  const { masterKeys, environment } = config;
  const context = { masterKeys, accountId: account.id };
  const credential = await unseal(account.credential, context).catch(() => null);
  const secret = credential?.reveal() ?? '';
  if (credential === null || secret === '') {
    return { ...NOTHING, failure: 'credential-unreadable', model, latencyMs: 0 };
  }
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await tryUpstream({ account, credential, model, environment, signal });
  const { status, latencyMs } = answer;
  const failure = failureOf(answer.failure);
  if (status === null) return { ...NOTHING, failure, model, latencyMs };
  return told({ ...answer, status }, { model, secret });
}

/** To an admin a call that could not be made is one whose credential is of no use. */
function failureOf(failure: TrialFailure | null): Trial['failure'] {
  switch (failure) {
    case 'credential':
    case 'token-refused':
    case 'request':
      return 'credential-unreadable';
    case 'token-unreachable':
      return 'unreachable';
    case 'unreachable':
    case 'timeout':
    case 'address-not-allowed':
    case 'redirect':
    case null:
      return failure;
  }
}

const NOTHING = {
  isGood: false,
  status: null,
  failure: null,
  upstreamRequestId: null,
  organization: null,
  retryAfter: null,
  rateLimits: {},
  error: null,
} as const;

function told(
  { status, failure, headers, text, latencyMs }: TrialAnswer & { readonly status: number },
  { model, secret }: { readonly model: string; readonly secret: string },
): Trial {
  const safe = (value: string | null, most = VALUE_CHARACTERS_MAX) =>
    value === null ? null : redacted(value, secret, most);
  const limits = [...headers].filter(([name]) => name.includes('ratelimit'));
  const isGood = status >= 200 && status < 300;
  const organization = safe(headers.get('anthropic-organization-id'));
  return {
    isGood,
    model,
    status,
    latencyMs,
    failure: failureOf(failure),
    upstreamRequestId: safe(headers.get('request-id') ?? headers.get('x-request-id')),
    organization: organization === null ? null : `…${organization.slice(-4)}`,
    retryAfter: safe(headers.get('retry-after')),
    rateLimits: Object.fromEntries(
      limits.slice(0, RATE_LIMITS_MAX).map(([name, value]) => [name, safe(value) ?? '']),
    ),
    error: isGood ? null : errorOf(text, (value) => safe(value, MESSAGE_CHARACTERS_MAX)),
  };
}

/** `error.type` and `error.message`, as all vendors write them; else the text itself. */
function errorOf(text: string, safe: (value: string | null) => string | null): Trial['error'] {
  const error = fieldOf(jsonOf(text), 'error');
  const [type, message] = [fieldOf(error, 'type'), fieldOf(error, 'message')];
  if (typeof message !== 'string') return { type: null, message: text === '' ? null : safe(text) };
  return { type: typeof type === 'string' ? safe(type) : null, message: safe(message) };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
