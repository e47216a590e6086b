// The sandbox's door: which path, which key, which body, and what goes wrong before there is an
// answer. Keeps a small cache in memory and no log of what it is asked.

import { randomBytes } from 'node:crypto';
import { answerTo } from './answer.mjs';
import { BodyProblem, readBody } from './body.mjs';
import { modelById, models } from './models.mjs';
import { sendJson, sendStream } from './send.mjs';
import { asksFor, errorBody } from './trouble.mjs';
import { createUsage } from './usage.mjs';

const VERSIONS = ['2023-06-01', '2026-10-21'];
/** Fields that version 2026-10-21 no longer knows. */
const SAMPLING_FIELDS = ['temperature', 'top_p', 'top_k'];

/**
 * @typedef {import('node:http').IncomingMessage} IncomingMessage
 * @typedef {import('node:http').ServerResponse} ServerResponse
 * @typedef {Record<string, unknown>} Fields a JSON object as it came
 *
 * @typedef {object} Exchange one request and where its answer goes
 * @property {IncomingMessage} request
 * @property {ServerResponse} response
 * @property {string} requestId
 * @property {string} key the client's, already checked for presence
 * @property {ReturnType<typeof createUsage>} usage
 */

/** A request listener for node:http, with a cache of its own. */
export function createSandbox() {
  const usage = createUsage();
  return (/** @type {IncomingMessage} */ request, /** @type {ServerResponse} */ response) => {
    const requestId = `req_${randomBytes(12).toString('hex')}`;
    const exchange = { request, response, requestId, key: keyOf(request), usage };
    response.setHeader('request-id', requestId);
    response.setHeader('anthropic-organization-id', 'sandbox');
    route(exchange).catch((problem) => {
      if (problem instanceof BodyProblem) return fail(exchange, problem.status, problem.message);
      fail(exchange, 500, 'The sandbox failed.');
      console.error(problem);
    });
  };
}

/** @param {Exchange} exchange */
async function route(exchange) {
  const { request, response } = exchange;
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  if (request.method === 'HEAD' && (path === '/' || path === '/api/hello')) return response.end();
  if (exchange.key === '') return fail(exchange, 401, 'x-api-key header is required');
  if (path === '/v1/messages') return withMethod(exchange, 'POST', () => messages(exchange));
  if (path === '/v1/messages/count_tokens') {
    return withMethod(exchange, 'POST', () => countTokens(exchange));
  }
  if (path === '/v1/models') return withMethod(exchange, 'GET', () => sendJson(exchange, models()));
  const id = /^\/v1\/models\/([^/]+)$/.exec(path)?.[1];
  if (id !== undefined) {
    const model = modelById(decodeURIComponent(id));
    return withMethod(exchange, 'GET', () => sendJson(exchange, model));
  }
  return fail(exchange, 404, 'Not found');
}

/** @param {Exchange} exchange @param {string} method @param {() => unknown} answer */
async function withMethod(exchange, method, answer) {
  if (exchange.request.method !== method) return fail(exchange, 405, 'Method Not Allowed');
  await answer();
}

/** @param {Exchange} exchange */
async function messages(exchange) {
  const body = await readBody(exchange.request);
  const problem = problemOf(exchange.request, body, ['model', 'messages', 'max_tokens']);
  if (problem !== null) return fail(exchange, 400, problem);
  const asked = asksFor(body);
  if (asked.status !== null) return fail(exchange, asked.status, `The sandbox was asked to fail.`);
  if (asked.wish === 'hang') return exchange.request.resume();
  const answer = answerTo(body, exchange.usage.count(exchange.key, body));
  rateLimitHeaders(exchange.response);
  if (body['stream'] === true) return sendStream(exchange, answer, asked);
  if (asked.wish === 'cut') return exchange.request.socket.destroy();
  if (asked.wish !== null) return fail(exchange, 529, 'Overloaded');
  return sendJson(exchange, answer.message);
}

/** @param {Exchange} exchange */
async function countTokens(exchange) {
  const body = await readBody(exchange.request);
  const problem = problemOf(exchange.request, body, ['model', 'messages']);
  if (problem !== null) return fail(exchange, 400, problem);
  return sendJson(exchange, { input_tokens: exchange.usage.size(body) });
}

/**
 * What the provider would refuse in a body; null when nothing.
 * @param {IncomingMessage} request
 * @param {Fields} body
 * @param {readonly string[]} required
 */
function problemOf(request, body, required) {
  const version = String(request.headers['anthropic-version'] ?? '');
  if (version === '') return 'anthropic-version: header is required';
  if (!VERSIONS.includes(version)) {
    return `anthropic-version: "${version}" is not a valid version for this API`;
  }
  const missing = required.find((name) => body[name] === undefined);
  if (missing !== undefined) return `${missing}: Field required`;
  if (typeof body['model'] !== 'string') return 'model: Input should be a valid string';
  if (!Array.isArray(body['messages']) || body['messages'].length === 0) {
    return 'messages: at least one message is required';
  }
  const gone = SAMPLING_FIELDS.find((name) => body[name] !== undefined);
  if (version === VERSIONS[1] && gone !== undefined)
    return `${gone}: Extra inputs are not permitted`;
  return null;
}

/** @param {IncomingMessage} request */
function keyOf({ headers }) {
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  return String(headers['x-api-key'] ?? bearer ?? '');
}

/** @param {ServerResponse} response */
function rateLimitHeaders(response) {
  const reset = new Date(Date.now() + 60_000).toISOString().replace(/\.\d+Z$/, 'Z');
  for (const name of ['requests', 'tokens', 'input-tokens', 'output-tokens']) {
    const limit = name === 'requests' ? 4000 : 400_000;
    response.setHeader(`anthropic-ratelimit-${name}-limit`, limit);
    response.setHeader(`anthropic-ratelimit-${name}-remaining`, limit - 1000);
    response.setHeader(`anthropic-ratelimit-${name}-reset`, reset);
  }
}

/** @param {Exchange} exchange @param {number} status @param {string} message */
function fail(exchange, status, message) {
  const { response, requestId } = exchange;
  if (response.headersSent) return response.destroy();
  if (status === 429) response.setHeader('retry-after', '1');
  response.statusCode = status;
  return sendJson(exchange, errorBody(status, message, requestId));
}
