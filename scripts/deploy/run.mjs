// The journey of a deployment, on one page: look > plan > ask > database > migrate > deploy with
// the missing secrets > setup door > health. Every step may be cut off; the next run goes on.

import { existsSync, readFileSync, renameSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../lib/places.mjs';
import { Stop, say } from '../lib/say.mjs';
import { accountOf, databaseIdOf, look, migrationsIn, secretsOf } from './account.mjs';
import { productionConfig } from './config.mjs';
import { checkHealth, goThrough, newCredentials, readCredentials } from './door.mjs';
import { dryRun } from './dry-run.mjs';
import { failure } from './failures.mjs';
import { openFolder, readRecord, withUpload, writePrivate, writeRecord } from './files.mjs';
import { USAGE, readFlags } from './flags.mjs';
import { planOf, wordsOfPlan } from './plan.mjs';
import { ACCOUNTS_SECRET, MAKERS, SETUP_SECRET } from './secrets.mjs';
import { accountsOf, newSetupSecret, rotated } from './secrets.mjs';
import { wranglerOf } from './wrangler.mjs';

/**
 * @typedef {import('./wrangler.mjs').Wrangler} Wrangler
 * @typedef {import('./plan.mjs').Plan} Plan
 *
 * @typedef {object} Options what tests put in place of the world
 * @property {readonly string[]} arguments
 * @property {string} [root]
 * @property {NodeJS.ProcessEnv} [environment]
 * @property {Wrangler} [wrangler]
 * @property {(line: string) => void} [print]
 * @property {import('./door.mjs').Pause} [pause]
 * @property {() => Promise<boolean>} [confirm]
 *
 * @typedef {object} Files what this machine keeps
 * @property {string} config the configuration that is deployed
 * @property {string} deployment account, database, domain, URL
 * @property {string} secrets copies of the secrets made here
 * @property {string} credentials of the first admin and user
 *
 * @typedef {object} Journey
 * @property {import('./flags.mjs').Flags} flags
 * @property {string} root
 * @property {string} folder
 * @property {NodeJS.ProcessEnv} environment
 * @property {Wrangler} wrangler
 * @property {(line: string) => void} print
 * @property {import('./door.mjs').Pause} pause
 * @property {() => Promise<boolean>} confirm
 * @property {Files} files
 */

/** @param {Options} options @returns {Promise<number>} exit code; throws a Stop that explains */
export async function deploy(options) {
  const flags = readFlags(options.arguments);
  const print = options.print ?? say;
  if (flags.help) {
    print(USAGE);
    return 0;
  }
  const journey = begin(options, flags, print);
  return flags.dryRun ? dryRun({ ...journey, files: shown(journey) }) : forReal(journey);
}

/**
 * @param {Options} options
 * @param {import('./flags.mjs').Flags} flags
 * @param {(line: string) => void} print
 * @returns {Journey}
 */
function begin(options, flags, print) {
  const root = options.root ?? ROOT;
  const environment = options.environment ?? process.env;
  const folder = isAbsolute(flags.folder) ? flags.folder : join(root, flags.folder);
  return {
    flags,
    root,
    folder,
    environment,
    print,
    wrangler: options.wrangler ?? wranglerOf({ root, environment }),
    pause: options.pause ?? sleep,
    confirm: options.confirm ?? confirmAtTerminal,
    files: {
      config: join(folder, 'wrangler.toml'),
      deployment: join(folder, 'deployment.json'),
      secrets: join(folder, 'secrets.json'),
      credentials: join(folder, 'credentials.json'),
    },
  };
}

/** @param {Journey} journey */
async function forReal(journey) {
  const { flags, environment, files, print } = journey;
  const accounts = accountsOf(environment);
  const account = await accountOf(journey.wrangler, environment);
  openFolder(journey.folder);
  const kept = readRecord(files.deployment) ?? {};
  if (kept['accountId'] && account.id !== null && kept['accountId'] !== account.id) {
    throw new Stop(
      `${journey.folder} belongs to another Cloudflare account (${kept['accountName']}): ` +
        'log in there, or give this deployment a --folder of its own.',
    );
  }
  const domain = flags.domain ?? kept['domain'] ?? null;
  const bound = { ...journey, wrangler: withConfig(journey.wrangler, files.config) };
  const context = { account, domain };
  writeConfig(bound, { ...context, databaseId: null });
  const migrations = migrationsIn(join(journey.root, 'migrations'));
  const databaseId = await databaseIdOf(bound.wrangler, flags.name);
  writeConfig(bound, { ...context, databaseId });
  const found = await look(bound.wrangler, { name: flags.name, databaseId, migrations });
  const plan = planOf(found, localOf(bound, accounts.length), flags);
  const place = { name: flags.name, account: account.name, domain, files: shown(bound) };
  for (const line of wordsOfPlan(plan, place)) print(line);
  if (!flags.yes && !(await journey.confirm())) throw new Stop('Nothing was changed.');
  await carryOut(bound, plan, { ...context, found, accounts });
  return 0;
}

/**
 * @typedef {object} Context
 * @property {import('./account.mjs').Account} account
 * @property {string | null} domain
 * @property {import('./account.mjs').Found} found
 * @property {readonly import('../lib/settings.mjs').Account[]} accounts
 *
 * @param {Journey} journey
 * @param {Plan} plan
 * @param {Context} context
 */
async function carryOut(journey, plan, context) {
  const { flags, files, print, pause } = journey;
  const { account, domain } = context;
  const databaseId = context.found.databaseId ?? (await createDatabase(journey));
  writeConfig(journey, { account, domain, databaseId });
  if (plan.migrations.length > 0) await migrate(journey);
  const setupSecret = plan.setup === 'none' ? null : newSetupSecret();
  const url = await deployWorker(journey, secretsToSet(journey, plan, { ...context, setupSecret }));
  const relay = domain === null ? url : `https://${domain}`;
  writeRecord(files.deployment, {
    accountId: account.id,
    accountName: account.name,
    name: flags.name,
    databaseId,
    domain,
    relay,
  });
  print(`Deployed: ${relay}`);
  if (setupSecret !== null) {
    if (plan.forgetCredentials) setAside(files.credentials);
    await setUp(journey, { url, relay, setupSecret });
  }
  if (plan.closeDoor) await closeDoor(journey);
  const { version } = await checkHealth(url, pause);
  print(`Healthy: version ${version} answers at ${relay}`);
  if (relay !== url) print(`It answers at ${url} too; a new host takes some minutes to get there.`);
}

/** @param {Journey} journey */
async function createDatabase({ flags, wrangler, print }) {
  print('Making the database ...');
  const where = flags.location === null ? [] : ['--location', flags.location];
  const answer = await wrangler(['d1', 'create', flags.name, ...where]);
  if (answer.code !== 0) throw failure('Making the database', answer);
  const id = await databaseIdOf(wrangler, flags.name);
  if (id === null) throw new Stop('The database was made and is not listed yet: run it again.');
  return id;
}

/** @param {Journey} journey */
async function migrate({ wrangler, print }) {
  print('Migrating the database ...');
  const answer = await wrangler(['d1', 'migrations', 'apply', 'DB', '--remote']);
  if (answer.code !== 0) throw failure('Migrating the database', answer);
}

/**
 * The secrets that go up with the Worker. New ones are written to this machine first: Cloudflare
 * never gives a secret back, and adding a version to one needs its old value.
 * @param {Journey} journey
 * @param {Plan} plan
 * @param {Pick<Context, 'accounts'> & { setupSecret: string | null }} given
 * @returns {Record<string, string>}
 */
function secretsToSet({ files }, plan, { accounts, setupSecret }) {
  const copies = readRecord(files.secrets) ?? {};
  for (const name of plan.generate) copies[name] = MAKERS[name]?.() ?? '';
  const changed = [...plan.generate];
  if (plan.rotate !== null) {
    copies[plan.rotate] = rotated(plan.rotate, String(copies[plan.rotate]));
    changed.push(plan.rotate);
  }
  if (changed.length > 0) writeRecord(files.secrets, copies);
  const lasting = [...changed, ...plan.restore].map((name) => [name, String(copies[name])]);
  return {
    ...Object.fromEntries(lasting),
    ...(plan.accounts > 0 ? { [ACCOUNTS_SECRET]: JSON.stringify(accounts) } : {}),
    ...(setupSecret === null ? {} : { [SETUP_SECRET]: setupSecret }),
  };
}

/**
 * Code and secrets go up as one version: there is no moment in which the one is there without the
 * other. Secrets that are not in the file stay as they are.
 * @param {Journey} journey
 * @param {Readonly<Record<string, string>>} secrets
 * @returns {Promise<string>} the URL under workers.dev
 */
async function deployWorker({ wrangler, folder, print }, secrets) {
  print('Deploying the Worker ...');
  const hasSecrets = Object.keys(secrets).length > 0;
  const answer = hasSecrets
    ? await withUpload(folder, secrets, (file) => wrangler(['deploy', '--secrets-file', file]))
    : await wrangler(['deploy']);
  if (answer.code !== 0) throw failure('Deploying the Worker', answer, Object.values(secrets));
  const report = answer.reports.find(({ type }) => type === 'deploy');
  if (!report?.['version_id']) {
    throw failure('Deploying the Worker', answer, Object.values(secrets));
  }
  /** @type {readonly unknown[]} */
  const targets = report['targets'] ?? [];
  const url = targets.map(String).find((target) => /^https?:\/\/\S+$/.test(target));
  if (url === undefined) throw new Stop('The Worker is deployed, but wrangler named no URL of it.');
  return url.replace(/\/$/, '');
}

/**
 * @param {Journey} journey
 * @param {{ url: string, relay: string, setupSecret: string }} door
 */
async function setUp(journey, { url, relay, setupSecret }) {
  const { flags, files, print, pause } = journey;
  let credentials = readCredentials(files.credentials);
  if (credentials === null) {
    credentials = newCredentials({ relay, ...flags });
    writeRecord(files.credentials, credentials);
  }
  print(`Setting it up; passwords and key go to ${shown(journey).credentials} ...`);
  await goThrough({ url, file: files.credentials, setupSecret, pause }, credentials);
  await closeDoor(journey);
}

/** Removes SETUP_SECRET and looks whether it is gone. @param {Journey} journey */
async function closeDoor({ wrangler }) {
  const answer = await wrangler(['secret', 'bulk'], JSON.stringify({ [SETUP_SECRET]: null }));
  if (answer.code !== 0) throw failure(`Removing ${SETUP_SECRET}`, answer);
  if ((await secretsOf(wrangler))?.includes(SETUP_SECRET)) {
    throw failure(`Removing ${SETUP_SECRET}`, answer);
  }
}

/** @param {Journey} journey @param {number} accounts @returns {import('./plan.mjs').Local} */
function localOf({ files }, accounts) {
  const credentials = readCredentials(files.credentials);
  return {
    copies: Object.keys(readRecord(files.secrets) ?? {}),
    credentials,
    accounts,
  };
}

/**
 * @param {Journey} journey
 * @param {Pick<Context, 'account' | 'domain'> & { databaseId: string | null }} wanted
 */
function writeConfig({ root, folder, flags, files }, { account, domain, databaseId }) {
  const tracked = readFileSync(join(root, 'wrangler.toml'), 'utf8');
  const place = { root, folder, name: flags.name, accountId: account.id, databaseId, domain };
  writePrivate(files.config, productionConfig(tracked, place));
}

/** Every command that knows an account reads it from our file. @param {Wrangler} wrangler
 * @param {string} config @returns {Wrangler} */
function withConfig(wrangler, config) {
  return (given, input) => wrangler([...given, '--config', config], input);
}

/** Keeps an older file under a name of its own. @param {string} file */
function setAside(file) {
  let number = 1;
  while (existsSync(`${file}.${number}`)) number += 1;
  renameSync(file, `${file}.${number}`);
}

/** The files as a person reads them. @param {Journey} journey @returns {Files} */
function shown({ root, files }) {
  const short = (/** @type {string} */ file) => {
    const path = relative(root, file);
    return path.startsWith('..') || isAbsolute(path) ? file : path;
  };
  return {
    config: short(files.config),
    deployment: short(files.deployment),
    secrets: short(files.secrets),
    credentials: short(files.credentials),
  };
}

/** Without a terminal there is nobody to ask. @returns {Promise<boolean>} */
async function confirmAtTerminal() {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return true;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question('Go on? [y/N] ');
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
