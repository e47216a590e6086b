// Watching the relay: one address that takes WebSockets, and what is said over them. Text frames of
// JSON go out; of what comes in only `ping` is answered, with `pong`. Close code 4401: the login
// has ended, or no longer allows to watch.

import * as z from 'zod/mini';
import { endpoint, reads } from './endpoint';
import { instant, nanos } from './fields';

const happening = { at: instant, requestId: z.string() } as const;
const who = { userId: z.string(), keyId: z.string(), model: z.nullable(z.string()) } as const;

const known = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('started'), ...happening, ...who }),
  z.looseObject({
    kind: z.literal('first-byte'),
    ...happening,
    accountId: z.string(),
    status: z.int(),
    firstByteMs: z.int(),
  }),
  z.looseObject({ kind: z.literal('running'), ...happening, costNanos: nanos }),
  z.looseObject({
    kind: z.literal('finished'),
    ...happening,
    ...who,
    accountId: z.nullable(z.string()),
    status: z.nullable(z.int()),
    closing: z.string(),
    tokens: z.record(z.string(), z.int()),
    costNanos: nanos,
    timings: z.looseObject({ totalMs: z.int(), firstByteMs: z.nullable(z.int()) }),
  }),
]);

/**
 * One frame. Kinds of events are added over time: who does not know one passes over it. `sampled`:
 * of so many events these are told; null: of all.
 */
export const liveMessage = z.looseObject({
  events: z.array(z.union([known, z.looseObject({ kind: z.string() })])),
  sampled: z.nullable(z.looseObject({ told: z.int(), of: z.int() })),
});

export const live = {
  watch: endpoint({
    name: 'live.watch',
    method: 'GET',
    path: '/admin/live',
    access: reads('requests'),
    summary: 'Opens a WebSocket that tells of requests as they begin, answer, run and end.',
  }),
} as const;
