// Service tokens: what programs use the admins' API with. Only an admin in person makes them; the
// text is shown once.

import * as z from 'zod/mini';
import type { Scope } from './endpoint';
import { ADMIN, AREAS, endpoint } from './endpoint';
import { id, instant, label, pageOf, paging } from './fields';

const DAY_MS = 24 * 3_600_000;
const SCOPES: readonly Scope[] = AREAS.flatMap((area) => [
  `read:${area}` as const,
  `write:${area}` as const,
]);

const serviceToken = z.strictObject({
  id: id('serviceToken'),
  name: z.string(),
  scopes: z.array(z.string()),
  createdBy: id('user'),
  createdAt: instant,
  expiresAt: instant,
  revokedAt: z.nullable(instant),
});

export const serviceTokens = {
  list: endpoint({
    name: 'service-tokens.list',
    method: 'GET',
    path: '/admin/service-tokens',
    access: ADMIN,
    summary: 'Lists service tokens, newest first.',
    query: z.strictObject(paging),
    answer: pageOf(serviceToken),
  }),
  create: endpoint({
    name: 'service-tokens.create',
    method: 'POST',
    path: '/admin/service-tokens',
    access: ADMIN,
    summary: 'Makes a service token and shows it, this once.',
    body: z.strictObject({
      name: label,
      scopes: z.array(z.enum(SCOPES)).check(z.minLength(1), z.maxLength(SCOPES.length)),
      /** Up to 365 days; 90 days when absent. */
      validForMs: z.optional(z.int().check(z.minimum(60_000), z.maximum(365 * DAY_MS))),
    }),
    answer: z.strictObject({
      serviceToken,
      /** null, and `replayed` true, in the answer to a repeated call. */
      token: z.nullable(z.string()),
      replayed: z.optional(z.boolean()),
    }),
    status: 201,
    idempotent: true,
  }),
  revoke: endpoint({
    name: 'service-tokens.revoke',
    method: 'DELETE',
    path: '/admin/service-tokens/{id}',
    access: ADMIN,
    summary: 'Revokes a service token: it opens nothing from then on.',
    status: 204,
  }),
} as const;
