// Decides what a deployment does, from what is in the account and what is on this machine, and says
// it in words before anything is done. Pure: it looks at nothing and changes nothing.

import { Stop } from '../lib/say.mjs';
import { ACCOUNTS_SECRET, IRREPLACEABLE_SECRETS, LASTING_SECRETS } from './secrets.mjs';
import { SETUP_SECRET, VERSIONED_SECRETS } from './secrets.mjs';

/**
 * @typedef {object} Local what this machine has
 * @property {readonly string[]} copies names of secrets of which it keeps a copy
 * @property {{ confirmed: boolean } | null} credentials of an earlier setup
 * @property {number} accounts upstream accounts that the environment gives
 *
 * @typedef {object} Plan
 * @property {boolean} createDatabase
 * @property {readonly string[]} migrations
 * @property {readonly string[]} generate secrets made now
 * @property {readonly string[]} restore secrets put back from this machine's copy
 * @property {string | null} rotate the secret that gets a new version
 * @property {number} accounts how many upstream accounts are set; 0: that secret stays as it is
 * @property {readonly string[]} kept secrets that stay as they are
 * @property {'first' | 'repair' | 'none'} setup
 * @property {boolean} forgetCredentials those here belong to a database that is gone
 * @property {boolean} closeDoor an earlier run left SETUP_SECRET
 */

/**
 * @param {import('./account.mjs').Found} found
 * @param {Local} local
 * @param {Pick<import('./flags.mjs').Flags, 'replaceAccounts' | 'newSecrets' | 'rotate'>} flags
 * @returns {Plan}
 */
export function planOf(found, local, flags) {
  const set = found.secrets ?? [];
  const missing = LASTING_SECRETS.filter((name) => !set.includes(name));
  const generate = missing.filter((name) => !local.copies.includes(name));
  const lost = generate.filter((name) => IRREPLACEABLE_SECRETS.includes(name));
  if (flags.rotate !== null) checkRotation(flags.rotate, set, local.copies);
  if (lost.length > 0 && found.admins > 0 && !flags.newSecrets) throw secretsLost(lost);
  const setsAccounts =
    local.accounts > 0 && (flags.replaceAccounts || !set.includes(ACCOUNTS_SECRET));
  const setup = setupOf(found, local);
  const changed = new Set([SETUP_SECRET, flags.rotate, setsAccounts ? ACCOUNTS_SECRET : null]);
  return {
    createDatabase: found.databaseId === null,
    migrations: found.pending,
    generate,
    restore: missing.filter((name) => local.copies.includes(name)),
    accounts: setsAccounts ? local.accounts : 0,
    rotate: flags.rotate,
    kept: set.filter((name) => !changed.has(name)),
    setup,
    forgetCredentials: setup === 'first' && local.credentials?.confirmed === true,
    closeDoor: setup === 'none' && set.includes(SETUP_SECRET),
  };
}

/** @param {import('./account.mjs').Found} found @param {Local} local @returns {Plan['setup']} */
function setupOf(found, local) {
  if (found.admins === 0) return 'first';
  return local.credentials?.confirmed === false ? 'repair' : 'none';
}

/** @param {string} name @param {readonly string[]} set @param {readonly string[]} copies */
function checkRotation(name, set, copies) {
  if (!set.includes(name)) throw new Stop(`${name} is not set yet: there is nothing to rotate.`);
  if (copies.includes(name) || !VERSIONED_SECRETS.includes(name)) return;
  throw new Stop(
    `This machine keeps no copy of ${name}, and Cloudflare never gives a secret back: a new ` +
      'version goes beside the old ones. Put the copy back (docs/runbooks/rotate-secrets.md).',
  );
}

/** @param {readonly string[]} lost */
function secretsLost(lost) {
  return new Stop(
    `The database has people in it, but the Worker has no ${lost.join(' and no ')} and this ` +
      'machine keeps no copy: with new ones every key issued so far stops working and the ' +
      'upstream credentials that an admin saved cannot be opened. Put the copy back ' +
      '(docs/runbooks/rotate-secrets.md), or accept the loss with --new-secrets.',
  );
}

/**
 * The plan in words, one step a line.
 * @param {Plan} plan
 * @param {{ name: string, account: string, domain: string | null,
 *   files: { secrets: string, credentials: string } }} place
 * @returns {readonly string[]}
 */
export function wordsOfPlan(plan, { name, account, domain, files }) {
  const database = plan.createDatabase
    ? `make the D1 database "${name}"`
    : `use the D1 database "${name}" that is there`;
  const migrations =
    plan.migrations.length === 0
      ? 'apply no migration: the database is up to date'
      : `apply ${plan.migrations.length} migration(s): ${plan.migrations.join(', ')}`;
  const deploy = `deploy the Worker "${name}"${domain === null ? '' : ` with the host ${domain}`}`;
  const steps = [
    database,
    migrations,
    deploy,
    ...secretSteps(plan, files),
    ...setupSteps(plan, files),
  ];
  const numbered = [...steps, 'check its health'].map((step, index) => `  ${index + 1}. ${step}`);
  const kept = plan.kept.length === 0 ? [] : [`It will not touch: ${plan.kept.join(', ')}.`];
  return [`In the Cloudflare account "${account}" this will`, ...numbered, ...kept];
}

/** @param {Plan} plan @param {{ secrets: string }} files */
function secretSteps({ generate, restore, rotate, accounts }, files) {
  const steps = [];
  if (generate.length > 0) {
    steps.push(`with it, set new secrets: ${generate.join(', ')} (a copy in ${files.secrets})`);
  }
  if (restore.length > 0) {
    steps.push(`with it, put back from ${files.secrets}: ${restore.join(', ')}`);
  }
  if (rotate !== null) {
    steps.push(`with it, rotate ${rotate} (the new copy in ${files.secrets})`);
  }
  if (accounts > 0) {
    steps.push(`with it, set ${ACCOUNTS_SECRET}: ${accounts} account(s) from ANTHROPIC_API_KEY`);
  }
  return steps;
}

/** @param {Plan} plan @param {{ credentials: string }} files */
function setupSteps({ setup, closeDoor, forgetCredentials }, files) {
  if (closeDoor) return [`remove ${SETUP_SECRET}, which an earlier run left behind`];
  if (setup === 'none') return [];
  const door = `through the setup door with a fresh ${SETUP_SECRET}, removed again afterwards`;
  if (setup === 'repair') return [`finish the setup that was cut off, ${door}`];
  const older = forgetCredentials ? ' (the older file of that name is kept beside it)' : '';
  return [
    `make the first admin and user, ${door}; the answer goes to ${files.credentials}${older}`,
  ];
}
