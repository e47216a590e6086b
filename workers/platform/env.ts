// The Worker's variables and secrets, parsed once an isolate into a frozen Config. A bad one names
// the variable, never its value.

import * as z from 'zod/mini';
import type { RelayError } from '../domain/errors';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { ACCOUNT_KINDS } from '../domain/snapshot';

/** A secret per version, `{"1":"<base64>"}`; the highest version makes new things. */
const versioned = z.record(
  z.string().check(z.regex(/^[1-9][0-9]?$/)),
  z.string().check(z.minLength(22)),
);

const environmentAccounts = z.array(
  z.strictObject({
    name: z.string().check(z.minLength(1), z.maxLength(64)),
    kind: z.enum(ACCOUNT_KINDS),
    baseUrl: z.url(),
    apiKey: z.string().check(z.minLength(1)),
  }),
);

export type EnvironmentAccount = z.infer<typeof environmentAccounts>[number];
export type VersionedSecrets = Readonly<Record<string, string>>;

export interface Config {
  readonly environment: 'development' | 'production';
  readonly corsOrigins: readonly string[];
  readonly keyTagSecrets: VersionedSecrets;
  readonly masterKeys: VersionedSecrets;
  readonly conversationSecret: string;
  readonly setupSecret: string | null;
  /** What logins are signed with; null: nobody can log in. */
  readonly sessionSecrets: VersionedSecrets | null;
  /** What opens `/metrics`; null: nothing does. */
  readonly metricsToken: string | null;
  /** Origins besides the relay's own that may change things through the control plane. */
  readonly allowedOrigins: readonly string[];
  /** Accounts that the environment gives; null: the environment says nothing of accounts. */
  readonly environmentAccounts: readonly EnvironmentAccount[] | null;
}

/** The secrets, which `wrangler types` cannot know from wrangler.toml. */
interface Secrets {
  readonly KEY_TAG_SECRETS?: string;
  readonly MASTER_KEYS?: string;
  readonly CONVERSATION_SECRET?: string;
  readonly SETUP_SECRET?: string;
  readonly SESSION_SECRETS?: string;
  readonly METRICS_TOKEN?: string;
  readonly ENVIRONMENT_ACCOUNTS?: string;
}

type Source = Pick<Env, 'RELAY_ENVIRONMENT' | 'CORS_ORIGINS' | 'ALLOWED_ORIGINS'> & Secrets;

function json(text: string | undefined): unknown {
  if (text === undefined || text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of a text with commas; older bindings may have none. */
function list(text: string | undefined): string[] {
  return (text ?? '').split(',').flatMap((item) => item.trim() || []);
}

const shape = z.object({
  RELAY_ENVIRONMENT: z.enum(['development', 'production']),
  CORS_ORIGINS: z.array(z.url()),
  KEY_TAG_SECRETS: versioned,
  MASTER_KEYS: versioned,
  CONVERSATION_SECRET: z.string().check(z.minLength(22)),
  ALLOWED_ORIGINS: z.array(z.url()),
  SETUP_SECRET: z.nullable(z.string().check(z.minLength(22))),
  SESSION_SECRETS: z.nullable(versioned),
  METRICS_TOKEN: z.nullable(z.string().check(z.minLength(22))),
  ENVIRONMENT_ACCOUNTS: z.nullable(environmentAccounts),
});

function parse(env: Source): Result<Config, RelayError> {
  const given = shape.safeParse({
    RELAY_ENVIRONMENT: env.RELAY_ENVIRONMENT,
    CORS_ORIGINS: list(env.CORS_ORIGINS),
    ALLOWED_ORIGINS: list(env.ALLOWED_ORIGINS),
    KEY_TAG_SECRETS: json(env.KEY_TAG_SECRETS),
    MASTER_KEYS: json(env.MASTER_KEYS),
    CONVERSATION_SECRET: env.CONVERSATION_SECRET,
    SETUP_SECRET: env.SETUP_SECRET || null,
    SESSION_SECRETS: env.SESSION_SECRETS ? json(env.SESSION_SECRETS) : null,
    METRICS_TOKEN: env.METRICS_TOKEN || null,
    ENVIRONMENT_ACCOUNTS: env.ENVIRONMENT_ACCOUNTS ? json(env.ENVIRONMENT_ACCOUNTS) : null,
  });
  if (!given.success) {
    const variable = String(given.error.issues[0]?.path[0] ?? 'environment');
    return fail({ kind: 'bad-environment', variable });
  }
  const value = given.data;
  return ok(
    Object.freeze({
      environment: value.RELAY_ENVIRONMENT,
      corsOrigins: value.CORS_ORIGINS,
      keyTagSecrets: value.KEY_TAG_SECRETS,
      masterKeys: value.MASTER_KEYS,
      conversationSecret: value.CONVERSATION_SECRET,
      setupSecret: value.SETUP_SECRET,
      sessionSecrets: value.SESSION_SECRETS,
      metricsToken: value.METRICS_TOKEN,
      allowedOrigins: value.ALLOWED_ORIGINS,
      environmentAccounts: value.ENVIRONMENT_ACCOUNTS,
    }),
  );
}

let parsed: { readonly env: Source; readonly config: Result<Config, RelayError> } | null = null;

/** The configuration of this isolate; parsed once, an error is a `bad-environment`. */
export function configOf(env: Source): Result<Config, RelayError> {
  if (parsed?.env !== env) parsed = { env, config: parse(env) };
  return parsed.config;
}

/** The newest version's name and secret. Versions are not empty: the schema says so at parse. */
export function newest(secrets: VersionedSecrets): { version: string; secret: string } {
  const version = String(Math.max(...Object.keys(secrets).map(Number)));
  return { version, secret: secrets[version] ?? '' };
}
