// Invitations: who may register while registration is by invitation. The text is shown once.

import * as z from 'zod/mini';
import { endpoint, reads, ROLES, writes } from './endpoint';
import { email, id, instant, pageOf, paging } from './fields';

const HOUR_MS = 3_600_000;

const invite = z.strictObject({
  id: id('invite'),
  /** Only for this address; null: for whoever holds it. */
  email: z.nullable(z.string()),
  role: z.enum(ROLES),
  /** A user's or a service token's id. */
  createdBy: z.string(),
  createdAt: instant,
  expiresAt: instant,
  usedBy: z.nullable(id('user')),
  usedAt: z.nullable(instant),
  revokedAt: z.nullable(instant),
});

export const invites = {
  list: endpoint({
    name: 'invites.list',
    method: 'GET',
    path: '/admin/invites',
    access: reads('invites'),
    summary: 'Lists invitations, newest first.',
    query: z.strictObject(paging),
    answer: pageOf(invite),
  }),
  create: endpoint({
    name: 'invites.create',
    method: 'POST',
    path: '/admin/invites',
    access: writes('invites'),
    summary: 'Makes an invitation and shows its text, this once.',
    body: z.strictObject({
      email: z.optional(email),
      /** `user` when absent; only an admin in person invites an admin or a viewer. */
      role: z.optional(z.enum(ROLES)),
      /** One hour to 30 days; 7 days when absent. */
      validForMs: z.optional(z.int().check(z.minimum(HOUR_MS), z.maximum(30 * 24 * HOUR_MS))),
    }),
    answer: z.strictObject({
      invite,
      /** null, and `replayed` true, in the answer to a repeated call. */
      secret: z.nullable(z.string()),
      replayed: z.optional(z.boolean()),
    }),
    status: 201,
    idempotent: true,
  }),
  revoke: endpoint({
    name: 'invites.revoke',
    method: 'DELETE',
    path: '/admin/invites/{id}',
    access: writes('invites'),
    summary: 'Takes back an invitation that was not used.',
    status: 204,
  }),
} as const;
