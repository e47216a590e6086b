// The credential of an account on AWS in a call's headers: a key as a bearer, or a signature.

import type { Result } from '../domain/result';
import { ok } from '../domain/result';
import type { SnapshotAccount } from '../domain/snapshot';
import type { Credential } from '../platform/seal';
import { parseCredential } from './credential';
import { unfit } from './native';
import type { AwsService } from './sign';
import { regionOf, signed } from './sign';
import type { PreparedCall, PrepareFailure, UpstreamCall } from './upstream';

/** Who calls what. */
export interface AwsCaller {
  readonly account: SnapshotAccount;
  readonly credential: Credential;
  readonly service: AwsService;
}

/** `prepared` with the account's credential; a signature covers these bytes and this address. */
export async function withAwsCredential(
  prepared: PreparedCall,
  { account, credential, service }: AwsCaller,
  { now }: Pick<UpstreamCall, 'now'>,
): Promise<Result<PreparedCall, PrepareFailure>> {
  const parsed = parseCredential(account.kind, credential.reveal());
  if (!parsed.ok) return unfit(parsed.error);
  const own = parsed.value;
  if (own.type === 'sigv4') {
    return ok(await signed(prepared, own, { service, region: regionOf(account), now }));
  }
  if (own.type !== 'key') return unfit('is of another kind');
  prepared.headers.set('authorization', `Bearer ${own.key}`);
  return ok(prepared);
}
