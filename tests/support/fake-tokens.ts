// Stand-ins for the clouds that are called with short-lived tokens: Google Cloud, Microsoft Foundry
// and the Claude API with a federated credential. Each gives tokens only for a right assertion or
// secret, and takes only those that it gave.

import type { Pair } from './assertions';
import { demandAssertion } from './assertions';
import type { FakeKind, SeenCall, Wrong } from './fake-kind';
import { anthropicError, demand, demandMembers, fakeKind, nativeAnswer } from './fake-kind';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Tokens given, in order; the newest ones are taken. */
class Mint {
  readonly #prefix: string;
  #given = 0;
  #revoked = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  grant(seconds: number): Response {
    this.#given += 1;
    const access_token = `${this.#prefix}-${this.#given}`;
    return Response.json({ access_token, expires_in: seconds, token_type: 'Bearer' });
  }

  /** Tokens given so far are no longer taken. */
  revoke(): void {
    this.#revoked = this.#given;
  }

  takes(call: SeenCall): boolean {
    const [, number] = (call.headers.get('authorization') ?? '').split(`Bearer ${this.#prefix}-`);
    return Number(number) > this.#revoked && Number(number) <= this.#given;
  }
}

/** A stand-in whose tokens can be taken back. */
export interface FakeWithTokens extends FakeKind {
  revoke(): void;
}

export const PROJECT = 'canary-project';
const ROBOT = 'relay@canary-project.iam.gserviceaccount.com';

/** Google Cloud, for the service account whose key is `pair`. */
export function fakeVertex(pair: Pair, location = 'us-east5'): FakeWithTokens {
  const mint = new Mint('ya29.canary');
  const token_uri = 'https://oauth2.googleapis.com/token';
  const credential = JSON.stringify({
    type: 'service_account',
    project_id: PROJECT,
    private_key_id: 'key-1',
    private_key: pair.pem,
    client_email: ROBOT,
    client_id: '1',
    token_uri,
  });
  const place = `/v1/projects/${PROJECT}/locations/${location}/publishers/anthropic/models/`;
  const fake = fakeKind({
    account: { kind: 'vertex', credential, fields: { region: location } },
    isTokenCall: ({ url }) => url.pathname === '/token',
    grant: async (call, seconds) => {
      const form = new URLSearchParams(new TextDecoder().decode(call.bytes));
      demand(form.get('grant_type') === JWT_BEARER, 'invalid_grant');
      const { header, claims } = await demandAssertion(form.get('assertion') ?? '', pair.publicKey);
      demand(header['kid'] === 'key-1' && claims['iss'] === ROBOT, 'invalid_grant');
      demand(claims['aud'] === token_uri, 'invalid_grant');
      demand(claims['scope'] === 'https://www.googleapis.com/auth/cloud-platform', 'invalid_scope');
      return mint.grant(seconds);
    },
    check: async (call) => {
      demand(mint.takes(call), 'ACCESS_TOKEN_EXPIRED', 401);
      demand(!call.headers.has('x-api-key'), 'two credentials');
      demand(call.url.pathname.startsWith(place) && call.url.search === '', 'no such model', 404);
      const action = call.url.pathname.slice(place.length);
      const isCount = action === 'count-tokens:rawPredict';
      const verb = call.json['stream'] === true ? 'streamRawPredict' : 'rawPredict';
      demand(isCount || action.endsWith(`:${verb}`), 'no such operation', 404);
      demandMembers(call, { model: isCount, tags: false, anthropic_version: true });
      const version = call.json['anthropic_version'];
      demand(['vertex-2023-10-16', '2026-10-21'].includes(String(version)), 'anthropic_version');
      demand(!call.headers.has('anthropic-version'), 'the version stands in the body');
    },
    denied: ({ status, message }: Wrong) => {
      const about = `${message} at ${place} for ${ROBOT}`;
      return Response.json({ error: { code: status, message: about, status: 'X' } }, { status });
    },
    answer: nativeAnswer,
  });
  return { ...fake, revoke: () => mint.revoke() };
}

const TENANT = '0f0f0f0f-1111-2222-3333-444444444444';
const SECRET = 'entra~canary.secret';
export const FOUNDRY_KEY = 'foundry-canary-key';

/** Microsoft Foundry, called with a key or with tokens of Microsoft Entra. */
export function fakeFoundry(auth: 'key' | 'entra' = 'entra'): FakeWithTokens {
  const mint = new Mint('eyJ0.canary');
  const entra = { type: 'entra', tenantId: TENANT, clientId: 'client-1', clientSecret: SECRET };
  const fake = fakeKind({
    account: {
      kind: 'foundry',
      credential: auth === 'key' ? FOUNDRY_KEY : JSON.stringify(entra),
      fields: {},
    },
    isTokenCall: ({ url }) => url.pathname === `/${TENANT}/oauth2/v2.0/token`,
    grant: async (call, seconds) => {
      const form = new URLSearchParams(new TextDecoder().decode(call.bytes));
      const isKnown = form.get('client_id') === 'client-1' && form.get('client_secret') === SECRET;
      demand(isKnown, 'invalid_client', 401);
      demand(form.get('grant_type') === 'client_credentials', 'unsupported_grant_type');
      demand(form.get('scope') === 'https://cognitiveservices.azure.com/.default', 'invalid_scope');
      return mint.grant(seconds);
    },
    check: async (call) => {
      const { headers, url } = call;
      const isKeyed = headers.get('x-api-key') === FOUNDRY_KEY && !headers.has('authorization');
      const isTaken = mint.takes(call) && !headers.has('x-api-key');
      demand(auth === 'key' ? isKeyed : isTaken, 'PermissionDenied', 401);
      demand(url.pathname.startsWith('/anthropic/v1/messages'), 'Resource not found', 404);
      demandMembers(call, { model: true });
    },
    denied: ({ status, message }: Wrong) =>
      Response.json(
        { error: { code: String(status), message: `${message} ${TENANT}` } },
        { status },
      ),
    answer: nativeAnswer,
  });
  return { ...fake, revoke: () => mint.revoke() };
}

/** The Claude API with a federated credential whose key is `pair`, entered as PEM or as a JWK. */
export function fakeFederation(pair: Pair, form: 'pem' | 'jwk' = 'pem'): FakeWithTokens {
  const mint = new Mint('sk-ant-oat-canary');
  const ids = {
    federationRuleId: 'fdrl_1',
    organizationId: '11111111-aaaa-bbbb-cccc-000000000000',
    serviceAccountId: 'svac_1',
    workspaceId: 'wrkspc_1',
  };
  const claimed = { issuer: 'https://id.example', subject: 'relay', audience: 'anthropic' };
  const privateKey = form === 'pem' ? pair.pem : pair.jwk;
  const signing = { privateKey, algorithm: 'RS256', keyId: 'key-1' };
  const credential = JSON.stringify({ type: 'federated', ...signing, ...claimed, ...ids });
  const fake = fakeKind({
    account: { kind: 'anthropic', credential, fields: {} },
    isTokenCall: ({ url }) => url.pathname === '/v1/oauth/token',
    grant: async (call, seconds) => {
      const betas = call.headers.get('anthropic-beta');
      demand(betas === 'oauth-2025-04-20,oidc-federation-2026-04-01', 'anthropic-beta');
      const { assertion, grant_type, ...rest } = call.json;
      demand(grant_type === JWT_BEARER, 'unsupported_grant_type');
      const expected = {
        federation_rule_id: ids.federationRuleId,
        organization_id: ids.organizationId,
        service_account_id: ids.serviceAccountId,
        workspace_id: ids.workspaceId,
      };
      demand(JSON.stringify(rest) === JSON.stringify(expected), 'invalid_request');
      const { header, claims } = await demandAssertion(String(assertion), pair.publicKey);
      demand(header['kid'] === 'key-1' && typeof claims['jti'] === 'string', 'invalid_grant');
      const { iss, sub, aud } = claims;
      demand(iss === claimed.issuer && sub === claimed.subject, 'invalid_grant');
      demand(aud === claimed.audience, 'invalid_grant');
      return mint.grant(seconds);
    },
    check: async (call) => {
      demand(mint.takes(call), 'invalid bearer token', 401);
      demand(!call.headers.has('x-api-key'), 'two credentials');
      const betas = (call.headers.get('anthropic-beta') ?? '').split(',');
      const marks = betas.filter((beta) => beta.trim() === 'oauth-2025-04-20');
      demand(marks.length === 1, 'OAuth authentication is currently not supported.', 401);
    },
    denied: ({ status, message }: Wrong) => anthropicError(status, 'authentication_error', message),
    answer: nativeAnswer,
  });
  return { ...fake, revoke: () => mint.revoke() };
}
