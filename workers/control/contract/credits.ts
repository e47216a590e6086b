// People's own money below /api/credits, and everybody's below /admin/credits. Balances are live
// where one wallet is asked for, and as of its last batch where many are listed.

import * as z from 'zod/mini';
import { CERTAINTIES, CLOSINGS } from '../../domain/ledger/calls';
import { LINE_KINDS } from '../../domain/ledger/reads';
import { endpoint, PERSON, PERSON_WRITES, reads, writes } from './endpoint';
import {
  format,
  id,
  instant,
  moment,
  nanos,
  pageOf,
  paging,
  positiveNanos,
  reason,
} from './fields';

/** $100,000: no single entry of the ledger is larger. */
const AMOUNT_NANOS_MAX = 100_000_000_000_000;
const BUDGETS_MAX = 16;
const ALERTS_MAX = 10;

const budget = z.strictObject({
  period: z.enum(['day', 'week', 'month', 'total']),
  limitNanos: z.int().check(z.nonnegative()),
  /** Of the price list (`opus`, ...): only its models count; absent: all. */
  family: z.exactOptional(z.string().check(z.trim(), z.minLength(1), z.maxLength(128))),
});

const percents = z
  .array(z.int().check(z.minimum(1), z.maximum(100)))
  .check(z.maxLength(ALERTS_MAX));

const budgetStanding = z.strictObject({
  /** Whose it is: set by an admin for the `user`, or by the user for the own `wallet`. */
  scope: z.enum(['user', 'wallet']),
  period: budget.shape.period,
  family: z.nullable(z.string()),
  limitNanos: nanos,
  /** Without holds. */
  spentNanos: nanos,
  /** Less what is held; never negative. */
  remainingNanos: nanos,
  /** Unix ms; null: never. */
  resetsAt: z.nullable(instant),
  /** Whole percents, rounded down; may pass 100. */
  usedPercent: z.int(),
  /** Those of `alertPercents` that are reached. */
  passedPercents: z.array(z.int()),
});
export type BudgetStanding = z.infer<typeof budgetStanding>;

const balance = z.strictObject({
  userId: id('user'),
  walletId: id('wallet'),
  balanceNanos: nanos,
  /** What open requests hold together. */
  heldNanos: nanos,
  availableNanos: nanos,
  asOf: instant,
  openCount: z.int(),
  /** The oldest of them, at most 100. */
  openRequests: z.array(
    z.strictObject({
      requestId: id('request'),
      keyId: id('key'),
      model: z.string(),
      admittedAt: instant,
      heldNanos: nanos,
      costNanos: nanos,
    }),
  ),
  budgets: z.array(budgetStanding),
  alertPercents: z.array(z.int()),
});
export type Balance = z.infer<typeof balance>;

const line = z.strictObject({
  /** `charge`: a request; `older`: all requests that are no longer kept, in one line. */
  kind: z.enum(LINE_KINDS),
  at: instant,
  /** Signed: what the balance gained. */
  amountNanos: nanos,
  /** After this line. */
  balanceNanos: nanos,
  keyId: z.nullable(id('key')),
  requestId: z.nullable(id('request')),
  model: z.nullable(z.string()),
  closing: z.nullable(z.enum(CLOSINGS)),
  certainty: z.nullable(z.enum(CERTAINTIES)),
  entryId: z.nullable(z.string()),
  reason: z.nullable(z.string()),
  /** Who made the entry; told to admins alone. */
  actor: z.nullable(z.string()),
});
export type Line = z.infer<typeof line>;

const statementQuery = z.strictObject({
  kind: z.optional(z.enum(LINE_KINDS)),
  keyId: z.optional(id('key')),
  /** Included. */
  since: moment,
  /** Not included. */
  until: moment,
  format,
  ...paging,
});

const budgets = z.strictObject({
  /** Set by admins for the user: they hold beside the own ones. */
  user: z.array(budget),
  /** The user's own. */
  wallet: z.array(budget),
});

const replayed = z.optional(z.boolean());

export const credits = {
  balance: endpoint({
    name: 'credits.balance',
    method: 'GET',
    path: '/api/credits',
    access: PERSON,
    summary: 'Shows the balance, what is held, and how budgets stand.',
    answer: balance,
  }),
  statement: endpoint({
    name: 'credits.statement',
    method: 'GET',
    path: '/api/credits/statement',
    access: PERSON,
    summary: 'Lists what moved the balance, newest first, with the balance after each line.',
    query: statementQuery,
    answer: pageOf(line),
    produces: ['text/csv'],
  }),
  redeem: endpoint({
    name: 'credits.redeem',
    method: 'POST',
    path: '/api/credits/redeem',
    access: PERSON_WRITES,
    summary: 'Redeems a code.',
    body: z.strictObject({ code: z.string().check(z.minLength(1), z.maxLength(64)) }),
    answer: z.strictObject({ amountNanos: nanos, entryId: z.string(), replayed }),
    idempotent: true,
  }),
  budgets: endpoint({
    name: 'credits.budgets',
    method: 'GET',
    path: '/api/credits/budgets',
    access: PERSON,
    summary: 'Lists the budgets that hold: the own ones and those set by admins.',
    answer: budgets,
  }),
  setBudgets: endpoint({
    name: 'credits.setBudgets',
    method: 'PUT',
    path: '/api/credits/budgets',
    access: PERSON_WRITES,
    summary: 'Sets the own budgets; those set by admins hold beside them.',
    body: z.strictObject({ budgets: z.array(budget).check(z.maxLength(BUDGETS_MAX)) }),
    answer: budgets,
  }),
  setAlerts: endpoint({
    name: 'credits.setAlerts',
    method: 'PUT',
    path: '/api/credits/alerts',
    access: PERSON_WRITES,
    summary: 'Sets the percents of a budget at which to be told.',
    body: z.strictObject({ percents }),
    answer: z.strictObject({ percents }),
  }),
} as const;

const storedBalance = z.strictObject({
  userId: id('user'),
  email: z.string(),
  name: z.string(),
  walletId: id('wallet'),
  /** As of the last batch that its Ledger sent; null: none came yet. */
  balanceNanos: z.nullable(nanos),
  asOf: z.nullable(instant),
});

const entry = z.strictObject({
  entryId: z.string(),
  userId: id('user'),
  walletId: id('wallet'),
  amountNanos: nanos,
  replayed,
});

export const adminCredits = {
  list: endpoint({
    name: 'admin.credits.list',
    method: 'GET',
    path: '/admin/credits',
    access: reads('credits'),
    summary: 'Lists balances as of each wallet’s last batch; `search` in names and addresses.',
    query: z.strictObject({
      search: z.optional(z.string().check(z.trim(), z.minLength(1), z.maxLength(100))),
      ...paging,
    }),
    answer: pageOf(storedBalance),
  }),
  balance: endpoint({
    name: 'admin.credits.balance',
    method: 'GET',
    path: '/admin/users/{id}/credits',
    access: reads('credits'),
    summary: 'Shows somebody’s balance as it is now.',
    answer: balance,
  }),
  statement: endpoint({
    name: 'admin.credits.statement',
    method: 'GET',
    path: '/admin/users/{id}/credits/statement',
    access: reads('credits'),
    summary: 'Lists what moved somebody’s balance, newest first.',
    query: statementQuery,
    answer: pageOf(line),
    produces: ['text/csv'],
  }),
  grant: endpoint({
    name: 'admin.credits.grant',
    method: 'POST',
    path: '/admin/credits/grant',
    access: writes('credits'),
    summary: 'Gives somebody credit.',
    body: z.strictObject({
      userId: id('user'),
      amountNanos: positiveNanos.check(z.maximum(AMOUNT_NANOS_MAX)),
      reason,
    }),
    answer: entry,
    status: 201,
    idempotent: true,
  }),
  adjust: endpoint({
    name: 'admin.credits.adjust',
    method: 'POST',
    path: '/admin/credits/adjust',
    access: writes('credits'),
    summary: 'Raises or lowers somebody’s balance, below 0 too.',
    body: z.strictObject({
      userId: id('user'),
      amountNanos: nanos.check(
        z.minimum(-AMOUNT_NANOS_MAX),
        z.maximum(AMOUNT_NANOS_MAX),
        z.refine((amount) => amount !== 0, { error: 'must not be 0' }),
      ),
      reason,
    }),
    answer: entry,
    status: 201,
    idempotent: true,
  }),
  refund: endpoint({
    name: 'admin.credits.refund',
    method: 'POST',
    path: '/admin/credits/refund',
    access: writes('credits'),
    summary: 'Gives back what a request cost, all that is left of it or a part.',
    body: z.strictObject({
      requestId: id('request'),
      /** Absent: all that was not given back yet. */
      amountNanos: z.optional(positiveNanos),
      reason,
      /** Where the request is not in the log: younger than a minute or older than 30 days. */
      walletId: z.optional(id('wallet')),
    }),
    answer: entry,
    status: 201,
    idempotent: true,
  }),
} as const;
