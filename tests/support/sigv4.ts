// Checks an AWS Signature Version 4 (AWS: "Create a signed request") as the receiving side does: by
// making it again from the request and the secret. Shares nothing with the code that signs.

import type { SeenCall } from './fake-kind';
import { demand } from './fake-kind';

type Bytes = ArrayBuffer | Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const HEADER =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/;

/** Who may sign, and for what. */
export interface Signer {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly service: string;
  readonly region: string;
}

/** Throws `Wrong` unless `call` bears exactly the signature that `signer` makes. */
export async function demandSignature(call: SeenCall, signer: Signer): Promise<void> {
  const { headers, url } = call;
  const match = HEADER.exec(headers.get('authorization') ?? '');
  demand(match !== null, 'MissingAuthenticationTokenException', 403);
  const [, keyId = '', date = '', region = '', service = '', names = '', given = ''] = match ?? [];
  demand(keyId === signer.accessKeyId, 'UnrecognizedClientException', 403);
  const stamp = headers.get('x-amz-date') ?? '';
  const isDated = /^\d{8}T\d{6}Z$/.test(stamp) && stamp.startsWith(date);
  demand(isDated && region === signer.region && service === signer.service, MISMATCH, 403);
  const token = headers.get('x-amz-security-token');
  demand(token === (signer.sessionToken ?? null), 'ExpiredTokenException', 403);
  const list = names.split(';');
  const needed = ['host', 'x-amz-date', ...(token === null ? [] : ['x-amz-security-token'])];
  demand(
    needed.every((name) => list.includes(name)),
    MISMATCH,
    403,
  );
  const canonical = [
    call.method,
    url.pathname.split('/').map(encoded).join('/'),
    queryOf(url),
    ...list.map((name) => `${name}:${name === 'host' ? url.host : headers.get(name)?.trim()}`),
    '',
    names,
    hex(await crypto.subtle.digest('SHA-256', call.bytes)),
  ].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const digest = hex(await crypto.subtle.digest('SHA-256', encoder.encode(canonical)));
  const text = `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${digest}`;
  let key: Bytes = new Uint8Array(encoder.encode(`AWS4${signer.secretAccessKey}`));
  for (const part of [date, region, service, 'aws4_request', text]) key = await hmac(key, part);
  demand(hex(key) === given, MISMATCH, 403);
}

const MISMATCH = 'InvalidSignatureException';

/** Each segment once more: the path in an address is encoded already. */
function encoded(segment: string): string {
  return encodeURIComponent(segment).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function queryOf(url: URL): string {
  return [...url.searchParams]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join('&');
}

async function hmac(key: Bytes, text: string): Promise<ArrayBuffer> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const imported = await crypto.subtle.importKey('raw', key, algorithm, false, ['sign']);
  return crypto.subtle.sign('HMAC', imported, encoder.encode(text));
}

function hex(bytes: Bytes): string {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
