// Looks at the account before anything is changed: who is logged in, whether the database, the
// Worker and its secrets are there, what is migrated, whether there is an admin. Changes nothing.

import { readdirSync } from 'node:fs';
import { Stop } from '../lib/say.mjs';
import { failure, loginFailure } from './failures.mjs';
import { IRREPLACEABLE_SECRETS } from './secrets.mjs';
import { jsonOf } from './wrangler.mjs';

/**
 * @typedef {import('./wrangler.mjs').Wrangler} Wrangler
 *
 * @typedef {object} Account
 * @property {string | null} id null: a token that cannot list accounts; wrangler finds it
 * @property {string} name
 *
 * @typedef {object} Found
 * @property {string | null} databaseId
 * @property {readonly string[]} pending migrations still to apply, in order
 * @property {number} admins
 * @property {readonly string[] | null} secrets names; null: there is no such Worker
 */

/** The tables of a database; the second query is asked only when it can be answered. */
export const TABLES_QUERY = "SELECT name FROM sqlite_master WHERE type = 'table'";
export const APPLIED_QUERY = 'SELECT name FROM d1_migrations ORDER BY id';
export const ADMINS_QUERY = "SELECT count(*) AS admins FROM users WHERE role = 'admin'";

/**
 * The account that CLOUDFLARE_ACCOUNT_ID names, or the login's only one.
 * @param {Wrangler} wrangler
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<Account>}
 */
export async function accountOf(wrangler, environment) {
  const answer = await wrangler(['whoami', '--json']);
  const who = jsonOf(answer);
  if (answer.code !== 0 || who?.loggedIn !== true) throw loginFailure(answer);
  /** @type {readonly { id: string, name: string }[]} */
  const accounts = who.accounts ?? [];
  const wanted = environment['CLOUDFLARE_ACCOUNT_ID']?.trim() || null;
  if (wanted !== null) {
    const name = accounts.find(({ id }) => id === wanted)?.name;
    return { id: wanted, name: name ?? wanted };
  }
  const [only, another] = accounts;
  if (only === undefined) return { id: null, name: 'the only one of this login' };
  if (another === undefined) return { id: only.id, name: only.name };
  const list = accounts.map(({ id, name }) => `  ${id}  ${name}`).join('\n');
  throw new Stop(
    'This login sees several Cloudflare accounts: set CLOUDFLARE_ACCOUNT_ID to the one you mean.',
    list,
  );
}

/**
 * @param {Wrangler} wrangler already bound to the configuration and account
 * @param {{ name: string, databaseId: string | null, migrations: readonly string[] }} wanted
 * @returns {Promise<Found>}
 */
export async function look(wrangler, { name, databaseId, migrations }) {
  const secrets = await secretsOf(wrangler);
  const database =
    databaseId === null
      ? { applied: [], admins: 0 }
      : await insideOf(wrangler, { name, known: migrations });
  const found = {
    databaseId,
    pending: migrations.filter((migration) => !database.applied.includes(migration)),
    admins: database.admins,
    secrets,
  };
  const isOurs = secrets === null || IRREPLACEABLE_SECRETS.some((each) => secrets.includes(each));
  if (!isOurs && database.applied.length === 0) {
    throw taken('Worker', name, 'it holds none of the relay’s secrets');
  }
  return found;
}

/** @param {Wrangler} wrangler @param {string} name @returns {Promise<string | null>} */
export async function databaseIdOf(wrangler, name) {
  const answer = await wrangler(['d1', 'list', '--json']);
  const databases = jsonOf(answer);
  if (answer.code !== 0 || !Array.isArray(databases)) throw failure('Listing databases', answer);
  const uuid = databases.find((database) => database.name === name)?.uuid;
  return typeof uuid === 'string' ? uuid : null;
}

/** The names of the Worker's secrets; null: no such Worker. @param {Wrangler} wrangler */
export async function secretsOf(wrangler) {
  const answer = await wrangler(['secret', 'list', '--format', 'json']);
  if (answer.code !== 0) {
    if (/^.*Worker ".*" not found|code: 10007/m.test(answer.stderr)) return null;
    throw failure('Listing the Worker’s secrets', answer);
  }
  const secrets = jsonOf(answer);
  if (!Array.isArray(secrets)) throw failure('Listing the Worker’s secrets', answer);
  return secrets.map(({ name }) => String(name));
}

/** @param {Wrangler} wrangler @param {{ name: string, known: readonly string[] }} wanted */
async function insideOf(wrangler, { name, known }) {
  const tables = (await query(wrangler, TABLES_QUERY)).map((row) => String(row['name']));
  const own = tables.filter((table) => !/^(sqlite_|_cf_)/.test(table));
  if (own.length === 0) return { applied: [], admins: 0 };
  if (!own.includes('d1_migrations')) {
    throw taken('database', name, `it holds tables of its own (${own.slice(0, 3).join(', ')})`);
  }
  const applied = (await query(wrangler, APPLIED_QUERY)).map((row) => String(row['name']));
  const unknown = applied.filter((migration) => !known.includes(migration));
  if (unknown.length > 0) {
    throw new Stop(
      `The database ${name} has migrations that this checkout does not know ` +
        `(${unknown.slice(0, 3).join(', ')}): it belongs to a newer version, or to something ` +
        'else. Check out the newer version, or go back to an older one as docs/deploy.md says ' +
        'under "Rollback".',
    );
  }
  if (!own.includes('users')) return { applied, admins: 0 };
  return { applied, admins: Number((await query(wrangler, ADMINS_QUERY))[0]?.['admins'] ?? 0) };
}

/**
 * @param {Wrangler} wrangler
 * @param {string} sql no secret, no value of a person
 * @returns {Promise<readonly Record<string, unknown>[]>}
 */
async function query(wrangler, sql) {
  const answer = await wrangler(['d1', 'execute', 'DB', '--remote', '--json', '--command', sql]);
  const rows = jsonOf(answer)?.[0]?.results;
  if (answer.code !== 0 || !Array.isArray(rows)) throw failure('Reading the database', answer);
  return rows;
}

/** @param {string} what @param {string} name @param {string} why */
function taken(what, name, why) {
  return new Stop(
    `The name is taken: this account has a ${what} "${name}" that is not a relay's (${why}). ` +
      'Nothing was changed. Choose another name: npm run deploy -- --name my-relay',
  );
}

/** The migrations of this checkout, in order. @param {string} folder */
export function migrationsIn(folder) {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .toSorted();
}
