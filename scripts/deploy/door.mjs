// Goes through the setup door of a relay just deployed, and asks for its health. The id and the
// passwords lie on disk before the door is called and the key before it is confirmed, so a run cut
// off anywhere is repaired by the next one with the same file. A new Worker spreads in seconds, so
// what an old one would answer is asked again.

import { randomBytes } from 'node:crypto';
import { Stop, wordsOf } from '../lib/say.mjs';
import { readRecord, writeRecord } from './files.mjs';

const RANDOM_BYTES = 18;
const ANSWER_MS = 30_000;
/** Pauses between tries: about a minute together. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000, 8000];

/**
 * @typedef {{ email: string, password: string }} Login
 * @typedef {object} Credentials what the file holds
 * @property {string} relay
 * @property {Login} admin
 * @property {Login} user
 * @property {string | null} key null until the door has answered
 * @property {string} setupId
 * @property {boolean} confirmed
 *
 * @typedef {(milliseconds: number) => Promise<unknown>} Pause
 * @typedef {{ status: number, body: Record<string, unknown> }} Reply status 0: none came
 *
 * @typedef {object} Door
 * @property {string} url where the relay answers
 * @property {string} file
 * @property {string} setupSecret
 * @property {Pause} pause
 */

/**
 * The file of an earlier run, or null.
 * @param {string} file
 * @returns {Credentials | null}
 */
export function readCredentials(file) {
  const value = readRecord(file);
  if (value === null) return null;
  const { relay, admin, user, key, setupId, confirmed } = value;
  if (typeof setupId !== 'string' || !isLogin(admin) || !isLogin(user)) {
    throw new Stop(`${file} does not hold what was written there: put it right or move it away.`);
  }
  return {
    relay: String(relay),
    admin: { email: admin.email, password: admin.password },
    user: { email: user.email, password: user.password },
    key: typeof key === 'string' ? key : null,
    setupId,
    confirmed: confirmed === true,
  };
}

/** @param {unknown} value @returns {value is Login} */
function isLogin(value) {
  if (typeof value !== 'object' || value === null) return false;
  if (!('email' in value) || !('password' in value)) return false;
  return typeof value.email === 'string' && typeof value.password === 'string';
}

/**
 * Fresh credentials, not yet known to any relay.
 * @param {{ relay: string, adminEmail: string | null, userEmail: string | null }} wanted
 * @returns {Credentials}
 */
export function newCredentials({ relay, adminEmail, userEmail }) {
  const { hostname } = new URL(relay);
  return {
    relay,
    admin: { email: adminEmail ?? `admin@${hostname}`, password: random() },
    user: { email: userEmail ?? `user@${hostname}`, password: random() },
    key: null,
    setupId: random(),
    confirmed: false,
  };
}

function random() {
  return randomBytes(RANDOM_BYTES).toString('base64url');
}

/**
 * Makes the first admin, user and key, or finishes what an earlier run began.
 * @param {Door} door
 * @param {Credentials} credentials what the file holds already
 * @returns {Promise<Credentials>} confirmed, and written to the file
 */
export async function goThrough(door, credentials) {
  const { setupId, admin, user } = credentials;
  let whole = credentials;
  if (credentials.key === null) {
    const answer = await post(door, '/admin/setup', { setupId, admin, user });
    if (answer.status === 409) throw doorShut(door, answer);
    const key = answer.body['key'];
    if (isRefused(answer) || typeof key !== 'string') throw doorFailed('setup', answer);
    whole = { ...credentials, key };
    writeRecord(door.file, whole);
  }
  const answer = await post(door, '/admin/setup/confirm', { setupId });
  // 409 for an id that the door answered with a key: confirmed before, and that answer was lost.
  if (isRefused(answer) && answer.status !== 409) throw doorFailed('confirmation', answer);
  whole = { ...whole, confirmed: true };
  writeRecord(door.file, whole);
  return whole;
}

/** @param {Reply} reply */
function isRefused({ status }) {
  return status < 200 || status >= 300;
}

/** @param {Door} door @param {Reply} answer */
function doorShut({ file }, answer) {
  return new Stop(
    `The relay was set up already, and not with ${file}, or somebody has one of its addresses: ` +
      'docs/runbooks/first-setup.md.',
    wordsIn(answer),
  );
}

/** @param {string} what @param {Reply} answer */
function doorFailed(what, answer) {
  return new Stop(
    `The Worker is deployed, but its ${what} answered ${answer.status || 'nothing'}: run it ` +
      'again, it goes on where it stopped. If that does not help: docs/runbooks/first-setup.md.',
    wordsIn(answer),
  );
}

/** What the door said itself. @param {Reply} reply */
function wordsIn({ body }) {
  return 'error' in body ? JSON.stringify(body['error']).slice(0, 500) : '';
}

/**
 * Asks until the door answers for good: 2xx, or a refusal that only the new Worker can give.
 * @param {Door} door
 * @param {string} path
 * @param {unknown} body
 */
async function post(door, path, body) {
  const ask = () =>
    request(`${door.url}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${door.setupSecret}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    });
  const isFinal = (/** @type {Reply} */ reply) =>
    !isRefused(reply) || [400, 409, 422].includes(reply.status);
  return until(ask, isFinal, door.pause);
}

/**
 * Waits until the relay says that it is well.
 * @param {string} url
 * @param {Pause} pause
 * @returns {Promise<{ version: string }>}
 */
export async function checkHealth(url, pause) {
  const answer = await until(
    () => request(`${url}/health`, {}),
    ({ status }) => status === 200,
    pause,
  );
  const { version } = answer.body;
  if (answer.status === 200) return { version: typeof version === 'string' ? version : 'unknown' };
  const checks = Object.entries(Object(answer.body['checks']));
  const failing = checks.filter(([, state]) => state !== 'ok').map(([name]) => name);
  const which = failing.length === 0 ? '' : ` (not well: ${failing.join(', ')})`;
  throw new Stop(
    `The Worker is deployed, but ${url}/health answers ${answer.status || 'nothing'}${which}: ` +
      'docs/runbooks says what to look at; `npx wrangler rollback` goes back to the one before.',
  );
}

/**
 * @param {() => Promise<Reply>} ask
 * @param {(reply: Reply) => boolean} isFinal
 * @param {Pause} pause
 * @returns {Promise<Reply>} the last one
 */
async function until(ask, isFinal, pause) {
  let reply = await ask();
  for (const pauseMs of PAUSES_MS) {
    if (isFinal(reply)) return reply;
    await pause(pauseMs);
    reply = await ask();
  }
  return reply;
}

/** @param {string} url @param {RequestInit} options @returns {Promise<Reply>} */
async function request(url, options) {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(url, { ...options, redirect: 'manual', signal });
    /** @type {unknown} */
    const body = await response.json().catch(() => null);
    const fields = typeof body === 'object' && body !== null ? Object.entries(body) : [];
    return { status: response.status, body: Object.fromEntries(fields) };
  } catch (problem) {
    return { status: 0, body: { error: { message: wordsOf(problem) } } };
  }
}
