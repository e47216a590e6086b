// Which base URL an account may have: asked when it is saved; platform/outbound.ts asks again at
// every use.

import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Call } from '../visit';
import type { HostChoice } from '../../domain/outbound/official-hosts';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import type { AddressFault } from '../../platform/address';
import { baseUrlFaultOf, ownHostsOf } from '../../platform/address';

const WORDS: Readonly<Record<AddressFault, string>> = {
  form: 'must be a plain address: ASCII, no user name, no query, no fragment, nothing encoded',
  place: 'must be https at a public name, on port 443',
  own: 'is an address of this relay itself',
  host: 'must be at the vendor’s own host for this kind, unless allowsOtherHost is true',
};

/** The address as it is stored, without a trailing slash; `not-valid` says what is wrong. */
export function baseUrlOf(
  given: string,
  account: HostChoice,
  { url: own, config }: Pick<Call, 'url' | 'config'>,
): Result<string, Refused> {
  const { environment } = config;
  const ownHosts = ownHostsOf(own, config);
  const fault = baseUrlFaultOf(given, { environment, ownHosts, account });
  if (fault !== null) return refused('not-valid', { fields: { baseUrl: WORDS[fault] } });
  const { origin, pathname } = new URL(given);
  return ok(`${origin}${pathname}`.replace(/\/+$/, ''));
}
