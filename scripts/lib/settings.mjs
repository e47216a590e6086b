// What `npm start` is told by its environment, checked before anything is started. A wrong value
// ends in a sentence that names the variable, never the value of a secret.

import { inProject } from './places.mjs';
import { Stop } from './say.mjs';

const ANTHROPIC_URL = 'https://api.anthropic.com';
const ACCOUNTS_MAX = 100;

/**
 * @typedef {object} Account an entry of the Worker's ENVIRONMENT_ACCOUNTS
 * @property {string} name
 * @property {'anthropic' | 'anthropic-compatible'} kind
 * @property {string} baseUrl
 * @property {string} apiKey
 *
 * @typedef {object} Settings
 * @property {number} relayPort
 * @property {number} dashboardPort
 * @property {string} relayUrl
 * @property {string} dashboardUrl
 * @property {string} stateFolder
 * @property {readonly Account[]} accounts none: the sandbox stands in
 * @property {string} upstreamUrl
 */

/** @param {NodeJS.ProcessEnv} environment @returns {Settings} */
export function readSettings(environment) {
  const relayPort = port(environment, 'RELAY_PORT', 3000);
  const dashboardPort = port(environment, 'DASHBOARD_PORT', 3001);
  if (relayPort === dashboardPort) {
    throw new Stop(`RELAY_PORT and DASHBOARD_PORT are both ${relayPort}: choose two.`);
  }
  const upstreamUrl = upstream(environment['ANTHROPIC_UPSTREAM_URL']);
  return {
    relayPort,
    dashboardPort,
    relayUrl: `http://127.0.0.1:${relayPort}`,
    dashboardUrl: `http://127.0.0.1:${dashboardPort}`,
    stateFolder: stateFolderOf(environment),
    accounts: accounts(environment['ANTHROPIC_API_KEY'], upstreamUrl),
    upstreamUrl,
  };
}

/** Where all local state is. @param {NodeJS.ProcessEnv} environment */
export function stateFolderOf(environment) {
  return inProject(environment['RELAY_STATE'] || '.state');
}

/** @param {NodeJS.ProcessEnv} environment @param {string} name @param {number} otherwise */
function port(environment, name, otherwise) {
  const text = environment[name]?.trim() ?? '';
  if (text === '') return otherwise;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= 65_535) return value;
  throw new Stop(`${name} must be a port between 1 and 65535, not "${text}".`);
}

/** @param {string | undefined} keys @param {string} baseUrl @returns {readonly Account[]} */
function accounts(keys, baseUrl) {
  const unique = [...new Set((keys ?? '').split(',').flatMap((key) => key.trim() || []))];
  if (unique.length > ACCOUNTS_MAX) {
    throw new Stop(`ANTHROPIC_API_KEY holds more than ${ACCOUNTS_MAX} keys.`);
  }
  const position = unique.findIndex((key) => !/^[\x21-\x7e]+$/.test(key));
  if (position >= 0) {
    throw new Stop(`ANTHROPIC_API_KEY: key ${position + 1} holds a space or a strange character.`);
  }
  const kind = baseUrl === ANTHROPIC_URL ? 'anthropic' : 'anthropic-compatible';
  return unique.map((apiKey, index) => ({ name: `anthropic-${index + 1}`, kind, baseUrl, apiKey }));
}

/** @param {string | undefined} given */
function upstream(given) {
  const text = given?.trim() ?? '';
  if (text === '') return ANTHROPIC_URL;
  const wrong = (/** @type {string} */ why) => new Stop(`ANTHROPIC_UPSTREAM_URL ${why}.`);
  if (!URL.canParse(text)) {
    throw wrong('is not a URL; it should look like https://gateway.example.com/anthropic');
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw wrong('must not hold a user name or password; the key goes into ANTHROPIC_API_KEY');
  }
  if (url.search !== '' || url.hash !== '') throw wrong('must not have a query or a fragment');
  if (!isCallable(url)) {
    throw wrong(
      'must be https:// at a public host name and the usual port (http:// at a loopback address)',
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

const PRIVATE_NAME = /\.(localhost|local|internal|lan|home|corp|intranet|arpa|test|invalid)\.?$/i;

/**
 * What the relay will call, in short; workers/platform/outbound.ts has the whole of it.
 * @param {URL} url
 */
function isCallable({ protocol, hostname, port: customPort }) {
  if (/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return protocol === 'http:';
  const isName = /\.[a-z][^.]*\.?$/i.test(hostname) && !PRIVATE_NAME.test(hostname);
  return protocol === 'https:' && customPort === '' && isName;
}
