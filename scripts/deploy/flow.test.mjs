// A deployment from its first step to its last against a fake account and a fake relay: cut off at
// every call, and run again.

import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useWorld } from './testing/world.mjs';

const LASTING = ['CONVERSATION_SECRET', 'KEY_TAG_SECRETS', 'MASTER_KEYS', 'SESSION_SECRETS'];
const PROVIDER_KEY = 'sk-ant-canary-0123456789';
const world = useWorld();

describe('a first deploy', () => {
  it('makes database, secrets, Worker and the first people, in this order', async () => {
    expect(await world.run()).toBe(0);
    const { worker, databases, calls } = world.account();
    expect(Object.keys(databases)).toEqual(['cloud-relay']);
    expect(Object.keys(worker.secrets).toSorted()).toEqual(LASTING);
    const order = calls.map((/** @type {any} */ call) => call.given.slice(0, 2).join(' '));
    const doing = ['d1 create', 'd1 migrations', 'deploy --secrets-file', 'secret bulk'];
    expect(order.filter((/** @type {string} */ step) => doing.includes(step))).toEqual(doing);
    expect(world.relay.door['seen']).toEqual(['/admin/setup', '/admin/setup/confirm', '/health']);
  });

  it('writes the answer of the door to a file of mode 600 and prints its path', async () => {
    await world.run();
    const credentials = world.kept('credentials.json');
    expect(credentials).toMatchObject({ relay: world.relay.url, key: 'cr_key_1', confirmed: true });
    expect(credentials.admin).toEqual({
      email: 'admin@127.0.0.1',
      password: world.relay.door['password'],
    });
    const file = join(world.root, '.deploy', 'cloud-relay', 'credentials.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(world.printed.join('\n')).toContain('.deploy/cloud-relay/credentials.json');
  });

  it('says what it will do before it does anything', async () => {
    const refused = world.run([], {}, { confirm: async () => false });
    await expect(refused).rejects.toThrow('Nothing was changed');
    expect(world.printed.join('\n')).toMatch(
      /make the D1 database.*apply 1 migration.*KEY_TAG_SECRETS/s,
    );
    expect(world.account()).toMatchObject({ databases: {}, worker: null });
  });

  it('passes on the upstream accounts of the environment', async () => {
    await world.run([], { ANTHROPIC_API_KEY: `${PROVIDER_KEY},second-key-0123456789` });
    const accounts = JSON.parse(world.account().worker.secrets.ENVIRONMENT_ACCOUNTS);
    expect(accounts).toHaveLength(2);
    expect(accounts[0]).toEqual({
      name: 'anthropic-1',
      kind: 'anthropic',
      baseUrl: 'https://api.anthropic.com',
      apiKey: PROVIDER_KEY,
    });
  });

  it('keeps everything of the account in files that git ignores', async () => {
    await world.run();
    const folder = join(world.root, '.deploy', 'cloud-relay');
    expect(readFileSync(join(folder, '.gitignore'), 'utf8')).toBe('*\n');
    expect(readFileSync(join(world.root, 'wrangler.toml'), 'utf8')).toContain('00000000-0000-0000');
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
    await world.run([], { ANTHROPIC_API_KEY: PROVIDER_KEY });
    const before = world.account();
    const credentials = world.kept('credentials.json');
    expect(await world.run([], { ANTHROPIC_API_KEY: 'another-key-0123456789' })).toBe(0);
    const after = world.account();
    expect(after.worker.secrets).toEqual(before.worker.secrets);
    expect(after.databases).toEqual(before.databases);
    expect(after.deploys).toBe(2);
    expect(world.kept('credentials.json')).toEqual(credentials);
    expect(world.commandsOf('d1 create')).toHaveLength(1);
  });

  it('needs nothing of what the first one left on the machine', async () => {
    await world.run();
    const before = world.account().worker.secrets;
    rmSync(join(world.root, '.deploy'), { recursive: true });
    expect(await world.run()).toBe(0);
    expect(world.account().worker.secrets).toEqual(before);
    expect(readdirSync(join(world.root, '.deploy', 'cloud-relay'))).not.toContain(
      'credentials.json',
    );
  });

  it('replaces the upstream accounts when it is told to', async () => {
    await world.run([], { ANTHROPIC_API_KEY: PROVIDER_KEY });
    await world.run(['--replace-accounts'], { ANTHROPIC_API_KEY: 'another-key-0123456789' });
    expect(world.account().worker.secrets.ENVIRONMENT_ACCOUNTS).toContain('another-key');
  });

  it('applies migrations that are new, before the Worker that needs them', async () => {
    await world.run();
    writeFileSync(join(world.root, 'migrations', '0002_more.sql'), 'CREATE TABLE more (id TEXT)');
    world.change({ calls: [] });
    await world.run();
    const { calls } = world.account();
    const order = calls.map((/** @type {any} */ call) => call.given[0] + call.given[1]);
    expect(order.indexOf('d1migrations')).toBeGreaterThan(0);
    expect(order.indexOf('d1migrations')).toBeLessThan(order.indexOf('deploy--config'));
    expect(world.printed.join('\n')).toContain('apply 1 migration(s): 0002_more.sql');
  });

  it('keeps the domain that an earlier one was given', async () => {
    await world.run(['--domain', 'relay.example.com']);
    await world.run();
    const config = readFileSync(
      join(world.root, '.deploy', 'cloud-relay', 'wrangler.toml'),
      'utf8',
    );
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
    world.change({ crash });
    await world.run().catch(() => {});
    const secrets = world.account().worker?.secrets ?? {};
    expect(world.account().calls.length).toBeGreaterThanOrEqual(crash.call);
    expect(await world.run()).toBe(0);
    const { worker, databases } = world.account();
    expect(Object.keys(databases)).toEqual(['cloud-relay']);
    expect(Object.keys(worker.secrets).toSorted()).toEqual(LASTING);
    for (const name of LASTING) {
      expect(secrets[name] ?? worker.secrets[name]).toBe(worker.secrets[name]);
      expect(world.kept('secrets.json')[name]).toBe(worker.secrets[name]);
    }
    expect(world.kept('credentials.json')).toMatchObject({
      confirmed: true,
      key: world.relay.door['key'],
    });
    expect(world.kept('credentials.json').admin.password).toBe(world.relay.door['password']);
    const files = readdirSync(join(world.root, '.deploy', 'cloud-relay'));
    expect(files).not.toContain('upload.json');
  });

  it.each(['/admin/setup', '/admin/setup/confirm'])('at %s goes on by itself', async (path) => {
    world.relay.door['cut'] = [path];
    expect(await world.run()).toBe(0);
    expect(world.kept('credentials.json')).toMatchObject({
      confirmed: true,
      key: world.relay.door['key'],
    });
  });

  it.each(['/admin/setup', '/admin/setup/confirm'])(
    'while %s was under way is repaired by the next one with the same setup',
    async (path) => {
      world.relay.door['cut'] = [path];
      const pause = () => Promise.reject(new Error('killed'));
      await expect(world.run([], {}, { pause })).rejects.toThrow('killed');
      const { setupId } = world.kept('credentials.json');
      expect(await world.run()).toBe(0);
      expect(world.kept('credentials.json')).toMatchObject({
        setupId,
        key: world.relay.door['key'],
      });
      expect(world.kept('credentials.json').confirmed).toBe(true);
      expect(world.account().worker.secrets).not.toHaveProperty('SETUP_SECRET');
    },
  );

  it('after the door was confirmed and before the file said so is repaired', async () => {
    await world.run();
    const file = join(world.root, '.deploy', 'cloud-relay', 'credentials.json');
    writeFileSync(file, JSON.stringify({ ...world.kept('credentials.json'), confirmed: false }));
    expect(await world.run()).toBe(0);
    expect(world.kept('credentials.json')).toMatchObject({ confirmed: true, key: 'cr_key_1' });
  });

  it('with a SETUP_SECRET left behind removes it', async () => {
    await world.run();
    const account = world.account();
    account.worker.secrets.SETUP_SECRET = 'left-behind';
    world.change(account);
    expect(await world.run()).toBe(0);
    expect(world.account().worker.secrets).not.toHaveProperty('SETUP_SECRET');
  });
});
