// Whether a request may be sent on from another place, and through which of a region's objects. A
// provider that refuses the data centre a request happens to run in is reached from elsewhere; a
// provider that does not serve the caller's country is not: that is its terms, not a route.

import type { RelaySettings } from '../snapshot';

/** Objects of a region, so that no single one carries everything. */
export const EGRESS_SHARDS = 8;

const COUNTRY = /^[A-Z]{2}$/;
/** Cloudflare's codes for "not known" and for Tor: nowhere, whatever a list says. */
const NOWHERE: ReadonlySet<string> = new Set(['XX', 'T1']);

/**
 * Whether a request from `country` (`cf.country`: ISO 3166, upper case) may leave through another
 * region. Only where an admin has listed the country; never where the country is not known.
 */
export function egressAllowed(
  country: string | null | undefined,
  settings: RelaySettings | undefined,
): boolean {
  if (!country || !COUNTRY.test(country) || NOWHERE.has(country)) return false;
  return settings?.egressCountries.includes(country) ?? false;
}

/** The shard for `text`: a conversation's tag, or a request's id. Always the same for the same. */
export function egressShardOf(text: string): number {
  let hash = 0x811c9dc5;
  // FNV-1a; the low bits are the best mixed.
  for (const letter of text) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 0) % EGRESS_SHARDS;
}
