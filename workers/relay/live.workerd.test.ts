// What an isolate tells those who watch: through whole journeys, and event by event where there are
// more of them than a journey makes.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import { journeyOf } from '../../tests/workerd/journey';
import { relayedWallet, rowsBySession, scriptUpstream, send } from '../../tests/workerd/relayed';
import { liveMessage } from '../control/contract/live';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import type { LiveEvent, LiveMessage } from '../domain/live';
import type { Nanos } from '../domain/money';
import { poolOf } from '../platform/objects';
import type { Visit } from './journey';
import { noteLive, tellRunning, tellStarted } from './live';

useFakeDate();

/** What the Live object was told. */
let told: LiveMessage[] = [];

function hear(tell: (message: LiveMessage) => Promise<void>) {
  // The one method that isolates call.
  const stub = { tell } as unknown as ReturnType<typeof env.LIVE.get>;
  return vi.spyOn(env.LIVE, 'get').mockReturnValue(stub);
}

let tests = 0;

beforeEach(async () => {
  await poolOf(env).setLive(null);
  told = [];
  hear(async (message) => void told.push(message));
  // What the test before left is over: an isolate outlives it.
  tests += 1;
  later(tests * 120_000);
  noteLive({});
});

function eventsOf(messages: readonly LiveMessage[]): readonly LiveEvent[] {
  return messages.flatMap(({ events }) => events);
}

const MODEL = 'claude-opus-5-5';
const ANSWER = JSON.stringify({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: MODEL,
  content: [{ type: 'text', text: 'one two' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 5 },
});

/** A request from door to door. */
async function ask(session: string) {
  const wallet = await relayedWallet();
  const headers = { 'content-type': 'application/json', 'content-length': `${ANSWER.length}` };
  scriptUpstream(new Map([[session, () => new Response(ANSWER, { headers })]]));
  const messages = [{ role: 'user', content: session }];
  const body = JSON.stringify({ model: MODEL, max_tokens: 1_000, messages });
  const sent = send(wallet, { body, session });
  const response = await sent.response;
  expect(await response.text()).toBe(ANSWER);
  await sent.finished();
  const requestId = response.headers.get('x-relay-request-id');
  return { wallet, requestId, row: (await rowsBySession(wallet)).get(session) };
}

describe('a request', () => {
  it('is told of as it begins, answers and ends once the Pool says that somebody watches', async () => {
    await poolOf(env).setLive(Date.now() + 90_000);
    // An isolate whose snapshot is too old asks before it goes on.
    const { wallet, requestId, row } = await ask('watched');
    for (const message of told) expect(liveMessage.safeParse(message).success).toBe(true);
    const { keyId, userId } = wallet.owner;
    const who = { requestId, keyId, userId, model: MODEL };
    expect(eventsOf(told)).toMatchObject([
      { kind: 'started', ...who },
      { kind: 'first-byte', requestId, status: 200 },
      { kind: 'finished', ...who, status: 200, closing: 'completed', costNanos: row?.costNanos },
    ]);
    expect(row?.costNanos).toBeGreaterThan(0);
    expect(told.every(({ sampled }) => sampled === null)).toBe(true);
    // One at once, one for all that came in the second after it.
    expect(told.map(({ events }) => events.length)).toEqual([1, 2]);
  });

  it('is told to nobody while nobody watches', async () => {
    const get = hear(() => Promise.resolve());
    await ask('unwatched');
    expect(get).not.toHaveBeenCalled();
  });

  it('is answered and settled as ever when those who watch cannot be reached', async () => {
    await poolOf(env).setLive(Date.now() + 90_000);
    hear(() => Promise.reject(new Error('gone')));
    expect((await ask('unreachable')).row).toMatchObject({ certainty: 'reported' });
    const get = vi.spyOn(env.LIVE, 'get').mockImplementation(() => {
      throw new Error('no such object');
    });
    expect((await ask('absent')).row).toMatchObject({ certainty: 'reported' });
    expect(get).toHaveBeenCalled();
  });
});

describe('what is told', () => {
  const behind: Promise<unknown>[] = [];
  const ctx: Visit['ctx'] = { waitUntil: (work) => void behind.push(work) };

  /** So many requests at one instant. */
  function begin(count: number): void {
    for (let n = 0; n < count; n += 1) {
      const random = crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES));
      const requestId = newId('request', Date.now(), random);
      tellStarted({ ...journeyOf({ seq: 1, requestId }), ctx });
    }
  }

  async function heard(): Promise<readonly LiveMessage[]> {
    await Promise.all(behind);
    return told;
  }

  beforeEach(() => {
    behind.length = 0;
    vi.spyOn(scheduler, 'wait').mockImplementation(async (ms) => {
      await Promise.resolve();
      later(ms);
    });
    noteLive({ live: { until: Date.now() + 90_000 } });
  });

  it('is all up to 50 requests a second, in one message at once and one after a second', async () => {
    begin(50);
    const messages = await heard();
    expect(messages.map(({ events }) => events.length)).toEqual([1, 49]);
    expect(messages.map(({ sampled }) => sampled)).toEqual([null, null]);
  });

  it('is a sample above that, and the message says of how many', async () => {
    begin(1_000);
    const [, rest] = await heard();
    const events = rest?.events.length ?? 0;
    expect(rest?.sampled).toEqual({ told: events, of: 999 });
    expect(events).toBeGreaterThanOrEqual(49);
    expect(events).toBeLessThanOrEqual(200);
  });

  it('is never more than 200 events at a time, whatever happens meanwhile', async () => {
    const running = { ...journeyOf({ seq: 1 }), ctx };
    const call = { seq: 1, requestId: 'req_1', costNanos: 7 as Nanos, dispatched: true } as const;
    for (let n = 0; n < 501; n += 1) tellRunning(running, { ...call, n });
    const messages = await heard();
    expect(messages.map(({ sampled }) => sampled)).toEqual([null, { told: 200, of: 500 }]);
    expect(eventsOf(messages)[0]).toMatchObject({
      kind: 'running',
      requestId: 'req_1',
      costNanos: 7,
    });
  });

  it('goes on when the request that was to send it was cut off', async () => {
    begin(1);
    await heard();
    vi.spyOn(scheduler, 'wait').mockReturnValueOnce(new Promise(() => undefined));
    tellStarted({ ...journeyOf({ seq: 1 }), ctx: { waitUntil: () => undefined } });
    later(4_999);
    begin(1);
    expect(await heard()).toHaveLength(1);
    later(1);
    begin(1);
    expect((await heard()).map(({ events }) => events.length)).toEqual([1, 3]);
  });

  it('ends when the word that somebody watches has run out', async () => {
    later(90_000);
    begin(1);
    expect(await heard()).toEqual([]);
  });

  it('is nothing of what costs nothing', async () => {
    tellStarted({ ...journeyOf({ seq: 0 }), ctx });
    expect(await heard()).toEqual([]);
  });
});
