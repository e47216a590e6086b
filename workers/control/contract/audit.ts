// Who changed what, as admins read it. Nothing changes a line.

import * as z from 'zod/mini';
import { endpoint, reads } from './endpoint';
import { format, id, instant, pageOf, paging } from './fields';

const text = z.string().check(z.minLength(1), z.maxLength(100));
const date = z.coerce.number().check(z.int(), z.nonnegative(), z.maximum(Date.UTC(2100, 0, 1)));

const line = z.strictObject({
  id: id('audit'),
  at: instant,
  /** A user's or a service token's id, or a word such as `setup`. */
  actorId: z.string(),
  sessionId: z.nullable(z.string()),
  address: z.string(),
  action: z.string(),
  targetId: z.string(),
  /** Secrets are left out. */
  before: z.unknown(),
  after: z.unknown(),
  requestId: z.string(),
});
export type AuditEntry = z.infer<typeof line>;

export const audit = {
  list: endpoint({
    name: 'admin.audit.list',
    method: 'GET',
    path: '/admin/audit',
    access: reads('audit'),
    summary: 'Lists what was changed by whom, newest first; `format=csv` gives a file.',
    query: z.strictObject({
      actorId: z.optional(text),
      targetId: z.optional(text),
      /** Name of an endpoint; alone it looks at the last 90 days before `to`. */
      action: z.optional(text),
      /** Unix ms; `to` itself is left out. */
      from: z.optional(date),
      to: z.optional(date),
      format,
      ...paging,
    }),
    answer: pageOf(line),
    produces: ['text/csv'],
  }),
} as const;
