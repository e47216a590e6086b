// Who the CLI is at which relay: the login's tokens in a file of its owner alone, and calls that
// renew them. The password is never kept. A service token in RELAY_TOKEN goes before any login.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Stop, codeOf, wordsOf } from '../lib/say.mjs';

const ANSWER_MS = 60_000;
/** An access token this close to its end is renewed first. */
const EARLY_MS = 30_000;

/**
 * @typedef {object} Login what the file holds
 * @property {string} url
 * @property {string} email
 * @property {string} refresh
 * @property {string} access
 * @property {number} accessExpiresAt Unix ms
 *
 * @typedef {object} Call
 * @property {string} method
 * @property {string} path with its query
 * @property {unknown} [body]
 * @property {Readonly<Record<string, string>>} [headers]
 *
 * @typedef {{ status: number, type: string, text: string, json: any }} Answer
 */

/** No answer came; exit code 4. */
export class Unreachable extends Stop {}

/** Nobody is logged in; exit code 3. */
export class NoLogin extends Stop {}

/** What the relay refused, in its own words; exit code 1. */
export class Refusal extends Stop {
  /** @param {Answer} answer */
  constructor({ status, json, text }) {
    const error = json?.error ?? {};
    const fields = Object.entries(error.fields ?? {}).map(([name, why]) => `  ${name}: ${why}`);
    const id = error.requestId ?? json?.request_id;
    const message = error.message ?? (text.slice(0, 200) || 'no words');
    const lines = [`${message} (${status} ${error.code ?? error.type ?? ''})`, ...fields];
    super([...lines, ...(id === undefined ? [] : [`Request ${id}`])].join('\n'));
    this.status = status;
    this.body = json ?? { error: { code: String(status), message } };
  }
}

/** The relay that is meant. @param {NodeJS.ProcessEnv} environment @param {unknown} given */
export function urlOf(environment, given) {
  const port = environment['RELAY_PORT'] || '3000';
  const text =
    typeof given === 'string' ? given : environment['RELAY_URL'] || `http://127.0.0.1:${port}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  const isWhole = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url === null || !isWhole) throw new Stop(`"${text}" is no address of a relay.`);
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !isLocal) {
    throw new Stop(`${url.origin} would get passwords in the clear: use https.`);
  }
  return url.origin;
}

/** @param {NodeJS.ProcessEnv} environment @param {string} url */
export function fileOf(environment, url) {
  const base = environment['XDG_CONFIG_HOME'] || join(homedir(), '.config');
  return join(base, 'relay', `${new URL(url).host.replaceAll(':', '_')}.json`);
}

/** @param {string} file @returns {Login | null} */
export function readLogin(file) {
  try {
    const login = JSON.parse(readFileSync(file, 'utf8'));
    return typeof login?.refresh === 'string' ? login : null;
  } catch (problem) {
    if (codeOf(problem) === 'ENOENT' || problem instanceof SyntaxError) return null;
    throw new Stop(`${file} cannot be read (${wordsOf(problem)}).`);
  }
}

/** Whole or not at all, and for its owner alone. @param {string} file @param {Login} login */
export function keepLogin(file, login) {
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
  const beside = `${file}.${process.pid}`;
  writeFileSync(beside, `${JSON.stringify(login, null, 2)}\n`, { mode: 0o600 });
  renameSync(beside, file);
}

/** @param {string} file */
export function forgetLogin(file) {
  rmSync(file, { force: true });
}

/** @param {string} url @param {Call} call @returns {Promise<Answer>} */
export async function send(url, { method, path, body, headers = {} }) {
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, text, json: jsonOf(text) };
  } catch (problem) {
    const cause = problem instanceof Error && problem.cause ? problem.cause : problem;
    throw new Unreachable(`${url} does not answer (${wordsOf(cause) || codeOf(cause)}).`);
  }
}

/** @param {string} text */
function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The login that an answer of /api/auth brings. @param {string} url @param {Answer} answer */
export function loginOf(url, { json }) {
  const { user, tokens, accessExpiresAt } = json;
  return { url, email: user.email, ...tokens, accessExpiresAt };
}

/**
 * A call with the login's token; an ended login is forgotten.
 * @param {{ url: string, environment: NodeJS.ProcessEnv }} place
 * @param {Call} call
 */
export async function callAs({ url, environment }, call) {
  const bearer = environment['RELAY_TOKEN'] || (await accessOf({ url, environment }));
  const headers = { ...call.headers, authorization: `Bearer ${bearer}` };
  const answer = await send(url, { ...call, headers });
  if (answer.status >= 400) throw new Refusal(answer);
  return answer;
}

/** @param {{ url: string, environment: NodeJS.ProcessEnv }} place */
async function accessOf({ url, environment }) {
  const file = fileOf(environment, url);
  const login = readLogin(file);
  if (login === null) {
    throw new NoLogin(`Nobody is logged in at ${url}: npm run relay -- login --url ${url}`);
  }
  if (login.accessExpiresAt - EARLY_MS > Date.now()) return login.access;
  const body = { refreshToken: login.refresh, transport: 'bearer' };
  const answer = await send(url, { method: 'POST', path: '/api/auth/refresh', body });
  if (answer.status === 401) {
    forgetLogin(file);
    throw new NoLogin(`The login at ${url} has ended: npm run relay -- login --url ${url}`);
  }
  if (answer.status >= 400) throw new Refusal(answer);
  const renewed = loginOf(url, answer);
  keepLogin(file, renewed);
  return renewed.access;
}
