// The Worker's secrets: which there are, what a new one is, and which of them this deployment has
// to bring. What Cloudflare holds already is never read (it cannot be) and never replaced.

import { randomBytes } from 'node:crypto';
import { Stop } from '../lib/say.mjs';
import { readSettings } from '../lib/settings.mjs';

const SECRET_BYTES = 32;
/** Cloudflare takes 5 KB a secret (developers.cloudflare.com/workers/platform/limits). */
const VALUE_BYTES_MAX = 5000;
const VERSION_MAX = 99;

/**
 * Makes a secret in the form that workers/platform/env.ts reads.
 * @type {Record<string, () => string>}
 */
export const MAKERS = {
  KEY_TAG_SECRETS: () => JSON.stringify({ 1: randomBytes(SECRET_BYTES).toString('base64url') }),
  MASTER_KEYS: () => JSON.stringify({ 1: randomBytes(SECRET_BYTES).toString('base64') }),
  CONVERSATION_SECRET: () => randomBytes(SECRET_BYTES).toString('base64url'),
  SESSION_SECRETS: () => JSON.stringify({ 1: randomBytes(SECRET_BYTES).toString('base64url') }),
};

export const LASTING_SECRETS = Object.keys(MAKERS);
/** Without their old values what the database holds cannot be used. */
export const IRREPLACEABLE_SECRETS = ['KEY_TAG_SECRETS', 'MASTER_KEYS'];
/**
 * How many versions of each are kept, the new one among them. A login lives 90 days at most, so two
 * are enough: whoever rotates twice in that time ends the logins that are older than both.
 * @type {Readonly<Record<string, number>>}
 */
const VERSIONS_KEPT = {
  KEY_TAG_SECRETS: VERSION_MAX,
  MASTER_KEYS: VERSION_MAX,
  SESSION_SECRETS: 2,
};
/** Cannot be rotated without their copy: Cloudflare never gives the old versions back. */
export const VERSIONED_SECRETS = Object.keys(VERSIONS_KEPT);
export const SETUP_SECRET = 'SETUP_SECRET';
export const ACCOUNTS_SECRET = 'ENVIRONMENT_ACCOUNTS';

/**
 * A secret's next value: a new highest version beside the old ones (of which some may go), or all
 * new where it has none.
 * @param {string} name
 * @param {string} value of today
 */
export function rotated(name, value) {
  const made = MAKERS[name]?.() ?? '';
  const kept = VERSIONS_KEPT[name];
  if (kept === undefined) return made;
  const versions = JSON.parse(value);
  const numbers = Object.keys(versions).map(Number);
  const next = Math.max(...numbers) + 1;
  if (next > VERSION_MAX) throw new Stop(`${name} has all of its ${VERSION_MAX} versions.`);
  const old = numbers.toSorted((a, b) => b - a).slice(0, kept - 1);
  const entries = old.toReversed().map((number) => [number, versions[number]]);
  return JSON.stringify(Object.fromEntries([...entries, [next, JSON.parse(made)[1]]]));
}

/** A secret for the setup door. */
export function newSetupSecret() {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

/**
 * The upstream accounts that the caller's environment gives.
 * @param {NodeJS.ProcessEnv} environment
 * @returns {readonly import('../lib/settings.mjs').Account[]}
 */
export function accountsOf(environment) {
  const { ANTHROPIC_API_KEY, ANTHROPIC_UPSTREAM_URL } = environment;
  const { accounts } = readSettings({ ANTHROPIC_API_KEY, ANTHROPIC_UPSTREAM_URL });
  const isPlain = accounts.some(({ baseUrl }) => !baseUrl.startsWith('https://'));
  if (isPlain) throw new Stop('ANTHROPIC_UPSTREAM_URL must begin with https:// in production.');
  if (Buffer.byteLength(JSON.stringify(accounts)) > VALUE_BYTES_MAX) {
    throw new Stop(
      `ANTHROPIC_API_KEY holds ${accounts.length} keys: more than fit into one secret of ` +
        `${VALUE_BYTES_MAX} bytes.`,
    );
  }
  return accounts;
}
