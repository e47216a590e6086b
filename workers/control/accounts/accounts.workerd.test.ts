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
import type { SnapshotAccount } from '../../domain/snapshot';
import { configOf } from '../../platform/env';
import { poolOf } from '../../platform/objects';
import { unseal } from '../../platform/seal';
import type { Account } from '../contract/account-fields';

const SECRET = 'sk-ant-api03-Zk3Vd9QmT7wXrB5n';
const NEW = {
  name: 'Main',
  kind: 'anthropic-compatible',
  baseUrl: 'https://upstream.example.com/claude/',
  credential: SECRET,
};

/** What accounts of a kind must have besides. */
const PLACES: Readonly<Record<string, object>> = {
  aws: { region: 'us-west-2', workspace: 'wrkspc_1' },
  bedrock: { region: 'eu-west-1' },
  'bedrock-mantle': { region: 'us-east-1' },
  vertex: {
    region: 'us-east5',
    credential: {
      type: 'service_account',
      project_id: 'p',
      private_key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----',
      private_key_id: 'k',
      client_email: 'a@p.iam.gserviceaccount.com',
      token_uri: 'https://oauth2.googleapis.com/token',
    },
  },
  foundry: { project: 'my-resource' },
};

function placeOf(kind = ''): object {
  return PLACES[kind] ?? {};
}

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
  ])('is refused at %s', async (baseUrl, more: { readonly kind?: string }) => {
    const body = { ...NEW, ...more, ...placeOf(more.kind), baseUrl };
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
    ['vertex', 'https://aiplatform.googleapis.com'],
    ['vertex', 'https://aiplatform.eu.rep.googleapis.com/v1'],
    ['foundry', 'https://my-resource.services.ai.azure.com/anthropic'],
  ])('of %s may be at %s', async (kind, baseUrl) => {
    expect((await made({ kind, ...placeOf(kind), baseUrl })).baseUrl).toBe(baseUrl);
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

  it('to another host takes a credential for it along: the old one is never sent there', async () => {
    const { id } = await made();
    const path = `/admin/accounts/${id}`;
    const move = (body: object) => admin.call('PATCH', path, { body });
    const away = { baseUrl: 'https://elsewhere.example.com' };
    const response = await move(away);
    expect(response.status).toBe(400);
    const { error } = await response.json<{ error: { fields: object } }>();
    expect(error.fields).toEqual({ credential: 'is needed: baseUrl is another host' });
    expect(await inPool(id)).toMatchObject({ baseUrl: 'https://upstream.example.com/claude' });
    const within = { baseUrl: 'https://upstream.example.com/other' };
    expect(await read(await move(within))).toMatchObject(within);
    expect(await secretOf(await inPool(id))).toBe(SECRET);
    const credential = 'sk-of-elsewhere';
    expect(await read(await move({ ...away, credential }))).toMatchObject(away);
    expect(await secretOf(await inPool(id))).toBe(credential);
    const lines = await auditText(id);
    expect(lines).toContain('[sealed]');
    expect(lines).not.toContain(credential);
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
      ['PATCH', path, { credential: 'x' }],
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
