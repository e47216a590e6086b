// Key pairs for accounts that sign assertions (RFC 7523), and the check that a token host makes.

import { demand } from './fake-kind';

/** A key of WebCrypto, by no platform's own name of it. */
type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** A pair whose private half is entered and whose public half the token host knows. */
export interface Pair {
  /** PKCS #8. */
  readonly pem: string;
  readonly jwk: object;
  readonly publicKey: Key;
}

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2_048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const;

/** A fresh RSA pair for RS256. */
export async function newPair(): Promise<Pair> {
  const pair = await crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
  if (!('privateKey' in pair)) throw new Error('no pair was made');
  const der = await crypto.subtle.exportKey('pkcs8', pair.privateKey);
  if (!(der instanceof ArrayBuffer)) throw new Error('no DER was made');
  const jwk = await crypto.subtle.exportKey('jwk', pair.privateKey);
  if (jwk instanceof ArrayBuffer) throw new Error('no JWK was made');
  const base64 = btoa(String.fromCharCode(...new Uint8Array(der)));
  const lines = base64.match(/.{1,64}/g) ?? [];
  const pem = `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
  return { pem, jwk, publicKey: pair.publicKey };
}

/** The claims of an assertion signed with the pair; throws `Wrong` for any other. */
export async function demandAssertion(
  assertion: string,
  publicKey: Key,
): Promise<{ readonly header: Claims; readonly claims: Claims }> {
  const [head = '', body = '', signature = ''] = assertion.split('.');
  const signedText = new TextEncoder().encode(`${head}.${body}`);
  const isSigned = await crypto.subtle.verify(RSA.name, publicKey, bytesIn(signature), signedText);
  demand(isSigned, 'invalid_grant', 400);
  const header = claimsIn(head);
  const claims = claimsIn(body);
  const now = Date.now() / 1_000;
  demand(header['alg'] === 'RS256', 'invalid_grant', 400);
  const { iat, exp } = claims;
  const isTimed = typeof iat === 'number' && typeof exp === 'number' && iat <= now + 5 && exp > now;
  demand(isTimed && exp - iat <= 3_600, 'invalid_grant', 400);
  return { header, claims };
}

type Claims = Readonly<Record<string, unknown>>;

function claimsIn(part: string): Claims {
  const json: unknown = JSON.parse(new TextDecoder().decode(bytesIn(part)));
  return typeof json === 'object' && json !== null ? { ...json } : {};
}

function bytesIn(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
