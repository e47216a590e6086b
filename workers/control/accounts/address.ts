// Which base URL an account may have: asked when it is saved; platform/outbound.ts asks again at
// every use.

import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Call } from '../visit';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import type { AccountKind } from '../../domain/snapshot';
import { isAllowedAddress } from '../../platform/outbound';

/** Kinds that belong to one host; whoever means another says so with a `-compatible` kind. */
const OWN_HOSTS: Readonly<Record<AccountKind, readonly string[] | null>> = {
  anthropic: ['api.anthropic.com'],
  'anthropic-compatible': null,
};

/** Whose address it is. */
interface Whose {
  readonly kind: AccountKind;
  /** An admin has said that the host need not be the kind's own. */
  readonly allowsOtherHost: boolean;
}

/** The address as it is stored, without a trailing slash; `not-valid` says what is wrong. */
export function baseUrlOf(
  given: string,
  { kind, allowsOtherHost }: Whose,
  { url: own, config }: Pick<Call, 'url' | 'config'>,
): Result<string, Refused> {
  if (!isAllowedAddress(given, config.environment)) {
    return wrong('must be https at a public name, without a port');
  }
  const { protocol, hostname, host, origin, pathname, search, hash } = new URL(given);
  if (search !== '' || hash !== '') return wrong('must have no query and no fragment');
  const ours = [...config.allowedOrigins, ...config.corsOrigins].map((one) => new URL(one).host);
  if (host === own.host || ours.includes(host)) return wrong('is an address of this relay itself');
  const hosts = allowsOtherHost ? null : OWN_HOSTS[kind];
  // http is a loopback in development, where a sandbox stands in for anyone.
  if (protocol === 'https:' && hosts !== null && !hosts.includes(hostname)) {
    return wrong(`must be at ${hosts.join(' or ')} for this kind, or allowsOtherHost be set`);
  }
  return ok(`${origin}${pathname}`.replace(/\/+$/, ''));
}

function wrong(message: string): Result<never, Refused> {
  return refused('not-valid', { fields: { baseUrl: message } });
}
