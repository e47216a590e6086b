// What an admin sets of an account, through the routes: every field there and back, in Pool and in
// the audit; what a kind needs; where an account is called when nobody says where.

import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { newPerson, read } from '../../../tests/workerd/control-world';
import type { Account } from '../contract/account-fields';
import type { SnapshotAccount } from '../../domain/snapshot';
import { configOf } from '../../platform/env';
import { poolOf } from '../../platform/objects';
import { unseal } from '../../platform/seal';

const NEW = { name: 'N', kind: 'anthropic', credential: 'sk-ant-api03-Zk3Vd9QmT7wXrB5n' };
const BAND = {
  promptAbove: 0,
  input: 1,
  cacheWrite5m: 2,
  cacheWrite1h: 3,
  cacheRead: 4,
  output: 5,
};
/** Every field, none at its default. */
const FIELDS = {
  workspace: 'wrkspc_01',
  weight: 3,
  priority: 2,
  group: 'org one',
  groups: ['team-a', 'night'],
  models: ['claude-x'],
  modelNames: { 'claude-x': 'own.claude-x:1' },
  status: 'draining',
  maxConcurrency: 4,
  dailyCapNanos: 50_000_000_000,
  monthlyCapNanos: 900_000_000_000,
  isHard: true,
  activeHours: { timeZone: 'Europe/Berlin', days: [1, 5], fromMinute: 480, toMinute: 60 },
  egress: 'weur',
  costFactor: [11, 10],
  notes: 'Pays by card ending in 4242.',
};
/** What clears each again. */
const CLEARED = {
  workspace: null,
  group: null,
  groups: [],
  models: null,
  modelNames: {},
  maxConcurrency: null,
  dailyCapNanos: null,
  monthlyCapNanos: null,
  isHard: false,
  activeHours: null,
  egress: null,
  costFactor: [1, 1],
  ownPrices: [],
  notes: '',
};

const admin = await newPerson({ role: 'admin' });

async function made(more: object = {}): Promise<Account> {
  const response = await admin.call('POST', '/admin/accounts', { body: { ...NEW, ...more } });
  return (await read<{ account: Account }>(response, 201)).account;
}

/** The fields that a refused creation names. */
async function wrongIn(more: object): Promise<Readonly<Record<string, string>>> {
  const response = await admin.call('POST', '/admin/accounts', { body: { ...NEW, ...more } });
  const { error } = await read<{ error: { code: string; fields: Record<string, string> } }>(
    response,
    400,
  );
  expect(error.code).toBe('not-valid');
  return error.fields;
}

async function inPool(id: string): Promise<SnapshotAccount> {
  const answer = await poolOf(env).snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') throw new Error('Pool has no snapshot');
  const found = answer.value.accounts.find((account) => account.id === id);
  if (found === undefined) throw new Error(`${id} is not in Pool`);
  return found;
}

async function secretOf({ id, credential }: SnapshotAccount): Promise<string> {
  const config = configOf(env);
  if (!config.ok) throw new Error('the test environment is not valid');
  const { masterKeys } = config.value;
  return (await unseal(credential, { masterKeys, accountId: id })).reveal();
}

describe('every field of an account', () => {
  it('is set when it is made, shown, in Pool but for the notes, and in the audit', async () => {
    const { notes, ...held } = FIELDS;
    const account = await made({ ...FIELDS, ownPrices: [{ model: 'claude-x', bands: [BAND] }] });
    expect(account).toMatchObject(FIELDS);
    expect(account.ownPrices).toEqual([
      {
        model: 'claude-x',
        bands: [BAND],
        speed: { standard: [1, 1] },
        geo: { global: [1, 1], not_available: [1, 1] },
        tier: { standard: [1, 1], priority: [1, 1] },
        webSearchPicos: 10_000_000_000,
      },
    ]);
    const snapshot = await inPool(account.id);
    expect(snapshot).toMatchObject(held);
    expect(snapshot.ownPrices).toMatchObject([
      { model: 'claude-x', effectiveFrom: 0, bands: [BAND] },
    ]);
    expect(JSON.stringify(snapshot)).not.toContain(notes);
    const shown = await read(await admin.call('GET', `/admin/accounts/${account.id}`));
    expect(shown).toMatchObject({ ...FIELDS, ownPrices: account.ownPrices });
    const { results } = await env.DB.prepare('SELECT after FROM audit WHERE target_id = ?')
      .bind(account.id)
      .all<{ after: string }>();
    const [line] = results;
    expect(JSON.parse(line?.after ?? '')).toMatchObject({ ...FIELDS, credential: '[sealed]' });
  });

  it('is changed and cleared by itself, and the others stay', async () => {
    const { id } = await made(FIELDS);
    const path = `/admin/accounts/${id}`;
    let expected: object = FIELDS;
    for (const [field, value] of Object.entries(CLEARED)) {
      expected = { ...expected, [field]: value };
      const shown = await read(await admin.call('PATCH', path, { body: { [field]: value } }));
      expect(shown).toMatchObject(expected);
    }
    const { notes: _, ...held } = CLEARED;
    expect(await inPool(id)).toMatchObject(held);
  });

  it('is at its default where nothing is said, as it was for accounts from before', async () => {
    const { id } = await made();
    const columns = 'SELECT * FROM accounts WHERE id = ?';
    const fresh = await env.DB.prepare(columns).bind(id).first();
    // As a Worker of before writes it.
    await env.DB.prepare(
      'INSERT INTO accounts (id, name, kind, base_url, credential_key_version, credential_iv, ' +
        'credential_ciphertext, status, cache_group, weight, priority, models, origin, version, ' +
        "created_at) SELECT 'acc_old', name, kind, base_url, credential_key_version, " +
        'credential_iv, credential_ciphertext, status, cache_group, weight, priority, models, ' +
        'origin, version, created_at FROM accounts WHERE id = ?',
    )
      .bind(id)
      .run();
    const old = await env.DB.prepare(columns).bind('acc_old').first();
    expect(old).toEqual({ ...fresh, id: 'acc_old' });
    await env.DB.prepare("DELETE FROM accounts WHERE id = 'acc_old'").run();
  });

  it.each([
    { models: ['a'], modelNames: { 'a b': 'c' } },
    { groups: ['a', 'a'] },
    { groups: ['a,b'] },
    { maxConcurrency: 0 },
    { dailyCapNanos: 0 },
    { monthlyCapNanos: 1.5 },
    { isHard: 'yes' },
    { egress: 'moon' },
    { costFactor: [1, 0] },
    { costFactor: [1] },
    { costFactor: 1.1 },
    { activeHours: { ...FIELDS.activeHours, timeZone: 'Mars/Olympus' } },
    { activeHours: { ...FIELDS.activeHours, days: [] } },
    { activeHours: { ...FIELDS.activeHours, days: [7] } },
    { activeHours: { ...FIELDS.activeHours, days: [1, 1] } },
    { activeHours: { ...FIELDS.activeHours, toMinute: 480 } },
    { activeHours: { ...FIELDS.activeHours, toMinute: 1_441 } },
    { activeHours: { ...FIELDS.activeHours, more: 1 } },
    { ownPrices: [{ model: 'm', bands: [] }] },
    { ownPrices: [{ model: 'm', bands: [BAND], maxOutputTokens: 5 }] },
    {
      ownPrices: [
        { model: 'm', bands: [BAND] },
        { model: 'm', bands: [BAND] },
      ],
    },
    { notes: 'x'.repeat(2_001) },
    { region: 'eu_1' },
    { project: 'a/../b' },
    { workspace: 'a b' },
    { notKnown: 1 },
  ])('is refused as %j', async (more) => {
    const fields = Object.keys(await wrongIn(more));
    expect(fields.length).toBeGreaterThan(0);
    for (const field of fields) {
      expect(Object.keys(more)).toContain(field.split(/[.[]/)[0]);
    }
  });
});

const GOOGLE = {
  type: 'service_account',
  project_id: 'own-project',
  private_key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
  private_key_id: 'k1',
  client_email: 'relay@own-project.iam.gserviceaccount.com',
  token_uri: 'https://oauth2.googleapis.com/token',
};
const SIGV4 = { type: 'sigv4', accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUt' };

describe('an account of a cloud', () => {
  it.each([
    [{}, 'https://api.anthropic.com'],
    [
      { kind: 'bedrock', region: 'eu-central-1', credential: SIGV4 },
      'https://bedrock-runtime.eu-central-1.amazonaws.com',
    ],
    [{ kind: 'bedrock-mantle', region: 'us-east-1' }, 'https://bedrock-mantle.us-east-1.api.aws'],
    [
      { kind: 'aws', region: 'us-west-2', workspace: 'wrkspc_1' },
      'https://aws-external-anthropic.us-west-2.api.aws',
    ],
    [
      { kind: 'vertex', region: 'europe-west1', credential: GOOGLE },
      'https://europe-west1-aiplatform.googleapis.com',
    ],
    [
      { kind: 'vertex', region: 'global', project: 'p', credential: GOOGLE },
      'https://aiplatform.googleapis.com',
    ],
    [
      { kind: 'vertex', region: 'eu', credential: GOOGLE },
      'https://aiplatform.eu.rep.googleapis.com',
    ],
    [{ kind: 'foundry', project: 'my-resource' }, 'https://my-resource.services.ai.azure.com'],
  ])('made with %j is called at %s', async (more, baseUrl) => {
    const account = await made(more);
    expect(account).toMatchObject({ baseUrl, allowsOtherHost: false });
    const held = await inPool(account.id);
    expect(held).toMatchObject({ baseUrl, kind: account.kind });
    const secret = 'credential' in more ? JSON.stringify(more.credential) : NEW.credential;
    expect(await secretOf(held)).toBe(secret);
    expect(JSON.stringify(account)).not.toContain('PRIVATE KEY');
  });

  it.each([
    [{ kind: 'anthropic-compatible' }, ['baseUrl']],
    [{ region: 'us-east-1' }, ['region']],
    [{ kind: 'bedrock' }, ['region']],
    [{ kind: 'bedrock', region: 'us-east-1', project: 'p' }, ['project']],
    [{ kind: 'aws' }, ['region', 'workspace']],
    [{ kind: 'vertex', credential: GOOGLE }, ['region']],
    [{ kind: 'foundry' }, ['project']],
    [{ kind: 'vertex', region: 'global' }, ['credential']],
    [{ kind: 'bedrock', region: 'us-east-1', credential: GOOGLE }, ['credential']],
    [{ credential: { type: 'sigv4' } }, ['credential']],
    [{ credential: 'two words' }, ['credential']],
    [{ kind: 'bedrock', region: 'us-east-1', baseUrl: 'https://evil.example' }, ['baseUrl']],
  ])('is refused with %j', async (more, fields) => {
    expect(Object.keys(await wrongIn(more))).toEqual(fields);
  });

  it('moves with its region, unless its address was said', async () => {
    const { id } = await made({ kind: 'bedrock', region: 'us-east-1' });
    const change = async (body: object) =>
      read<Account>(await admin.call('PATCH', `/admin/accounts/${id}`, { body }));
    const moved = await change({ region: 'us-west-2' });
    expect(moved.baseUrl).toBe('https://bedrock-runtime.us-west-2.amazonaws.com');
    const baseUrl = 'https://bedrock.proxy.example.com';
    const { credential } = NEW;
    await change({ baseUrl, allowsOtherHost: true, credential });
    expect(await change({ region: 'eu-west-1' })).toMatchObject({ baseUrl, region: 'eu-west-1' });
    const bare = await admin.call('PATCH', `/admin/accounts/${id}`, { body: { region: null } });
    expect(bare.status).toBe(400);
  });

  it('is at another host only where an admin has said so, and no longer than that', async () => {
    const baseUrl = 'https://anthropic.proxy.example.com';
    expect(Object.keys(await wrongIn({ baseUrl }))).toEqual(['baseUrl']);
    const { id } = await made({ baseUrl, allowsOtherHost: true });
    expect(await inPool(id)).toMatchObject({ baseUrl, allowsOtherHost: true });
    const path = `/admin/accounts/${id}`;
    const back = await admin.call('PATCH', path, { body: { allowsOtherHost: false } });
    expect(back.status).toBe(400);
    for (const evil of ['https://10.0.0.1', 'https://metadata.google.internal']) {
      expect((await admin.call('PATCH', path, { body: { baseUrl: evil } })).status).toBe(400);
    }
    const home = { allowsOtherHost: false, baseUrl: 'https://api.anthropic.com' };
    expect(await read(await admin.call('PATCH', path, { body: home }))).toMatchObject(home);
  });

  it('takes a credential of its kind alone when it is put anew', async () => {
    const { id } = await made({ kind: 'vertex', region: 'global', credential: GOOGLE });
    const put = async (credential: unknown) =>
      admin.call('PUT', `/admin/accounts/${id}/credential`, { body: { credential } });
    for (const wrong of ['sk-ant-key', SIGV4, { ...GOOGLE, token_uri: 'https://evil.example' }]) {
      const response = await put(wrong);
      expect(response.status).toBe(400);
      expect(await response.text()).not.toMatch(/sk-ant-key|wJalrXUt|evil/);
    }
    const other = { ...GOOGLE, private_key_id: 'k2' };
    await read(await put(other));
    expect(JSON.parse(await secretOf(await inPool(id)))).toEqual(other);
    expect((await put(JSON.stringify(other))).status).toBe(200);
  });
});
