import { describe, expect, it } from 'vitest';
import type { AccountKind } from '../domain/snapshot';
import { ACCOUNT_KINDS } from '../domain/snapshot';
import { credentialProblem, parseCredential } from './credential';

const PEM = '-----BEGIN PRIVATE KEY-----\nTUlJRXZnSUJBREFO\n-----END PRIVATE KEY-----\n';
const SIGV4 = {
  type: 'sigv4',
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const GOOGLE = {
  type: 'service_account',
  project_id: 'my-project',
  private_key_id: 'abc',
  private_key: PEM,
  client_email: 'relay@my-project.iam.gserviceaccount.com',
  token_uri: 'https://oauth2.googleapis.com/token',
  universe_domain: 'googleapis.com',
};
const ENTRA = { type: 'entra', tenantId: 'a-b-c', clientId: 'd-e-f', clientSecret: 'g~h' };
const FEDERATED = {
  type: 'federated',
  privateKey: PEM,
  algorithm: 'RS256',
  keyId: 'k',
  issuer: 'https://id.example',
  subject: 'relay',
  audience: 'https://api.anthropic.com',
  federationRuleId: 'fdrl_1',
  organizationId: 'org',
};
const FORMS = { key: 'sk-ant-1', sigv4: SIGV4, google: GOOGLE, entra: ENTRA, federated: FEDERATED };

const TAKEN: Readonly<Record<AccountKind, readonly (keyof typeof FORMS)[]>> = {
  anthropic: ['key', 'federated'],
  'anthropic-compatible': ['key'],
  aws: ['key', 'sigv4'],
  bedrock: ['key', 'sigv4'],
  'bedrock-mantle': ['key', 'sigv4'],
  vertex: ['google'],
  foundry: ['key', 'entra'],
};

function textOf(form: unknown): string {
  return typeof form === 'string' ? form : JSON.stringify(form, null, 2);
}

describe('a credential', () => {
  it.each(ACCOUNT_KINDS)('of %s has the forms of its kind and no other', (kind) => {
    const taken = Object.entries(FORMS)
      .filter(([, form]) => credentialProblem(kind, textOf(form)) === null)
      .map(([name]) => name);
    expect(taken).toEqual(TAKEN[kind]);
  });

  it('is read as what it says', () => {
    expect(parseCredential('anthropic', 'sk-ant-1')).toEqual({
      ok: true,
      value: { type: 'key', key: 'sk-ant-1' },
    });
    const session = { ...SIGV4, sessionToken: 'x' };
    expect(parseCredential('aws', textOf(session))).toEqual({ ok: true, value: session });
    const jwk = { ...FEDERATED, privateKey: { kty: 'EC', crv: 'P-256', d: 'x' } };
    expect(parseCredential('anthropic', textOf(jwk))).toEqual({ ok: true, value: jwk });
  });

  it.each<readonly [AccountKind, unknown, string]>([
    ['anthropic', '', 'must be one word of visible ASCII'],
    ['anthropic', 'two words', 'must be one word of visible ASCII'],
    ['anthropic', 'schlüssel', 'must be one word of visible ASCII'],
    ['anthropic', 'k'.repeat(4_097), 'must be one word of visible ASCII'],
    ['vertex', 'ya29.token', 'must be the JSON key file of a service account'],
    ['bedrock', '{"type":"sigv4"', 'must be a key or JSON of type "sigv4"'],
    ['bedrock', { type: 'key', key: 'x' }, 'must be a key or JSON of type "sigv4"'],
    ['bedrock', { ...SIGV4, region: 'x' }, 'a field is not what this kind of credential has'],
    ['aws', { ...SIGV4, accessKeyId: 'a' }, 'accessKeyId is not what this kind of credential has'],
    ['aws', { ...SIGV4, x: ' '.repeat(20_000) }, 'is too long'],
    [
      'vertex',
      { ...GOOGLE, token_uri: 'https://evil.example/token' },
      'token_uri is not what this kind of credential has',
    ],
    [
      'vertex',
      { ...GOOGLE, project_id: 'a/../b' },
      'project_id is not what this kind of credential has',
    ],
    ['foundry', { ...ENTRA, tenantId: '../x' }, 'tenantId is not what this kind of credential has'],
    [
      'anthropic',
      { ...FEDERATED, algorithm: 'none' },
      'algorithm is not what this kind of credential has',
    ],
    [
      'anthropic',
      { ...FEDERATED, privateKey: PEM.replace('PRIVATE', 'PUBLIC') },
      'privateKey is not what this kind of credential has',
    ],
  ])('of %s may not be %j', (kind, form, problem) => {
    expect(credentialProblem(kind, textOf(form))).toBe(problem);
  });
});
