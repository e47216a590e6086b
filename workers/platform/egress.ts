// The caller's side of an Egress object: the same request, made from another region. What the two
// say to each other stands in two headers, which never reach an upstream or a client.

import type { Region } from '../domain/region';
import { egressOf } from './objects';
import type { OutboundCall } from './outbound';

/** The way through an object of a region. */
export interface Via {
  readonly env: Pick<Env, 'EGRESS'>;
  readonly region: Region;
  /** One of the region's objects (domain/scheduling/egress.ts chooses). */
  readonly shard: number;
  /** Data centre (`cf.colo`) whose call was refused; the object says so if it is there as well. */
  readonly refusedColo?: string;
}

/** On the way there: the data centre that was refused, or empty. */
export const REFUSED_HEADER = 'relay-egress-refused';
/** On the way back: what came of it. The object writes it over whatever an upstream says. */
export const OUTCOME_HEADER = 'relay-egress-outcome';
/** `unreachable`: nothing came that could be handed on. */
export const OUTCOMES = ['answered', 'forbidden', 'unreachable'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Makes `call` through an object; throws as `fetch` does when the object cannot be reached. */
export async function fetchThrough(
  { url, method, headers, body, signal }: OutboundCall,
  { env, region, shard, refusedColo = '' }: Via,
): Promise<Response | Exclude<Outcome, 'answered'>> {
  const told = new Headers(headers);
  told.set(REFUSED_HEADER, refusedColo);
  const object = egressOf(env, region, shard);
  const init = { method, headers: told, body, signal, redirect: 'manual' } as const;
  const response = await object.fetch(url, init);
  const outcome = OUTCOMES.find((word) => word === response.headers.get(OUTCOME_HEADER));
  if (outcome !== 'answered') return outcome ?? 'unreachable';
  const answer = new Response(response.body, response);
  answer.headers.delete(OUTCOME_HEADER);
  return answer;
}
