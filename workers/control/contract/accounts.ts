// Upstream accounts as admins manage them. A credential goes in and never comes out again: no
// answer, no log and no line of the audit holds it.

import * as z from 'zod/mini';
import { ACCOUNT_KINDS } from '../../domain/snapshot';
import { endpoint, reads, writes } from './endpoint';
import { id, instant, label } from './fields';

const WEIGHT_MAX = 1_000;
const PRIORITY_MAX = 1_000;
const MODELS_MAX = 200;
const CREDENTIAL_CHARACTERS_MAX = 4_096;

const status = z.enum(['active', 'draining', 'disabled']);
const modelName = z.string().check(z.regex(/^[\x21-\x7e]{1,200}$/));

const credential = z
  .string()
  .check(z.maxLength(CREDENTIAL_CHARACTERS_MAX), z.regex(/^[\x21-\x7e]+$/));

/** What an admin sets beside kind, address and credential. */
const choices = {
  /** Share of the conversations, relative to others of its priority; 0 takes none. */
  weight: z.optional(z.int().check(z.minimum(0), z.maximum(WEIGHT_MAX))),
  /** Lower is tried first. */
  priority: z.optional(z.int().check(z.minimum(0), z.maximum(PRIORITY_MAX))),
  /** Accounts that share a prompt cache share a group; null: a group of its own. */
  group: z.optional(z.nullable(label)),
  /** null: every model. */
  models: z.optional(z.nullable(z.array(modelName).check(z.minLength(1), z.maxLength(MODELS_MAX)))),
  status: z.optional(status),
} as const;

const account = z.strictObject({
  id: id('account'),
  name: z.string(),
  kind: z.enum(ACCOUNT_KINDS),
  baseUrl: z.string(),
  status,
  group: z.nullable(z.string()),
  weight: z.int(),
  priority: z.int(),
  models: z.nullable(z.array(z.string())),
  /** Those of the environment have name, address and credential from there. */
  origin: z.enum(['environment', 'admin']),
  /** Of the master key that seals the credential. */
  credentialKeyVersion: z.string(),
  createdAt: instant,
});
export type Account = z.infer<typeof account>;

/** What the smallest real call came back with. */
const trial = z.strictObject({
  /** A 2xx came back. */
  isGood: z.boolean(),
  model: z.string(),
  /** null: no answer came; `failure` says why. */
  status: z.nullable(z.int()),
  latencyMs: z.int(),
  failure: z.nullable(
    z.enum(['unreachable', 'timeout', 'address-not-allowed', 'credential-unreadable', 'redirect']),
  ),
  /** The upstream's own id of the call. */
  upstreamRequestId: z.nullable(z.string()),
  /** Its last four characters. */
  organization: z.nullable(z.string()),
  retryAfter: z.nullable(z.string()),
  /** Headers about the account's limits, as they came. */
  rateLimits: z.record(z.string(), z.string()),
  /** Of an answer that is no 2xx, as far as it can be read. */
  error: z.nullable(
    z.strictObject({ type: z.nullable(z.string()), message: z.nullable(z.string()) }),
  ),
});
export type Trial = z.infer<typeof trial>;

export const accounts = {
  list: endpoint({
    name: 'admin.accounts.list',
    method: 'GET',
    path: '/admin/accounts',
    access: reads('accounts'),
    summary: 'Lists upstream accounts, the oldest first.',
    answer: z.strictObject({ items: z.array(account) }),
  }),
  create: endpoint({
    name: 'admin.accounts.create',
    method: 'POST',
    path: '/admin/accounts',
    access: writes('accounts'),
    summary: 'Adds an account; requests may use it within ten seconds.',
    body: z.strictObject({
      name: label,
      kind: z.enum(ACCOUNT_KINDS),
      /** https at a public name; `anthropic` takes the vendor's own host alone. */
      baseUrl: z.string().check(z.maxLength(500)),
      credential,
      ...choices,
    }),
    answer: z.strictObject({ account, replayed: z.optional(z.boolean()) }),
    status: 201,
    idempotent: true,
  }),
  read: endpoint({
    name: 'admin.accounts.read',
    method: 'GET',
    path: '/admin/accounts/{id}',
    access: reads('accounts'),
    summary: 'Shows an account.',
    answer: account,
  }),
  change: endpoint({
    name: 'admin.accounts.change',
    method: 'PATCH',
    path: '/admin/accounts/{id}',
    access: writes('accounts'),
    summary: 'Changes an account; a move to another host takes the credential for it along.',
    body: z.strictObject({
      name: z.optional(label),
      baseUrl: z.optional(z.string().check(z.maxLength(500))),
      /** Needed where `baseUrl` names another host: no host is sent what was given for another. */
      credential: z.optional(credential),
      ...choices,
    }),
    answer: account,
  }),
  credential: endpoint({
    name: 'admin.accounts.credential',
    method: 'PUT',
    path: '/admin/accounts/{id}/credential',
    access: writes('accounts'),
    summary: 'Replaces the credential; what runs goes on with the old one.',
    body: z.strictObject({ credential }),
    answer: account,
  }),
  enable: endpoint({
    name: 'admin.accounts.enable',
    method: 'POST',
    path: '/admin/accounts/{id}/enable',
    access: writes('accounts'),
    summary: 'Puts an account to use.',
    answer: account,
  }),
  drain: endpoint({
    name: 'admin.accounts.drain',
    method: 'POST',
    path: '/admin/accounts/{id}/drain',
    access: writes('accounts'),
    summary: 'Gives an account no new conversation.',
    answer: account,
  }),
  disable: endpoint({
    name: 'admin.accounts.disable',
    method: 'POST',
    path: '/admin/accounts/{id}/disable',
    access: writes('accounts'),
    summary: 'Gives an account no new request; what runs ends by itself.',
    answer: account,
  }),
  delete: endpoint({
    name: 'admin.accounts.delete',
    method: 'DELETE',
    path: '/admin/accounts/{id}',
    access: writes('accounts'),
    summary: 'Deletes an account that is disabled or draining; sums keep its id.',
    status: 204,
  }),
  test: endpoint({
    name: 'admin.accounts.test',
    method: 'POST',
    path: '/admin/accounts/{id}/test',
    access: writes('accounts'),
    summary: 'Makes the smallest real call with an account and tells what came back.',
    /** Without a model: one that the account serves. */
    body: z.strictObject({ model: z.optional(modelName) }),
    answer: trial,
  }),
} as const;
