// Requests as people see them: one's own as the wallet's Ledger knows them, everybody's as the
// request log has them, and one with everything that is kept of it.

import * as z from 'zod/mini';
import { CERTAINTIES, CLOSINGS } from '../../domain/ledger/calls';
import { endpoint, reads, writes } from './endpoint';
import { format, id, instant, moment, nanos, pageOf, paging } from './fields';
import { tokenCounts } from './usage';

const closing = z.enum(CLOSINGS);
const certainty = z.enum(CERTAINTIES);
const model = z.string().check(z.minLength(1), z.maxLength(200));
const tag = z.nullable(z.string());

const request = {
  id: id('request'),
  keyId: id('key'),
  admittedAt: instant,
  /** As served; where nothing said so, as asked for; else ''. */
  model: z.string(),
  /** Of the upstream's answer; null: none, or not known. */
  status: z.nullable(z.int()),
  costNanos: nanos,
  tokens: tokenCounts,
  /** Why a figure is not simply what the upstream reported. */
  flags: z.array(z.string()),
  admitMs: z.nullable(z.int()),
  firstByteMs: z.nullable(z.int()),
  totalMs: z.nullable(z.int()),
  /** The client's own book-keeping. */
  session: tag,
  agent: tag,
  requestClass: tag,
  prompt: tag,
} as const;

/** Closing and certainty are null while it runs; its cost is then as of its last sign of life. */
const own = {
  ...request,
  closedAt: z.nullable(instant),
  closing: z.nullable(closing),
  certainty: z.nullable(certainty),
  /** 0 once it is closed. */
  heldNanos: nanos,
} as const;

export const ownRequest = z.strictObject(own);
export type OwnRequestTold = z.infer<typeof ownRequest>;

export const ownRequestsQuery = z.strictObject({
  keyId: z.optional(id('key')),
  /** As served, or as asked for. */
  model: z.optional(model),
  /** `open`: those that run. */
  closing: z.optional(z.enum([...CLOSINGS, 'open'])),
  from: moment,
  to: moment,
  format,
  ...paging,
});

const costLine = z.strictObject({
  /** As the answer named it. */
  model: z.string(),
  priceId: z.string(),
  /** What is counted: a kind of token, or web searches. */
  kind: z.enum(['input', 'cacheWrite5m', 'cacheWrite1h', 'cacheRead', 'output', 'webSearches']),
  count: z.int(),
  /** Nano-dollars a million of them. */
  perMillionNanos: nanos,
  /** The price is that of prompts of more tokens than this. */
  promptAbove: z.int(),
  factors: z.array(
    z.strictObject({
      term: z.enum(['speed', 'geo', 'tier', 'unknown']),
      value: z.nullable(z.string()),
      numerator: z.int(),
      denominator: z.int(),
    }),
  ),
  /** Pico-dollars, exact: `1234.5`, or `10/3` where a decimal would not be. */
  picos: z.string(),
});

const cost = z.strictObject({
  /** How the cost came about; `words` says it to people. */
  basis: z.enum(['running', 'nothing', 'priced', 'likely-input', 'last-report', 'other-prices']),
  words: z.string(),
  lines: z.array(costLine),
  /** Sum of the lines, pico-dollars, exact. */
  picos: z.string(),
  /** The sum, rounded up once. */
  pricedNanos: nanos,
  /** What an input that nobody reported is charged with, above the lines. */
  likelyInputNanos: nanos,
});
export type CostTold = z.infer<typeof cost>;

export const requestDetail = z.strictObject({
  ...own,
  /** What closing and certainty mean; null while it runs. */
  closingWords: z.nullable(z.string()),
  certaintyWords: z.nullable(z.string()),
  /** As admitted; null: the Ledger never admitted it. */
  opened: z.nullable(
    z.strictObject({
      model: z.string(),
      priceId: z.string(),
      pricesVersion: z.int(),
      stream: z.boolean(),
      maxTokens: z.nullable(z.int()),
      textBytes: z.int(),
      likelyInputNanos: nanos,
    }),
  ),
  attempts: z.array(
    z.strictObject({
      /** To users `account 1`, `account 2`, ... as they were tried. */
      account: z.string(),
      /** To admins alone. */
      accountId: z.nullable(id('account')),
      status: z.nullable(z.int()),
      outcome: z.string(),
      durationMs: z.int(),
      /** What it may have cost the account, and nobody paid; null to users. */
      absorbedNanos: z.nullable(nanos),
    }),
  ),
  /** Of the cost, what was written into a cache and could have been read at another account. */
  movedNanos: nanos,
  /** The name of that account, to admins alone; null: no move cost anything. */
  movedFrom: z.nullable(z.string()),
  /** What the account is said to cost, to admins alone; null: what the user pays. */
  accountNanos: z.nullable(nanos),
  cost,
  /** The first closing, which stands in the statement; null: it runs. */
  first: z.nullable(z.strictObject({ closing, certainty, costNanos: nanos })),
  /** What was learned later, oldest first. */
  corrections: z.array(z.strictObject({ at: instant, amountNanos: nanos, reason: z.string() })),
  hold: z.nullable(
    z.strictObject({
      inputNanos: nanos,
      toolsNanos: nanos,
      outputNanos: nanos,
      heldOutputTokensUpTo: z.int(),
      boundNanos: nanos,
    }),
  ),
  /** What it cost above what was set aside. */
  overrunNanos: nanos,
  /** Who asked that it be ended: `you`, `admin`; to admins the id. */
  stoppedBy: z.nullable(z.string()),
  /** To admins alone. */
  userId: z.nullable(id('user')),
  walletId: z.nullable(id('wallet')),
});
export type RequestDetail = z.infer<typeof requestDetail>;

/** `stopping`: its next sign of life is answered with stop. */
export function stopped<T extends z.ZodMiniType>(requestId: T) {
  return z.strictObject({
    id: requestId,
    state: z.enum(['stopping', 'closed']),
    closing: z.nullable(closing),
  });
}

const logged = z.strictObject({
  ...request,
  userId: id('user'),
  walletId: id('wallet'),
  accountId: z.nullable(id('account')),
  priceId: z.nullable(z.string()),
  closing,
  certainty,
  attempts: z.int(),
});
export type LoggedRequest = z.infer<typeof logged>;

export const adminRequests = {
  list: endpoint({
    name: 'admin.requests.list',
    method: 'GET',
    path: '/admin/requests',
    access: reads('requests'),
    summary: 'Searches the log of the last 30 days, newest first; a page may be short of items.',
    query: z.strictObject({
      /** Absent: 24 hours before `to`. */
      from: moment,
      /** Absent: now. */
      to: moment,
      userId: z.optional(id('user')),
      keyId: z.optional(id('key')),
      accountId: z.optional(id('account')),
      model: z.optional(model),
      closing: z.optional(closing),
      status: z.optional(z.coerce.number().check(z.int(), z.minimum(100), z.maximum(599))),
      session: z.optional(z.string().check(z.minLength(1), z.maxLength(200))),
      format,
      ...paging,
    }),
    answer: pageOf(logged),
    produces: ['text/csv'],
  }),
  read: endpoint({
    name: 'admin.requests.read',
    method: 'GET',
    path: '/admin/requests/{id}',
    access: reads('requests'),
    summary: 'Shows somebody’s request and how its cost adds up.',
    query: z.strictObject({
      /** Where it is not in the log: younger than a minute, running, or older than 30 days. */
      userId: z.optional(id('user')),
      walletId: z.optional(id('wallet')),
    }),
    answer: requestDetail,
  }),
  stop: endpoint({
    name: 'admin.requests.stop',
    method: 'POST',
    path: '/admin/requests/{id}/stop',
    access: writes('requests'),
    summary: 'Ends somebody’s request at its next sign of life, at most 15 s away.',
    /** One that runs is not in the log: whose it is must be said. */
    body: z
      .strictObject({ userId: z.optional(id('user')), walletId: z.optional(id('wallet')) })
      .check(
        z.refine((body) => body.userId !== undefined || body.walletId !== undefined, {
          error: 'say userId or walletId',
        }),
      ),
    answer: stopped(id('request')),
  }),
} as const;
