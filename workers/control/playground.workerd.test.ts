// The playground through the whole Worker: from a login to an account's answer, and who does not
// get there. What a stream looks like on the wire is the journeys' business.

import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Somebody } from '../../tests/workerd/control-world';
import {
  codeOf,
  newApiKey,
  newPerson,
  newServiceToken,
  ORIGIN,
  read,
} from '../../tests/workerd/control-world';
import { skipLongWaits } from '../../tests/workerd/relayed';
import { app } from '../app';
import type { KeyId } from '../domain/ids';
import { nanosFromDollars } from '../domain/money';
import { ledgerOf } from '../platform/objects';

beforeEach(skipLongWaits);
afterEach(() => {
  vi.restoreAllMocks();
});

const MODEL = 'claude-opus-5-5';
const ANSWER = JSON.stringify({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: MODEL,
  content: [{ type: 'text', text: 'Hello' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 5 },
});
const BODY = JSON.stringify({
  model: MODEL,
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Hello' }],
});

/** What went upstream. */
function upstream() {
  const headers = { 'content-type': 'application/json', 'content-length': `${ANSWER.length}` };
  return vi
    .spyOn(globalThis, 'fetch')
    .mockImplementation(async () => new Response(ANSWER, { headers }));
}

type Headers = Readonly<Record<string, string>>;

async function ask(headers: Headers, body = BODY): Promise<Response> {
  const context = createExecutionContext();
  const request = new Request(`${ORIGIN}/api/relay/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  const response = await app.fetch(request, env, context);
  const text = await response.text();
  await waitOnExecutionContext(context);
  return new Response(text, response);
}

const bearer = ({ token }: Pick<Somebody, 'token'>) => ({ authorization: `Bearer ${token}` });

/** Somebody with ten dollars. */
async function newPayer(): Promise<Somebody> {
  const somebody = await newPerson();
  const entry = { kind: 'grant', reason: 'test', actor: 'test' } as const;
  const amountNanos = nanosFromDollars(10);
  await ledger(somebody).credit({ entryId: somebody.userId, amountNanos, ...entry });
  return somebody;
}

function ledger({ walletId }: Pick<Somebody, 'walletId'>) {
  return ledgerOf(env, walletId, 'weur');
}

async function keysThatPaid(somebody: Somebody): Promise<KeyId[]> {
  const page = await ledger(somebody).requests({ limit: 10 });
  return page.ok ? page.value.requests.map(({ keyId }) => keyId) : [];
}

describe('a request of somebody who is logged in', () => {
  it('is answered by the model and paid by the key that it names', async () => {
    const calls = upstream();
    const somebody = await newPayer();
    const { keyId } = await newApiKey(somebody);
    await newApiKey(somebody);
    const response = await ask({ ...bearer(somebody), 'x-relay-key': keyId });
    expect([response.status, await response.text()]).toEqual([200, ANSWER]);
    expect(response.headers.get('x-relay-request-id')).toMatch(/^req_/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await keysThatPaid(somebody)).toEqual([keyId]);
    expect(calls).toHaveBeenCalledTimes(1);
  });

  it('is paid by the newest key that may be used when it names none', async () => {
    upstream();
    const somebody = await newPayer();
    const { keyId } = await newApiKey(somebody);
    const [disabled, expired] = [await newApiKey(somebody), await newApiKey(somebody)];
    await somebody.call('POST', `/api/tokens/${disabled.keyId}/disable`);
    await env.DB.prepare('UPDATE keys SET expires_at = 1 WHERE id = ?').bind(expired.keyId).run();
    expect((await ask(bearer(somebody))).status).toBe(200);
    expect(await keysThatPaid(somebody)).toEqual([keyId]);
  });

  it('goes upstream as the relay’s own: no cookie, no login, no name of a key', async () => {
    const calls = upstream();
    const somebody = await newPayer();
    const { keyId } = await newApiKey(somebody);
    const response = await ask({
      cookie: `__Host-access=${somebody.token}; theme=dark`,
      origin: ORIGIN,
      'x-relay-key': keyId,
      'anthropic-version': '2023-06-01',
    });
    expect(response.status).toBe(200);
    const [[url, init] = []] = calls.mock.calls;
    expect(url).toEqual(expect.stringMatching(/\/v1\/messages$/));
    const headers = Object.fromEntries(new Headers(init?.headers));
    expect(Object.keys(headers)).toEqual([
      'accept-encoding',
      'anthropic-version',
      'content-type',
      'x-api-key',
    ]);
    expect(headers['x-api-key']).toBe('sk-test-upstream');
    expect(JSON.stringify(headers)).not.toContain(somebody.token);
  });
});

describe('a key', () => {
  it('of somebody else is not there, nor one that nobody has', async () => {
    const calls = upstream();
    const [somebody, other] = [await newPayer(), await newPayer()];
    await newApiKey(somebody);
    const { keyId, key } = await newApiKey(other);
    for (const named of [keyId, key, 'key_1', '', "' OR 1=1--", `key_${'1'.repeat(22)}`]) {
      const response = await ask({ ...bearer(somebody), 'x-relay-key': named });
      expect([response.status, await codeOf(response)]).toEqual([404, 'not-found']);
    }
    expect(calls).not.toHaveBeenCalled();
  });

  it('that is disabled, or limited to other models, opens nothing here either', async () => {
    const calls = upstream();
    const somebody = await newPayer();
    const errors: string[] = [];
    const limits = { models: { allow: ['claude-haiku-4-5'] } };
    for (const [method, path, body] of [
      ['POST', '/disable', undefined],
      ['PATCH', '', { limits }],
    ] as const) {
      const { keyId } = await newApiKey(somebody);
      await read(await somebody.call(method, `/api/tokens/${keyId}${path}`, { body }));
      const response = await ask({ ...bearer(somebody), 'x-relay-key': keyId });
      const { error } = await response.json<{ error: { details: { error_code: string } } }>();
      errors.push(`${response.status} ${error.details.error_code}`);
    }
    expect(errors).toEqual(['401 key-revoked', '403 model-not-allowed']);
    expect(calls).not.toHaveBeenCalled();
  });

  it('must be there', async () => {
    const response = await ask(bearer(await newPayer()));
    expect([response.status, await codeOf(response)]).toEqual([409, 'no-key']);
  });
});

describe('the playground', () => {
  it('is for people who may write: no API key, no token, no viewer, nobody', async () => {
    const calls = upstream();
    const somebody = await newPayer();
    const { key, keyId } = await newApiKey(somebody);
    const viewer = await newPerson({ role: 'viewer' });
    await newApiKey(viewer);
    const token = await newServiceToken(['write:keys', 'write:requests']);
    const given: readonly Headers[] = [
      { authorization: `Bearer ${key}` },
      { 'x-api-key': key },
      { 'x-relay-key': keyId },
      bearer({ token }),
      bearer(viewer),
    ];
    const refused = await Promise.all(given.map((headers) => ask(headers)));
    expect(refused.map(({ status }) => status)).toEqual([401, 401, 401, 403, 403]);
    expect(calls).not.toHaveBeenCalled();
  });

  it('is for no page of another origin', async () => {
    const calls = upstream();
    const somebody = await newPayer();
    await newApiKey(somebody);
    const cookie = `__Host-access=${somebody.token}`;
    for (const origin of [{ origin: 'https://evil.example' }, { origin: 'null' }, {}]) {
      // A form can send text/plain without asking first.
      const response = await ask({ cookie, 'content-type': 'text/plain', ...origin });
      expect([response.status, await codeOf(response)]).toEqual([403, 'origin-not-allowed']);
    }
    expect(calls).not.toHaveBeenCalled();
  });

  it('takes bodies as large as the relay does, and refuses in the relay’s words', async () => {
    upstream();
    const somebody = await newPayer();
    await newApiKey(somebody);
    const messages = [{ role: 'user', content: 'word '.repeat(100_000) }];
    const large = JSON.stringify({ model: MODEL, max_tokens: 10, messages });
    expect((await ask(bearer(somebody), large)).status).toBe(200);
    const response = await ask(bearer(somebody), '{"model":');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ type: 'error' });
  });

  it('ends for a login that has ended, at once', async () => {
    const somebody = await newPayer();
    await newApiKey(somebody);
    await env.DB.prepare('UPDATE sessions SET ended_at = 1 WHERE id = ?')
      .bind(somebody.sessionId)
      .run();
    expect(await codeOf(await ask(bearer(somebody)))).toBe('session-ended');
  });
});

describe('a key that is sent', () => {
  it('is compared with its hash as ever, whatever else is sent with it', async () => {
    const calls = upstream();
    const somebody = await newPayer();
    const { keyId, key } = await newApiKey(somebody);
    // Rotated away: the tag is true, the hash is no longer the key's.
    await read(
      await somebody.call('POST', `/api/tokens/${keyId}/rotate`, { body: { graceMs: 0 } }),
    );
    const context = createExecutionContext();
    const headers = {
      'content-type': 'application/json',
      'x-api-key': key,
      'x-relay-key': keyId,
      by: 'session',
    };
    const url = `${ORIGIN}/v1/messages?by=session`;
    const body = BODY.replace('{', '{"by":"session",');
    const request = new Request(url, { method: 'POST', headers, body });
    const response = await app.fetch(request, env, context);
    expect([response.status, await response.text()]).toEqual([
      401,
      expect.stringContaining('key-unknown'),
    ]);
    await waitOnExecutionContext(context);
    expect(calls).not.toHaveBeenCalled();
  });
});
