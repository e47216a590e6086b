// Codes that are worth money, as admins make and revoke them. A code's text is in the answer that
// makes it and nowhere else.

import * as z from 'zod/mini';
import { endpoint, reads, writes } from './endpoint';
import { format, id, instant, label, nanos, pageOf, paging, positiveNanos } from './fields';

/** $10,000 a use. */
const AMOUNT_NANOS_MAX = 10_000_000_000_000;
const CODES_MAX = 1_000;
const USES_PER_CODE_MAX = 1_000_000;
const USES_PER_USER_MAX = 1_000;

const count = (most: number) => z.int().check(z.positive(), z.maximum(most));

const batch = z.strictObject({
  id: id('codeBatch'),
  name: z.string(),
  /** What one use gives. */
  amountNanos: nanos,
  count: z.int(),
  usesPerCode: z.int(),
  usesPerUser: z.int(),
  /** Of all codes together. */
  uses: z.int(),
  expiresAt: z.nullable(instant),
  revokedAt: z.nullable(instant),
  createdBy: z.string(),
  createdAt: instant,
});
export type Batch = z.infer<typeof batch>;

const code = z.strictObject({
  id: id('code'),
  uses: z.int(),
  revokedAt: z.nullable(instant),
});

const redemption = z.strictObject({
  codeId: id('code'),
  /** From 1 on. */
  use: z.int(),
  userId: id('user'),
  walletId: id('wallet'),
  entryId: z.string(),
  at: instant,
});

export const codes = {
  list: endpoint({
    name: 'admin.codes.list',
    method: 'GET',
    path: '/admin/codes',
    access: reads('codes'),
    summary: 'Lists batches of codes, newest first.',
    query: z.strictObject(paging),
    answer: pageOf(batch),
  }),
  create: endpoint({
    name: 'admin.codes.create',
    method: 'POST',
    path: '/admin/codes',
    access: writes('codes'),
    summary: 'Makes a batch of codes and shows them, this once; `format=csv` gives a file.',
    query: z.strictObject({ format }),
    body: z.strictObject({
      name: label,
      amountNanos: positiveNanos.check(z.maximum(AMOUNT_NANOS_MAX)),
      count: count(CODES_MAX),
      usesPerCode: z.optional(count(USES_PER_CODE_MAX)),
      /** How many codes of the batch one user may redeem. */
      usesPerUser: z.optional(count(USES_PER_USER_MAX)),
      expiresAt: z.optional(instant),
    }),
    answer: z.strictObject({
      batch,
      /** null when the call is repeated. */
      codes: z.nullable(z.array(z.strictObject({ id: id('code'), code: z.string() }))),
      replayed: z.optional(z.boolean()),
    }),
    status: 201,
    idempotent: true,
    produces: ['text/csv'],
  }),
  read: endpoint({
    name: 'admin.codes.read',
    method: 'GET',
    path: '/admin/codes/{id}',
    access: reads('codes'),
    summary: 'Shows a batch with its codes and how often each was redeemed.',
    query: z.strictObject(paging),
    answer: z.strictObject({ batch, codes: pageOf(code) }),
  }),
  redemptions: endpoint({
    name: 'admin.codes.redemptions',
    method: 'GET',
    path: '/admin/codes/{id}/redemptions',
    access: reads('codes'),
    summary: 'Lists who redeemed the codes of a batch.',
    query: z.strictObject(paging),
    answer: pageOf(redemption),
  }),
  revoke: endpoint({
    name: 'admin.codes.revoke',
    method: 'DELETE',
    path: '/admin/codes/{id}',
    access: writes('codes'),
    summary: 'Revokes a batch: nothing of it can be redeemed any more.',
    status: 204,
  }),
  revokeCode: endpoint({
    name: 'admin.codes.revokeCode',
    method: 'DELETE',
    path: '/admin/codes/{id}/codes/{codeId}',
    access: writes('codes'),
    summary: 'Revokes one code.',
    status: 204,
  }),
} as const;
