// What wrangler's failures mean, in one sentence each. Its own words stand above the sentence, with
// every secret of this run taken out.

import { Stop, tail } from '../lib/say.mjs';
import { jsonOf } from './wrangler.mjs';

const LOG_IN =
  'You are not logged in to Cloudflare: run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN.';

/**
 * @typedef {import('./wrangler.mjs').Answer} Answer
 *
 * Each sentence names what to do. The first pattern that matches decides.
 * @type {readonly (readonly [RegExp, string])[]}
 */
const MEANINGS = [
  [
    /resolve Cloudflare's API hostname|fetch failed|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/,
    'Cloudflare cannot be reached: check the network (or the proxy) and run it again.',
  ],
  [/necessary to set a CLOUDFLARE_API_TOKEN|not authenticated|wrangler login/i, LOG_IN],
  [
    /code: (10000|9109|10001)\b|Authentication error|Unauthorized/,
    'The Cloudflare login may not do this: its token needs "Edit" for Workers Scripts and D1.',
  ],
  [
    /More than one account/,
    'This login sees several accounts: set CLOUDFLARE_ACCOUNT_ID to the one that you mean.',
  ],
  [
    /database with that name already exists/i,
    'A database of that name was made by someone else a moment ago: run it again to look anew.',
  ],
  [
    /100328|limits?\b.*\bFree plan/i,
    'This account is on the Workers Free plan, whose 10 ms of CPU a request do not carry a relay ' +
      '(docs/deploy.md, "Plans"): change to Workers Paid and run it again.',
  ],
  [
    /workers\.dev subdomain|workers\/onboarding/,
    'This account has no workers.dev subdomain yet: open "Workers & Pages" in its dashboard ' +
      'once, choose one, and run it again.',
  ],
  [/10027|exceeded the size limit/i, 'The Worker is too large for this plan (docs/deploy.md).'],
  [/Could not resolve ".*"/, 'The Worker cannot be bundled: an import leads nowhere.'],
  [/Build failed/, 'The Worker cannot be bundled: wrangler says why above.'],
];

/** @type {readonly [null, string]} */
const UNKNOWN = [null, 'Wrangler says why above.'];

/**
 * @param {string} doing what was tried, as in "Migrating the database"
 * @param {Answer} answer
 * @param {readonly string[]} [secrets] values that must never be shown
 */
export function failure(doing, answer, secrets = []) {
  const words = redact(plain(`${answer.stderr}\n${answer.stdout}`), secrets);
  const [, sentence = ''] = MEANINGS.find(([pattern]) => pattern.test(words)) ?? UNKNOWN;
  return new Stop(`${doing} failed. ${sentence}`, tail(words.trim(), 30));
}

/** Wrangler says that nobody is logged in by JSON alone, without words. @param {Answer} answer */
export function loginFailure(answer) {
  if (jsonOf(answer)?.loggedIn === false) return new Stop(LOG_IN);
  return failure('Asking Cloudflare who you are', answer);
}

/** @param {string} text */
function plain(text) {
  // eslint-disable-next-line no-control-regex -- colours are control characters
  return text.replace(/\u001b\[[0-9;]*m/g, '').replace(/\n{3,}/g, '\n\n');
}

/** `text` without any of `secrets`. @param {string} text @param {readonly string[]} secrets */
function redact(text, secrets) {
  const long = secrets.filter((secret) => secret.length >= 8);
  return long.reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), text);
}
