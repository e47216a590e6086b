// Upstream credentials at rest: AES-256-GCM under a versioned master key, bound to their account.
// Unsealed text lives only inside a Credential, which does not show it by accident.

import type { AccountId } from '../domain/ids';
import type { SealedCredential } from '../domain/snapshot';
import { base64, fromBase64 } from './base64';
import type { VersionedSecrets } from './env';
import { newest } from './env';
import { randomBytes } from './random';

/** Under which keys, and for which account: a sealed credential opens for no other. */
export interface SealContext {
  readonly masterKeys: VersionedSecrets;
  readonly accountId: AccountId;
}

/** A credential in the open. Only `reveal` gives its text; logs and JSON get `[sealed]`. */
export class Credential {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  /** What `console.log` prints. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return HIDDEN;
  }
}

/** In the place of a secret. */
export const HIDDEN = '[sealed]';
const UTF8 = new TextEncoder();
/** The nonce length that GCM is made for (NIST SP 800-38D §5.2.1.1). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Names the use, so that the same master key may serve another with another name. */
const PURPOSE = UTF8.encode('cloud-relay account credential');

/** `plain` sealed under the newest master key. */
export async function seal(plain: string, context: SealContext): Promise<SealedCredential> {
  const { version: keyVersion, secret } = newest(context.masterKeys);
  const nonce = randomBytes(NONCE_BYTES);
  const key = await sealingKey(secret);
  const box = await crypto.subtle.encrypt(gcm(nonce, context.accountId), key, UTF8.encode(plain));
  return { keyVersion, iv: base64(nonce), ciphertext: base64(new Uint8Array(box)) };
}

/** Throws when the key version is not known or anything was changed, the account included. */
export async function unseal(sealed: SealedCredential, context: SealContext): Promise<Credential> {
  const secret = context.masterKeys[sealed.keyVersion];
  if (secret === undefined) throw new Error(`master key ${sealed.keyVersion} is not given`);
  const algorithm = gcm(fromBase64(sealed.iv), context.accountId);
  const key = await sealingKey(secret);
  const plain = await crypto.subtle.decrypt(algorithm, key, fromBase64(sealed.ciphertext));
  return new Credential(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain));
}

/** Whether it is the empty text: its box is GCM's tag alone. Opens nothing. */
export function sealsNothing({ ciphertext }: SealedCredential): boolean {
  return fromBase64(ciphertext).length <= TAG_BYTES;
}

function gcm(nonce: Uint8Array<ArrayBuffer>, accountId: AccountId): SubtleCryptoEncryptAlgorithm {
  return { name: 'AES-GCM', iv: nonce, additionalData: UTF8.encode(accountId) };
}

/** 256 bits from a secret of any length and alphabet (HKDF, RFC 5869). */
async function sealingKey(secret: string): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey('raw', UTF8.encode(secret), 'HKDF', false, [
    'deriveKey',
  ]);
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: PURPOSE },
    material,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  );
}
