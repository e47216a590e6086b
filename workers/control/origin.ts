// Whether a call that changes something comes from where it may: cross-site request forgery is
// refused by origin, whatever the content type. Cookies alone are never enough.

import type { Call } from './visit';

const SAFE = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Whether the call may go on: safe methods may (but for sockets); others when their origin is the
 * relay's own or an allowed one, or when they name none and bring no cookie, as programs do.
 */
export function isOriginAllowed({ request, url, config }: Call): boolean {
  const { headers, method } = request;
  const isSocket = headers.get('upgrade')?.toLowerCase() === 'websocket';
  if (SAFE.includes(method) && !isSocket) return true;
  const origin = headers.get('origin');
  if (origin === null) return !headers.has('cookie') && isNoBrowser(headers);
  return origin === url.origin || config.allowedOrigins.includes(origin);
}

/** Browsers say where a call comes from; what says nothing, or `none`, is no page's. */
function isNoBrowser(headers: Headers): boolean {
  return ['none', 'same-origin', null].includes(headers.get('sec-fetch-site'));
}
