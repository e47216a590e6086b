// The deployment from its first step to its last against a fake account and a fake relay: cut off at
// every call, refused in every way that can be foreseen.

import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploy } from './run.mjs';
import { newAccount, openDatabase, readAccount, runCommand } from './testing/fake-cloudflare.mjs';
import { saveAccount } from './testing/fake-cloudflare.mjs';
import { startRelay } from './testing/fake-relay.mjs';
import { wranglerOf } from './wrangler.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FAKE_WRANGLER = fileURLToPath(new URL('./testing/fake-wrangler.mjs', import.meta.url));
const LASTING = ['CONVERSATION_SECRET', 'KEY_TAG_SECRETS', 'MASTER_KEYS'];
const PROVIDER_KEY = 'sk-ant-canary-0123456789';

/** @type {string} */
let root;
/** @type {string} */
let cloud;
/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
/** @type {string[]} */
let printed;

beforeEach(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloud-relay-test-'));
  root = join(folder, 'project');
  cloud = join(folder, 'cloud');
  mkdirSync(join(root, 'migrations'), { recursive: true });
  cpSync(join(ROOT, 'wrangler.toml'), join(root, 'wrangler.toml'));
  const schema = 'CREATE TABLE users (id TEXT PRIMARY KEY, role TEXT NOT NULL)';
  writeFileSync(join(root, 'migrations', '0001_start.sql'), schema);
  newAccount(cloud);
  relay = await startRelay(cloud);
  change({ url: relay.url });
  printed = [];
});

afterEach(async () => {
  await relay.stop();
  rmSync(join(root, '..'), { recursive: true, force: true });
});

/** @param {Record<string, unknown>} changes */
function change(changes) {
  saveAccount(cloud, { ...readAccount(cloud), ...changes });
}

/**
 * @param {string[]} [given]
 * @param {NodeJS.ProcessEnv} [environment]
 * @param {import('./door.mjs').Pause} [pause]
 */
function run(given = [], environment = {}, pause = async () => {}) {
  return deploy({
    arguments: given,
    root,
    environment,
    wrangler: async (command, input = '') => runCommand(cloud, command, input),
    print: (line) => printed.push(line),
    pause,
    confirm: async () => true,
  });
}

/** @param {string} name */
function kept(name) {
  return JSON.parse(readFileSync(join(root, '.deploy', 'cloud-relay', name), 'utf8'));
}

/** @param {string} name */
function commandsOf(name) {
  const { calls } = readAccount(cloud);
  return calls.filter((/** @type {any} */ call) => call.given.join(' ').startsWith(name));
}

describe('a first deploy', () => {
  it('makes database, secrets, Worker and the first people, in this order', async () => {
    expect(await run()).toBe(0);
    const { worker, databases, calls } = readAccount(cloud);
    expect(Object.keys(databases)).toEqual(['cloud-relay']);
    expect(Object.keys(worker.secrets).toSorted()).toEqual(LASTING);
    const order = calls.map((/** @type {any} */ call) => call.given.slice(0, 2).join(' '));
    const doing = ['d1 create', 'd1 migrations', 'deploy --secrets-file', 'secret bulk'];
    expect(order.filter((/** @type {string} */ step) => doing.includes(step))).toEqual(doing);
    expect(relay.door['seen']).toEqual(['/admin/setup', '/admin/setup/confirm', '/health']);
  });

  it('writes the answer of the door to a file of mode 600 and prints its path', async () => {
    await run();
    const credentials = kept('credentials.json');
    expect(credentials).toMatchObject({ relay: relay.url, key: 'cr_key_1', confirmed: true });
    expect(credentials.admin).toEqual({
      email: 'admin@127.0.0.1',
      password: relay.door['password'],
    });
    const file = join(root, '.deploy', 'cloud-relay', 'credentials.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(printed.join('\n')).toContain('.deploy/cloud-relay/credentials.json');
  });

  it('says what it will do before it does anything', async () => {
    const wrangler = async (/** @type {readonly string[]} */ command, input = '') =>
      runCommand(cloud, command, input);
    const confirm = async () => false;
    const print = (/** @type {string} */ line) => printed.push(line);
    const refused = deploy({ arguments: [], root, environment: {}, wrangler, print, confirm });
    await expect(refused).rejects.toThrow('Nothing was changed');
    expect(printed.join('\n')).toMatch(/make the D1 database.*apply 1 migration.*KEY_TAG_SECRETS/s);
    expect(readAccount(cloud)).toMatchObject({ databases: {}, worker: null });
  });

  it('passes on the upstream accounts of the environment', async () => {
    await run([], { ANTHROPIC_API_KEY: `${PROVIDER_KEY},second-key-0123456789` });
    const accounts = JSON.parse(readAccount(cloud).worker.secrets.ENVIRONMENT_ACCOUNTS);
    expect(accounts).toHaveLength(2);
    expect(accounts[0]).toEqual({
      name: 'anthropic-1',
      kind: 'anthropic',
      baseUrl: 'https://api.anthropic.com',
      apiKey: PROVIDER_KEY,
    });
  });

  it('keeps everything of the account in files that git ignores', async () => {
    await run();
    const folder = join(root, '.deploy', 'cloud-relay');
    expect(readFileSync(join(folder, '.gitignore'), 'utf8')).toBe('*\n');
    expect(readFileSync(join(root, 'wrangler.toml'), 'utf8')).toContain('00000000-0000-0000');
    expect(readdirSync(folder).toSorted()).toEqual([
      '.gitignore',
      'credentials.json',
      'deployment.json',
      'secrets.json',
      'wrangler.toml',
    ]);
  });
});

describe('a second deploy', () => {
  it('makes nothing anew and leaves every secret as it is', async () => {
    await run([], { ANTHROPIC_API_KEY: PROVIDER_KEY });
    const before = readAccount(cloud);
    const credentials = kept('credentials.json');
    expect(await run([], { ANTHROPIC_API_KEY: 'another-key-0123456789' })).toBe(0);
    const after = readAccount(cloud);
    expect(after.worker.secrets).toEqual(before.worker.secrets);
    expect(after.databases).toEqual(before.databases);
    expect(after.deploys).toBe(2);
    expect(kept('credentials.json')).toEqual(credentials);
    expect(commandsOf('d1 create')).toHaveLength(1);
  });

  it('needs nothing of what the first one left on the machine', async () => {
    await run();
    const before = readAccount(cloud).worker.secrets;
    rmSync(join(root, '.deploy'), { recursive: true });
    expect(await run()).toBe(0);
    expect(readAccount(cloud).worker.secrets).toEqual(before);
    expect(readdirSync(join(root, '.deploy', 'cloud-relay'))).not.toContain('credentials.json');
  });

  it('replaces the upstream accounts when it is told to', async () => {
    await run([], { ANTHROPIC_API_KEY: PROVIDER_KEY });
    await run(['--replace-accounts'], { ANTHROPIC_API_KEY: 'another-key-0123456789' });
    expect(readAccount(cloud).worker.secrets.ENVIRONMENT_ACCOUNTS).toContain('another-key');
  });

  it('applies migrations that are new, before the Worker that needs them', async () => {
    await run();
    writeFileSync(join(root, 'migrations', '0002_more.sql'), 'CREATE TABLE more (id TEXT)');
    change({ calls: [] });
    await run();
    const { calls } = readAccount(cloud);
    const order = calls.map((/** @type {any} */ call) => call.given[0] + call.given[1]);
    expect(order.indexOf('d1migrations')).toBeGreaterThan(0);
    expect(order.indexOf('d1migrations')).toBeLessThan(order.indexOf('deploy--config'));
    expect(printed.join('\n')).toContain('apply 1 migration(s): 0002_more.sql');
  });

  it('keeps the domain that an earlier one was given', async () => {
    await run(['--domain', 'relay.example.com']);
    await run();
    const config = readFileSync(join(root, '.deploy', 'cloud-relay', 'wrangler.toml'), 'utf8');
    expect(config).toContain('routes = [{ pattern = "relay.example.com", custom_domain = true }]');
  });
});

describe('a deploy that is cut off', () => {
  const steps = Array.from({ length: 9 }, (_, index) => index + 1);
  const cuts = steps.flatMap((call) => [
    { call, when: 'before' },
    { call, when: 'after' },
  ]);

  it.each(cuts)('$when its wrangler call $call is repaired by the next one', async (crash) => {
    change({ crash });
    await run().catch(() => {});
    const secrets = readAccount(cloud).worker?.secrets ?? {};
    expect(readAccount(cloud).calls.length).toBeGreaterThanOrEqual(crash.call);
    expect(await run()).toBe(0);
    const { worker, databases } = readAccount(cloud);
    expect(Object.keys(databases)).toEqual(['cloud-relay']);
    expect(Object.keys(worker.secrets).toSorted()).toEqual(LASTING);
    for (const name of LASTING) {
      expect(secrets[name] ?? worker.secrets[name]).toBe(worker.secrets[name]);
      expect(kept('secrets.json')[name]).toBe(worker.secrets[name]);
    }
    expect(kept('credentials.json')).toMatchObject({ confirmed: true, key: relay.door['key'] });
    expect(kept('credentials.json').admin.password).toBe(relay.door['password']);
    const files = readdirSync(join(root, '.deploy', 'cloud-relay'));
    expect(files).not.toContain('upload.json');
  });

  it.each(['/admin/setup', '/admin/setup/confirm'])('at %s goes on by itself', async (path) => {
    relay.door['cut'] = [path];
    expect(await run()).toBe(0);
    expect(kept('credentials.json')).toMatchObject({ confirmed: true, key: relay.door['key'] });
  });

  it.each(['/admin/setup', '/admin/setup/confirm'])(
    'while %s was under way is repaired by the next one with the same setup',
    async (path) => {
      relay.door['cut'] = [path];
      const pause = () => Promise.reject(new Error('killed'));
      await expect(run([], {}, pause)).rejects.toThrow('killed');
      const { setupId } = kept('credentials.json');
      expect(await run()).toBe(0);
      expect(kept('credentials.json')).toMatchObject({ setupId, key: relay.door['key'] });
      expect(kept('credentials.json').confirmed).toBe(true);
      expect(readAccount(cloud).worker.secrets).not.toHaveProperty('SETUP_SECRET');
    },
  );

  it('after the door was confirmed and before the file said so is repaired', async () => {
    await run();
    const file = join(root, '.deploy', 'cloud-relay', 'credentials.json');
    writeFileSync(file, JSON.stringify({ ...kept('credentials.json'), confirmed: false }));
    expect(await run()).toBe(0);
    expect(kept('credentials.json')).toMatchObject({ confirmed: true, key: 'cr_key_1' });
  });

  it('with a SETUP_SECRET left behind removes it', async () => {
    await run();
    const account = readAccount(cloud);
    account.worker.secrets.SETUP_SECRET = 'left-behind';
    saveAccount(cloud, account);
    expect(await run()).toBe(0);
    expect(readAccount(cloud).worker.secrets).not.toHaveProperty('SETUP_SECRET');
  });
});

describe('a secret', () => {
  it('is never in arguments, environment, output or a file left behind', async () => {
    const environment = { ...process.env, FAKE_CLOUDFLARE: cloud, ANTHROPIC_API_KEY: PROVIDER_KEY };
    const wrangler = wranglerOf({ root, environment, script: FAKE_WRANGLER });
    const print = (/** @type {string} */ line) => printed.push(line);
    const pause = async () => {};
    await deploy({ arguments: ['--yes'], root, environment, wrangler, print, pause });
    const { worker, calls } = readAccount(cloud);
    const { admin, user, key } = kept('credentials.json');
    const values = [...Object.values(worker.secrets), admin.password, user.password, key];
    const secrets = [...values, PROVIDER_KEY];
    expect(secrets.length).toBeGreaterThanOrEqual(8);
    const argumentsGiven = calls.flatMap((/** @type {any} */ call) => call.given).join('\n');
    const seen = readFileSync(join(cloud, 'environment.json'), 'utf8');
    for (const secret of secrets) {
      expect(argumentsGiven).not.toContain(secret);
      expect(seen).not.toContain(secret);
      expect(printed.join('\n')).not.toContain(secret);
    }
    expect(calls.at(-2).input).toBe('{"SETUP_SECRET":null}');
  }, 30_000);

  it('is taken out of the words of a wrangler that repeats it', async () => {
    const wrangler = async (/** @type {readonly string[]} */ command, input = '') => {
      if (command[0] !== 'deploy') return runCommand(cloud, command, input);
      const file = command[command.indexOf('--secrets-file') + 1] ?? '';
      const stderr = readFileSync(file, 'utf8');
      return { code: 1, stdout: '', stderr, reports: [] };
    };
    const print = () => {};
    const failed = deploy({ arguments: ['--yes'], root, environment: {}, wrangler, print });
    const problem = await failed.catch((/** @type {any} */ thrown) => thrown);
    expect(problem.details).toContain('[secret]');
    expect(problem.details).not.toContain(kept('secrets.json').CONVERSATION_SECRET);
  });

  it('that the Worker lost is put back from the copy of this machine', async () => {
    await run();
    const account = readAccount(cloud);
    const masterKeys = account.worker.secrets.MASTER_KEYS;
    delete account.worker.secrets.MASTER_KEYS;
    saveAccount(cloud, account);
    await run();
    expect(readAccount(cloud).worker.secrets.MASTER_KEYS).toBe(masterKeys);
  });

  it('that is lost everywhere is made anew only when that is accepted', async () => {
    await run();
    const account = readAccount(cloud);
    delete account.worker.secrets.KEY_TAG_SECRETS;
    saveAccount(cloud, account);
    rmSync(join(root, '.deploy'), { recursive: true });
    await expect(run()).rejects.toThrow(/no KEY_TAG_SECRETS .* every key issued so far/);
    expect(readAccount(cloud).deploys).toBe(1);
    expect(await run(['--new-secrets'])).toBe(0);
    expect(readAccount(cloud).worker.secrets).toHaveProperty('KEY_TAG_SECRETS');
  });
});

describe('a refusal', () => {
  it('tells someone who is not logged in how to log in', async () => {
    change({ loggedIn: false });
    await expect(run()).rejects.toThrow('not logged in to Cloudflare: run `npx wrangler login`');
  });

  it('says so when Cloudflare cannot be reached', async () => {
    change({ network: false });
    await expect(run()).rejects.toThrow('Cloudflare cannot be reached: check the network');
  });

  it('asks which account is meant when there are several, and takes the one named', async () => {
    const accounts = ['a', 'b'].map((letter) => ({ id: letter.repeat(32), name: letter }));
    change({ accounts });
    await expect(run()).rejects.toThrow('set CLOUDFLARE_ACCOUNT_ID');
    expect(await run([], { CLOUDFLARE_ACCOUNT_ID: 'b'.repeat(32) })).toBe(0);
    expect(kept('deployment.json')).toMatchObject({ accountName: 'b' });
  });

  it('keeps two accounts from sharing the files of one deployment', async () => {
    await run();
    change({ accounts: [{ id: 'c'.repeat(32), name: 'Another' }] });
    await expect(run()).rejects.toThrow('belongs to another Cloudflare account (Test account)');
  });

  it('leaves a Worker alone that has the name and is not a relay', async () => {
    change({ worker: { name: 'cloud-relay', secrets: { THEIRS: 'x' } } });
    await expect(run()).rejects.toThrow('The name is taken: this account has a Worker');
    expect(readAccount(cloud)).toMatchObject({
      databases: {},
      worker: { secrets: { THEIRS: 'x' } },
    });
  });

  it('leaves a database alone that has the name and holds other tables', async () => {
    change({ databases: { 'cloud-relay': 'theirs' } });
    const database = openDatabase(cloud, 'cloud-relay');
    database.exec('CREATE TABLE theirs (id TEXT)');
    database.close();
    await expect(run()).rejects.toThrow(
      /name is taken: .* database .*tables of its own \(theirs\)/,
    );
    expect(readAccount(cloud).worker).toBeNull();
  });

  it('does not put an older checkout over a newer database', async () => {
    await run();
    const database = openDatabase(cloud, 'cloud-relay');
    database.exec("INSERT INTO d1_migrations (name) VALUES ('0002_newer.sql')");
    database.close();
    await expect(run()).rejects.toThrow('migrations that this checkout does not know');
    expect(readAccount(cloud).deploys).toBe(1);
  });

  it('names what is not well when the new Worker stays unhealthy', async () => {
    relay.door['healthy'] = false;
    await expect(run()).rejects.toThrow(/health answers 503 \(not well: ledger\)/);
    expect(kept('credentials.json').confirmed).toBe(true);
  });

  it('says so when the relay was set up by someone else meanwhile', async () => {
    change({ crash: { call: 8, when: 'after' } });
    await run().catch(() => {});
    const file = join(root, '.deploy', 'cloud-relay', 'credentials.json');
    const credentials = { ...kept('credentials.json'), setupId: 'other', key: null };
    writeFileSync(file, JSON.stringify({ ...credentials, confirmed: false }));
    await expect(run()).rejects.toThrow('The relay was set up already, and not with');
  });
});
