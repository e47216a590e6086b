// The pieces of a deployment against the project's real files: its wrangler.toml, its migrations,
// its wrangler and its Worker.

import { readFileSync, readdirSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ADMINS_QUERY, migrationsIn } from './account.mjs';
import { productionConfig } from './config.mjs';
import { readFlags } from './flags.mjs';
import { deploy } from './run.mjs';
import { MAKERS, accountsOf } from './secrets.mjs';
import { COMMANDS } from './testing/fake-cloudflare.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');
const TRACKED = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8');

describe('the deployed configuration', () => {
  const place = {
    root: ROOT,
    folder: join(ROOT, '.deploy', 'test'),
    name: 'test-relay',
    accountId: 'a'.repeat(32),
    databaseId: '11111111-1111-4111-8111-111111111111',
    domain: 'relay.example.com',
  };

  it('differs from the tracked one in name, account, database, domain and paths alone', () => {
    const lines = TRACKED.split('\n');
    const made = productionConfig(TRACKED, place).split('\n');
    expect(made.filter((line) => !lines.includes(line))).toEqual([
      '# Made by `npm run deploy` from wrangler.toml: edit that one.',
      'name = "test-relay"',
      'workers_dev = true',
      'preview_urls = false',
      `account_id = "${'a'.repeat(32)}"`,
      'routes = [{ pattern = "relay.example.com", custom_domain = true }]',
      'main = "../../workers/index.ts"',
      'database_name = "test-relay"',
      'database_id = "11111111-1111-4111-8111-111111111111"',
      'migrations_dir = "../../migrations"',
    ]);
    expect(lines.filter((line) => !made.includes(line))).toHaveLength(5);
  });

  it('is refused when the tracked one no longer has the form that is known', () => {
    const changed = TRACKED.replace('database_id', 'database');
    expect(() => productionConfig(changed, place)).toThrow(/expected once and found 0 times/);
  });
});

describe('the real database', () => {
  it('has what the question for admins asks', () => {
    const database = new DatabaseSync(':memory:');
    const folder = join(ROOT, 'migrations');
    for (const file of migrationsIn(folder))
      database.exec(readFileSync(join(folder, file), 'utf8'));
    expect(database.prepare(ADMINS_QUERY).all()).toEqual([{ admins: 0 }]);
  });
});

describe.concurrent('the real wrangler', () => {
  it.each(Object.keys(COMMANDS))(
    'knows every flag that is used of "%s"',
    async (command) => {
      const help = await helpOf(command);
      expect(help).toContain(`wrangler ${command}`);
      for (const flag of Object.keys(COMMANDS[command] ?? {})) expect(help).toContain(`--${flag} `);
    },
    30_000,
  );
});

/** @param {string} command @returns {Promise<string>} */
function helpOf(command) {
  const script = join(ROOT, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  const child = spawn(process.execPath, [script, ...command.split(' '), '--help']);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
  return new Promise((resolve) => child.on('close', () => resolve(text)));
}

describe('a dry run', () => {
  it('bundles the Worker and applies the migrations without login or secrets', async () => {
    /** @type {string[]} */
    const printed = [];
    const { PATH, HOME } = process.env;
    // A proxy that answers nobody stands for a machine without a network.
    const environment = { PATH, HOME, HTTPS_PROXY: 'http://127.0.0.1:9', CI: '1' };
    const print = (/** @type {string} */ line) => printed.push(line);
    const code = await deploy({ arguments: ['--dry-run'], root: ROOT, environment, print });
    expect(code).toBe(0);
    const count = readdirSync(join(ROOT, 'migrations')).filter((name) => name.endsWith('.sql'));
    const text = printed.join('\n');
    expect(text).toMatch(/1\. make the D1 database "cloud-relay"/);
    expect(text).toMatch(/The Worker bundles: [\d.]+ kB, [\d.]+ kB gzipped\./);
    expect(text).toContain(`${count.length} migration(s) apply to an empty database.`);
  }, 60_000);

  it('fails when a migration is not SQL', async () => {
    const wrangler = async (/** @type {readonly string[]} */ given) => {
      const reports = [{ type: 'deploy', bundle_size: { raw_bytes: 1, gzip_bytes: 1 } }];
      const isMigration = given[0] === 'd1';
      const stderr = isMigration ? 'near "CRATE": syntax error' : '';
      return { code: isMigration ? 1 : 0, stdout: '', stderr, reports };
    };
    const print = () => {};
    const run = deploy({ arguments: ['--dry-run'], root: ROOT, environment: {}, wrangler, print });
    await expect(run).rejects.toThrow('Applying the migrations to an empty database failed');
  });
});

describe('flags', () => {
  it.each([
    [['--name', 'Not Good'], '--name Not Good'],
    [['--domain', 'https://relay.example.com'], '--domain https://relay.example.com'],
    [['--location', 'mars'], '--location mars'],
    [['--admin-email', 'nobody'], '--admin-email nobody'],
    [['--admin-email', 'a@b.c', '--user-email', 'a@b.c'], 'they are two people'],
    [['--rotate', 'OTHER'], '--rotate OTHER'],
    [['--unknown'], "Unknown option '--unknown'"],
  ])('%j is refused in words', (given, words) => {
    expect(() => readFlags(given)).toThrow(words);
  });

  it('give each name a folder of its own', () => {
    expect(readFlags(['--name', 'other']).folder).toBe('.deploy/other');
  });
});

describe('secrets', () => {
  it('have 256 random bits and the form that the Worker reads', () => {
    for (const name of ['KEY_TAG_SECRETS', 'MASTER_KEYS', 'SESSION_SECRETS']) {
      const versions = JSON.parse(MAKERS[name]?.() ?? '');
      expect(Object.keys(versions)).toEqual(['1']);
      expect(Buffer.from(versions[1], 'base64')).toHaveLength(32);
    }
    expect(MAKERS['CONVERSATION_SECRET']?.()).not.toBe(MAKERS['CONVERSATION_SECRET']?.());
  });

  it('of upstream accounts are refused when they are more than Cloudflare stores', () => {
    const keys = Array.from({ length: 40 }, (_, index) => `sk-ant-${'x'.repeat(100)}${index}`);
    const environment = { ANTHROPIC_API_KEY: keys.join(',') };
    expect(() => accountsOf(environment)).toThrow('40 keys: more than fit into one secret');
  });

  it('of an upstream on this machine are refused: production takes https alone', () => {
    const ANTHROPIC_UPSTREAM_URL = 'http://127.0.0.1:9000';
    const environment = { ANTHROPIC_API_KEY: 'key', ANTHROPIC_UPSTREAM_URL };
    expect(() => accountsOf(environment)).toThrow('must begin with https:// in production');
  });
});
