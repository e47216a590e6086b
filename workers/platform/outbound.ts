// The one way out: every call that leaves the Worker to a host it does not own. Redirects are never
// followed (a followed one would re-send the credential), and the address is checked at each use.
// Which headers go along is for the rooms in upstreams/ to say: each lists what it lets pass.

import type { AddressFault, AddressRule } from './address';
import { faultOf } from './address';
import type { Via } from './egress';
import { fetchThrough } from './egress';
import type { Config } from './env';

export interface OutboundCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
  readonly signal: AbortSignal;
}

/** How a call leaves; everything may be absent. */
export interface Way extends Pick<AddressRule, 'ownHosts' | 'account'> {
  /** Through an object in another region; absent: from here. */
  readonly via?: Via;
}

/**
 * Sends `call` and answers with whatever came back, redirects included. Throws `ForbiddenAddress`
 * before anything is sent, and what `fetch` throws when no answer came.
 */
export async function upstreamFetch(
  call: OutboundCall,
  environment: Config['environment'],
  { via, ...rule }: Way = {},
): Promise<Response> {
  const fault = faultOf(call.url, { environment, ...rule });
  if (fault !== null) throw new ForbiddenAddress(fault);
  const { method, headers, body, signal } = call;
  if (via === undefined) {
    // oxlint-disable-next-line no-restricted-globals -- this is the one place
    return fetch(call.url, { method, headers, body, signal, redirect: 'manual' });
  }
  const answer = await fetchThrough(call, via);
  if (answer === 'forbidden') throw new ForbiddenAddress('place');
  if (answer === 'unreachable') throw new TypeError('no answer came through Egress');
  return answer;
}

/** The address of an account is not one that the relay calls. */
export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress';
  readonly fault: AddressFault;
  constructor(fault: AddressFault) {
    super('the address of this account is not allowed');
    this.fault = fault;
  }
}
