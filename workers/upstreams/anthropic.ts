// The Claude API and hosts that speak it: the client's call with the account's credential, which is
// a key or a key pair whose assertions are exchanged for tokens (reference: Anthropic wire facts
// §1, gateway contract §3).

import { importJWK, importPKCS8, SignJWT } from 'jose';
import type { Result } from '../domain/result';
import { ok } from '../domain/result';
import type { SnapshotAccount } from '../domain/snapshot';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import type { FederatedCredential } from './credential';
import { parseCredential } from './credential';
import { askForToken } from './exchange';
import { listOf } from './headers';
import { prepareNative, setBetas, unfit } from './native';
import type { Exchanged } from './tokens';
import { forgetToken, tokenFor } from './tokens';
import type { PreparedCall, PrepareFailure, Upstream, UpstreamCall } from './upstream';

const HOST = 'api.anthropic.com';
/** Marks a request made with such a token. */
const TOKEN_BETA = 'oauth-2025-04-20';
const EXCHANGE_BETAS = `${TOKEN_BETA},oidc-federation-2026-04-01`;
const ASSERTION_MS = 5 * MINUTE_MS;

export const anthropic: Upstream = {
  operations: new Set(['messages', 'count_tokens', 'models', 'model']),

  async prepare(account, credential, call) {
    const parsed = parseCredential(account.kind, credential.reveal());
    if (!parsed.ok) return unfit(parsed.error);
    const prepared = prepareNative(account, call, { nameOf: ({ written }) => written });
    if (!prepared.ok) return prepared;
    const own = parsed.value;
    if (own.type === 'federated') return withToken(prepared.value, own, { account, call });
    if (own.type !== 'key') return unfit('is of another kind');
    prepared.value.headers.set('x-api-key', own.key);
    return prepared;
  },

  translate(response, call) {
    if (response.status === 401) forgetToken(call);
    return response;
  },
};

interface Where {
  readonly account: SnapshotAccount;
  readonly call: UpstreamCall;
}

async function withToken(
  prepared: PreparedCall,
  own: FederatedCredential,
  { account, call }: Where,
): Promise<Result<PreparedCall, PrepareFailure>> {
  const token = await tokenFor({
    name: `${account.id} ${account.credential.ciphertext}`,
    call,
    exchange: () => exchange(own, { account, call }),
  });
  if (!token.ok) return token;
  const { headers } = prepared;
  headers.set('authorization', `Bearer ${token.value}`);
  const betas = listOf(headers.get('anthropic-beta'));
  if (!betas.includes(TOKEN_BETA)) setBetas(headers, account, [...betas, TOKEN_BETA]);
  return ok(prepared);
}

async function exchange(own: FederatedCredential, { account, call }: Where): Promise<Exchanged> {
  const assertion = await assertionOf(own, Date.now());
  if (assertion === null) return unfit('the private key cannot sign with this algorithm');
  const { federationRuleId, organizationId, serviceAccountId, workspaceId } = own;
  const body = {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion,
    federation_rule_id: federationRuleId,
    organization_id: organizationId,
    service_account_id: serviceAccountId,
    workspace_id: workspaceId,
  };
  const headers = { 'content-type': 'application/json', 'anthropic-beta': EXCHANGE_BETAS };
  const request = { host: HOST, path: '/v1/oauth/token', headers, body: JSON.stringify(body) };
  return askForToken(request, account, call);
}

/** RFC 7523 §3; each is used once. null: the key is none for its algorithm. */
async function assertionOf(own: FederatedCredential, now: number): Promise<string | null> {
  const { privateKey, algorithm, keyId, issuer, subject, audience } = own;
  const issuedAt = Math.floor(now / SECOND_MS);
  try {
    const key =
      typeof privateKey === 'string'
        ? await importPKCS8(privateKey, algorithm)
        : await importJWK({ ...privateKey }, algorithm);
    return await new SignJWT({})
      .setProtectedHeader({ alg: algorithm, kid: keyId, typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject(subject)
      .setAudience(audience)
      .setJti(crypto.randomUUID())
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ASSERTION_MS / SECOND_MS)
      .sign(key);
  } catch {
    return null;
  }
}
