// Who `npm run verify` logs in as: RELAY_EMAIL and RELAY_PASSWORD, else the admin and the user whom
// the start or the deploy wrote down for this relay.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inProject } from '../lib/places.mjs';
import { Stop } from '../lib/say.mjs';
import { stateFolderOf } from '../lib/settings.mjs';
import { readRecord } from '../lib/state.mjs';

/**
 * @typedef {{ email: string, password: string }} Somebody
 * @typedef {object} People
 * @property {Somebody} admin
 * @property {Somebody} user who pays; the same when only one is known
 * @property {string | null} key null: one is made
 */

/** @param {string} url @param {NodeJS.ProcessEnv} environment @returns {People} */
export function peopleOf(url, environment) {
  const { RELAY_EMAIL: email, RELAY_PASSWORD: password, RELAY_KEY: key } = environment;
  if (email && password) {
    return { admin: { email, password }, user: { email, password }, key: key || null };
  }
  const found = files(environment)
    .map((file) => /** @type {any} */ (readRecord(file)))
    .find((one) => one !== null && isOf(one.relay, url));
  if (found === undefined) {
    throw new Stop(`Nobody is known at ${url}: set RELAY_EMAIL and RELAY_PASSWORD.`);
  }
  const { admin, user } = found;
  return { admin, user, key: key || found.key };
}

/** @param {unknown} relay @param {string} url */
function isOf(relay, url) {
  return typeof relay === 'string' && URL.canParse(relay) && new URL(relay).origin === url;
}

/** @param {NodeJS.ProcessEnv} environment */
function files(environment) {
  const deployed = inProject('.deploy');
  const names = existsSync(deployed) ? readdirSync(deployed) : [];
  const folders = [stateFolderOf(environment), ...names.map((name) => join(deployed, name))];
  return folders
    .map((folder) => join(folder, 'credentials.json'))
    .filter((file) => existsSync(file));
}
