// What accounts did and cost, day by day (UTC): what users were charged, what the account is said
// to have cost, and what moves and lost attempts cost.

import * as z from 'zod/mini';
import { endpoint, reads } from './endpoint';
import { id, instant, moment, nanos } from './fields';
import { tokenCounts } from './usage';

const sums = {
  requests: z.int(),
  /** Those that neither completed nor were left by their client. */
  failures: z.int(),
  tokens: tokenCounts,
  /** Cache reads as a share of all that went in, 0 to 1; null: nothing went in. */
  cacheHitShare: z.nullable(z.number()),
  /** What users were charged. */
  costNanos: nanos,
  /** What its answers are said to have cost it; what was absorbed comes on top. */
  accountNanos: nanos,
  /** Conversations that came from another account with a warm cache, and what that cost. */
  moves: z.int(),
  movedNanos: nanos,
  /** Attempts that nobody was charged for, and what they are said to have cost. */
  absorbedAttempts: z.int(),
  absorbedNanos: nanos,
} as const;

const day = z.strictObject({
  /** `2026-11-23`, UTC. */
  day: z.string(),
  accountId: id('account'),
  /** null: the account was deleted. */
  name: z.nullable(z.string()),
  ...sums,
});
export type AccountDay = z.infer<typeof day>;

const answer = z.strictObject({
  /** Unix ms: whole days (UTC). */
  from: instant,
  /** Not included. */
  to: instant,
  /** By day, the newest first; days without anything are left out. */
  items: z.array(day),
  totals: z.strictObject(sums),
});
export type AccountDays = z.infer<typeof answer>;
export type AccountSums = AccountDays['totals'];

/** Absent: the last 30 days. At most 92. */
const asked = { from: moment, to: moment } as const;

export const accountDays = {
  allDays: endpoint({
    name: 'admin.accounts.allDays',
    method: 'GET',
    path: '/admin/accounts/days',
    access: reads('accounts'),
    summary: 'Shows what accounts did and cost by day, cache hits and moves among it.',
    query: z.strictObject({ ...asked, accountId: z.optional(id('account')) }),
    answer,
  }),
  days: endpoint({
    name: 'admin.accounts.days',
    method: 'GET',
    path: '/admin/accounts/{id}/days',
    access: reads('accounts'),
    summary: 'Shows the same of one account.',
    query: z.strictObject(asked),
    answer,
  }),
} as const;
