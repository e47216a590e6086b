// The smallest real call with an account (upstreams/trial.ts), and all that an admin may learn from
// it. The credential is in the call and in nothing that is answered.

import { fieldOf, jsonOf } from '../../domain/json';
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
const HEADERS_MAX = 60;
const BODY_CHARACTERS_MAX = 2_000;
const URL_CHARACTERS_MAX = 500;
/** So much of a text is kept until it is cut. */
const LOOKED_AT = 4_000;
/** What has a field of its own, and what would log somebody in. */
const TOLD_OTHERWISE = /ratelimit|^anthropic-organization-id$|^(?:set-)?cookie$/;

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
  const safe = hiding([secret, answer.sentWith?.reveal() ?? '']);
  const url = safe(answer.url, URL_CHARACTERS_MAX);
  if (status === null) {
    const { failure } = answer;
    const detail = safe(answer.detail, MESSAGE_CHARACTERS_MAX);
    return { ...NOTHING, failure: wordOf(failure), model, url, detail, latencyMs };
  }
  return { ...told({ ...answer, status }, safe), model, url };
}

type Safe = (text: string | null, most?: number) => string | null;

/** Makes texts safe to show: without these secrets, and cut. */
function hiding(secrets: readonly string[]): Safe {
  return (text, most = VALUE_CHARACTERS_MAX) => {
    if (text === null) return null;
    const known = secrets.filter((secret) => secret !== '');
    return known.reduce((left, secret) => redacted(left, secret, LOOKED_AT), text).slice(0, most);
  };
}

function wordOf(failure: TrialFailure | null): Trial['failure'] {
  switch (failure) {
    case 'credential':
      return 'credential-unusable';
    case 'request':
      return 'not-sendable';
    case 'token-refused':
    case 'token-unreachable':
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
  url: null,
  detail: null,
  upstreamRequestId: null,
  organization: null,
  retryAfter: null,
  rateLimits: {},
  error: null,
  headers: {},
  body: null,
} as const;

function told(
  { status, failure, headers, text, latencyMs }: TrialAnswer & { readonly status: number },
  safe: Safe,
): Omit<Trial, 'model' | 'url'> {
  const limits = [...headers].filter(([name]) => name.includes('ratelimit'));
  const others = [...headers].filter(([name]) => !TOLD_OTHERWISE.test(name));
  const named = (given: readonly (readonly [string, string])[]) =>
    Object.fromEntries(given.map(([name, value]) => [name, safe(value) ?? '']));
  const isGood = status >= 200 && status < 300;
  const organization = safe(headers.get('anthropic-organization-id'));
  return {
    isGood,
    status,
    latencyMs,
    failure: wordOf(failure),
    detail: null,
    upstreamRequestId: safe(headers.get('request-id') ?? headers.get('x-request-id')),
    organization: organization === null ? null : `…${organization.slice(-4)}`,
    retryAfter: safe(headers.get('retry-after')),
    rateLimits: named(limits.slice(0, RATE_LIMITS_MAX)),
    error: isGood ? null : errorOf(text, (value) => safe(value, MESSAGE_CHARACTERS_MAX)),
    headers: named(others.slice(0, HEADERS_MAX)),
    body: text === '' ? null : safe(text, BODY_CHARACTERS_MAX),
  };
}

/** `error.type` and `error.message`, as all vendors write them; else the text itself. */
function errorOf(text: string, safe: (value: string | null) => string | null): Trial['error'] {
  const error = fieldOf(jsonOf(text), 'error');
  const [type, message] = [fieldOf(error, 'type'), fieldOf(error, 'message')];
  if (typeof message !== 'string') return { type: null, message: text === '' ? null : safe(text) };
  return { type: typeof type === 'string' ? safe(type) : null, message: safe(message) };
}
