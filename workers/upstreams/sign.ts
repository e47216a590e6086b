// AWS Signature Version 4 over one request. Only `host` and AWS's own headers are signed: what a
// proxy on the way may change must not break the signature.

import { AwsV4Signer } from 'aws4fetch';
import type { SnapshotAccount } from '../domain/snapshot';
import type { SigV4Credential } from './credential';
import type { PreparedCall } from './upstream';

/** Of AWS's names for what is called. */
export type AwsService = 'bedrock' | 'bedrock-mantle' | 'aws-external-anthropic';

/** What a signature is made for. */
export interface SigningOrder {
  readonly service: AwsService;
  readonly region: string;
  /** Unix ms. */
  readonly now: number;
}

/** Signing keys by day, region and service; a handful of accounts, a day each. */
const KEYS_MAX = 200;
const keys = new Map<string, ArrayBuffer>();

/** `call` with its signature in the headers. */
export async function signed(
  call: PreparedCall,
  { accessKeyId, secretAccessKey, sessionToken }: SigV4Credential,
  { service, region, now }: SigningOrder,
): Promise<PreparedCall> {
  if (keys.size > KEYS_MAX) keys.clear();
  const signer = new AwsV4Signer({
    method: call.method,
    url: call.url,
    ...(call.body === null ? {} : { body: call.body }),
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    service,
    region,
    cache: keys,
    datetime: new Date(now).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
  });
  const own = await signer.sign();
  const headers = new Headers(call.headers);
  for (const [name, value] of new Headers(own.headers)) headers.set(name, value);
  return { ...call, headers };
}

/** The region that an account's host is in; its own word where the host says none. */
export function regionOf({ baseUrl, region }: Pick<SnapshotAccount, 'baseUrl' | 'region'>): string {
  const { hostname } = new URL(baseUrl);
  const said = /^[a-z-]+\.([a-z0-9-]{1,63})\.(?:amazonaws\.com|api\.aws)$/.exec(hostname)?.[1];
  return said ?? region ?? 'us-east-1';
}
