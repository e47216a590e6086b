// What may be entered as an account's credential, by kind: a plain key, or a JSON object that says
// with `type` what it is. It checks the form alone; whether the vendor takes it shows in a call. No
// credential names the address that it is sent to.

import { jsonOf } from '../domain/json';
import * as z from 'zod/mini';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { AccountKind } from '../domain/snapshot';

/** A key that is sent as it is. */
export interface KeyCredential {
  readonly type: 'key';
  readonly key: string;
}

/** An AWS access key that signs requests. */
export interface SigV4Credential {
  readonly type: 'sigv4';
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** A service account's key file, as Google Cloud gives it out. */
export interface GoogleCredential {
  readonly type: 'service_account';
  readonly project_id: string;
  readonly private_key: string;
  readonly private_key_id: string;
  readonly client_email: string;
}

/** An application of a Microsoft Entra tenant. */
export interface EntraCredential {
  readonly type: 'entra';
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** A private key that signs assertions which Anthropic exchanges for tokens (RFC 7523). */
export interface FederatedCredential {
  readonly type: 'federated';
  /** PKCS #8 in PEM, or a JWK. */
  readonly privateKey: string | Readonly<Record<string, unknown>>;
  readonly algorithm: (typeof ALGORITHMS)[number];
  readonly keyId: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
  readonly federationRuleId: string;
  readonly organizationId: string;
  readonly serviceAccountId?: string | undefined;
  readonly workspaceId?: string | undefined;
}

export type ParsedCredential =
  | KeyCredential
  | SigV4Credential
  | GoogleCredential
  | EntraCredential
  | FederatedCredential;

/** Those that Anthropic's federation takes and that WebCrypto signs everywhere. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const;
const GOOGLE_TOKEN_URL = 'https://oauth2.googleapis.com/token';
const KEY_CHARACTERS_MAX = 4_096;
const JSON_CHARACTERS_MAX = 16_384;

/** One line of visible ASCII. */
const visible = z.string().check(z.regex(/^[\x21-\x7e]{1,4096}$/));
const guid = z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$/));
const text = z.string().check(z.minLength(1), z.maxLength(1_024));
const pem = z
  .string()
  .check(z.regex(/^-----BEGIN PRIVATE KEY-----[\sA-Za-z0-9+/=]+-----END PRIVATE KEY-----\s*$/));
const jwk = z.looseObject({ kty: z.string(), d: z.string() });

const SHAPES = {
  sigv4: z.strictObject({
    type: z.literal('sigv4'),
    accessKeyId: z.string().check(z.regex(/^[A-Z0-9]{16,128}$/)),
    secretAccessKey: visible,
    sessionToken: z.optional(visible),
  }),
  // Loose: the file is given out whole, with fields that say nothing here.
  service_account: z.looseObject({
    type: z.literal('service_account'),
    project_id: z.string().check(z.regex(/^[a-z0-9-]{1,63}$/)),
    private_key: pem,
    private_key_id: visible,
    client_email: z.string().check(z.regex(/^[\w.+-]+@[\w.-]+$/)),
    token_uri: z.literal(GOOGLE_TOKEN_URL),
  }),
  entra: z.strictObject({
    type: z.literal('entra'),
    tenantId: guid,
    clientId: guid,
    clientSecret: visible,
  }),
  federated: z.strictObject({
    type: z.literal('federated'),
    privateKey: z.union([pem, jwk]),
    algorithm: z.enum(ALGORITHMS),
    keyId: text,
    issuer: text,
    subject: text,
    audience: text,
    federationRuleId: visible,
    organizationId: visible,
    serviceAccountId: z.optional(visible),
    workspaceId: z.optional(visible),
  }),
} as const;

type JsonType = keyof typeof SHAPES;

/** What each kind takes besides, or in place of, a plain key. */
const FORMS: Readonly<Record<AccountKind, readonly ('key' | JsonType)[]>> = {
  anthropic: ['key', 'federated'],
  'anthropic-compatible': ['key'],
  aws: ['key', 'sigv4'],
  bedrock: ['key', 'sigv4'],
  'bedrock-mantle': ['key', 'sigv4'],
  vertex: ['service_account'],
  foundry: ['key', 'entra'],
};

/** Why `text` is no credential of an account of this `kind`, in words that hold none of it. */
export function credentialProblem(kind: AccountKind, text: string): string | null {
  const parsed = parseCredential(kind, text);
  return parsed.ok ? null : parsed.error;
}

/** The credential that `text` says; or why it says none. */
export function parseCredential(kind: AccountKind, text: string): Result<ParsedCredential, string> {
  const forms = FORMS[kind];
  if (!text.trimStart().startsWith('{')) {
    if (!forms.includes('key')) return fail(`must be ${namesOf(forms)}`);
    const isKey = text.length <= KEY_CHARACTERS_MAX && /^[\x21-\x7e]+$/.test(text);
    return isKey ? ok({ type: 'key', key: text }) : fail('must be one word of visible ASCII');
  }
  if (text.length > JSON_CHARACTERS_MAX) return fail('is too long');
  const json = jsonOf(text);
  const type = typeOf(json);
  const known = forms.find((form) => form !== 'key' && form === type);
  if (known === undefined || known === 'key') return fail(`must be ${namesOf(forms)}`);
  const read = SHAPES[known].safeParse(json);
  if (read.success) return ok(read.data);
  const [issue] = read.error.issues;
  const field = issue?.path.join('.') || (issue?.code === 'unrecognized_keys' ? 'a field' : '');
  return fail(field === '' ? 'is not valid' : `${field} is not what this kind of credential has`);
}

const NAMES: Readonly<Record<'key' | JsonType, string>> = {
  key: 'a key',
  sigv4: 'JSON of type "sigv4"',
  service_account: 'the JSON key file of a service account',
  entra: 'JSON of type "entra"',
  federated: 'JSON of type "federated"',
};

function namesOf(forms: readonly ('key' | JsonType)[]): string {
  return forms.map((form) => NAMES[form]).join(' or ');
}

function typeOf(json: unknown): unknown {
  return typeof json === 'object' && json !== null && 'type' in json ? json.type : null;
}
