// Logging in and out, and saying who one is.

import { say } from '../lib/say.mjs';
import { ask } from './prompt.mjs';
import {
  Refusal,
  callAs,
  fileOf,
  forgetLogin,
  keepLogin,
  loginOf,
  readLogin,
  send,
} from './session.mjs';
import { lines } from './show.mjs';

/**
 * @typedef {{ url: string, environment: NodeJS.ProcessEnv }} Place
 * @typedef {import('./arguments.mjs').Typed} Typed
 */

/** @type {Readonly<Record<string, (place: Place, typed: Typed) => Promise<void>>>} */
export const LOGIN_COMMANDS = { login, logout, whoami };

/** @param {Place} place @param {Typed} typed */
async function login({ url, environment }, { words, flags }) {
  const given = words[1] ?? flags.get('email') ?? environment['RELAY_EMAIL'];
  const email = typeof given === 'string' && given !== '' ? given : await ask('E-mail address');
  const password = environment['RELAY_PASSWORD'] || (await ask('Password', { hidden: true }));
  const body = { email, password, transport: 'bearer' };
  const answer = await send(url, { method: 'POST', path: '/api/auth/login', body });
  if (answer.status !== 200) throw new Refusal(answer);
  const made = loginOf(url, answer);
  const file = fileOf(environment, url);
  keepLogin(file, made);
  say(`Logged in at ${url} as ${made.email} (${answer.json.user.role}); kept in ${file}.`);
}

/** @param {Place} place */
async function logout({ url, environment }) {
  const file = fileOf(environment, url);
  const login = readLogin(file);
  if (login === null) return say(`Nobody is logged in at ${url}.`);
  const body = { refreshToken: login.refresh };
  const answer = await send(url, { method: 'POST', path: '/api/auth/logout', body });
  if (answer.status >= 400) throw new Refusal(answer);
  forgetLogin(file);
  say(`Logged out at ${url}.`);
}

/** @param {Place} place @param {Typed} typed */
async function whoami(place, { flags }) {
  const { json } = await callAs(place, { method: 'GET', path: '/api/auth/me' });
  say(flags.has('json') ? JSON.stringify(json, null, 2) : lines(json));
}
