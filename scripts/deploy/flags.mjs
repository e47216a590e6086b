// What `npm run deploy -- …` is told on its command line. Never a secret: those come by environment
// or are made here, because every process of the machine can read a command line.

import { parseArgs } from 'node:util';
import { Stop, wordsOf } from '../lib/say.mjs';
import { LASTING_SECRETS } from './secrets.mjs';

/**
 * @typedef {object} Flags
 * @property {boolean} dryRun
 * @property {boolean} yes
 * @property {boolean} help
 * @property {string} name of the Worker and of the database
 * @property {string | null} domain
 * @property {string | null} location
 * @property {string | null} adminEmail
 * @property {string | null} userEmail
 * @property {boolean} replaceAccounts
 * @property {boolean} newSecrets
 * @property {string | null} rotate the secret that gets a new version
 * @property {string} folder what a deployment leaves on this machine
 */

export const USAGE = `npm run deploy -- [flags]

  --dry-run           print the plan, bundle, check the migrations; no network, no login, no secrets
  --yes               do not ask before going on (without a terminal nothing is asked anyway)
  --name NAME         Worker and database, default cloud-relay; another name is another relay
  --domain HOST       answer on this host of yours too; kept for the next deploys
  --location HINT     where a new database lives: wnam enam weur eeur apac oc
  --admin-email MAIL  the first admin, default admin@<the relay's host>
  --user-email MAIL   the first user, default user@<the relay's host>
  --replace-accounts  replace ENVIRONMENT_ACCOUNTS by what ANTHROPIC_API_KEY gives now
  --new-secrets       accept that lost secrets are made anew: keys issued so far stop working
  --rotate SECRET     give KEY_TAG_SECRETS, MASTER_KEYS or SESSION_SECRETS a new version, or
                      CONVERSATION_SECRET a new value
  --folder FOLDER     where this machine keeps what it must, default .deploy/NAME`;

const LOCATIONS = ['wnam', 'enam', 'weur', 'eeur', 'apac', 'oc'];
const MAIL = /^[^\s@]+@[^\s@]+$/;

const OPTIONS = /** @type {const} */ ({
  'dry-run': { type: 'boolean', default: false },
  yes: { type: 'boolean', short: 'y', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  name: { type: 'string', default: 'cloud-relay' },
  domain: { type: 'string' },
  location: { type: 'string' },
  'admin-email': { type: 'string' },
  'user-email': { type: 'string' },
  'replace-accounts': { type: 'boolean', default: false },
  'new-secrets': { type: 'boolean', default: false },
  rotate: { type: 'string' },
  folder: { type: 'string' },
});

/** @param {readonly string[]} given @returns {Flags} throws a Stop that names the wrong flag */
export function readFlags(given) {
  const values = parsed(given);
  const flags = {
    dryRun: values['dry-run'],
    yes: values.yes,
    help: values.help,
    name: values.name,
    domain: values.domain ?? null,
    location: values.location ?? null,
    adminEmail: values['admin-email'] ?? null,
    userEmail: values['user-email'] ?? null,
    replaceAccounts: values['replace-accounts'],
    newSecrets: values['new-secrets'],
    rotate: values.rotate ?? null,
    folder: values.folder ?? `.deploy/${values.name}`,
  };
  check(flags);
  return flags;
}

/** @param {readonly string[]} given */
function parsed(given) {
  try {
    return parseArgs({ args: [...given], options: OPTIONS, allowPositionals: false }).values;
  } catch (problem) {
    throw new Stop(`${wordsOf(problem)}\n\n${USAGE}`);
  }
}

/** @param {Flags} flags */
function check({ name, domain, location, adminEmail, userEmail, rotate }) {
  if (!/^[a-z0-9]([a-z0-9-]{0,52}[a-z0-9])?$/.test(name)) {
    throw new Stop(`--name ${name}: up to 54 small letters, digits and inner hyphens.`);
  }
  if (domain !== null && !/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/.test(domain)) {
    throw new Stop(`--domain ${domain}: a host name such as relay.example.com, nothing around it.`);
  }
  if (location !== null && !LOCATIONS.includes(location)) {
    throw new Stop(`--location ${location}: one of ${LOCATIONS.join(' ')}.`);
  }
  if (rotate !== null && !LASTING_SECRETS.includes(rotate)) {
    throw new Stop(`--rotate ${rotate}: one of ${LASTING_SECRETS.join(' ')}.`);
  }
  const mails = { '--admin-email': adminEmail, '--user-email': userEmail };
  for (const [flag, mail] of Object.entries(mails)) {
    if (mail === null || MAIL.test(mail)) continue;
    throw new Stop(`${flag} ${mail} is not an e-mail address.`);
  }
  if (adminEmail !== null && adminEmail === userEmail) {
    throw new Stop('--admin-email and --user-email are the same: they are two people.');
  }
}
