// Which addresses the relay calls: asked when an account is saved, and again at every call. An
// address is judged both as it is written and as the URL parser reads it; where the two differ it
// is refused, so that nobody is sent anywhere but where everybody can read.

import type { HostChoice } from '../domain/outbound/official-hosts';
import { mayCallHost } from '../domain/outbound/official-hosts';
import { isPublicName } from '../domain/outbound/public-name';
import type { Config } from './env';

/** What an address is judged by. */
export interface AddressRule {
  readonly environment: Config['environment'];
  /** Hosts that are the relay itself (`ownHostsOf`). */
  readonly ownHosts?: readonly string[];
  /** Whose hosts may be called; absent: any public one. */
  readonly account?: HostChoice;
}

/**
 * `form`: not written as it is read, or more than a base URL may have. `place`: no https at a
 * public name on port 443. `own`: the relay itself. `host`: not the kind's own.
 */
export type AddressFault = 'form' | 'place' | 'own' | 'host';

/** Scheme, authority, path and query, each as written; no fragment, no backslash before a query. */
const WRITTEN = /^(https?):\/\/([^/?#\\]+)(\/[^?#\\]*)?(\?[^#]*)?$/;
/** Anything else is dropped, mapped or encoded by the parser. */
const PRINTABLE = /^[!-~]+$/;
/** A path of a base URL: plain segments, none of them empty, `.` or `..`, nothing encoded. */
const BASE_PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~:@!$&'()*+,;=-]+)*\/?$/;

/** What forbids calling `url`; null: nothing does. */
export function faultOf(url: string, rule: AddressRule): AddressFault | null {
  const [, scheme, authority = ''] = PRINTABLE.test(url) ? (WRITTEN.exec(url) ?? []) : [];
  if (scheme === undefined || !URL.canParse(url)) return 'form';
  const { protocol, hostname, host, port, username, password } = new URL(url);
  const written = authority.toLowerCase();
  // The default port may be written; user-info, other spellings of a host may not.
  if (written !== host && !(protocol === 'https:' && written === `${host}:443`)) return 'form';
  if (username !== '' || password !== '') return 'form';
  if (rule.ownHosts?.some((own) => isOwn(own, { hostname, host })) === true) return 'own';
  if (isLoopback(hostname)) {
    // A sandbox there stands in for any vendor.
    return rule.environment === 'development' && protocol === 'http:' ? null : 'place';
  }
  if (protocol !== 'https:' || port !== '' || !isPublicName(hostname)) return 'place';
  return rule.account === undefined || mayCallHost(rule.account, hostname) ? null : 'host';
}

/** What forbids keeping `text` as an account's base URL: a path may follow it, a query may not. */
export function baseUrlFaultOf(text: string, rule: AddressRule): AddressFault | null {
  const fault = faultOf(text, rule);
  if (fault !== null) return fault;
  const [, , , path = '', query] = WRITTEN.exec(text) ?? [];
  return query === undefined && BASE_PATH.test(path) ? null : 'form';
}

/** Hosts that are the relay itself: where it was called, and what its settings say is theirs. */
export function ownHostsOf(
  called: URL,
  { allowedOrigins, corsOrigins }: Pick<Config, 'allowedOrigins' | 'corsOrigins'>,
): readonly string[] {
  return [called.host, ...[...allowedOrigins, ...corsOrigins].map((one) => new URL(one).host)];
}

/** Ports tell loopbacks apart, and nobody else: a public name is called on 443 alone. */
function isOwn(own: string, { hostname, host }: Pick<URL, 'hostname' | 'host'>): boolean {
  if (isLoopback(hostname)) return host === own;
  const name = own.replace(/:\d+$/, '');
  // Each version of a Worker has an address of its own in front of the Worker's.
  return hostname === name || (name.endsWith('.workers.dev') && hostname.endsWith(`-${name}`));
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
}
