// What comes with the deployment: accounts of the environment and the shipped prices.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { LIST_ALIASES, LIST_PRICES, LIST_PRICES_VERSION } from '../domain/pricing/list-prices';
import type { EnvironmentAccount } from '../platform/env';
import { randomBytes } from '../platform/random';
import { unseal } from '../platform/seal';
import type { EnvironmentFacts } from './environment';
import { syncEnvironment } from './environment';
import { loadSnapshot, snapshotVersion } from './snapshot';

const NOW = 1_795_000_000_000;
const MASTER_KEYS = { '1': 'master-key-master-key-one' };

const FIRST: EnvironmentAccount = {
  name: 'anthropic-1',
  kind: 'anthropic',
  baseUrl: 'https://api.anthropic.com/',
  apiKey: 'sk-ant-first',
};
const SECOND: EnvironmentAccount = { ...FIRST, name: 'anthropic-2', apiKey: 'sk-ant-second' };
const SANDBOX: EnvironmentAccount = {
  name: 'sandbox',
  kind: 'anthropic-compatible',
  baseUrl: 'http://127.0.0.1:4000/prefix',
  apiKey: 'sandbox',
};

async function sync(facts: Partial<EnvironmentFacts>): Promise<void> {
  const random = randomBytes;
  const known = { accounts: null, masterKeys: MASTER_KEYS, now: NOW, random, ...facts };
  await syncEnvironment(env.DB, known);
}

async function rowsOf<T>(query: string): Promise<T[]> {
  return (await env.DB.prepare(query).all<T>()).results;
}

async function accountNamed(name: string) {
  const { accounts } = await loadSnapshot(env.DB);
  const found = accounts.find((account) => account.name === name);
  if (found === undefined) throw new Error(`no account ${name}`);
  return found;
}

async function credentialOf(name: string): Promise<string> {
  const { id, credential } = await accountNamed(name);
  const context = { masterKeys: MASTER_KEYS, accountId: id };
  return (await unseal(credential, context)).reveal();
}

beforeEach(async () => {
  const tables = ['accounts', 'prices', 'aliases', 'settings', 'outbox'];
  await env.DB.batch(tables.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
});

describe('shipped prices', () => {
  it('an empty database takes the whole list over, as a snapshot with a version', async () => {
    await sync({});
    const snapshot = await loadSnapshot(env.DB);
    const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id);
    expect(snapshot.catalogue.rows.toSorted(byId)).toEqual(LIST_PRICES.toSorted(byId));
    expect(snapshot.catalogue.aliases).toEqual(LIST_ALIASES);
    expect(snapshot.catalogue.version).toBe(snapshot.version);
    expect(snapshot.version).toBe(NOW);
    expect(await snapshotVersion(env.DB)).toBe(NOW);
  });

  it('the change leaves an outbox row with the new version for Pool', async () => {
    await sync({});
    expect(await rowsOf('SELECT id, kind, version, wallet_id FROM outbox')).toEqual([
      { id: `snapshot:${NOW}`, kind: 'snapshot', version: NOW, wallet_id: null },
    ]);
  });

  it('the same list again changes nothing', async () => {
    await sync({});
    await sync({ now: NOW + 5_000 });
    expect(await snapshotVersion(env.DB)).toBe(NOW);
  });

  it('a newer list replaces list rows and aliases, never an admin’s', async () => {
    await sync({});
    const [listed, own] = LIST_PRICES;
    const [alias] = Object.keys(LIST_ALIASES);
    if (listed === undefined || own === undefined || alias === undefined) throw new Error('empty');
    const wrong = JSON.stringify({ ...listed, displayName: 'Wrong' });
    const mine = JSON.stringify({ ...own, displayName: 'Mine' });
    await env.DB.batch([
      env.DB.prepare('UPDATE prices SET document = ? WHERE id = ?').bind(wrong, listed.id),
      env.DB.prepare("UPDATE prices SET document = ?, source = 'admin' WHERE id = ?").bind(
        mine,
        own.id,
      ),
      env.DB.prepare("UPDATE aliases SET model = 'mine', source = 'admin' WHERE alias = ?").bind(
        alias,
      ),
      env.DB.prepare("UPDATE settings SET value = ? WHERE name = 'list_prices_version'").bind(
        String(LIST_PRICES_VERSION - 1),
      ),
    ]);
    await sync({ now: NOW + 5_000 });
    const { catalogue, version } = await loadSnapshot(env.DB);
    const nameOf = (id: string) => catalogue.rows.find((row) => row.id === id)?.displayName;
    expect(nameOf(listed.id)).toBe(listed.displayName);
    expect(nameOf(own.id)).toBe('Mine');
    expect(catalogue.aliases[alias]).toBe('mine');
    expect(version).toBe(NOW + 5_000);
  });

  it('a row that cannot be read fails the load instead of pricing wrongly', async () => {
    await sync({});
    const [listed] = LIST_PRICES;
    if (listed === undefined) throw new Error('empty');
    const halves = JSON.stringify({ ...listed, webSearchPicos: 0.5 });
    await env.DB.prepare('UPDATE prices SET document = ? WHERE id = ?')
      .bind(halves, listed.id)
      .run();
    await expect(loadSnapshot(env.DB)).rejects.toThrow(`price ${listed.id} cannot be read`);
  });
});

describe('accounts of the environment', () => {
  it('become sealed, active rows without a trailing slash', async () => {
    await sync({ accounts: [FIRST, SANDBOX] });
    const first = await accountNamed('anthropic-1');
    expect(first).toMatchObject({
      kind: 'anthropic',
      baseUrl: 'https://api.anthropic.com',
      status: 'active',
      models: null,
      group: null,
    });
    expect(await credentialOf('anthropic-1')).toBe('sk-ant-first');
    expect((await accountNamed('sandbox')).baseUrl).toBe('http://127.0.0.1:4000/prefix');
    const everything = JSON.stringify([
      await rowsOf('SELECT * FROM accounts'),
      await rowsOf('SELECT * FROM settings'),
      await rowsOf('SELECT * FROM outbox'),
    ]);
    expect(everything).not.toContain('sk-ant');
  });

  it('the same accounts again change nothing, not even a version', async () => {
    await sync({ accounts: [FIRST] });
    const before = await loadSnapshot(env.DB);
    await sync({ accounts: [FIRST], now: NOW + 5_000 });
    expect(await loadSnapshot(env.DB)).toEqual(before);
  });

  it('a changed credential is sealed anew under the same id, and every version rises', async () => {
    await sync({ accounts: [FIRST, SECOND] });
    const before = await accountNamed('anthropic-1');
    await sync({ accounts: [{ ...FIRST, apiKey: 'sk-ant-new' }, SECOND], now: NOW + 5_000 });
    expect((await accountNamed('anthropic-1')).id).toBe(before.id);
    expect(await credentialOf('anthropic-1')).toBe('sk-ant-new');
    expect(await credentialOf('anthropic-2')).toBe('sk-ant-second');
    expect(await snapshotVersion(env.DB)).toBe(NOW + 5_000);
    expect(await rowsOf('SELECT DISTINCT version FROM accounts')).toEqual([
      { version: NOW + 5_000 },
    ]);
  });

  it('versions rise even when the clock went back', async () => {
    await sync({ accounts: [FIRST] });
    await sync({ accounts: [SECOND], now: NOW - 5_000 });
    expect(await snapshotVersion(env.DB)).toBe(NOW + 1);
  });

  it('one that is gone is disabled and forgotten; back, it has its id again', async () => {
    await sync({ accounts: [FIRST, SANDBOX] });
    const before = await accountNamed('sandbox');
    await sync({ accounts: [FIRST], now: NOW + 5_000 });
    expect(await accountNamed('sandbox')).toMatchObject({ id: before.id, status: 'disabled' });
    expect(await credentialOf('sandbox')).toBe('');
    await sync({ accounts: [FIRST, SANDBOX], now: NOW + 9_000 });
    expect(await accountNamed('sandbox')).toMatchObject({ id: before.id, status: 'active' });
    expect(await credentialOf('sandbox')).toBe('sandbox');
  });

  it('an empty list disables all, no list at all leaves all as they are', async () => {
    await sync({ accounts: [FIRST] });
    await sync({ accounts: null, now: NOW + 5_000 });
    expect((await accountNamed('anthropic-1')).status).toBe('active');
    await sync({ accounts: [], now: NOW + 9_000 });
    expect((await accountNamed('anthropic-1')).status).toBe('disabled');
  });

  it('an admin’s account of the same name and an admin’s weight stay', async () => {
    await sync({ accounts: [FIRST] });
    const { id } = await accountNamed('anthropic-1');
    await env.DB.batch([
      env.DB.prepare('UPDATE accounts SET weight = 7 WHERE id = ?').bind(id),
      env.DB.prepare(
        'INSERT INTO accounts (id, name, kind, base_url, credential_key_version, credential_iv, ' +
          'credential_ciphertext, status, cache_group, weight, priority, models, origin, version, ' +
          "created_at) SELECT 'acc_own', 'own', kind, base_url, 'k', 'i', 'c', 'active', " +
          "cache_group, 1, 0, '[\"claude-x\"]', 'admin', 5, 5 FROM accounts WHERE id = ?",
      ).bind(id),
    ]);
    await sync({ accounts: [{ ...SECOND, name: 'own' }, FIRST], now: NOW + 5_000 });
    const { accounts } = await loadSnapshot(env.DB);
    expect(accounts.find((account) => account.id === id)?.weight).toBe(7);
    const credential = { keyVersion: 'k', iv: 'i', ciphertext: 'c' };
    const models = ['claude-x'];
    const own = accounts.find((account) => account.id === 'acc_own');
    expect(own).toMatchObject({ credential, status: 'active', models });
    expect(accounts.filter((account) => account.name === 'own')).toHaveLength(2);
  });

  it('a new master key seals the same accounts anew', async () => {
    await sync({ accounts: [FIRST] });
    const masterKeys = { ...MASTER_KEYS, '2': 'master-key-master-key-two' };
    await sync({ accounts: [FIRST], masterKeys, now: NOW + 5_000 });
    const { id, credential } = await accountNamed('anthropic-1');
    expect(credential.keyVersion).toBe('2');
    const opened = await unseal(credential, { masterKeys, accountId: id });
    expect(opened.reveal()).toBe('sk-ant-first');
  });

  it('what an admin has put out of use stays so, whatever else changes there', async () => {
    await sync({ accounts: [FIRST, SECOND] });
    await env.DB.batch([
      env.DB.prepare("UPDATE accounts SET status = 'disabled' WHERE name = ?").bind(FIRST.name),
      env.DB.prepare("UPDATE accounts SET status = 'draining' WHERE name = ?").bind(SECOND.name),
    ]);
    const masterKeys = { ...MASTER_KEYS, '2': 'master-key-master-key-two' };
    await sync({ accounts: [{ ...FIRST, apiKey: 'x' }, SECOND], masterKeys, now: NOW + 5_000 });
    expect((await accountNamed(FIRST.name)).status).toBe('disabled');
    expect((await accountNamed(SECOND.name)).status).toBe('draining');
  });

  it('two of one name become two rows', async () => {
    await sync({ accounts: [FIRST, { ...SECOND, name: FIRST.name }] });
    const ids = (await loadSnapshot(env.DB)).accounts.map((account) => account.id);
    await sync({ accounts: [FIRST, { ...FIRST, apiKey: 'sk-ant-third' }], now: NOW + 5_000 });
    expect((await loadSnapshot(env.DB)).accounts.map((account) => account.id)).toEqual(ids);
  });
});
