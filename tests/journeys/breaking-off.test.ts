// Either side goes away in the middle: the other learns it, and what was used is paid for, neither
// more nor less than what is known of it.

import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import {
  beginning,
  breakAfter,
  drip,
  ending,
  event,
  events,
  hang,
  json,
  message,
  openStream,
  sendPieces,
  stall,
  stream,
  textDelta,
  USAGE_NANOS,
} from '../support/answers';
import { ask, costOf, eventually, open, send, settledInfo, start } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import { FakeUpstream } from '../support/fake-upstream';
import type { RequestLine } from '../support/relay-log';
import { settledLine } from '../support/relay-log';

const relay = inject('relay');
const key = relay.keys.leaving;
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

/** Of the model that is asked: its 5-minute write and its output, in nano-dollars a token. */
const WRITE_NANOS = 5_000;
const OUTPUT_NANOS = 20_000;
/** What `beginning` reports of its input, priced. */
const INPUT_NANOS = 12 * 4_000 + 100 * WRITE_NANOS + 200 * 8_000 + 40_000 * 200;

/** The input's likely cost when nothing is known of it: bytes / 2.6 at the 5-minute write price. */
function likelyNanos(body: string): number {
  return Math.ceil(Buffer.byteLength(body) / 2.6) * WRITE_NANOS;
}

/** What reported input and so much delivered text come to. */
function partNanos(text: string): number {
  return INPUT_NANOS + Math.ceil(Buffer.byteLength(text) / 3) * OUTPUT_NANOS;
}

async function arrival(mark: string): Promise<void> {
  await eventually(`${mark} has reached the upstream`, async () =>
    upstream.seen(mark).length > 0 ? true : null,
  );
}

test.each([false, true])(
  'a client that leaves before the headers (streaming: %s) pays its likely input',
  async (streamed) => {
    const mark = `leaves-early-${streamed}`;
    upstream.on(mark, hang);
    const body = ask(mark, { stream: streamed });
    const cost = await costOf(key, async () => {
      const { opened, leave } = start('/v1/messages', { key, body, atRuntime: true });
      await arrival(mark);
      leave();
      await expect(opened).rejects.toThrow();
      await upstream.only(mark).left;
    });
    expect(cost).toBe(likelyNanos(body));
    // One that leaves is not asked for again.
    expect(upstream.seen(mark)).toHaveLength(1);
  },
);

test.each([
  ['flows on', false],
  ['stands still', true],
])(
  'a client that leaves a stream that %s ends it, and pays input and what was delivered',
  async (_, atRuntime) => {
    const mark = `leaves-stream-${atRuntime}`;
    const text = 'one two three fünf';
    upstream.on(mark, (atRuntime ? stall : drip)(beginning(text)));
    const cost = await costOf(key, async () => {
      const body = ask(mark, { stream: true });
      const { until, leave } = await open('/v1/messages', { key, body, atRuntime });
      await until('fünf');
      leave();
      await upstream.only(mark).left;
    });
    expect(cost).toBe(partNanos(text));
  },
);

test('a client that leaves in the middle of a JSON answer pays its likely input', async () => {
  const document = JSON.stringify(message('long '.repeat(200_000)));
  upstream.on('leaves-json', (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(document.slice(0, 50_000));
  });
  const body = ask('leaves-json');
  const cost = await costOf(key, async () => {
    const { until, leave } = await open('/v1/messages', { key, body, atRuntime: true });
    await until('long long');
    leave();
    await upstream.only('leaves-json').left;
  });
  expect(cost).toBeGreaterThanOrEqual(likelyNanos(body));
});

test('a client that leaves after the last event pays what was reported', async () => {
  upstream.on('leaves-late', stall(stream('all of it')));
  const cost = await costOf(key, async () => {
    const body = ask('leaves-late', { stream: true });
    const { until, leave } = await open('/v1/messages', { key, body, atRuntime: true });
    await until('message_stop');
    leave();
    await upstream.only('leaves-late').left;
  });
  expect(cost).toBe(USAGE_NANOS);
});

/** Longer than what was under way when a client left is waited for. */
const LATER_MS = 1_000;
/** Where clients leave a stream, in bytes; before its first line nothing has come of it. */
const WHOLE = Buffer.from(beginning('Ein größerer Text, 漢字かな, 👩‍👩‍👧 and so on') + ending());
const FIRST = WHOLE.indexOf('\n') + 1;
const POSITIONS = Array.from({ length: 21 }, (_, index) =>
  Math.max(FIRST, Math.round((index * WHOLE.length) / 20)),
);

/** Leaves once so many bytes have come; the upstream of a key that drains goes on later. */
async function leaveAt(who: string, position: number): Promise<RequestLine> {
  const isDrained = who === relay.keys.draining;
  const mark = `leaves-at-${position}-${who.slice(-8)}`;
  const gone = Promise.withResolvers<void>();
  upstream.on(mark, async (response) => {
    openStream(response);
    response.write(WHOLE.subarray(0, position));
    await gone.promise;
    if (!isDrained) return;
    await pause(LATER_MS);
    await sendPieces(response, WHOLE.subarray(position), 100);
    response.end();
  });
  const body = ask(mark, { stream: true });
  const reply = await open('/v1/messages', { key: who, body, atRuntime: true });
  await eventually(`${position} bytes have come`, async () =>
    reply.soFar().length >= position ? true : null,
  );
  reply.leave();
  gone.resolve();
  // It is let go before it has said all.
  if (!isDrained) await upstream.only(mark).left;
  return settledLine(reply);
}

/** By the rule as it is told: what a client pays that got so much of WHOLE. */
function givenNanos(position: number, likely: number): number {
  const events = WHOLE.subarray(0, position).toString().split('\n\n').slice(0, -1).join('\n');
  const words = [...events.matchAll(/"text_delta","text":"([^"]*)"/g)].map(([, word]) => word);
  const guessed = Math.ceil(Buffer.byteLength(words.join('')) / 3);
  if (!events.includes('message_start')) return likely;
  // Two searches are told, and 87 tokens, when all but the end has come.
  if (events.includes('message_delta')) return USAGE_NANOS;
  return INPUT_NANOS + Math.max(1, guessed) * OUTPUT_NANOS;
}

test('clients that leave at 21 positions of a stream pay what they were given', async () => {
  const lines = await Promise.all(POSITIONS.map((position) => leaveAt(key, position)));
  for (const [index, position] of POSITIONS.entries()) {
    const mark = `leaves-at-${position}-${key.slice(-8)}`;
    const costNanos = givenNanos(position, likelyNanos(ask(mark, { stream: true })));
    const how = position === WHOLE.length ? COMPLETED : LEFT;
    expect([position, lines[index]]).toMatchObject([position, { ...how, costNanos }]);
  }
});

test('clients of a key that drains pay exactly what was used, wherever they leave', async () => {
  const { draining } = relay.keys;
  const before = await settledInfo(draining);
  const lines = await Promise.all(POSITIONS.map((position) => leaveAt(draining, position)));
  for (const [index, position] of POSITIONS.entries()) {
    const how = position === WHOLE.length ? COMPLETED : { ...LEFT, certainty: 'reported' };
    const line = { ...how, costNanos: USAGE_NANOS };
    expect([position, lines[index]]).toMatchObject([position, line]);
  }
  const after = await settledInfo(draining);
  const spent = before.wallet.balance_nanos - after.wallet.balance_nanos;
  expect(spent).toBe(POSITIONS.length * USAGE_NANOS);
});

const LEFT = { closing: 'client-left', certainty: 'estimated' };
const COMPLETED = { closing: 'completed', certainty: 'reported' };

test.each([false, true])(
  'a client of a key that drains, gone before the headers, pays what was used (streaming: %s)',
  async (streamed) => {
    const mark = `drains-early-${streamed}`;
    const gone = Promise.withResolvers<void>();
    const answer = streamed ? events(stream('all of it')) : json(message('all of it'));
    upstream.on(mark, async (response, seen) => {
      await gone.promise;
      await pause(LATER_MS);
      await answer(response, seen);
    });
    const cost = await costOf(relay.keys.draining, async () => {
      const call = { key: relay.keys.draining, body: ask(mark, { stream: streamed }) };
      const { opened, leave } = start('/v1/messages', { ...call, atRuntime: true });
      await arrival(mark);
      leave();
      gone.resolve();
      await expect(opened).rejects.toThrow();
    });
    expect(cost).toBe(USAGE_NANOS);
    expect(upstream.seen(mark)).toHaveLength(1);
  },
);

test('counting tokens costs nothing to a client that leaves either', async () => {
  upstream.on('leaves-count', hang);
  const cost = await costOf(key, async () => {
    const call = { key, body: ask('leaves-count'), atRuntime: true };
    const { opened, leave } = start('/v1/messages/count_tokens', call);
    await arrival('leaves-count');
    leave();
    await expect(opened).rejects.toThrow();
    await upstream.only('leaves-count').left;
  });
  expect(cost).toBe(0);
});

const HALF = beginning('half an answer');
const HALF_EVENT = HALF + textDelta('never seen').slice(0, -20);
const HALF_CHARACTER = Buffer.from(`${HALF}event: x\ndata: é`).subarray(0, -1);
const CUTS: Readonly<Record<string, readonly [sent: string | Buffer, answer: Answer]>> = {
  'breaks the connection': [HALF, breakAfter(HALF)],
  'breaks it within an event': [HALF_EVENT, breakAfter(HALF_EVENT)],
  'breaks it within a character': [HALF_CHARACTER, breakAfter(HALF_CHARACTER)],
  'ends without message_stop': [HALF, events(HALF)],
};

test.each(Object.keys(CUTS))(
  'an upstream that %s leaves a truthful error event, and what was delivered is paid',
  async (kind) => {
    const [sent, answer] = CUTS[kind] ?? ['', hang];
    const mark = `cut ${kind}`;
    upstream.on(mark, answer);
    const cost = await costOf(key, async () => {
      const asked = ask(mark, { stream: true });
      const { status, body, text } = await send('/v1/messages', { key, body: asked });
      expect(status).toBe(200);
      const came = Buffer.from(sent);
      expect(body.subarray(0, came.length).equals(came)).toBe(true);
      expect(text).not.toContain('message_stop');
      // The last event stands alone, whatever was open before it.
      const last = text.trimEnd().split('\n\n').at(-1) ?? '';
      expect(last).toMatch(/^event: error\ndata: \{/);
      const data: unknown = JSON.parse(last.slice('event: error\ndata: '.length));
      expect(data).toMatchObject({ type: 'error', error: { type: 'api_error' } });
      expect(data).toHaveProperty('request_id', expect.stringMatching(/^req_/));
    });
    expect(cost).toBe(partNanos('half an answer'));
  },
);

test('a JSON answer that breaks off is an error, and costs nothing', async () => {
  const document = JSON.stringify(message('cut'));
  upstream.on('json-cut', async (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' });
    await new Promise((resolve) => response.write(document, resolve));
    response.destroy();
  });
  const cost = await costOf(key, async () => {
    const { status, text } = await send('/v1/messages', { key, body: ask('json-cut') });
    expect([status, JSON.parse(text)]).toMatchObject([502, { error: { type: 'api_error' } }]);
  });
  expect(cost).toBe(0);
});

test('a large JSON answer that breaks off does not look whole to the client', async () => {
  const document = JSON.stringify(message('cut '.repeat(100_000)));
  upstream.on('large-json-cut', async (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    await new Promise((resolve) => response.write(document.slice(0, -50_000), resolve));
    response.destroy();
  });
  const body = ask('large-json-cut');
  const cost = await costOf(key, async () => {
    const { whole } = await open('/v1/messages', { key, body, atRuntime: true });
    await expect(whole).rejects.toThrow();
  });
  expect(cost).toBeGreaterThanOrEqual(likelyNanos(body));
});

const OVERLOADED = event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } });

test('an upstream’s error in the middle passes as it is, and what was delivered is paid', async () => {
  upstream.on('error-later', events(HALF + OVERLOADED));
  const cost = await costOf(key, async () => {
    const body = ask('error-later', { stream: true });
    expect((await send('/v1/messages', { key, body })).text).toBe(HALF + OVERLOADED);
  });
  expect(cost).toBe(partNanos('half an answer'));
});

test('all of this has left nothing open', async () => {
  upstream.on('after-all', json(message('fine')));
  const cost = await costOf(key, () => send('/v1/messages', { key, body: ask('after-all') }));
  expect(cost).toBe(USAGE_NANOS);
  expect((await settledInfo(key)).wallet.open_requests).toBe(0);
});
