// Digests and tags: SHA-256, HMAC-SHA-256, comparing without telling time, and with them the tag of
// a relay key. The key's grammar is in domain/keys/format.ts; nothing here stores anything.

import type { KeyId, WalletId } from '../domain/ids';
import { parseKey, SECRET_BYTES, signedKey, tagText, unsignedKey } from '../domain/keys/format';
import type { Region } from '../domain/region';
import { base64url } from './base64';
import type { VersionedSecrets } from './env';
import { newest } from './env';
import { randomBytes } from './random';

const UTF8 = new TextEncoder();
/** Secrets imported by this isolate; a handful of versions is all there ever is. */
const IMPORTED_MAX = 32;
const imported = new Map<string, Promise<CryptoKey>>();

/** SHA-256 of `text` as UTF-8, base64url. */
export async function sha256(text: string): Promise<string> {
  return base64url(await sha256Bytes(text));
}

/** HMAC-SHA-256 of `content` under `secret`, texts as UTF-8: 32 bytes. */
export async function hmacSha256(
  secret: string,
  content: string | Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const key = await importedKey(secret);
  const bytes = typeof content === 'string' ? UTF8.encode(content) : content;
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes));
}

/** Whether two texts are equal; takes as long wherever they differ, and whatever their lengths. */
export async function sameText(given: string, expected: string): Promise<boolean> {
  return sameBytes(await sha256Bytes(given), await sha256Bytes(expected));
}

/** Whether `key` is one of this relay's: its tag is right under the secret that it names. */
export async function verifyKeyTag(key: string, secrets: VersionedSecrets): Promise<boolean> {
  const parts = parseKey(key);
  const secret = parts === null ? undefined : secrets[parts.tagVersion];
  if (parts === null || secret === undefined) return false;
  return sameText(parts.tag, tagText(await hmacSha256(secret, parts.signed)));
}

/** What a new key is made for. */
export interface KeyOrder {
  readonly walletId: WalletId;
  readonly keyId: KeyId;
  /** The wallet's. */
  readonly region: Region;
}

export interface MintedKey {
  /** Shown once, never stored. */
  readonly key: string;
  /** SHA-256 of `key`, base64url: what is stored. */
  readonly hash: string;
  readonly tagVersion: string;
}

/** A fresh key, signed with the newest of `secrets`. */
export async function mintKey(order: KeyOrder, secrets: VersionedSecrets): Promise<MintedKey> {
  const { version: tagVersion, secret } = newest(secrets);
  const secretBytes = randomBytes(SECRET_BYTES);
  const unsigned = unsignedKey({ ...order, tagVersion, secretBytes });
  const key = signedKey(unsigned, await hmacSha256(secret, unsigned));
  return { key, hash: await sha256(key), tagVersion };
}

/** Both are digests of one kind: equal lengths (else TypeError, a bug). */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return crypto.subtle.timingSafeEqual(a, b);
}

async function sha256Bytes(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', UTF8.encode(text)));
}

function importedKey(secret: string): Promise<CryptoKey> {
  const known = imported.get(secret);
  if (known !== undefined) return known;
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = crypto.subtle.importKey('raw', UTF8.encode(secret), algorithm, false, ['sign']);
  if (imported.size >= IMPORTED_MAX) imported.clear();
  imported.set(secret, key);
  return key;
}
