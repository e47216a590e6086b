// The first start's way through the relay's setup door, and what a later start makes of what the
// first one wrote. The passwords and the setup id lie on disk before the door is called, and the
// key before it is confirmed, so a start cut off anywhere is repaired by the next one.

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Stop, wordsOf } from './say.mjs';
import { broken, readRecord, writeRecord } from './state.mjs';

const PASSWORD_BYTES = 18;
const DOOR_MS = 60_000;

/**
 * @typedef {{ email: string, password: string }} Login
 * @typedef {object} Credentials what `credentials.json` holds
 * @property {string} relay
 * @property {string} dashboard
 * @property {Login} admin
 * @property {Login} user
 * @property {string} key
 *
 * @typedef {{ setupId: string, admin: Login, user: Login }} Pending a setup under way
 *
 * @typedef {object} Door
 * @property {string} folder the state folder
 * @property {string} relayUrl
 * @property {string} dashboardUrl
 * @property {string} setupSecret
 */

/**
 * Gives the credentials of this state folder, made at its first start.
 * @param {Door} door
 * @returns {Promise<Credentials>}
 */
export async function credentialsOf(door) {
  const file = join(door.folder, 'credentials.json');
  const pendingFile = join(door.folder, 'setup-pending.json');
  const kept = readCredentials(file);
  let pending = readPending(pendingFile);
  if (kept !== null && pending === null) return withAddresses(door, file, kept);
  if (pending === null) {
    pending = newPending();
    writeRecord(pendingFile, pending);
  }
  const { setupId, admin, user } = pending;
  const key = kept?.key ?? (await setUp(door, pending));
  const credentials = { relay: door.relayUrl, dashboard: door.dashboardUrl, admin, user, key };
  writeRecord(file, credentials);
  await confirm(door, setupId, kept !== null);
  rmSync(pendingFile, { force: true });
  return credentials;
}

/** Ends in a sentence when what an earlier start wrote is damaged. @param {string} folder */
export function requireReadable(folder) {
  readCredentials(join(folder, 'credentials.json'));
  readPending(join(folder, 'setup-pending.json'));
}

/** @returns {Pending} */
function newPending() {
  return {
    setupId: randomBytes(PASSWORD_BYTES).toString('base64url'),
    admin: { email: 'admin@relay.test', password: newPassword() },
    user: { email: 'user@relay.test', password: newPassword() },
  };
}

function newPassword() {
  return randomBytes(PASSWORD_BYTES).toString('base64url');
}

/** @param {Door} door @param {Pending} pending @returns {Promise<string>} the key */
async function setUp(door, pending) {
  const response = await post(door, '/admin/setup', pending);
  if (response.status === 409) {
    throw new Stop(
      `The relay in ${door.folder} is set up already, and its credentials.json is missing: ` +
        'put it back, or forget all local state with `npm run reset`.',
    );
  }
  const answer = await bodyOf(response);
  if (response.ok && typeof answer['key'] === 'string') return answer['key'];
  throw new Stop(`The setup door answered ${response.status}: ${JSON.stringify(answer)}`);
}

/**
 * @param {Door} door
 * @param {string} setupId
 * @param {boolean} maybeConfirmed an earlier start wrote the key and may have confirmed it
 */
async function confirm(door, setupId, maybeConfirmed) {
  const response = await post(door, '/admin/setup/confirm', { setupId });
  if (response.ok || (maybeConfirmed && response.status === 409)) return;
  throw new Stop(
    `The setup was not confirmed (the door answered ${response.status}): start again.`,
    JSON.stringify(await bodyOf(response)),
  );
}

/** @param {Door} door @param {string} path @param {unknown} body */
async function post(door, path, body) {
  try {
    return await fetch(`${door.relayUrl}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${door.setupSecret}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(DOOR_MS),
    });
  } catch (problem) {
    throw new Stop(`The setup door did not answer (${wordsOf(problem)}): start again.`);
  }
}

/** @param {Response} response @returns {Promise<Record<string, unknown>>} */
async function bodyOf(response) {
  try {
    const value = await response.json();
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** @param {Door} door @param {string} file @param {Credentials} kept */
function withAddresses(door, file, kept) {
  const { relayUrl: relay, dashboardUrl: dashboard } = door;
  const credentials = { ...kept, relay, dashboard };
  if (kept.relay !== relay || kept.dashboard !== dashboard) writeRecord(file, credentials);
  return credentials;
}

/** @param {string} file @returns {Credentials | null} */
function readCredentials(file) {
  const value = readRecord(file);
  if (value === null) return null;
  const { relay, dashboard, admin, user, key } = value;
  const isWhole = isText(relay) && isText(dashboard) && isText(key) && isLogin(admin);
  if (isWhole && isLogin(user)) return { relay, dashboard, admin, user, key };
  throw broken(`${file} does not hold what was written there`);
}

/** @param {string} file @returns {Pending | null} */
function readPending(file) {
  const value = readRecord(file);
  if (value === null) return null;
  const { setupId, admin, user } = value;
  if (isText(setupId) && isLogin(admin) && isLogin(user)) return { setupId, admin, user };
  throw broken(`${file} does not hold what was written there`);
}

/** @param {unknown} value @returns {value is string} */
function isText(value) {
  return typeof value === 'string' && value !== '';
}

/** @param {unknown} value @returns {value is Login} */
function isLogin(value) {
  if (typeof value !== 'object' || value === null) return false;
  return 'email' in value && 'password' in value && isText(value.email) && isText(value.password);
}
