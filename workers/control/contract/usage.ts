// Usage as sums: what people see of their own, and admins of everybody's, and the one call that a
// dashboard opens with. Times are percentiles of merged histograms, never averages.

import * as z from 'zod/mini';
import { CLOSINGS } from '../../domain/ledger/calls';
import { GRANULARITIES, RANGE_WORDS } from '../../domain/usage/timeline';
import { standing } from './account-standing';
import { endpoint, reads } from './endpoint';
import { id, instant, moment, nanos, timeZone } from './fields';

/** So many of everybody's users or keys one answer names. */
export const GROUPS_MAX = 50;

export const tokenCounts = z.strictObject({
  input: z.int(),
  cacheWrite5m: z.int(),
  cacheWrite1h: z.int(),
  cacheRead: z.int(),
  output: z.int(),
  webSearches: z.int(),
});

/** Each at most a quarter away from the true one; null: no time is known. */
const percentiles = z.strictObject({
  p50: z.nullable(z.int()),
  p95: z.nullable(z.int()),
  p99: z.nullable(z.int()),
});

const figures = {
  requests: z.int(),
  /** Those that neither completed nor were left by their client. */
  errors: z.int(),
  tokens: tokenCounts,
  costNanos: nanos,
} as const;

const told = { ...figures, latencyMs: percentiles, firstByteMs: percentiles } as const;
const totals = z.strictObject(told);
export type Totals = z.infer<typeof totals>;

const part = {
  ...told,
  /** By span, oldest first; spans in which there was nothing are left out. */
  points: z.array(z.strictObject({ startsAt: instant, ...told })),
} as const;
const others = z.strictObject(part);
export type PartTold = z.infer<typeof others>;

const group = z.strictObject({
  /** An id, a model, a closing, or a date such as `2026-11-23`; '' where there is none. */
  name: z.string(),
  /** A key's name, a user's address, an account's name; null: the name says it. */
  label: z.nullable(z.string()),
  ...part,
});
export type GroupTold = z.infer<typeof group>;

export const usageAnswer = z.strictObject({
  /** Unix ms: the whole quarters of an hour (for minutes: minutes) that hold what was asked for. */
  from: instant,
  /** Not included. */
  to: instant,
  granularity: z.enum(GRANULARITIES),
  timeZone: z.string(),
  /** false: there were more requests than minutes are made of; ask for a shorter range. */
  isComplete: z.boolean(),
  totals,
  series: z.array(z.strictObject({ startsAt: instant, endsAt: instant, ...told })),
  /** The dearest first; of everybody's users and keys at most 50. */
  groups: z.array(group),
  /** What is in none of the groups; null: they are all there are. */
  others: z.nullable(others),
});
export type UsageAnswer = z.infer<typeof usageAnswer>;

const model = z.string().check(z.minLength(1), z.maxLength(200));
const closing = z.enum(CLOSINGS);

/** What both questions for usage have in common. */
export const usageAsked = {
  /** Whole days up to now, in the time zone; not together with `from` and `to`. */
  range: z.optional(z.enum(RANGE_WORDS)),
  from: moment,
  to: moment,
  /** Absent: the user's own. */
  timeZone: z.optional(timeZone),
  keyId: z.optional(id('key')),
  model: z.optional(model),
  closing: z.optional(closing),
} as const;

const change = z.strictObject({
  now: z.strictObject(figures),
  before: z.strictObject(figures),
});

const summary = z.strictObject({
  asOf: instant,
  timeZone: z.string(),
  /** Today, the last 7 and the last 30 days, each beside as many days before, as far as today. */
  spans: z.strictObject({ day: change, week: change, month: change }),
  /** Of the range that was asked for. */
  usage: usageAnswer,
  /** Of that range, the dearest first, without percentiles; of users at most ten. */
  models: z.array(group),
  users: z.array(group),
  accounts: z.array(group),
  closings: z.array(group),
  counts: z.strictObject({
    users: z.int(),
    activeUsers: z.int(),
    keys: z.int(),
    /** Keys and users with a request in the range. */
    usedKeys: z.int(),
    usingUsers: z.int(),
    /** Sum of all wallets, each as of its last batch. */
    balanceNanos: nanos,
  }),
  accountStates: z.array(
    z.strictObject({
      id: id('account'),
      name: z.string(),
      kind: z.string(),
      status: z.enum(['active', 'draining', 'disabled']),
      ...standing,
    }),
  ),
});
export type Summary = z.infer<typeof summary>;

export const adminUsage = {
  usage: endpoint({
    name: 'admin.usage',
    method: 'GET',
    path: '/admin/usage',
    access: reads('usage'),
    summary: 'Shows what all users have used, as a series and in groups.',
    query: z.strictObject({
      ...usageAsked,
      granularity: z.optional(z.enum(['hour', 'day', 'week', 'month'])),
      group: z.optional(z.enum(['none', 'user', 'key', 'model', 'day', 'account', 'closing'])),
      userId: z.optional(id('user')),
      accountId: z.optional(id('account')),
    }),
    answer: usageAnswer,
  }),
  summary: endpoint({
    name: 'admin.summary',
    method: 'GET',
    path: '/admin/summary',
    access: reads('usage'),
    summary: 'Shows everything that a dashboard opens with.',
    query: z.strictObject({
      range: z.optional(z.enum(['day', 'week', 'month'])),
      timeZone: z.optional(timeZone),
    }),
    answer: summary,
  }),
} as const;
