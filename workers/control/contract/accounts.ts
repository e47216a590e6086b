// Upstream accounts as admins manage them. A credential goes in and never comes out again: no
// answer, no log and no line of the audit holds it.

import * as z from 'zod/mini';
import { ACCOUNT_KINDS } from '../../domain/snapshot';
import { account, accountWithState, credential, modelName, settable } from './account-fields';
import { endpoint, reads, writes } from './endpoint';
import { id, label } from './fields';

/** What the smallest real call came back with. */
const trial = z.strictObject({
  /** A 2xx came back. */
  isGood: z.boolean(),
  model: z.string(),
  /** null: no answer came; `failure` says why. */
  status: z.nullable(z.int()),
  latencyMs: z.int(),
  failure: z.nullable(
    z.enum([
      'unreachable',
      'timeout',
      'address-not-allowed',
      'credential-unreadable',
      'credential-unusable',
      'not-sendable',
      'token-refused',
      'token-unreachable',
      'redirect',
    ]),
  ),
  /** Where it was sent; null: nothing was. */
  url: z.nullable(z.string()),
  /** Why it could not be made, in words; null: it could. */
  detail: z.nullable(z.string()),
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
  /** The other headers of the answer, but cookies. */
  headers: z.record(z.string(), z.string()),
  /** The beginning of its body; null: it had none. */
  body: z.nullable(z.string()),
});
export type Trial = z.infer<typeof trial>;

export const accounts = {
  list: endpoint({
    name: 'admin.accounts.list',
    method: 'GET',
    path: '/admin/accounts',
    access: reads('accounts'),
    summary: 'Lists upstream accounts and how they stand, the oldest first.',
    answer: z.strictObject({ items: z.array(accountWithState) }),
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
      credential,
      ...settable,
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
    summary: 'Shows an account, and what holds it back.',
    answer: accountWithState,
  }),
  change: endpoint({
    name: 'admin.accounts.change',
    method: 'PATCH',
    path: '/admin/accounts/{id}',
    access: writes('accounts'),
    summary: 'Changes what is given; a move to another host takes the credential for it along.',
    body: z.strictObject({
      name: z.optional(label),
      /** Needed where `baseUrl` names another host: no host is sent what was given for another. */
      credential: z.optional(credential),
      ...settable,
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
  reset: endpoint({
    name: 'admin.accounts.reset',
    method: 'POST',
    path: '/admin/accounts/{id}/reset',
    access: writes('accounts'),
    summary: 'Forgets what holds an account back; the next requests find out anew.',
    answer: accountWithState,
  }),
  reseal: endpoint({
    name: 'admin.accounts.reseal',
    method: 'POST',
    path: '/admin/accounts/reseal',
    access: writes('accounts'),
    summary: 'Seals credentials under the newest master key, some dozens a call.',
    answer: z.strictObject({
      /** Of the newest master key. */
      keyVersion: z.string(),
      /** By this call. */
      resealed: z.int(),
      /** Still under another key, those that cannot be opened included: call again. */
      remaining: z.int(),
      /** Their master key is not given any more, or their row was damaged. */
      unreadable: z.array(
        z.strictObject({ id: id('account'), name: z.string(), credentialKeyVersion: z.string() }),
      ),
    }),
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
