// The door of the data plane: address → route → key → operation. The way of a model's request
// itself is told in handle.ts.

import type { RelayError } from '../domain/errors';
import type { RequestId } from '../domain/ids';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import type { KeyParts } from '../domain/keys/format';
import { checkHealth } from '../observe/health';
import { configOf } from '../platform/env';
import { ledgerOf } from '../platform/objects';
import { randomBytes } from '../platform/random';
import { anthropic } from '../protocols/anthropic';
import { errorAnswer, jsonAnswer, preflightAnswer } from './answer';
import { handle } from './handle';
import type { Bearer, Visit } from './journey';
import { readKey } from './key';
import { keyInfoDocument } from './key-info';
import { listModels } from './models';
import type { Route } from './routes';
import { routeOf } from './routes';
import { currentSnapshot } from './snapshot';

/** Answers any address of the data plane; never rejects. */
export async function relay(request: Request, env: Env, ctx: Visit['ctx']): Promise<Response> {
  const receivedAt = Date.now();
  const requestId = newId('request', receivedAt, randomBytes(ID_RANDOM_BYTES));
  const config = configOf(env);
  if (!config.ok) return unusable(config.error, requestId);
  const url = new URL(request.url);
  const route = routeOf(url.pathname);
  const operation = route?.operation ?? 'hello';
  const visit = { request, url, env, ctx, config: config.value, operation, requestId, receivedAt };
  try {
    return await answerRoute(visit, route);
  } catch (cause) {
    return errorAnswer(visit, { kind: 'internal', cause });
  }
}

/** A Messages request of somebody who is logged in, with a key that was found to be theirs. */
export interface Granted extends Pick<KeyParts, 'region' | 'walletId' | 'keyId'> {
  readonly request: Request;
  readonly requestId: RequestId;
}

/**
 * Answers a request that came through the control plane, which has checked who sends it; never
 * rejects. From here on it is like any other: nothing of the login goes further.
 */
export async function relayGranted(
  { request, requestId, ...parts }: Granted,
  env: Env,
  ctx: Visit['ctx'],
): Promise<Response> {
  const receivedAt = Date.now();
  const config = configOf(env);
  if (!config.ok) return unusable(config.error, requestId);
  const url = new URL('/v1/messages', request.url);
  const known = { request, url, env, ctx, config: config.value, requestId, receivedAt };
  const visit: Visit = { ...known, operation: 'messages' };
  try {
    return await handle(visit, { parts, hash: '', by: 'session' });
  } catch (cause) {
    return errorAnswer(visit, { kind: 'internal', cause });
  }
}

/** Without a configuration nothing is known of who may read the answer. */
function unusable(error: RelayError, requestId: RequestId): Response {
  const { status, headers, body } = anthropic.renderError(error, requestId);
  return new Response(body, { status, headers });
}

async function answerRoute(visit: Visit, route: Route | null): Promise<Response> {
  const { method } = visit.request;
  if (route === null) return errorAnswer(visit, { kind: 'not-found', what: visit.url.pathname });
  if (method === 'OPTIONS') return preflightAnswer(visit, route.methods);
  if (!route.methods.includes(method)) {
    const allow = route.methods.join(', ');
    return errorAnswer(visit, { kind: 'method-not-allowed', method, allow });
  }
  if (route.auth === 'none') return openAnswer(visit);
  const bearer = await readKey(visit.request.headers, visit.config);
  if (!bearer.ok) return errorAnswer(visit, await guarded(visit, bearer.error));
  return keyAnswer(visit, bearer.value);
}

async function openAnswer(visit: Visit): Promise<Response> {
  if (visit.operation === 'health') {
    const health = await checkHealth(visit.env);
    return jsonAnswer(visit, health, health.status === 'ok' ? 200 : 503);
  }
  return jsonAnswer(visit, { name: 'cloud-relay', status: 'ok' });
}

async function keyAnswer(visit: Visit, bearer: Bearer): Promise<Response> {
  switch (visit.operation) {
    case 'messages':
    case 'count_tokens':
      return handle(visit, bearer);
    case 'models':
    case 'model':
      return listModels(visit, bearer);
    case 'key-info':
    case 'usage':
      return holderAnswer(visit, bearer);
    case 'not-offered':
      return errorAnswer(visit, { kind: 'not-offered', what: visit.url.pathname });
    case 'health':
    case 'hello':
      return openAnswer(visit);
  }
}

/** What the wallet's Ledger tells a key's holder. */
async function holderAnswer(visit: Visit, bearer: Bearer): Promise<Response> {
  const { walletId, region, keyId } = bearer.parts;
  const ledger = ledgerOf(visit.env, walletId, region);
  const call = { keyId, keyHash: bearer.hash };
  if (visit.operation === 'usage') {
    const usage = await ledger.usage(call);
    return usage.ok ? jsonAnswer(visit, usage.value) : errorAnswer(visit, usage.error);
  }
  const [info, snapshot] = await Promise.all([ledger.keyInfo(call), currentSnapshot(visit)]);
  if (!info.ok) return errorAnswer(visit, info.error);
  const catalogue = snapshot.ok ? snapshot.value.catalogue : null;
  return jsonAnswer(visit, keyInfoDocument(info.value, catalogue));
}

/** Who is refused again and again from one address is told to wait; a true key never is. */
async function guarded(visit: Visit, error: RelayError): Promise<RelayError> {
  const address = visit.request.headers.get('cf-connecting-ip') ?? 'unknown';
  const { success } = await visit.env.ADDRESS_GUARD.limit({ key: address });
  return success ? error : { kind: 'too-many-refusals', retryAfterMs: 60_000 };
}
