// Whether a host's name is one that a provider on the internet can have. It judges what a URL
// parser made of an address: by then numeric, octal, hex and Unicode forms are one. What the name
// leads to is for DNS to say, and is not known here.

const NAME_CHARACTERS_MAX = 253;
/** Letters, digits and inner hyphens (RFC 1123 §2.1); names of other scripts come as `xn--`. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const TOP_LABEL = /^(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])$/;

/**
 * Top labels that lead nowhere public: RFC 6761, 6762, 7686, 8375 and 9476, ICANN's `internal`, and
 * those that networks use among themselves.
 */
const PRIVATE_TOP_LABELS: ReadonlySet<string> = new Set(
  (
    'alt arpa example invalid local localhost onion test ' +
    'corp home internal intranet lan localdomain mail private svc'
  ).split(' '),
);

/** First labels under which clouds hand out credentials to whoever asks from inside. */
const METADATA_LABELS: ReadonlySet<string> = new Set(['metadata', 'instance-data']);

/** The best known of the services whose names resolve to the address that is written in them. */
const SPELLED_ADDRESSES = [
  'nip.io',
  'sslip.io',
  'xip.io',
  'localtest.me',
  'lvh.me',
  'traefik.me',
] as const;

/** Whether `hostname`, as a URL parser gives it, is a public name and not an address. */
export function isPublicName(hostname: string): boolean {
  if (hostname.length > NAME_CHARACTERS_MAX) return false;
  // An IPv6 address has brackets, and the last label of an IPv4 address is a number; a dot at the
  // end leaves an empty label.
  const labels = hostname.split('.');
  const [first = '', top = ''] = [labels[0], labels.at(-1)];
  if (labels.length < 2 || !labels.every((label) => LABEL.test(label))) return false;
  if (!TOP_LABEL.test(top) || PRIVATE_TOP_LABELS.has(top)) return false;
  if (METADATA_LABELS.has(first)) return false;
  return !SPELLED_ADDRESSES.some((name) => hostname === name || hostname.endsWith(`.${name}`));
}
