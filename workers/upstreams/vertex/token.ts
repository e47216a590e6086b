// A service account's token: an assertion signed with its key, exchanged at Google's token host
// (RFC 7523; developers.google.com: "Using OAuth 2.0 for server to server applications").

import { importPKCS8, SignJWT } from 'jose';
import type { SnapshotAccount } from '../../domain/snapshot';
import { SECOND_MS } from '../../domain/time';
import type { GoogleCredential } from '../credential';
import { askForToken } from '../exchange';
import { unfit } from '../native';
import type { Exchanged } from '../tokens';
import type { UpstreamCall } from '../upstream';

const TOKEN_HOST = 'oauth2.googleapis.com';
const TOKEN_PATH = '/token';
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const ASSERTION_SECONDS = 600;

/** A fresh token for `own`; lives an hour. */
export async function exchange(
  own: GoogleCredential,
  { account, call }: { readonly account: SnapshotAccount; readonly call: UpstreamCall },
): Promise<Exchanged> {
  const assertion = await assertionOf(own, Math.floor(Date.now() / SECOND_MS));
  if (assertion === null) return unfit('the private key cannot sign');
  const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
  const request = {
    host: TOKEN_HOST,
    path: TOKEN_PATH,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: grant, assertion }).toString(),
  };
  return askForToken(request, account, call);
}

async function assertionOf(own: GoogleCredential, issuedAt: number): Promise<string | null> {
  try {
    const key = await importPKCS8(own.private_key, 'RS256');
    return await new SignJWT({ scope: SCOPE })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: own.private_key_id })
      .setIssuer(own.client_email)
      .setAudience(`https://${TOKEN_HOST}${TOKEN_PATH}`)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ASSERTION_SECONDS)
      .sign(key);
  } catch {
    return null;
  }
}
