// What a user's text asks to go wrong or to go slowly; README.md beside this file has the table.

import { lastUserText } from './conversation.mjs';

/** Error types of the Messages API by status. @type {Record<number, string>} */
const TYPES = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  405: 'invalid_request_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  503: 'api_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};
const PACE_MS = 15;
const SLOW_MS = 300;

/**
 * @typedef {'start' | 'stream' | 'cut' | 'stall' | 'hang'} Wish how an answer is to break
 * @typedef {{ status: number | null, wish: Wish | null, paceMs: number }} Asked
 */

/** @param {import('./server.mjs').Fields} body @returns {Asked} */
export function asksFor(body) {
  const text = lastUserText(body);
  const status = Number(/\[error:(\d{3})\]/.exec(text)?.[1] ?? 0);
  return {
    status: status in TYPES ? status : null,
    wish: wishOf(text),
    paceMs: text.includes('[fast]') ? 0 : text.includes('[slow]') ? SLOW_MS : PACE_MS,
  };
}

/** @param {string} text @returns {Wish | null} */
function wishOf(text) {
  if (text.includes('[error:start]')) return 'start';
  if (text.includes('[error:stream]')) return 'stream';
  if (text.includes('[cut]')) return 'cut';
  if (text.includes('[stall]')) return 'stall';
  if (text.includes('[hang]')) return 'hang';
  return null;
}

/**
 * The Messages API's error body.
 * @param {number} status
 * @param {string} message
 * @param {string} requestId
 */
export function errorBody(status, message, requestId) {
  const type = TYPES[status] ?? 'api_error';
  return { type: 'error', error: { type, message }, request_id: requestId };
}
