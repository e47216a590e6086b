// What a key may be used for: models, protocols, clients, source addresses. Answers yes or no;
// which refusal that is, limits.ts says. The client's name is a courtesy: anyone can send any.

/** Of a user agent only this much is looked at. */
const USER_AGENT_CHARACTERS_MAX = 512;
const MAPPED_PREFIX = 0xff_ffn << 32n;
const MAPPED_BITS = 96;

export interface ModelRules {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

/** Deny wins; without `allow`, whatever is not denied may be used. `*` stands for anything. */
export function isModelAllowed({ allow, deny = [] }: ModelRules, model: string): boolean {
  if (deny.some((pattern) => matchesWildcard(pattern, model))) return false;
  return allow === undefined || allow.some((pattern) => matchesWildcard(pattern, model));
}

/** Whether the user agent (null: none was sent) is one of the patterns', in any letter case. */
export function isClientAllowed(patterns: readonly string[], userAgent: string | null): boolean {
  const text = (userAgent ?? '').slice(0, USER_AGENT_CHARACTERS_MAX).toLowerCase();
  return patterns.some((pattern) => matchesWildcard(pattern.toLowerCase(), text));
}

/** Whether the address (null: not known) is in one of the ranges. What cannot be read is not. */
export function isAddressAllowed(ranges: readonly string[], text: string | null): boolean {
  const address = text === null ? null : parseAddress(text);
  if (address === null) return false;
  return ranges.some((range) => {
    const known = parseRange(range);
    return known !== null && contains(known, address);
  });
}

/** Whether `text` is an address or a CIDR range, IPv4 or IPv6, no bit set behind its prefix. */
export function isAddressRange(text: string): boolean {
  return parseRange(text) !== null;
}

/**
 * Who an address counts as where somebody may have many: itself in IPv4, in IPv6 the /64 that one
 * subscriber gets. What is no address counts as itself.
 */
export function subscriberOf(text: string): string {
  const address = parseAddress(text);
  if (address === null) return text;
  return address.bits === 32 ? `v4 ${address.value}` : `v6 ${address.value >> 64n}`;
}

/**
 * Whether the whole text matches; `*` stands for any number of characters, nothing else is special.
 * At most pattern × text steps, whatever the pattern: only the last `*` is ever tried again.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  let at = 0;
  let patternAt = 0;
  let star = -1;
  let starTook = 0;
  while (at < text.length) {
    if (pattern[patternAt] === '*') {
      star = patternAt;
      starTook = at;
      patternAt += 1;
    } else if (pattern[patternAt] === text[at]) {
      at += 1;
      patternAt += 1;
    } else if (star >= 0) {
      starTook += 1;
      at = starTook;
      patternAt = star + 1;
    } else {
      return false;
    }
  }
  while (pattern[patternAt] === '*') patternAt += 1;
  return patternAt === pattern.length;
}

interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

interface AddressRange extends Address {
  readonly prefix: number;
}

function contains(range: AddressRange, address: Address): boolean {
  if (range.bits !== address.bits) return false;
  const behind = BigInt(range.bits - range.prefix);
  return range.value >> behind === address.value >> behind;
}

function parseRange(text: string): AddressRange | null {
  const [, host = '', prefixText] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const written = parseWritten(host);
  if (written === null) return null;
  const prefix = prefixText === undefined ? written.bits : Number(prefixText);
  if (prefix > written.bits) return null;
  const behind = BigInt(written.bits - prefix);
  if ((written.value >> behind) << behind !== written.value) return null;
  const address = unmapped(written);
  if (address.bits === written.bits) return { ...address, prefix };
  // A range of mapped addresses is one of IPv4; a shorter prefix would have bits behind it.
  return { ...address, prefix: prefix - MAPPED_BITS };
}

/** IPv4 in IPv6 (`::ffff:10.0.0.1`) is IPv4. Zone ids (`%eth0`) are not addresses of the net. */
function parseAddress(text: string): Address | null {
  const written = parseWritten(text);
  return written === null ? null : unmapped(written);
}

function parseWritten(text: string): Address | null {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function unmapped(address: Address): Address {
  const isMapped = address.bits === 128 && address.value >> 32n === MAPPED_PREFIX >> 32n;
  return isMapped ? { bits: 32, value: address.value & 0xff_ff_ff_ffn } : address;
}

function parseV4(text: string): Address | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    // A leading zero means octal to some readers.
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    value = value * 256n + BigInt(part);
  }
  return { bits: 32, value };
}

function parseV6(text: string): Address | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined || head === null || tail === null) return null;
  const missing = 8 - head.length - (tail?.length ?? 0);
  // `::` stands for at least one group.
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...(tail ?? [])];
  return { bits: 128, value: groups.reduce((sum, group) => sum * 65_536n + BigInt(group), 0n) };
}

/** The 16-bit groups of one side of `::`; null when it is malformed. */
function groupsOf(text: string, index: number, halves: readonly string[]): number[] | null {
  if (text === '') return halves.length === 2 ? [] : null;
  const parts = text.split(':');
  if (parts.length > 8) return null;
  const groups: number[] = [];
  for (const [at, part] of parts.entries()) {
    const isLast = index === halves.length - 1 && at === parts.length - 1;
    const embedded = isLast && part.includes('.') ? parseV4(part) : null;
    if (embedded !== null) {
      groups.push(Number(embedded.value >> 16n), Number(embedded.value & 65_535n));
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return null;
    }
  }
  return groups;
}
