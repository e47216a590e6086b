// The smallest real call with an account, and all that an admin may learn from it. The credential
// is in the call and in nothing that is answered.

import type { Trial } from '../contract/accounts';
import type { Call } from '../visit';
import { redacted } from './redact';
import type { AccountKind } from '../../domain/snapshot';
import type { PriceRow } from '../../domain/pricing/catalogue';
import { SECOND_MS } from '../../domain/time';
import { ForbiddenAddress, upstreamFetch } from '../../platform/outbound';
import type { Credential } from '../../platform/seal';
import { unseal } from '../../platform/seal';
import type { ManagedAccount } from '../../store/accounts';
import { upstreamOf } from '../../upstreams/registry';

const TIMEOUT_MS = 20 * SECOND_MS;
const BODY_BYTES_MAX = 64 * 1024;
const VALUE_CHARACTERS_MAX = 200;
const MESSAGE_CHARACTERS_MAX = 500;
const RATE_LIMITS_MAX = 40;

interface SmallestCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** One token of each kind's own protocol; a kind without an entry does not compile. */
const SMALLEST: Readonly<Record<AccountKind, (model: string) => SmallestCall>> = {
  anthropic: oneMessage,
  'anthropic-compatible': oneMessage,
  aws: oneMessage,
  bedrock: oneMessage,
  'bedrock-mantle': oneMessage,
  vertex: oneMessage,
  foundry: oneMessage,
};

function oneMessage(model: string): SmallestCall {
  return {
    path: '/v1/messages',
    headers: { 'anthropic-version': '2023-06-01' },
    body: { model, max_tokens: 1, messages: [{ role: 'user', content: 'Hi' }] },
  };
}

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
  if (credential === null || secret === '') return failed('credential-unreadable', model, 0);
  const { path, headers, body } = SMALLEST[account.kind](model);
  const bytes = new Uint8Array(new TextEncoder().encode(JSON.stringify(body)));
  const begun = Date.now();
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const prepared = await upstreamOf(account.kind).prepare(account, credential, {
      operation: 'messages',
      method: 'POST',
      path,
      search: '',
      headers: new Headers({ 'content-type': 'application/json', ...headers }),
      body: { bytes, plain: bytes, isStream: false },
      model,
      askedModel: model,
      now: begun,
      environment,
      signal,
    });
    if (!prepared.ok) return failed('credential-unreadable', model, Date.now() - begun);
    const response = await upstreamFetch({ ...prepared.value, signal }, environment);
    const text = await textOf(response);
    return told(response, { text, model, credential, latencyMs: Date.now() - begun });
  } catch (error) {
    return failed(failureOf(error), model, Date.now() - begun);
  }
}

function failureOf(error: unknown): NonNullable<Trial['failure']> {
  if (error instanceof ForbiddenAddress) return 'address-not-allowed';
  const isTimeout = error instanceof Error && error.name === 'TimeoutError';
  return isTimeout ? 'timeout' : 'unreachable';
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

function failed(failure: NonNullable<Trial['failure']>, model: string, latencyMs: number): Trial {
  return { ...NOTHING, failure, model, latencyMs };
}

function told(
  { status, headers }: Response,
  came: {
    readonly text: string;
    readonly model: string;
    readonly credential: Credential;
    readonly latencyMs: number;
  },
): Trial {
  const { text, model, credential, latencyMs } = came;
  const secret = credential.reveal();
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
    failure: status >= 300 && status < 400 ? 'redirect' : null,
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

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let byteLength = 0;
  for await (const bytes of body ?? []) {
    byteLength += bytes.byteLength;
    text += decoder.decode(bytes, { stream: true });
    if (byteLength > BODY_BYTES_MAX) break;
  }
  return text + decoder.decode();
}

/** The cheapest of the models that the account serves; null: there is no price at all. */
export function modelFor(
  { models }: Pick<ManagedAccount, 'models'>,
  inForce: readonly PriceRow[],
): string | null {
  const served = inForce.filter(({ model }) => models === null || models.includes(model));
  const [cheapest] = served.toSorted((a, b) => a.bands[0].output - b.bands[0].output);
  return cheapest?.model ?? models?.[0] ?? null;
}
