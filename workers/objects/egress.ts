// An Egress object, one of eight a region: makes the request that it is handed from where it
// stands, byte for byte and both ways at once, and hands back what came. It decides nothing: the
// address is checked here once more, redirects are left to the caller. It keeps the name of the
// data centre that its calls leave from, and nothing of any request.

import { DurableObject } from 'cloudflare:workers';
import { log } from '../observe/log';
import type { Outcome } from '../platform/egress';
import { OUTCOME_HEADER, REFUSED_HEADER } from '../platform/egress';
import type { EgressPort } from '../platform/objects';
import { ForbiddenAddress, upstreamFetch } from '../platform/outbound';

const COLO = 'colo';
/** Of an upstream behind Cloudflare: the id of the request, and the data centre it came in at. */
const RAY = /^[0-9a-f]{16}-([A-Z]{3})$/;

export class EgressObject extends DurableObject<Env> implements EgressPort {
  #colo: string | null;
  /** Said once a waking. */
  #hasSaidElsewhere = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#colo = ctx.storage.kv.get<string>(COLO) ?? null;
  }

  override async fetch(request: Request): Promise<Response> {
    const { url, method, body } = request;
    const headers = new Headers(request.headers);
    const refusedColo = headers.get(REFUSED_HEADER) ?? '';
    headers.delete(REFUSED_HEADER);
    // Anything but the one word is production.
    const isDevelopment = this.env.RELAY_ENVIRONMENT === 'development';
    const environment = isDevelopment ? 'development' : 'production';
    try {
      const call = { url, method, headers, body, signal: endingWith(request) };
      const response = await upstreamFetch(call, environment);
      this.#learn(response.headers.get('cf-ray'), refusedColo);
      // Throws for what is no status of an answer (101, 600): then there is none.
      const answer = new Response(response.body, response);
      answer.headers.set(OUTCOME_HEADER, 'answered' satisfies Outcome);
      return answer;
    } catch (error) {
      return without(error instanceof ForbiddenAddress ? 'forbidden' : 'unreachable');
    }
  }

  async colo(): Promise<string | null> {
    return this.#colo;
  }

  /** An object stays where it is: what the first answer tells is true of all. */
  #learn(ray: string | null, refusedColo: string): void {
    const [, told] = RAY.exec(ray ?? '') ?? [];
    if (this.#colo === null && told !== undefined) {
      this.#colo = told;
      this.ctx.storage.kv.put(COLO, told);
    }
    if (this.#hasSaidElsewhere || this.#colo === null || this.#colo !== refusedColo) return;
    this.#hasSaidElsewhere = true;
    log('egress-elsewhere', { object: this.ctx.id.name ?? null, colo: this.#colo });
  }
}

/** The runtime does not let a request's own signal end another request: a copy of it does. */
function endingWith({ signal }: Request): AbortSignal {
  const ending = new AbortController();
  if (signal.aborted) ending.abort();
  else signal.addEventListener('abort', () => ending.abort(), { once: true });
  return ending.signal;
}

function without(outcome: Exclude<Outcome, 'answered'>): Response {
  return new Response(null, { status: 502, headers: { [OUTCOME_HEADER]: outcome } });
}
