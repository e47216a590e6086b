// The checks in their order, each a sentence and a function that throws where it does not hold.

import { readFileSync } from 'node:fs';
import { inProject } from '../lib/places.mjs';
import { pause } from '../lib/programs.mjs';
import { Stop, say, wordsOf } from '../lib/say.mjs';
import { operations } from '../relay/operations.mjs';
import { send, urlOf } from '../relay/session.mjs';
import { dollars } from '../relay/show.mjs';
import { peopleOf } from './people.mjs';

/** A settled request shows within this time. */
const SETTLED_MS = 10_000;
const SETTLED_EVERY_MS = 200;
const TOKENS_MAX = 16;

/**
 * @typedef {import('./people.mjs').People} People
 * @typedef {import('./people.mjs').Somebody} Somebody
 *
 * @typedef {object} Login
 * @property {{ id: string, role: string, walletId: string }} user
 * @property {string} access
 * @property {string} refresh
 *
 * @typedef {object} Visit what the checks hand on to each other
 * @property {string} url
 * @property {People} people
 * @property {Login[]} logins to be ended
 * @property {string | null} madeKeyId to be deleted
 * @property {Login} [admin]
 * @property {Login} [user]
 * @property {string} [key]
 * @property {any} [before] key-info
 * @property {any} [after]
 */

/** @type {readonly (readonly [string, (visit: Visit) => Promise<string>])[]} */
const CHECKS = [
  ['database, ledger and pool answer', checkHealth],
  ['the API is that of this checkout', checkDescription],
  ['people log in', logIn],
  ['the admins’ API answers, and so does every table that it reads', checkAdminApi],
  ['a key is accepted', checkKey],
  ['a key that is not true is refused, and so is none', checkBadKey],
  ['a request is answered', checkRequest],
  ['the key’s usage moved', checkUsage],
  ['the credit moved by the same amount', checkCredit],
];

/** @param {readonly string[]} given @param {NodeJS.ProcessEnv} environment the exit code */
export async function verify(given, environment) {
  const url = urlOf(
    environment,
    given.find((word) => !word.startsWith('-')),
  );
  /** @type {Visit} */
  const visit = { url, people: peopleOf(url, environment), logins: [], madeKeyId: null };
  say(`Verifying ${url}`);
  let failures = 0;
  try {
    for (const [sentence, check] of CHECKS)
      failures += (await passes(visit, sentence, check)) ? 0 : 1;
  } finally {
    await leave(visit);
  }
  say(failures === 0 ? 'All is well.' : `${failures} of ${CHECKS.length} failed.`);
  return failures === 0 ? 0 : 1;
}

/**
 * @param {Visit} visit
 * @param {string} sentence
 * @param {(visit: Visit) => Promise<string>} check
 */
async function passes(visit, sentence, check) {
  const startedAtMs = Date.now();
  try {
    const details = await check(visit);
    say(`PASS  ${sentence} (${details}, ${Date.now() - startedAtMs} ms)`);
    return true;
  } catch (problem) {
    say(`FAIL  ${sentence}: ${wordsOf(problem)}`);
    return false;
  }
}

/** @param {Visit} visit */
async function checkHealth({ url }) {
  const { status, json } = await send(url, { method: 'GET', path: '/health' });
  if (status !== 200) throw new Stop(`${status} ${JSON.stringify(json?.checks ?? null)}`);
  return `version ${json.version}`;
}

/** @param {Visit} visit */
async function checkDescription({ url }) {
  const { status, json } = await send(url, { method: 'GET', path: '/openapi.json' });
  const own = JSON.parse(readFileSync(inProject('workers', 'control', 'openapi.json'), 'utf8'));
  if (status !== 200) throw new Stop(`/openapi.json answered ${status}`);
  if (JSON.stringify(json) !== JSON.stringify(own)) throw new Stop('another version is running');
  return `${Object.keys(own.paths).length} paths`;
}

/** @param {Visit} visit */
async function logIn(visit) {
  const { people } = visit;
  visit.admin = await loginOf(visit, people.admin);
  const isSame = people.user.email === people.admin.email;
  visit.user = isSame ? visit.admin : await loginOf(visit, people.user);
  return isSame ? people.admin.email : `${people.admin.email}, ${people.user.email}`;
}

/** @param {Visit} visit @param {Somebody} somebody @returns {Promise<Login>} */
async function loginOf({ url, logins }, { email, password }) {
  const body = { email, password, transport: 'bearer' };
  const answer = await send(url, { method: 'POST', path: '/api/auth/login', body });
  if (answer.status !== 200) throw new Stop(`${email} was answered ${answer.status}`);
  const login = { user: answer.json.user, ...answer.json.tokens };
  logins.push(login);
  return login;
}

/** @param {Visit} visit */
async function checkAdminApi({ url, admin }) {
  const { access } = needed(admin);
  const lists = [...operations().values()].filter(
    ({ method, path, access: door, name }) =>
      method === 'GET' && door?.by === 'staff' && !path.includes('{') && name !== 'live.watch',
  );
  for (const { path } of lists) {
    const { status, json } = await send(url, { method: 'GET', path, headers: bearer(access) });
    if (status !== 200) throw new Stop(`${path} answered ${status} ${json?.error?.code ?? ''}`);
  }
  return `${lists.length} addresses`;
}

/** @param {Visit} visit */
async function checkKey(visit) {
  visit.key = visit.people.key ?? (await makeKey(visit));
  visit.before = await keyInfo(visit);
  const { balance_nanos: balance } = visit.before.wallet;
  return `${visit.before.key.name}, balance ${dollars(balance)}`;
}

/** @param {Visit} visit @returns {Promise<string>} */
async function makeKey(visit) {
  const headers = bearer(needed(visit.user).access);
  const call = { method: 'POST', path: '/api/tokens', headers, body: { name: 'npm run verify' } };
  const { status, json } = await send(visit.url, call);
  if (status !== 201) throw new Stop(`a key could not be made (${status} ${json?.error?.code})`);
  visit.madeKeyId = json.token.id;
  return json.key;
}

/** @param {Visit} visit */
async function keyInfo({ url, key }) {
  const call = { method: 'GET', path: '/api/v1/key-info', headers: bearer(needed(key)) };
  const { status, json } = await send(url, call);
  if (status !== 200) throw new Stop(`it was answered ${status} ${json?.error?.message ?? ''}`);
  return json;
}

/** @param {Visit} visit */
async function checkBadKey({ url, key }) {
  const good = needed(key);
  // Another secret under the same tag: nothing but the tag can tell.
  const forged = good.replace(/_[^_]{4}([^_]*)_([^_]+)$/, '_1111$1_$2');
  for (const headers of [bearer(forged), bearer(`${good}x`), {}]) {
    const { status } = await send(url, { method: 'GET', path: '/api/v1/key-info', headers });
    if (status !== 401) throw new Stop(`one was answered ${status}`);
  }
  return '401';
}

/** @param {Visit} visit */
async function checkRequest(visit) {
  const headers = { ...bearer(needed(visit.key)), 'anthropic-version': '2023-06-01' };
  const models = await send(visit.url, { method: 'GET', path: '/api/v1/models', headers });
  /** @type {{ id: string }[]} */
  const known = models.json?.data ?? [];
  const model = (known.find(({ id }) => id.includes('haiku')) ?? known[0])?.id;
  if (model === undefined) throw new Stop('the key may use no model');
  const body = { model, max_tokens: TOKENS_MAX, messages: [{ role: 'user', content: 'Say hi.' }] };
  const answer = await send(visit.url, { method: 'POST', path: '/api/v1/messages', headers, body });
  if (answer.status !== 200) {
    throw new Stop(`${model} answered ${answer.status} ${answer.json?.error?.message ?? ''}`);
  }
  const { input_tokens: input, output_tokens: output } = answer.json.usage;
  return `${model}, ${input} + ${output} tokens`;
}

/** @param {Visit} visit */
async function checkUsage(visit) {
  const { key: before } = needed(visit.before);
  const deadline = Date.now() + SETTLED_MS;
  do {
    visit.after = await keyInfo(visit);
    const { key: after } = visit.after;
    if (after.requests > before.requests && after.used_nanos > before.used_nanos) {
      return dollars(after.used_nanos - before.used_nanos);
    }
    await pause(SETTLED_EVERY_MS);
  } while (Date.now() < deadline);
  throw new Stop('no request shows in what the key has used');
}

/** @param {Visit} visit */
async function checkCredit({ url, user, before, after }) {
  const usedNanos = needed(after).key.used_nanos - needed(before).key.used_nanos;
  const paidNanos = before.wallet.balance_nanos - after.wallet.balance_nanos;
  if (paidNanos !== usedNanos) {
    throw new Stop(
      `the balance fell by ${dollars(paidNanos)}, the usage rose by ${dollars(usedNanos)}`,
    );
  }
  const { access, user: payer } = needed(user);
  if (payer.walletId !== after.wallet.id)
    return `${dollars(paidNanos)}; the statement is another’s`;
  const path = '/api/credits/statement?limit=1';
  const { status, json } = await send(url, { method: 'GET', path, headers: bearer(access) });
  const line = json?.items?.[0];
  if (status !== 200 || line?.amountNanos !== -usedNanos) {
    throw new Stop(`the statement (${status}) begins with ${JSON.stringify(line ?? null)}`);
  }
  return `${dollars(paidNanos)}, as the statement says`;
}

/** Takes away what was made. @param {Visit} visit */
async function leave({ url, logins, user, madeKeyId }) {
  if (madeKeyId !== null && user !== undefined) {
    const path = `/api/tokens/${madeKeyId}`;
    await send(url, { method: 'DELETE', path, headers: bearer(user.access) }).catch(() => null);
  }
  for (const { refresh } of logins) {
    const body = { refreshToken: refresh };
    await send(url, { method: 'POST', path: '/api/auth/logout', body }).catch(() => null);
  }
}

/** @param {string} token */
function bearer(token) {
  return { authorization: `Bearer ${token}` };
}

/** @template T @param {T | undefined} thing @returns {T} */
function needed(thing) {
  if (thing === undefined) throw new Stop('not tried: what it needs has failed');
  return thing;
}
