// Accounts of every kind in a workerd test: a stand-in answers the scripted `fetch`, and a call
// goes the whole way through its room: prepared, sent, translated.

import { vi } from 'vitest';
import type { AccountId } from '../../workers/domain/ids';
import type { Result } from '../../workers/domain/result';
import type { SnapshotAccount } from '../../workers/domain/snapshot';
import { ACCOUNT_DEFAULTS } from '../../workers/domain/snapshot';
import { upstreamFetch } from '../../workers/platform/outbound';
import { Credential } from '../../workers/platform/seal';
import { upstreamOf } from '../../workers/upstreams/registry';
import type { PreparedCall, PrepareFailure, UpstreamCall } from '../../workers/upstreams/upstream';
import type { FakeKind } from '../support/fake-kind';

const BASE_URL = 'http://127.0.0.1:9';
let accounts = 0;

/** What a client asks, if not the usual. */
export interface AskedFor {
  readonly body?: Readonly<Record<string, unknown>> | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly operation?: UpstreamCall['operation'];
  readonly search?: string;
  readonly model?: string;
  /** As it travelled, if that is not the body itself. */
  readonly packed?: Uint8Array<ArrayBuffer>;
  readonly environment?: UpstreamCall['environment'];
  readonly signal?: AbortSignal;
}

/** A new account of the stand-in's; every `fetch` reaches the stand-in from now on. */
export function accountOf(fake: FakeKind, more: Partial<SnapshotAccount> = {}): SnapshotAccount {
  vi.spyOn(globalThis, 'fetch').mockImplementation((url, init) =>
    fake.handle(new Request(url, init)),
  );
  accounts += 1;
  const ciphertext = `sealed-${accounts}`;
  return {
    ...ACCOUNT_DEFAULTS,
    id: `acc_${accounts}` as AccountId,
    name: 'a cloud',
    kind: fake.account.kind,
    baseUrl: BASE_URL,
    credential: { keyVersion: '1', iv: '', ciphertext },
    ...fake.account.fields,
    ...more,
  };
}

const PATHS: Readonly<Record<UpstreamCall['operation'], string>> = {
  messages: '/v1/messages',
  count_tokens: '/v1/messages/count_tokens',
  models: '/v1/models',
  model: '/v1/models/claude-opus-5-5',
};

/** The call as the relay hands it to a room. */
export function callOf(asked: AskedFor = {}): UpstreamCall {
  const { body = PLAIN, headers = {}, operation = 'messages', packed } = asked;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const bytes = new Uint8Array(new TextEncoder().encode(text));
  const json = JSON.parse(text) as { model: string; stream?: boolean };
  const isRead = operation === 'models' || operation === 'model';
  return {
    operation,
    method: isRead ? 'GET' : 'POST',
    path: PATHS[operation],
    search: asked.search ?? '',
    headers: new Headers({ ...CLIENT, ...headers }),
    body: isRead ? null : { bytes: packed ?? bytes, plain: bytes, isStream: json.stream === true },
    model: isRead ? null : (asked.model ?? json.model),
    askedModel: isRead ? null : json.model,
    now: Date.now(),
    environment: asked.environment ?? 'development',
    signal: asked.signal ?? new AbortController().signal,
  };
}

export const PLAIN = {
  model: 'claude-opus-4-6',
  max_tokens: 16,
  messages: [{ role: 'user', content: 'Hello "model": there' }],
} as const;

const CLIENT = {
  'content-type': 'application/json',
  'anthropic-version': '2023-06-01',
  authorization: 'Bearer cr_relay_key',
  'x-api-key': 'cr_relay_key',
  'anthropic-workspace-id': 'wrkspc_of_the_client',
  'x-stainless-retry-count': '0',
  cookie: 'session=client',
} as const;

/** Only the first half of a call. */
export function prepared(
  fake: FakeKind,
  account: SnapshotAccount,
  call: UpstreamCall,
): Promise<Result<PreparedCall, PrepareFailure>> {
  const credential = new Credential(fake.account.credential);
  return upstreamOf(account.kind).prepare(account, credential, call);
}

/** The whole way; throws when nothing could be sent. */
export async function asked(
  fake: FakeKind,
  account: SnapshotAccount,
  what: AskedFor = {},
): Promise<Response> {
  const call = callOf(what);
  const sent = await prepared(fake, account, call);
  if (!sent.ok) throw new Error(`${sent.error.why}: ${sent.error.detail}`);
  const response = await upstreamFetch({ ...sent.value, signal: call.signal }, call.environment);
  return upstreamOf(account.kind).translate(response, call);
}

/** Status and error of an answer in Anthropic's envelope. */
export async function errorOf(response: Response): Promise<unknown[]> {
  const { type, error } = await response.json<{
    type: string;
    error: { type: string; message: string };
  }>();
  return [response.status, type, error.type, error.message];
}
