// What a deployment keeps to itself, and what it refuses: every refusal that can be foreseen is one
// clear sentence, and nothing has been changed.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openDatabase, runCommand } from './testing/fake-cloudflare.mjs';
import { useWorld } from './testing/world.mjs';
import { wranglerOf } from './wrangler.mjs';

const FAKE_WRANGLER = fileURLToPath(new URL('./testing/fake-wrangler.mjs', import.meta.url));
const PROVIDER_KEY = 'sk-ant-canary-0123456789';
const world = useWorld();

describe('a secret', () => {
  it('is never in arguments, environment, output or a file left behind', async () => {
    const environment = {
      ...process.env,
      FAKE_CLOUDFLARE: world.cloud,
      ANTHROPIC_API_KEY: PROVIDER_KEY,
    };
    const wrangler = wranglerOf({ root: world.root, environment, script: FAKE_WRANGLER });
    await world.run([], environment, { wrangler });
    const { worker, calls } = world.account();
    const { admin, user, key } = world.kept('credentials.json');
    const values = [...Object.values(worker.secrets), admin.password, user.password, key];
    const secrets = [...values, PROVIDER_KEY];
    expect(secrets.length).toBeGreaterThanOrEqual(8);
    const argumentsGiven = calls.flatMap((/** @type {any} */ call) => call.given).join('\n');
    const seen = readFileSync(join(world.cloud, 'environment.json'), 'utf8');
    for (const secret of secrets) {
      expect(argumentsGiven).not.toContain(secret);
      expect(seen).not.toContain(secret);
      expect(world.printed.join('\n')).not.toContain(secret);
    }
    expect(calls.at(-2).input).toBe('{"SETUP_SECRET":null}');
  }, 30_000);

  it('is taken out of the words of a wrangler that repeats it', async () => {
    const wrangler = async (/** @type {readonly string[]} */ command, input = '') => {
      if (command[0] !== 'deploy') return runCommand(world.cloud, command, input);
      const file = command[command.indexOf('--secrets-file') + 1] ?? '';
      const stderr = readFileSync(file, 'utf8');
      return { code: 1, stdout: '', stderr, reports: [] };
    };
    const failed = world.run([], {}, { wrangler });
    const problem = await failed.catch((/** @type {any} */ thrown) => thrown);
    expect(problem.details).toContain('[secret]');
    expect(problem.details).not.toContain(world.kept('secrets.json').CONVERSATION_SECRET);
  });

  it.each(['KEY_TAG_SECRETS', 'MASTER_KEYS', 'SESSION_SECRETS'])(
    'of several versions keeps the old ones when it is rotated: %s',
    async (name) => {
      await world.run();
      const before = world.account().worker.secrets;
      expect(await world.run(['--rotate', name])).toBe(0);
      const after = world.account().worker.secrets;
      const { 1: first, 2: second, ...others } = JSON.parse(after[name]);
      expect([first, others]).toEqual([JSON.parse(before[name])[1], {}]);
      expect(second).toHaveLength(first.length);
      expect({ ...after, [name]: before[name] }).toEqual(before);
      expect(world.kept('secrets.json')[name]).toBe(after[name]);
    },
  );

  it('of logins has two versions at most, those of keys and credentials go on for good', async () => {
    await world.run();
    const versionsOf = async (/** @type {string} */ name) => {
      for (let times = 0; times < 3; times += 1) await world.run(['--rotate', name]);
      return Object.keys(JSON.parse(world.account().worker.secrets[name]));
    };
    expect(await versionsOf('SESSION_SECRETS')).toEqual(['3', '4']);
    expect(await versionsOf('MASTER_KEYS')).toEqual(['1', '2', '3', '4']);
  });

  it('is not rotated without its copy: the old versions would be lost', async () => {
    await world.run();
    rmSync(join(world.root, '.deploy'), { recursive: true });
    for (const name of ['MASTER_KEYS', 'SESSION_SECRETS']) {
      const refused = world.run(['--rotate', name]);
      await expect(refused).rejects.toThrow(`keeps no copy of ${name}`);
    }
    expect(world.account().deploys).toBe(1);
  });

  it('that the Worker lost is put back from the copy of this machine', async () => {
    await world.run();
    const account = world.account();
    const masterKeys = account.worker.secrets.MASTER_KEYS;
    delete account.worker.secrets.MASTER_KEYS;
    world.change(account);
    await world.run();
    expect(world.account().worker.secrets.MASTER_KEYS).toBe(masterKeys);
  });

  it('that the Worker never had, being older, is made', async () => {
    await world.run();
    const account = world.account();
    const { SESSION_SECRETS: _, ...older } = account.worker.secrets;
    world.change({ ...account, worker: { ...account.worker, secrets: older } });
    rmSync(join(world.root, '.deploy'), { recursive: true });
    expect(await world.run()).toBe(0);
    const { SESSION_SECRETS: made, ...same } = world.account().worker.secrets;
    expect([Object.keys(JSON.parse(made)), same]).toEqual([['1'], older]);
  });

  it('that is lost everywhere is made anew only when that is accepted', async () => {
    await world.run();
    const account = world.account();
    delete account.worker.secrets.KEY_TAG_SECRETS;
    world.change(account);
    rmSync(join(world.root, '.deploy'), { recursive: true });
    await expect(world.run()).rejects.toThrow(/no KEY_TAG_SECRETS .* every key issued so far/);
    expect(world.account().deploys).toBe(1);
    expect(await world.run(['--new-secrets'])).toBe(0);
    expect(world.account().worker.secrets).toHaveProperty('KEY_TAG_SECRETS');
  });
});

describe('a refusal', () => {
  it('tells someone who is not logged in how to log in', async () => {
    world.change({ loggedIn: false });
    await expect(world.run()).rejects.toThrow(
      'not logged in to Cloudflare: run `npx wrangler login`',
    );
  });

  it('says so when Cloudflare cannot be reached', async () => {
    world.change({ network: false });
    await expect(world.run()).rejects.toThrow('Cloudflare cannot be reached: check the network');
  });

  it('asks which account is meant when there are several, and takes the one named', async () => {
    const accounts = ['a', 'b'].map((letter) => ({ id: letter.repeat(32), name: letter }));
    world.change({ accounts });
    await expect(world.run()).rejects.toThrow('set CLOUDFLARE_ACCOUNT_ID');
    expect(await world.run([], { CLOUDFLARE_ACCOUNT_ID: 'b'.repeat(32) })).toBe(0);
    expect(world.kept('deployment.json')).toMatchObject({ accountName: 'b' });
  });

  it('keeps two accounts from sharing the files of one deployment', async () => {
    await world.run();
    world.change({ accounts: [{ id: 'c'.repeat(32), name: 'Another' }] });
    await expect(world.run()).rejects.toThrow(
      'belongs to another Cloudflare account (Test account)',
    );
  });

  it('leaves a Worker alone that has the name and is not a relay', async () => {
    world.change({ worker: { name: 'cloud-relay', secrets: { THEIRS: 'x' } } });
    await expect(world.run()).rejects.toThrow('The name is taken: this account has a Worker');
    expect(world.account()).toMatchObject({
      databases: {},
      worker: { secrets: { THEIRS: 'x' } },
    });
  });

  it('leaves a database alone that has the name and holds other tables', async () => {
    world.change({ databases: { 'cloud-relay': 'theirs' } });
    const database = openDatabase(world.cloud, 'cloud-relay');
    database.exec('CREATE TABLE theirs (id TEXT)');
    database.close();
    await expect(world.run()).rejects.toThrow(
      /name is taken: .* database .*tables of its own \(theirs\)/,
    );
    expect(world.account().worker).toBeNull();
  });

  it('does not put an older checkout over a newer database', async () => {
    await world.run();
    const database = openDatabase(world.cloud, 'cloud-relay');
    database.exec("INSERT INTO d1_migrations (name) VALUES ('0002_newer.sql')");
    database.close();
    await expect(world.run()).rejects.toThrow('migrations that this checkout does not know');
    expect(world.account().deploys).toBe(1);
  });

  it('names what is not well when the new Worker stays unhealthy', async () => {
    world.relay.door['healthy'] = false;
    await expect(world.run()).rejects.toThrow(/health answers 503 \(not well: ledger\)/);
    expect(world.kept('credentials.json').confirmed).toBe(true);
  });

  it('says so when the relay was set up by someone else meanwhile', async () => {
    world.change({ crash: { call: 8, when: 'after' } });
    await world.run().catch(() => {});
    const file = join(world.root, '.deploy', 'cloud-relay', 'credentials.json');
    const credentials = { ...world.kept('credentials.json'), setupId: 'other', key: null };
    writeFileSync(file, JSON.stringify({ ...credentials, confirmed: false }));
    await expect(world.run()).rejects.toThrow('The relay was set up already, and not with');
  });
});
