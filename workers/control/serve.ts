// One call of the control plane from door to door: origin, who calls, what it brings, whether it
// was answered before, the handler, the answer. Every endpoint takes this way and no other.

import { refusalAnswer, withAlways } from './answer';
import type { Endpoint } from './contract/endpoint';
import { admitCall } from './guard';
import { isOriginAllowed } from './origin';
import { readGiven } from './read';
import { refused } from './refusals';
import { answerBefore, repeatableOf } from './repeat';
import type { Call, DataPlane, Outcome, Reply, Route, Visit } from './visit';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import type { Result } from '../domain/result';
import { ok } from '../domain/result';
import { causeOf, log } from '../observe/log';
import { configOf } from '../platform/env';
import { randomBytes } from '../platform/random';

/** What hono knows of a call. */
export interface Arrival {
  readonly request: Request;
  readonly env: Env;
  readonly ctx: Pick<ExecutionContext, 'waitUntil'>;
  readonly parameters: Readonly<Record<string, string>>;
  readonly dataPlane?: DataPlane;
}

/** Answers a call of `route`; never rejects. */
export async function serve(route: Route, arrival: Arrival): Promise<Response> {
  const now = Date.now();
  const requestId = newId('request', now, randomBytes(ID_RANDOM_BYTES));
  try {
    const outcome = await travel(route, arrival, { now, requestId });
    return outcome.ok
      ? success(route.endpoint, outcome.value, requestId)
      : refusalAnswer(outcome.error, requestId);
  } catch (cause) {
    log('control-failed', {
      request: requestId,
      endpoint: route.endpoint.name,
      error: causeOf(cause),
    });
    return refusalAnswer({ kind: 'internal', cause }, requestId);
  }
}

async function travel(
  { endpoint, handle }: Route,
  { request, env, ctx, parameters, ...planes }: Arrival,
  { now, requestId }: Pick<Call, 'now' | 'requestId'>,
): Promise<Outcome<Endpoint>> {
  const config = configOf(env);
  if (!config.ok) return config;
  const url = new URL(request.url);
  const address = request.headers.get('cf-connecting-ip') ?? '';
  const call = { request, url, env, config: config.value, ctx, requestId, address, now, ...planes };
  if (!isOriginAllowed(call)) return refused('origin-not-allowed');
  const actor = await admitCall(call, endpoint.access);
  if (!actor.ok) return actor;
  const given = await readGiven(request, endpoint);
  if (!given.ok) return given;
  const facts = { endpoint, actor: actor.value, given: given.value };
  const repeatable = await repeatableOf(call, facts);
  if (!repeatable.ok) return repeatable;
  const before = repeatable.value === null ? null : await answerBefore(call, repeatable.value);
  if (before !== null) return before;
  const known = { ...call, endpoint, parameters, repeatable: repeatable.value };
  // Checked against this endpoint's schemas and access a few lines above.
  const visit = { ...known, actor: actor.value, ...given.value } as Visit<Endpoint>;
  const outcome = checkedInDevelopment(visit, await handle(visit));
  if (outcome.ok || repeatable.value === null) return outcome;
  // The same call may have come twice at once, and this one be refused for what the other one did.
  return (await answerBefore(call, repeatable.value)) ?? outcome;
}

/** A handler that breaks its contract is found where it is made, not by its users. */
function checkedInDevelopment(
  { config, endpoint }: Visit<Endpoint>,
  outcome: Outcome<Endpoint>,
): Outcome<Endpoint> {
  if (config.environment !== 'development' || !outcome.ok) return outcome;
  if (outcome.value instanceof Response || endpoint.answer === undefined) return outcome;
  const read: Result<unknown, string> = resultOf(endpoint.answer.safeParse(outcome.value.body));
  if (!read.ok) throw new Error(`${endpoint.name} answers against its contract: ${read.error}`);
  return outcome;
}

function resultOf(read: {
  readonly success: boolean;
  readonly error?: { readonly issues: readonly unknown[] };
}): Result<unknown, string> {
  return read.success ? ok(null) : { ok: false, error: JSON.stringify(read.error?.issues) };
}

function success(endpoint: Endpoint, reply: Reply<Endpoint>, requestId: Call['requestId']) {
  if (reply instanceof Response) {
    // A socket's headers are the runtime's.
    if (reply.webSocket !== null) return reply;
    const headers = withAlways(new Headers(reply.headers), requestId);
    return new Response(reply.body, { status: reply.status, headers });
  }
  const { body, headers = new Headers() } = reply;
  const status = reply.status ?? endpoint.status ?? 200;
  withAlways(headers, requestId);
  if (body === undefined || status === 204) return new Response(null, { status: 204, headers });
  return Response.json(body, { status, headers });
}
