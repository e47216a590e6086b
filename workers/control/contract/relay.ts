// The relay as its users see it, below /api/relay: whether it answers, models and prices, their own
// usage and requests. The admins' search over everybody's requests is in requests.ts.

import * as z from 'zod/mini';
import { endpoint, ANYONE, PERSON, PERSON_WRITES } from './endpoint';
import { id, instant, nanos, pageOf } from './fields';
import { ownRequest, ownRequestsQuery, requestDetail, stopped } from './requests';
import { usageAnswer, usageAsked } from './usage';

const state = z.enum(['ok', 'failed']);

/** Nano-dollars a million tokens. */
const prices = z.strictObject({
  /** The prices hold for prompts (cached tokens included) of more tokens than this. */
  promptAbove: z.int(),
  input: nanos,
  cacheWrite5m: nanos,
  cacheWrite1h: nanos,
  cacheRead: nanos,
  output: nanos,
});

/** By what the answer says of itself: `[numerator, denominator]` of the price of tokens. */
const factors = z.record(z.string(), z.tuple([z.int(), z.int()]));

const model = z.strictObject({
  id: z.string(),
  name: z.string(),
  family: z.string(),
  /** Other names that mean it. */
  aliases: z.array(z.string()),
  maxOutputTokens: z.int(),
  /** By length of the prompt, rising. */
  prices: z.array(prices),
  webSearchNanos: nanos,
  speed: factors,
  geo: factors,
  tier: factors,
  /** Unix ms from which on the next known price holds; null: none is known. */
  changesAt: z.nullable(instant),
});
export type Model = z.infer<typeof model>;

export const relay = {
  health: endpoint({
    name: 'relay.health',
    method: 'GET',
    path: '/api/relay/health',
    access: ANYONE,
    summary: 'Says whether database, ledger and pool answer; 503 when one does not.',
    answer: z.strictObject({
      status: state,
      version: z.string(),
      checks: z.strictObject({ database: state, ledger: state, pool: state }),
    }),
  }),
  models: endpoint({
    name: 'relay.models',
    method: 'GET',
    path: '/api/relay/models',
    access: PERSON,
    summary: 'Lists the models that have a price, with prices and limits as they are now.',
    answer: z.strictObject({ items: z.array(model) }),
  }),
  usage: endpoint({
    name: 'relay.usage',
    method: 'GET',
    path: '/api/relay/usage',
    access: PERSON,
    summary: 'Shows what you have used, as a series and in groups.',
    query: z.strictObject({
      ...usageAsked,
      granularity: z.optional(z.enum(['minute', 'hour', 'day', 'week', 'month'])),
      group: z.optional(z.enum(['none', 'key', 'model', 'day', 'closing'])),
    }),
    answer: usageAnswer,
  }),
  requests: endpoint({
    name: 'relay.requests',
    method: 'GET',
    path: '/api/relay/requests',
    access: PERSON,
    summary: 'Lists your requests, newest first, those that run too.',
    query: ownRequestsQuery,
    answer: pageOf(ownRequest),
    produces: ['text/csv'],
  }),
  request: endpoint({
    name: 'relay.request',
    method: 'GET',
    path: '/api/relay/requests/{id}',
    access: PERSON,
    summary: 'Shows one of your requests and how its cost adds up.',
    answer: requestDetail,
  }),
  stop: endpoint({
    name: 'relay.stop',
    method: 'POST',
    path: '/api/relay/requests/{id}/stop',
    access: PERSON_WRITES,
    summary: 'Ends one of your requests at its next sign of life, at most 15 s away.',
    body: z.strictObject({}),
    answer: stopped(id('request')),
  }),
} as const;
