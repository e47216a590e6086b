// The one place through which answers leave: errors in the client's protocol, headers that are safe
// to pass on, the origins that may read them.

import type { RelayError } from '../domain/errors';
import { log } from '../observe/log';
import { anthropic } from '../protocols/anthropic';
import type { StopWord } from './ending';
import type { Visit } from './journey';

/** Of the upstream's headers these stay here: they describe the account or the connection. */
const WITHHELD = new Set([
  'alt-svc',
  'anthropic-organization-id',
  'anthropic-workspace-id',
  'connection',
  'content-encoding',
  'content-length',
  'date',
  'keep-alive',
  'nel',
  'proxy-authenticate',
  'report-to',
  'server',
  'set-cookie',
  'strict-transport-security',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
]);
const WITHHELD_PREFIXES = [
  'access-control-',
  'anthropic-fast-',
  'anthropic-priority-',
  'anthropic-ratelimit-',
  'cf-',
  'x-ratelimit-',
] as const;

const EXPOSED = 'request-id, x-relay-request-id, retry-after, x-should-retry';

type Asked = Pick<Visit, 'request' | 'requestId' | 'config'>;

/** `error` in the client's protocol. */
export function errorAnswer(asked: Asked, error: RelayError): Response {
  if (error.kind === 'internal') {
    const { cause } = error;
    const detail = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    log('internal-error', { request: asked.requestId, detail });
  }
  const { status, headers, body } = anthropic.renderError(error, asked.requestId);
  const answer = new Headers(headers);
  addOwn(answer, asked);
  return new Response(asked.request.method === 'HEAD' ? null : body, { status, headers: answer });
}

/** The relay's own JSON. */
export function jsonAnswer(asked: Asked, document: unknown, status = 200): Response {
  const headers = new Headers({
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'request-id': asked.requestId,
  });
  addOwn(headers, asked);
  const body = asked.request.method === 'HEAD' ? null : JSON.stringify(document);
  return new Response(body, { status, headers });
}

/** Of an event stream that begins before the upstream's answer. */
export function eventHeaders(asked: Asked): Headers {
  const headers = new Headers({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'request-id': asked.requestId,
  });
  addOwn(headers, asked);
  return headers;
}

/** The upstream's headers as the client gets them. */
export function passedHeaders(upstream: Headers, asked: Asked): Headers {
  const headers = new Headers();
  for (const [name, value] of upstream) if (isPassed(name)) headers.append(name, value);
  if (!headers.has('request-id')) headers.set('request-id', asked.requestId);
  addOwn(headers, asked);
  return headers;
}

function isPassed(name: string): boolean {
  return !WITHHELD.has(name) && !WITHHELD_PREFIXES.some((prefix) => name.startsWith(prefix));
}

function addOwn(headers: Headers, { request, requestId, config }: Asked): void {
  headers.set('x-relay-request-id', requestId);
  const origin = request.headers.get('origin');
  if (config.corsOrigins.length > 0) headers.append('vary', 'origin');
  if (origin === null || !config.corsOrigins.includes(origin)) return;
  headers.set('access-control-allow-origin', origin);
  headers.set('access-control-expose-headers', EXPOSED);
}

/** The answer to a browser that asks before it calls; only listed origins are told anything. */
export function preflightAnswer(asked: Asked, methods: readonly string[]): Response {
  const origin = asked.request.headers.get('origin') ?? '';
  if (!asked.config.corsOrigins.includes(origin)) {
    return errorAnswer(asked, { kind: 'forbidden', why: 'origin' });
  }
  const headers = new Headers({
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers':
      asked.request.headers.get('access-control-request-headers') ?? '',
    'access-control-max-age': '600',
  });
  addOwn(headers, asked);
  return new Response(null, { status: 204, headers });
}

/** What a client is told whose request the relay ended. */
export function endedByRelay(word: StopWord): RelayError {
  return { kind: 'ended-by-relay', why: WHY[word] };
}

const WHY = {
  revoked: 'revoked',
  stopped: 'stopped',
  'cut-by-limit': 'limit',
  'cut-by-credit': 'credit',
} as const;
