// The one way out: every call that leaves the Worker to a host it does not own. Redirects are never
// followed (a followed one would re-send the credential), and the address is checked at each use.

import type { Config } from './env';

export interface OutboundCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer> | null;
  readonly signal: AbortSignal;
}

/**
 * Sends `call` and answers with whatever came back, redirects included. Throws `ForbiddenAddress`
 * before anything is sent, and what `fetch` throws when no answer came.
 */
export async function upstreamFetch(
  call: OutboundCall,
  environment: Config['environment'],
): Promise<Response> {
  if (!isAllowedAddress(call.url, environment)) throw new ForbiddenAddress();
  const { method, headers, body, signal } = call;
  // oxlint-disable-next-line no-restricted-globals -- this is the one place
  return fetch(call.url, { method, headers, body, signal, redirect: 'manual' });
}

/** The address of an account is not one that the relay calls. */
export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress';
  constructor() {
    super('the address of this account is not allowed');
  }
}

/**
 * Whether the relay may call `url`: https on 443 at a public name; http on loopback in development.
 * Judged on what the URL parser made of it, so that numeric, octal and mapped forms are one.
 */
export function isAllowedAddress(url: string, environment: Config['environment']): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, port, username, password } = new URL(url);
  if (username !== '' || password !== '') return false;
  if (isLoopback(hostname)) return environment === 'development' && protocol === 'http:';
  return protocol === 'https:' && port === '' && isPublicName(hostname);
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

/** Literal addresses are never public here: a provider has a name. */
function isPublicName(hostname: string): boolean {
  if (hostname.startsWith('[') || /^[\d.]+$/.test(hostname)) return false;
  const name = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
  if (!name.includes('.')) return false;
  return !/(^|\.)(localhost|local|internal|lan|home|corp|intranet|arpa|test|invalid)$/.test(name);
}
