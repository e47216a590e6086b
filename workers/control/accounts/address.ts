// Which base URL an account may have: asked when it is saved; platform/outbound.ts asks again at
// every use.

import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Call } from '../visit';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import type { AccountKind } from '../../domain/snapshot';
import { isAllowedAddress } from '../../platform/outbound';

/** Hosts that a kind belongs to. */
interface OwnHosts {
  readonly pattern: RegExp;
  /** For the refusal. */
  readonly words: string;
}

/** A region, or a resource of the customer's. */
const NAME = '[a-z0-9-]{1,63}';

/** Kinds that belong to a vendor's hosts; whoever means another has a `-compatible` kind. */
const OWN_HOSTS: Readonly<Record<AccountKind, OwnHosts | null>> = {
  anthropic: own('api.anthropic.com'),
  'anthropic-compatible': null,
  aws: own('aws-external-anthropic.{region}.api.aws'),
  bedrock: own('bedrock-runtime.{region}.amazonaws.com'),
  'bedrock-mantle': own('bedrock-mantle.{region}.api.aws'),
  vertex: own(
    '{region}-aiplatform.googleapis.com',
    'aiplatform.googleapis.com',
    'aiplatform.us.rep.googleapis.com',
    'aiplatform.eu.rep.googleapis.com',
  ),
  foundry: own('{resource}.services.ai.azure.com'),
};

/** Hosts as vendors' pages write them; what stands in braces is the customer's. */
function own(...hosts: readonly string[]): OwnHosts {
  const patterns = hosts.map((host) =>
    host.replaceAll('.', String.raw`\.`).replaceAll(/\{\w+\}/g, NAME),
  );
  return { pattern: new RegExp(`^(?:${patterns.join('|')})$`), words: hosts.join(' or ') };
}

/** The address as it is stored, without a trailing slash; `not-valid` says what is wrong. */
export function baseUrlOf(
  given: string,
  kind: AccountKind,
  { url: own, config }: Pick<Call, 'url' | 'config'>,
): Result<string, Refused> {
  if (!isAllowedAddress(given, config.environment)) {
    return wrong('must be https at a public name, without a port');
  }
  const { protocol, hostname, host, origin, pathname, search, hash } = new URL(given);
  if (search !== '' || hash !== '') return wrong('must have no query and no fragment');
  const ours = [...config.allowedOrigins, ...config.corsOrigins].map((one) => new URL(one).host);
  if (host === own.host || ours.includes(host)) return wrong('is an address of this relay itself');
  const hosts = OWN_HOSTS[kind];
  // http is a loopback in development, where a sandbox stands in for anyone.
  if (protocol === 'https:' && hosts !== null && !hosts.pattern.test(hostname)) {
    return wrong(`must be at ${hosts.words} for this kind`);
  }
  return ok(`${origin}${pathname}`.replace(/\/+$/, ''));
}

function wrong(message: string): Result<never, Refused> {
  return refused('not-valid', { fields: { baseUrl: message } });
}
