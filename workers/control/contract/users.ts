// People as admins manage them. Roles, limits and money of somebody are theirs to set; passwords
// are only ever set, never shown.

import * as z from 'zod/mini';
import { endpoint, reads, ROLES, writes } from './endpoint';
import {
  email,
  id,
  instant,
  label,
  limits,
  nanos,
  pageOf,
  paging,
  password,
  timeZone,
} from './fields';

const role = z.enum(ROLES);
const status = z.enum(['active', 'suspended', 'deleted']);

const user = z.strictObject({
  id: id('user'),
  email: z.string(),
  name: z.string(),
  role,
  status,
  timeZone: z.string(),
  limits: z.looseObject({}),
  createdAt: instant,
  wallet: z.strictObject({
    id: id('wallet'),
    region: z.string(),
    status,
    limits: z.looseObject({}),
    /** As of the last batch that its Ledger sent; null: none came yet. */
    balanceNanos: z.nullable(nanos),
  }),
});
export type User = z.infer<typeof user>;

const made = z.strictObject({ user, replayed: z.optional(z.boolean()) });

export const users = {
  list: endpoint({
    name: 'admin.users.list',
    method: 'GET',
    path: '/admin/users',
    access: reads('users'),
    summary: 'Lists people, newest first; `search` looks in names and addresses.',
    query: z.strictObject({
      search: z.optional(z.string().check(z.trim(), z.minLength(1), z.maxLength(100))),
      role: z.optional(role),
      status: z.optional(status),
      ...paging,
    }),
    answer: pageOf(user),
  }),
  create: endpoint({
    name: 'admin.users.create',
    method: 'POST',
    path: '/admin/users',
    access: writes('users'),
    summary: 'Makes a user with a wallet; without a password nobody can log in as it yet.',
    body: z.strictObject({
      email,
      name: label,
      role: z.optional(role),
      timeZone: z.optional(timeZone),
      password: z.optional(password),
      limits: z.optional(limits('user')),
    }),
    answer: made,
    status: 201,
    idempotent: true,
  }),
  read: endpoint({
    name: 'admin.users.read',
    method: 'GET',
    path: '/admin/users/{id}',
    access: reads('users'),
    summary: 'Shows somebody.',
    answer: user,
  }),
  change: endpoint({
    name: 'admin.users.change',
    method: 'PATCH',
    path: '/admin/users/{id}',
    access: writes('users'),
    summary: 'Changes name, address, role, time zone or limits; it holds at once.',
    body: z.strictObject({
      email: z.optional(email),
      name: z.optional(label),
      role: z.optional(role),
      timeZone: z.optional(timeZone),
      limits: z.optional(limits('user')),
      /** All but budgets: those of a wallet are its user's own, those of `limits` are yours. */
      walletLimits: z.optional(limits('wallet')),
    }),
    answer: user,
  }),
  suspend: endpoint({
    name: 'admin.users.suspend',
    method: 'POST',
    path: '/admin/users/{id}/suspend',
    access: writes('users'),
    summary: 'Shuts somebody out: logins end, keys are refused, what runs ends in 15 seconds.',
    answer: user,
  }),
  activate: endpoint({
    name: 'admin.users.activate',
    method: 'POST',
    path: '/admin/users/{id}/activate',
    access: writes('users'),
    summary: 'Lets a suspended user in again; the keys work as before.',
    answer: user,
  }),
  password: endpoint({
    name: 'admin.users.password',
    method: 'POST',
    path: '/admin/users/{id}/password',
    access: writes('users'),
    summary: 'Gives somebody a new password and ends all logins.',
    body: z.strictObject({ password }),
    status: 204,
  }),
  logout: endpoint({
    name: 'admin.users.logout',
    method: 'POST',
    path: '/admin/users/{id}/logout',
    access: writes('users'),
    summary: 'Ends all logins of somebody.',
    status: 204,
  }),
  delete: endpoint({
    name: 'admin.users.delete',
    method: 'DELETE',
    path: '/admin/users/{id}',
    access: writes('users'),
    summary: 'Deletes somebody: keys and logins end at once, the name goes after 30 days.',
    status: 204,
  }),
} as const;
