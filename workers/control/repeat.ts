// Idempotency-Key: a call that creates or moves money may be sent again for 24 hours and has one
// effect. The same key with the same call gives the same answer, with another call 409.

import type { Endpoint } from './contract/endpoint';
import type { Refused } from './refusals';
import { refused } from './refusals';
import type { Actor, Call, Outcome } from './visit';
import type { Result } from '../domain/result';
import { ok } from '../domain/result';
import { sha256 } from '../platform/digest';
import type { Repeatable } from '../store/idempotency';
import { findAnswer } from '../store/idempotency';

const HEADER = 'idempotency-key';
const FORM = /^[\x21-\x7e]{1,200}$/;

/** The caller's key, bound to this very call; null where none was sent or none is taken. */
export async function repeatableOf(
  call: Call,
  {
    endpoint,
    actor,
    given,
  }: {
    readonly endpoint: Endpoint;
    readonly actor: Actor | null;
    readonly given: unknown;
  },
): Promise<Result<Repeatable | null, Refused>> {
  const key = call.request.headers.get(HEADER);
  if (endpoint.idempotent !== true || key === null || actor === null) return ok(null);
  if (!FORM.test(key)) return refused('idempotency-key-not-valid');
  const hash = await sha256(JSON.stringify([endpoint.name, call.url.pathname, given]));
  return ok({ actorId: actor.id, key, endpoint: endpoint.name, hash });
}

/**
 * What this call was answered before; null: it is the first. With the same key for another call:
 * refused.
 */
export async function answerBefore(
  call: Pick<Call, 'env' | 'now'>,
  repeatable: Repeatable,
): Promise<Outcome<Endpoint> | null> {
  const kept = await findAnswer(call.env.DB, repeatable, call.now);
  if (kept === null) return null;
  if (kept.hash !== repeatable.hash) return refused('key-reused');
  const body: unknown = JSON.parse(kept.answer);
  const replayed = typeof body === 'object' && body !== null ? { ...body, replayed: true } : body;
  return ok(
    Response.json(replayed, {
      status: kept.status,
      headers: { 'idempotency-replayed': 'true' },
    }),
  );
}

/** The answer of the call that was faster; throws where it cannot be found. */
export async function answerAgain(
  call: Pick<Call, 'env' | 'now'>,
  repeatable: Repeatable,
): Promise<Outcome<Endpoint>> {
  const answer = await answerBefore(call, repeatable);
  if (answer === null) throw new Error('a key is taken, and nobody has it');
  return answer;
}
