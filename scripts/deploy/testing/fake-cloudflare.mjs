// A stand-in for wrangler and the account behind it, for tests. Databases are real SQLite files and
// the rest is one JSON file, so it works in one process or as a program (fake-wrangler.mjs).
// Strict: a command or flag that the deployment is not known to use is refused. What the real
// wrangler 4.155.0 prints in each case was read from its source or seen.

import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Flags per command; `true`: takes a value. @type {Record<string, Record<string, boolean>>} */
export const COMMANDS = {
  whoami: { json: false },
  'd1 list': { json: false, config: true },
  'd1 create': { location: true, config: true },
  'd1 execute': { remote: false, json: false, command: true, config: true },
  'd1 migrations apply': { remote: false, config: true },
  'secret list': { format: true, config: true },
  'secret bulk': { config: true },
  deploy: { 'secrets-file': true, config: true },
};

/**
 * @param {string} folder
 * @param {Record<string, any>} [changes]
 */
export function newAccount(folder, changes = {}) {
  mkdirSync(folder, { recursive: true });
  const account = {
    loggedIn: true,
    network: true,
    accounts: [{ id: 'a'.repeat(32), name: 'Test account' }],
    databases: {},
    worker: null,
    url: 'https://cloud-relay.test.workers.dev',
    crash: null,
    calls: [],
    ...changes,
  };
  saveAccount(folder, account);
  return account;
}

/** @param {string} folder @returns {Record<string, any>} */
export function readAccount(folder) {
  return JSON.parse(readFileSync(join(folder, 'account.json'), 'utf8'));
}

/** @param {string} folder @param {unknown} account */
export function saveAccount(folder, account) {
  writeFileSync(join(folder, 'account.json'), JSON.stringify(account));
}

/** @param {string} folder @param {string} name */
export function openDatabase(folder, name) {
  return new DatabaseSync(join(folder, `${name}.sqlite`));
}

/**
 * Runs one command. `crash: { call, when }` in the account ends the n-th call before or after its
 * effect, once.
 * @param {string} folder
 * @param {readonly string[]} given
 * @param {string} input
 */
export function runCommand(folder, given, input) {
  const account = readAccount(folder);
  account.calls.push({ given, input });
  const isCrash = account.crash?.call === account.calls.length;
  saveAccount(folder, account);
  if (isCrash && account.crash.when === 'before') return failed('the connection was cut');
  const answer = perform(folder, given, input);
  return isCrash ? failed('the connection was cut') : answer;
}

/** @param {string} folder @param {readonly string[]} given @param {string} input */
function perform(folder, given, input) {
  const account = readAccount(folder);
  const request = parse(given);
  if (request === null) return failed(`Unknown arguments: ${given.join(' ')}`);
  if (!account.network) {
    return failed("Unable to resolve Cloudflare's API hostname (api.cloudflare.com).");
  }
  if (!account.loggedIn) {
    if (request.command === 'whoami') return { ...done('{"loggedIn":false}'), code: 1 };
    return failed("it's necessary to set a CLOUDFLARE_API_TOKEN environment variable");
  }
  const world = { folder, account, input, ...request };
  const answer = HANDLERS[request.command]?.(world) ?? failed('not there');
  saveAccount(folder, account);
  return answer;
}

/** @param {readonly string[]} given */
function parse(given) {
  const command = Object.keys(COMMANDS)
    .toSorted((a, b) => b.length - a.length)
    .find((name) => given.join(' ').startsWith(name));
  if (command === undefined) return null;
  const known = COMMANDS[command] ?? {};
  /** @type {Record<string, string>} */
  const flags = {};
  const positional = [];
  const rest = given.slice(command.split(' ').length);
  while (rest.length > 0) {
    const word = rest.shift() ?? '';
    if (!word.startsWith('--')) positional.push(word);
    else if (!(word.slice(2) in known)) return null;
    else flags[word.slice(2)] = known[word.slice(2)] ? (rest.shift() ?? '') : 'true';
  }
  return { command, flags, positional };
}

/**
 * @typedef {{ folder: string, account: Record<string, any>, input: string, command: string,
 *   flags: Record<string, string>, positional: string[] }} World
 * @type {Record<string, (world: World) => ReturnType<typeof done>>}
 */
const HANDLERS = {
  whoami: ({ account }) =>
    done(JSON.stringify({ loggedIn: true, authType: 'OAuth Token', accounts: account.accounts })),
  'd1 list': ({ account }) =>
    done(JSON.stringify(Object.entries(account.databases).map(([name, uuid]) => ({ name, uuid })))),
  'd1 create': createDatabase,
  'd1 execute': execute,
  'd1 migrations apply': applyMigrations,
  'secret list': ({ account, flags }) => {
    const { name } = configOf(flags['config'] ?? '');
    if (account.worker?.name !== name) return failed(`Worker "${name}" not found.`);
    const names = Object.keys(account.worker.secrets);
    return done(JSON.stringify(names.map((each) => ({ name: each, type: 'secret_text' }))));
  },
  'secret bulk': ({ account, input }) => {
    if (account.worker === null) return failed('This Worker does not exist [code: 10007]');
    for (const [name, value] of Object.entries(JSON.parse(input))) {
      if (value === null) delete account.worker.secrets[name];
      else account.worker.secrets[name] = value;
    }
    return done('Finished processing secrets file:');
  },
  deploy: deployWorker,
};

/** @param {World} world */
function createDatabase({ folder, account, positional: [name = ''] }) {
  if (name in account.databases) return failed('A database with that name already exists');
  account.databases[name] =
    `00000000-0000-4000-8000-${String(account.calls.length).padStart(12, '0')}`;
  openDatabase(folder, name).close();
  return done(`Successfully created DB '${name}'`);
}

/** @param {World} world */
function execute({ folder, account, flags }) {
  const config = configOf(flags['config'] ?? '');
  if (account.databases[config.name] !== config.databaseId) return failed('database not found');
  const database = openDatabase(folder, config.name);
  try {
    const results = database.prepare(flags['command'] ?? '').all();
    return done(JSON.stringify([{ results, success: true, meta: {} }]));
  } catch (problem) {
    return { ...done(JSON.stringify({ error: { text: String(problem) } })), code: 1 };
  } finally {
    database.close();
  }
}

/** @param {World} world */
function applyMigrations({ folder, account, flags }) {
  const config = configOf(flags['config'] ?? '');
  if (account.databases[config.name] !== config.databaseId) return failed('database not found');
  const database = openDatabase(folder, config.name);
  database.exec('CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY, name TEXT)');
  const rows = database.prepare('SELECT name FROM d1_migrations').all();
  const applied = new Set(rows.map(({ name }) => name));
  for (const file of readdirSync(config.migrations).filter((name) => name.endsWith('.sql'))) {
    if (applied.has(file)) continue;
    database.exec(readFileSync(join(config.migrations, file), 'utf8'));
    database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').run(file);
  }
  database.close();
  return done('migrated');
}

/** @param {World} world */
function deployWorker({ account, flags }) {
  const { name, databaseId } = configOf(flags['config'] ?? '');
  if (!Object.values(account.databases).includes(databaseId)) return failed('no such database');
  const file = flags['secrets-file'];
  if (file && (statSync(file).mode & 0o777) !== 0o600) return failed('the file is not private');
  const secrets = file ? JSON.parse(readFileSync(file, 'utf8')) : {};
  account.worker = { name, secrets: { ...account.worker?.secrets, ...secrets } };
  account.deploys = (account.deploys ?? 0) + 1;
  const targets = [account.url, 'schedule: * * * * *'];
  const report = { type: 'deploy', version: 1, version_id: `v${account.deploys}`, targets };
  return { ...done('Uploaded cloud-relay'), reports: [report] };
}

/** @param {string} file the configuration, read as wrangler does: paths are relative to it */
function configOf(file) {
  const text = readFileSync(file, 'utf8');
  const value = (/** @type {string} */ key) =>
    new RegExp(`^${key} = "(.*)"$`, 'm').exec(text)?.[1] ?? '';
  return {
    name: value('name'),
    databaseId: value('database_id'),
    migrations: resolve(dirname(file), value('migrations_dir')),
  };
}

/** @param {string} stdout */
function done(stdout) {
  /** @type {Record<string, unknown>[]} */
  const reports = [];
  return { code: 0, stdout: `${stdout}\n`, stderr: '', reports };
}

/** @param {string} words */
function failed(words) {
  return { ...done(''), code: 1, stderr: `✘ [ERROR] ${words}\n` };
}
