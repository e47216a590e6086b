// The test call of an account, through its route: what is sent, and all that is told of what came.

import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { newPerson, read } from '../../../tests/workerd/control-world';
import type { Account } from '../contract/account-fields';
import type { Trial } from '../contract/accounts';
import type { AccountId } from '../../domain/ids';
import { configOf } from '../../platform/env';
import { seal } from '../../platform/seal';

const SECRET = 'sk-ant-api03-Zk3Vd9QmT7wXrB5n';
const NEW = {
  name: 'Main',
  kind: 'anthropic-compatible',
  baseUrl: 'https://upstream.example.com/claude/',
  credential: SECRET,
};

const COOKIE = { 'set-cookie': 'session=1' };

const admin = await newPerson({ role: 'admin' });

afterEach(() => {
  vi.restoreAllMocks();
});

async function made(more: object = {}): Promise<Account> {
  const response = await admin.call('POST', '/admin/accounts', { body: { ...NEW, ...more } });
  return (await read<{ account: Account }>(response, 201)).account;
}

async function auditText(targetId: string): Promise<string> {
  const { results } = await env.DB.prepare('SELECT * FROM audit WHERE target_id = ? ORDER BY id')
    .bind(targetId)
    .all();
  return JSON.stringify(results);
}

/** What the upstream was sent last. */
function scripted(answer: () => Response | Promise<Response>) {
  return vi.spyOn(globalThis, 'fetch').mockImplementation(async () => answer());
}

describe('a test call', () => {
  async function tried(id: string, body: object = {}): Promise<Trial> {
    return read<Trial>(await admin.call('POST', `/admin/accounts/${id}/test`, { body }));
  }

  it('is the smallest there is, with the account’s own credential, and tells what came', async () => {
    const { id } = await made({ models: ['claude-haiku-4-5', 'claude-opus-5'] });
    const headers = {
      'request-id': 'req_upstream',
      'anthropic-organization-id': '1a2b3c4d-5e6f',
      'anthropic-ratelimit-requests-remaining': '49',
    };
    const spy = scripted(() => Response.json({ usage: { output_tokens: 1 } }, { headers }));
    expect(await tried(id)).toEqual({
      isGood: true,
      model: 'claude-haiku-4-5',
      status: 200,
      latencyMs: expect.any(Number),
      failure: null,
      upstreamRequestId: 'req_upstream',
      organization: '…5e6f',
      retryAfter: null,
      rateLimits: { 'anthropic-ratelimit-requests-remaining': '49' },
      error: null,
      url: 'https://upstream.example.com/claude/v1/messages',
      detail: null,
      headers: { 'content-type': 'application/json', 'request-id': 'req_upstream' },
      body: '{"usage":{"output_tokens":1}}',
    });
    const [url, init] = spy.mock.calls[0] ?? [];
    expect(url).toBe('https://upstream.example.com/claude/v1/messages');
    expect(init).toMatchObject({ method: 'POST', redirect: 'manual' });
    expect(new Headers(init?.headers).get('x-api-key')).toBe(SECRET);
    expect(JSON.parse(new TextDecoder().decode(init?.body as Uint8Array))).toEqual({
      model: 'claude-haiku-4-5',
      max_tokens: 1,
      messages: [{ role: 'user', content: 'Hi' }],
    });
    expect(await auditText(id)).toContain('admin.accounts.test');
  });

  it('takes the model that is named, and the cheapest where the account serves all', async () => {
    const { id } = await made();
    const spy = scripted(() => Response.json({}));
    expect((await tried(id, { model: 'claude-opus-5' })).model).toBe('claude-opus-5');
    expect((await tried(id)).model).toBe('claude-haiku-5-5');
    expect(spy).toHaveBeenCalledTimes(2);
  });

  it('tells type and message of a refusal, and never the credential that it echoes', async () => {
    const { id } = await made({ models: ['m'] });
    const error = { type: 'authentication_error', message: `invalid x-api-key ${SECRET}` };
    scripted(() =>
      Response.json(
        { type: 'error', error },
        { status: 401, headers: { 'request-id': SECRET, 'x-ratelimit-key': btoa(SECRET) } },
      ),
    );
    const trial = await tried(id);
    expect(trial).toMatchObject({
      isGood: false,
      status: 401,
      upstreamRequestId: '[sealed]',
      rateLimits: { 'x-ratelimit-key': '[sealed]' },
      error: { type: 'authentication_error', message: 'invalid x-api-key [sealed]' },
    });
    expect(JSON.stringify(trial) + (await auditText(id))).not.toContain(SECRET.slice(0, 12));
  });

  it.each([
    ['a page', () => new Response('<html>down</html>', { status: 502 }), '<html>down</html>'],
    ['nothing', () => new Response(null, { status: 503 }), null],
    ['another shape', () => Response.json({ error: 'no' }, { status: 400 }), '{"error":"no"}'],
  ])('shows %s as it came', async (_what, answer, message) => {
    const { id } = await made({ models: ['m'] });
    scripted(answer);
    expect((await tried(id)).error).toEqual({ type: null, message });
  });

  it('follows no redirect, and says when nobody answers', async () => {
    const { id } = await made({ models: ['m'] });
    const location = 'https://elsewhere.example.com';
    const spy = scripted(() => new Response(null, { status: 307, headers: { location } }));
    expect(await tried(id)).toMatchObject({ isGood: false, status: 307, failure: 'redirect' });
    expect(spy).toHaveBeenCalledTimes(1);
    scripted(() => Promise.reject(new TypeError('connection refused')));
    expect(await tried(id)).toMatchObject({ status: null, failure: 'unreachable' });
    scripted(() => Promise.reject(new DOMException('too slow', 'TimeoutError')));
    expect(await tried(id)).toMatchObject({ status: null, failure: 'timeout' });
  });

  it('asks the address again: one that is stored is not for that one that may be called', async () => {
    const { id } = await made({ models: ['m'] });
    await env.DB.prepare("UPDATE accounts SET base_url = 'https://10.0.0.1' WHERE id = ?")
      .bind(id)
      .run();
    const spy = scripted(() => Response.json({}));
    expect(await tried(id)).toMatchObject({ failure: 'address-not-allowed' });
    expect(spy).not.toHaveBeenCalled();
  });

  it('calls no host but the kind’s own, unless an admin has said so', async () => {
    const baseUrl = 'https://anthropic.proxy.example.com';
    const { id } = await made({ kind: 'anthropic', baseUrl, allowsOtherHost: true, models: ['m'] });
    const spy = scripted(() => Response.json({}));
    expect(await tried(id)).toMatchObject({ isGood: true, url: `${baseUrl}/v1/messages` });
    await env.DB.prepare('UPDATE accounts SET allows_other_host = 0 WHERE id = ?').bind(id).run();
    expect(await tried(id)).toMatchObject({ failure: 'address-not-allowed', status: null });
    expect(spy).toHaveBeenCalledTimes(1);
  });

  it('with a token that was got for the credential hides both, and tells when none was given', async () => {
    const clientSecret = 'client-secret-canary';
    const { id } = await made({
      kind: 'foundry',
      project: 'my-resource',
      baseUrl: undefined,
      credential: { type: 'entra', tenantId: 'tenant', clientId: 'client', clientSecret },
      models: ['m'],
    });
    const token = 'eyJ0eXAi.token-canary.c2ln';
    const seen: string[] = [];
    let isGiven = false;
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input) => {
      const url = new Request(input).url;
      seen.push(url);
      const isToken = url.startsWith('https://login.microsoftonline.com/tenant/');
      if (!isToken) return new Response(`who is ${token}?`, { status: 403, headers: COOKIE });
      if (!isGiven) return Response.json({ error: 'invalid_client' }, { status: 401 });
      return Response.json({ access_token: token, expires_in: 3_600 });
    });
    expect(await tried(id)).toMatchObject({ failure: 'token-refused', status: null, url: null });
    isGiven = true;
    const told = await tried(id);
    expect(told).toMatchObject({ status: 403, failure: null, url: seen.at(-1) });
    expect(told.body).toContain('[sealed]');
    const text = JSON.stringify(told) + (await auditText(id));
    for (const secret of [token, 'token-canary', clientSecret, 'cookie']) {
      expect(text).not.toContain(secret);
    }
  });

  it('says that a credential cannot be opened: another account’s, or an empty one', async () => {
    const { id } = await made({ models: ['m'] });
    const spy = scripted(() => Response.json({}));
    const config = configOf(env);
    if (!config.ok) throw new Error('the test environment is not valid');
    const put = async (plain: string, accountId: AccountId) => {
      const box = await seal(plain, { masterKeys: config.value.masterKeys, accountId });
      await env.DB.prepare(
        'UPDATE accounts SET credential_iv = ?, credential_ciphertext = ? WHERE id = ?',
      )
        .bind(box.iv, box.ciphertext, id)
        .run();
    };
    for (const [plain, accountId] of [
      [SECRET, 'acc_another'],
      ['', id],
    ] as const) {
      await put(plain, accountId);
      expect(await tried(id)).toMatchObject({ failure: 'credential-unreadable' });
    }
    expect(spy).not.toHaveBeenCalled();
  });
});
