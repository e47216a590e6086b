// The smallest real call with an account: one token of its own protocol. It tells what came back
// and judges nothing; admins read it (control/accounts/trial.ts), and so does the cron that probes
// accounts which are out (jobs/probe.ts).

import type { PriceRow } from '../domain/pricing/catalogue';
import type { AccountKind, SnapshotAccount } from '../domain/snapshot';
import { faultOf } from '../platform/address';
import type { Config } from '../platform/env';
import { ForbiddenAddress, upstreamFetch } from '../platform/outbound';
import { Credential } from '../platform/seal';
import { textWithin } from './body-text';
import { originalOf } from './refusals';
import { upstreamOf } from './registry';
import type { PrepareFailure, UpstreamCall } from './upstream';

const BODY_BYTES_MAX = 64 * 1024;

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

export interface TrialCall {
  readonly account: SnapshotAccount;
  readonly credential: Credential;
  /** The catalogue's id. */
  readonly model: string;
  readonly environment: Config['environment'];
  /** Its `TimeoutError` is told as `timeout`. */
  readonly signal: AbortSignal;
}

/** What came back. */
export interface TrialAnswer {
  /** null: no answer came; `failure` says why. */
  readonly status: number | null;
  readonly failure: TrialFailure | null;
  /** Of the answer; empty where none came. */
  readonly headers: Headers;
  /** The beginning of its body. */
  readonly text: string;
  /** Where it went; null: nothing was sent. */
  readonly url: string | null;
  /** What it was sent with, which may be a token that was got for the credential; null: nothing. */
  readonly sentWith: Credential | null;
  /** Why the call could not be made, in words without a secret; null: it could. */
  readonly detail: string | null;
  readonly latencyMs: number;
}

/** Why nothing came: the call could not be made (PrepareFailure), or nobody answered it. */
export type TrialFailure =
  | PrepareFailure['why']
  | 'unreachable'
  | 'timeout'
  | 'address-not-allowed'
  | 'redirect';

/** Calls `account` for `model`; never throws for what an upstream does. */
export async function tryUpstream(trial: TrialCall): Promise<TrialAnswer> {
  const { account, credential, environment, signal } = trial;
  const begun = Date.now();
  let url: string | null = null;
  let sentWith: Credential | null = null;
  const failed = (failure: TrialFailure, detail: string | null = null): TrialAnswer => {
    const nothing = { status: null, headers: new Headers(), text: '' };
    return { ...nothing, failure, url, sentWith, detail, latencyMs: Date.now() - begun };
  };
  // Before anything is made for it: a room may ask for a token, or fail to read the address.
  if (faultOf(account.baseUrl, { environment, account }) !== null) {
    return failed('address-not-allowed');
  }
  try {
    const upstream = upstreamOf(account.kind);
    const call = callOf(trial, begun);
    const prepared = await upstream.prepare(account, credential, call);
    if (!prepared.ok) return failed(prepared.error.why, prepared.error.detail);
    ({ url } = prepared.value);
    sentWith = authorizationOf(prepared.value.headers);
    const came = await upstreamFetch({ ...prepared.value, signal }, environment, { account });
    const response = await upstream.translate(came, call);
    const { status, headers } = response;
    // Admins read what the vendor itself said, where clients are told something else.
    const text = originalOf(response) ?? (await textWithin(response, BODY_BYTES_MAX));
    const failure = status >= 300 && status < 400 ? 'redirect' : null;
    const latencyMs = Date.now() - begun;
    return { status, failure, headers, text, url, sentWith, detail: null, latencyMs };
  } catch (error) {
    return failed(failureOf(error));
  }
}

function authorizationOf(headers: Headers): Credential | null {
  const value = headers.get('authorization') ?? headers.get('x-api-key');
  return value === null ? null : new Credential(value.replace(/^Bearer /, ''));
}

function callOf({ account, model, environment, signal }: TrialCall, now: number): UpstreamCall {
  const { path, headers, body } = SMALLEST[account.kind](model);
  const bytes = new Uint8Array(new TextEncoder().encode(JSON.stringify(body)));
  return {
    operation: 'messages',
    method: 'POST',
    path,
    search: '',
    headers: new Headers({ 'content-type': 'application/json', ...headers }),
    body: { bytes, plain: bytes, isStream: false },
    model,
    askedModel: model,
    now,
    environment,
    signal,
  };
}

function failureOf(error: unknown): TrialFailure {
  if (error instanceof ForbiddenAddress) return 'address-not-allowed';
  const isTimeout = error instanceof Error && error.name === 'TimeoutError';
  return isTimeout ? 'timeout' : 'unreachable';
}

/** The cheapest of the models that the account serves; null: there is no price at all. */
export function modelFor(
  { models }: Pick<SnapshotAccount, 'models'>,
  inForce: readonly PriceRow[],
): string | null {
  const served = inForce.filter(({ model }) => models === null || models.includes(model));
  const [cheapest] = served.toSorted((a, b) => a.bands[0].output - b.bands[0].output);
  return cheapest?.model ?? models?.[0] ?? null;
}
