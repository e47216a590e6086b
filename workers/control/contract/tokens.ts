// API keys: `/api/tokens` for one's own, `/admin/keys` for anybody's. The key's text is shown once,
// in the answer that makes it.

import * as z from 'zod/mini';
import { endpoint, PERSON, PERSON_WRITES, reads, writes } from './endpoint';
import { id, instant, label, limits, limitStanding, pageOf, paging, tags } from './fields';

const whenClientLeaves = z.enum(['cancel', 'drain']);
const status = z.enum(['active', 'disabled', 'deleted']);

const token = z.strictObject({
  id: id('key'),
  userId: id('user'),
  walletId: id('wallet'),
  name: z.string(),
  tags: z.array(z.string()),
  status,
  /** Unix ms; null: never. */
  expiresAt: z.nullable(instant),
  /** Until when the key before the last rotation opens; null: it does not. */
  previousUntil: z.nullable(instant),
  limits: z.looseObject({}),
  whenClientLeaves,
  createdAt: instant,
});
export type Token = z.infer<typeof token>;

/** `key` is null, and `replayed` true, in the answer to a repeated call. */
const made = z.strictObject({
  token,
  key: z.nullable(z.string()),
  replayed: z.optional(z.boolean()),
});

const settable = {
  tags: z.optional(tags),
  limits: z.optional(limits('key')),
  expiresAt: z.optional(z.nullable(instant)),
  whenClientLeaves: z.optional(whenClientLeaves),
} as const;

const create = z.strictObject({ name: label, ...settable });
const change = z.strictObject({ name: z.optional(label), ...settable });
const rotate = z.strictObject({
  /** How long the old key goes on opening: at most 30 days. */
  graceMs: z.optional(z.int().check(z.minimum(0), z.maximum(30 * 24 * 3_600_000))),
});

const list = z.strictObject({
  status: z.optional(status),
  tag: z.optional(z.string().check(z.minLength(1), z.maxLength(64))),
  ...paging,
});

const usage = z.strictObject({
  requests: z.int(),
  usedNanos: z.int(),
  overrunNanos: z.int(),
  /** Every limit that the key meets: its own, its user's, its wallet's. */
  limits: z.array(limitStanding),
});

export const tokens = {
  list: endpoint({
    name: 'tokens.list',
    method: 'GET',
    path: '/api/tokens',
    access: PERSON,
    summary: 'Lists your API keys, newest first.',
    query: list,
    answer: pageOf(token),
  }),
  create: endpoint({
    name: 'tokens.create',
    method: 'POST',
    path: '/api/tokens',
    access: PERSON_WRITES,
    summary: 'Makes an API key and shows it, this once.',
    body: create,
    answer: made,
    status: 201,
    idempotent: true,
  }),
  read: endpoint({
    name: 'tokens.read',
    method: 'GET',
    path: '/api/tokens/{id}',
    access: PERSON,
    summary: 'Shows one of your API keys.',
    answer: token,
  }),
  change: endpoint({
    name: 'tokens.change',
    method: 'PATCH',
    path: '/api/tokens/{id}',
    access: PERSON_WRITES,
    summary: 'Changes name, tags, limits or expiry of a key; it holds at the next request.',
    body: change,
    answer: token,
  }),
  disable: endpoint({
    name: 'tokens.disable',
    method: 'POST',
    path: '/api/tokens/{id}/disable',
    access: PERSON_WRITES,
    summary: 'Disables a key at once; what runs with it ends within 15 seconds.',
    answer: token,
  }),
  enable: endpoint({
    name: 'tokens.enable',
    method: 'POST',
    path: '/api/tokens/{id}/enable',
    access: PERSON_WRITES,
    summary: 'Enables a disabled key again.',
    answer: token,
  }),
  rotate: endpoint({
    name: 'tokens.rotate',
    method: 'POST',
    path: '/api/tokens/{id}/rotate',
    access: PERSON_WRITES,
    summary: 'Gives the key a new text, shown this once; the old one opens for a grace.',
    body: rotate,
    answer: made,
    idempotent: true,
  }),
  delete: endpoint({
    name: 'tokens.delete',
    method: 'DELETE',
    path: '/api/tokens/{id}',
    access: PERSON_WRITES,
    summary: 'Deletes a key for good; its usage stays.',
    status: 204,
  }),
  usage: endpoint({
    name: 'tokens.usage',
    method: 'GET',
    path: '/api/tokens/{id}/usage',
    access: PERSON,
    summary: 'Shows what a key has used, and how its limits stand.',
    answer: usage,
  }),
} as const;

export const adminKeys = {
  list: endpoint({
    name: 'admin.keys.list',
    method: 'GET',
    path: '/admin/keys',
    access: reads('keys'),
    summary: 'Lists API keys of all users, newest first.',
    query: z.strictObject({
      ...list.shape,
      userId: z.optional(id('user')),
      /** Of the secret that the keys were made under: it may go when none is left. */
      tagVersion: z.optional(z.string().check(z.regex(/^[1-9][0-9]?$/))),
    }),
    answer: pageOf(token),
  }),
  create: endpoint({
    name: 'admin.keys.create',
    method: 'POST',
    path: '/admin/users/{id}/keys',
    access: writes('keys'),
    summary: 'Makes an API key for a user and shows it, this once.',
    body: create,
    answer: made,
    status: 201,
    idempotent: true,
  }),
  read: endpoint({
    name: 'admin.keys.read',
    method: 'GET',
    path: '/admin/keys/{id}',
    access: reads('keys'),
    summary: 'Shows an API key.',
    answer: token,
  }),
  change: endpoint({
    name: 'admin.keys.change',
    method: 'PATCH',
    path: '/admin/keys/{id}',
    access: writes('keys'),
    summary: 'Changes name, tags, limits or expiry of a key.',
    body: change,
    answer: token,
  }),
  disable: endpoint({
    name: 'admin.keys.disable',
    method: 'POST',
    path: '/admin/keys/{id}/disable',
    access: writes('keys'),
    summary: 'Disables a key at once.',
    answer: token,
  }),
  enable: endpoint({
    name: 'admin.keys.enable',
    method: 'POST',
    path: '/admin/keys/{id}/enable',
    access: writes('keys'),
    summary: 'Enables a disabled key again.',
    answer: token,
  }),
  rotate: endpoint({
    name: 'admin.keys.rotate',
    method: 'POST',
    path: '/admin/keys/{id}/rotate',
    access: writes('keys'),
    summary: 'Gives a key a new text, shown this once.',
    body: rotate,
    answer: made,
    idempotent: true,
  }),
  delete: endpoint({
    name: 'admin.keys.delete',
    method: 'DELETE',
    path: '/admin/keys/{id}',
    access: writes('keys'),
    summary: 'Deletes a key for good; its usage stays.',
    status: 204,
  }),
  usage: endpoint({
    name: 'admin.keys.usage',
    method: 'GET',
    path: '/admin/keys/{id}/usage',
    access: reads('keys'),
    summary: 'Shows what a key has used, and how its limits stand.',
    answer: usage,
  }),
} as const;
