// The two cookies of a login. `__Host-`: https only (and loopback) and this host alone; no script
// reads them, no other site's request carries them.

import { ACCESS_COOKIE, REFRESH_COOKIE } from '../guard';
import { SECOND_MS } from '../../domain/time';
import { ACCESS_MS } from '../../platform/access-token';

const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Strict';

/** Sets both; `refreshMs`: how long the refresh token lives. */
export function loginCookies(
  { access, refresh }: { readonly access: string; readonly refresh: string },
  refreshMs: number,
): Headers {
  return written([
    [ACCESS_COOKIE, access, ACCESS_MS],
    [REFRESH_COOKIE, refresh, refreshMs],
  ]);
}

/** Clears both. */
export function noCookies(): Headers {
  return written([
    [ACCESS_COOKIE, '', 0],
    [REFRESH_COOKIE, '', 0],
  ]);
}

function written(cookies: readonly (readonly [string, string, number])[]): Headers {
  const headers = new Headers();
  for (const [name, value, ageMs] of cookies) {
    const age = Math.max(0, Math.floor(ageMs / SECOND_MS));
    headers.append('set-cookie', `${name}=${value}; Max-Age=${age}; ${ATTRIBUTES}`);
  }
  return headers;
}
