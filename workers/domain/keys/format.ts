// The text of a relay key: cr_<v><region>_<wallet>_<key>_<secret>_<tag>. Here is only its shape;
// whether the tag is true, and whether the key exists, is checked where secrets and rows are.

import type { KeyId, WalletId } from '../ids';
import { BASE58_CLASS, bareId, base58, prefixedId } from '../ids';
import type { Region } from '../region';
import { isRegion, REGIONS } from '../region';

/** Random bytes of the secret part. */
export const SECRET_BYTES = 16;
/** Bytes of HMAC-SHA-256 that the tag shows: 128 bits. */
const TAG_BYTES = 16;

/** 16 bytes, an id without its prefix: each is 22 characters of base58. */
const PART_CHARACTERS = 22;
const PART = `(${BASE58_CLASS}{${PART_CHARACTERS}})`;
const VERSION = '[1-9][0-9]?';
const KEY = new RegExp(`^(cr_(${VERSION})(${REGIONS.join('|')})_${PART}_${PART}_${PART})_${PART}$`);
const VERSION_ALONE = new RegExp(`^${VERSION}$`);
/** `cr_`, two digits, the longest region, four parts and their underscores. */
const KEY_CHARACTERS_MAX = 3 + 2 + 4 + 4 * (PART_CHARACTERS + 1);

/** What a well-formed key says. Nothing of it is proven until `tag` is checked over `signed`. */
export interface KeyParts {
  /** Which of the tag secrets made the tag: `1` to `99`. */
  readonly tagVersion: string;
  readonly region: Region;
  readonly walletId: WalletId;
  readonly keyId: KeyId;
  /** Everything before the last `_`: what the HMAC covers. */
  readonly signed: string;
  readonly tag: string;
}

/** The parts of `text`; null when it is not a key by its shape. Cheap for any length. */
export function parseKey(text: string): KeyParts | null {
  if (text.length > KEY_CHARACTERS_MAX) return null;
  const match = KEY.exec(text);
  if (match === null) return null;
  const [, signed = '', tagVersion = '', region = '', wallet = '', key = '', , tag = ''] = match;
  if (!isRegion(region)) return null;
  return {
    tagVersion,
    region,
    walletId: prefixedId('wallet', wallet),
    keyId: prefixedId('key', key),
    signed,
    tag,
  };
}

/**
 * A new key without its tag. Throws RangeError for a version outside 1 to 99 or a secret that is
 * not 16 bytes.
 */
export function unsignedKey(parts: {
  readonly tagVersion: string;
  readonly region: Region;
  readonly walletId: WalletId;
  readonly keyId: KeyId;
  readonly secretBytes: Uint8Array;
}): string {
  const { tagVersion, region, walletId, keyId, secretBytes } = parts;
  if (!VERSION_ALONE.test(tagVersion)) throw new RangeError('a tag version is 1 to 99');
  if (secretBytes.length !== SECRET_BYTES) throw new RangeError('a key takes 16 secret bytes');
  const secret = base58(secretBytes, PART_CHARACTERS);
  return `cr_${tagVersion}${region}_${bareId(walletId)}_${bareId(keyId)}_${secret}`;
}

/** The whole key: `unsigned` and the tag of its HMAC (the whole, or its first 16 bytes). */
export function signedKey(unsigned: string, tagBytes: Uint8Array): string {
  return `${unsigned}_${tagText(tagBytes)}`;
}

/** How a tag is written: the first 16 bytes as base58. Throws RangeError when there are fewer. */
export function tagText(tagBytes: Uint8Array): string {
  if (tagBytes.length < TAG_BYTES) throw new RangeError('a tag takes 16 bytes');
  return base58(tagBytes.subarray(0, TAG_BYTES), PART_CHARACTERS);
}

/** For display: `cr_1weur_…` and the last four characters; of anything else, nothing. */
export function redactKey(text: string): string {
  const parts = parseKey(text);
  return parts === null ? '…' : `cr_${parts.tagVersion}${parts.region}_…${text.slice(-4)}`;
}
