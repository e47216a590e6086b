// Upstream accounts as admins manage them, through the routes: what is stored, what Pool hands out,
// what is called with them, and that no credential comes back.

import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  call,
  codeOf,
  newPerson,
  newServiceToken,
  read,
  withBearer,
} from '../../../tests/workerd/control-world';
import type { AccountId } from '../../domain/ids';
import type { SnapshotAccount } from '../../domain/snapshot';
import { configOf } from '../../platform/env';
import { poolOf } from '../../platform/objects';
import { seal, unseal } from '../../platform/seal';
import type { Account } from '../contract/account-fields';
import type { Trial } from '../contract/accounts';

const SECRET = 'sk-ant-api03-Zk3Vd9QmT7wXrB5n';
const NEW = {
  name: 'Main',
  kind: 'anthropic-compatible',
  baseUrl: 'https://upstream.example.com/claude/',
  credential: SECRET,
};

const admin = await newPerson({ role: 'admin' });

afterEach(() => {
  vi.restoreAllMocks();
});

async function made(more: object = {}): Promise<Account> {
  const response = await admin.call('POST', '/admin/accounts', { body: { ...NEW, ...more } });
  return (await read<{ account: Account }>(response, 201)).account;
}

/** What an isolate would be given now. */
async function inPool(id: string): Promise<SnapshotAccount | null> {
  const answer = await poolOf(env).snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') throw new Error('Pool has no snapshot');
  return answer.value.accounts.find((account) => account.id === id) ?? null;
}

async function secretOf(account: SnapshotAccount | null): Promise<string> {
  const config = configOf(env);
  if (!config.ok || account === null) throw new Error('nothing to open');
  const { masterKeys } = config.value;
  return (await unseal(account.credential, { masterKeys, accountId: account.id })).reveal();
}

async function environmentAccount(): Promise<Account> {
  await poolOf(env).ping();
  const { items } = await read<{ items: Account[] }>(await admin.call('GET', '/admin/accounts'));
  const found = items.find(({ origin }) => origin === 'environment');
  if (found === undefined) throw new Error('the environment gives no account');
  return found;
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

describe('a new account', () => {
  it('is in Pool at once, sealed, and shows no credential to anybody', async () => {
    const account = await made({ weight: 3, priority: 2, group: 'org', models: ['claude-x'] });
    expect(account).toMatchObject({
      baseUrl: 'https://upstream.example.com/claude',
      status: 'active',
      weight: 3,
      priority: 2,
      group: 'org',
      models: ['claude-x'],
      origin: 'admin',
    });
    const held = await inPool(account.id);
    expect(held).toMatchObject({ status: 'active', models: ['claude-x'] });
    expect(await secretOf(held)).toBe(SECRET);
    const shown = await read(await admin.call('GET', `/admin/accounts/${account.id}`));
    expect(shown).toMatchObject(account);
    const everything = JSON.stringify([account, shown, held, await auditText(account.id)]);
    expect(everything).toContain('[sealed]');
    expect(everything).not.toContain(SECRET);
  });

  it('is made once for one Idempotency-Key, and neither row nor answer keeps the credential', async () => {
    const headers = { 'idempotency-key': 'account-1' };
    const send = () => admin.call('POST', '/admin/accounts', { body: NEW, headers });
    const first = await read<{ account: Account }>(await send(), 201);
    expect(await read(await send(), 201)).toEqual({ ...first, replayed: true });
    const { results } = await env.DB.prepare('SELECT * FROM idempotency').all();
    expect(JSON.stringify(results)).not.toContain(SECRET);
  });

  it.each([
    ['http://upstream.example.com', {}],
    ['https://upstream.example.com:8443', {}],
    ['https://10.0.0.1', {}],
    ['https://2130706433', {}],
    ['https://[::ffff:127.0.0.1]', {}],
    ['https://metadata.google.internal', {}],
    ['https://user:pass@upstream.example.com', {}],
    ['https://upstream.example.com/?key=1', {}],
    ['https://relay.test', {}],
    ['https://upstream.example.com', { kind: 'anthropic' }],
    ['https://api.anthropic.com.evil.example', { kind: 'anthropic' }],
    ['https://bedrock-runtime.us-east-1.amazonaws.com.evil.example', { kind: 'bedrock' }],
    ['https://bedrock-runtime.evil.example', { kind: 'bedrock' }],
    ['https://bedrock-runtime.a.b.amazonaws.com', { kind: 'bedrock' }],
    ['https://bedrock-runtime.us-east-1.amazonaws.com', { kind: 'bedrock-mantle' }],
    ['https://xaiplatform.googleapis.com', { kind: 'vertex' }],
    ['https://us-east5-aiplatformxgoogleapis.com', { kind: 'vertex' }],
    ['https://services.ai.azure.com', { kind: 'foundry' }],
    ['https://evil.example/.services.ai.azure.com', { kind: 'foundry' }],
    ['not an address', {}],
  ])('is refused at %s', async (baseUrl, more) => {
    const body = { ...NEW, ...more, baseUrl };
    const response = await admin.call('POST', '/admin/accounts', { body });
    expect(response.status).toBe(400);
    const { error } = await response.json<{ error: { fields: object } }>();
    expect(Object.keys(error.fields)).toEqual(['baseUrl']);
  });

  it('may be the vendor’s own, and a loopback while developing', async () => {
    const own = await made({ kind: 'anthropic', baseUrl: 'https://api.anthropic.com' });
    expect(own.baseUrl).toBe('https://api.anthropic.com');
    expect((await made({ baseUrl: 'http://127.0.0.1:4000/' })).baseUrl).toBe(
      'http://127.0.0.1:4000',
    );
  });

  it.each([
    ['aws', 'https://aws-external-anthropic.us-west-2.api.aws'],
    ['bedrock', 'https://bedrock-runtime.eu-west-1.amazonaws.com'],
    ['bedrock-mantle', 'https://bedrock-mantle.us-east-1.api.aws/anthropic'],
    ['vertex', 'https://us-east5-aiplatform.googleapis.com/v1'],
    ['foundry', 'https://my-resource.services.ai.azure.com/anthropic'],
  ])('of %s may be at %s', async (kind, baseUrl) => {
    expect((await made({ kind, baseUrl })).baseUrl).toBe(baseUrl);
  });

  it.each([
    { id: 'acc_1' },
    { origin: 'environment' },
    { weight: -1 },
    { weight: 1.5 },
    { models: [] },
    { models: ['a b'] },
    { status: 'deleted' },
    { credential: 'two words' },
    { credential: '' },
    { kind: 'bedrock' },
  ])('is refused with %j', async (more) => {
    const response = await admin.call('POST', '/admin/accounts', { body: { ...NEW, ...more } });
    expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
  });
});

describe('a change', () => {
  it('reaches Pool at once, whatever it is', async () => {
    const { id } = await made();
    const path = `/admin/accounts/${id}`;
    const body = { name: 'Other', weight: 0, group: null, models: null, priority: 9 };
    expect(await read(await admin.call('PATCH', path, { body }))).toMatchObject(body);
    expect(await inPool(id)).toMatchObject(body);
    for (const [verb, status] of [
      ['drain', 'draining'],
      ['disable', 'disabled'],
      ['enable', 'active'],
    ]) {
      expect(await read(await admin.call('POST', `${path}/${verb}`))).toMatchObject({ status });
      expect(await inPool(id)).toMatchObject({ status });
    }
    const moved = await admin.call('PATCH', path, { body: { baseUrl: 'https://10.1.1.1' } });
    expect(moved.status).toBe(400);
    expect(await inPool(id)).toMatchObject({ baseUrl: 'https://upstream.example.com/claude' });
  });

  it('of the credential is told, the credential is not', async () => {
    const { id } = await made();
    const credential = 'sk-ant-api03-another-one';
    await read(
      await admin.call('PUT', `/admin/accounts/${id}/credential`, { body: { credential } }),
    );
    expect(await secretOf(await inPool(id))).toBe(credential);
    const lines = await auditText(id);
    expect(lines).toContain('admin.accounts.credential');
    expect(lines).not.toContain(credential);
    const stored = await env.DB.prepare('SELECT * FROM accounts').all();
    expect(JSON.stringify(stored.results)).not.toContain(credential);
  });

  it('is one of two that come at once: the other is told to read again', async () => {
    const { id } = await made();
    const change = (weight: number) =>
      admin.call('PATCH', `/admin/accounts/${id}`, { body: { weight } });
    const answers = await Promise.all([change(5), change(6), change(7)]);
    const good = answers.filter(({ status }) => status === 200);
    expect(good.length).toBeGreaterThan(0);
    for (const { status } of answers) expect([200, 409]).toContain(status);
    const lines = (await auditText(id)).split('admin.accounts.change').length - 1;
    expect(lines).toBe(good.length);
  });

  it('of an account of the environment leaves name, address and credential there', async () => {
    const { id } = await environmentAccount();
    const path = `/admin/accounts/${id}`;
    for (const [method, where, body] of [
      ['PATCH', path, { name: 'x' }],
      ['PATCH', path, { baseUrl: 'https://upstream.example.com' }],
      ['PUT', `${path}/credential`, { credential: 'x' }],
      ['DELETE', path, undefined],
    ] as const) {
      const response = await admin.call(method, where, body === undefined ? {} : { body });
      expect([response.status, await codeOf(response)]).toEqual([409, 'given-by-environment']);
    }
    const body = { weight: 4, status: 'draining' };
    expect(await read(await admin.call('PATCH', path, { body }))).toMatchObject(body);
    expect(await inPool(id)).toMatchObject(body);
    await read(await admin.call('POST', `${path}/enable`));
  });

  it('to nothing is only made when the account is out of use', async () => {
    const { id } = await made();
    const path = `/admin/accounts/${id}`;
    expect(await codeOf(await admin.call('DELETE', path))).toBe('conflict');
    await read(await admin.call('POST', `${path}/disable`));
    expect((await admin.call('DELETE', path)).status).toBe(204);
    expect(await inPool(id)).toBe(null);
    expect((await admin.call('GET', path)).status).toBe(404);
    expect((await admin.call('DELETE', path)).status).toBe(404);
  });
});

describe('who may', () => {
  it('see accounts are viewers and tokens for it; change them, admins and tokens to write', async () => {
    const { id } = await made();
    const viewer = await newPerson({ role: 'viewer' });
    const user = await newPerson();
    const reading = withBearer(await newServiceToken(['read:accounts']));
    const writing = withBearer(await newServiceToken(['write:accounts']));
    const other = withBearer(await newServiceToken(['write:prices']));
    const path = `/admin/accounts/${id}`;
    const statuses = async (method: string, where: string, body?: object) =>
      Promise.all(
        [call, user.call, viewer.call, reading, other, writing].map(
          async (ask) => (await ask(method, where, body === undefined ? {} : { body })).status,
        ),
      );
    expect(await statuses('GET', path)).toEqual([401, 403, 200, 200, 403, 200]);
    expect(await statuses('GET', '/admin/accounts')).toEqual([401, 403, 200, 200, 403, 200]);
    expect(await statuses('PATCH', path, { weight: 2 })).toEqual([401, 403, 403, 403, 403, 200]);
    scripted(() => Response.json({}));
    expect(await statuses('POST', `${path}/test`)).toEqual([401, 403, 403, 403, 403, 200]);
  });

  it.each(['acc_1', 'acc_1111111111111111111111', '%27%20OR%201=1', '__proto__'])(
    'finds no account under %s',
    async (id) => {
      expect((await admin.call('GET', `/admin/accounts/${id}`)).status).toBe(404);
      expect((await admin.call('POST', `/admin/accounts/${id}/test`)).status).toBe(404);
    },
  );
});

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
