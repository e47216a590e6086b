// Money, to the nano-dollar: what an answer reports is what its wallet pays, in whatever form it
// comes; a spent wallet is refused so that clients do not try again.

import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Fields } from '../support/answers';
import {
  beginning,
  ending,
  events,
  gzipJson,
  json,
  message,
  MODEL,
  stream,
  talk,
  USAGE,
  USAGE_NANOS,
} from '../support/answers';
import { ask, costOf, send, settledInfo } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import { FakeUpstream } from '../support/fake-upstream';

const relay = inject('relay');
const key = relay.keys.money;
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

async function costOfAnswer(mark: string, answer: Answer, more: Fields = {}): Promise<number> {
  upstream.on(mark, answer);
  return costOf(key, async () => {
    const { status } = await send('/api/v1/messages', { key, body: ask(mark, more) });
    expect(status).toBe(200);
  });
}

test('the wallet of the first user starts with ten dollars', async () => {
  const { wallet, key: first } = await settledInfo(relay.firstKey);
  expect(wallet).toMatchObject({
    balance_nanos: 10_000_000_000,
    balance: '$10.00',
    currency: 'USD',
  });
  expect(first).toMatchObject({ status: 'active', requests: 0, used_nanos: 0 });
});

test('the key’s own figures follow', async () => {
  const before = await settledInfo(key);
  await costOfAnswer('figures', json(message('seen')));
  const after = await settledInfo(key);
  expect(after.key.requests).toBe(before.key.requests + 1);
  expect(after.key.used_nanos).toBe(before.key.used_nanos + USAGE_NANOS);
});

const FORMS: Readonly<Record<string, readonly [Answer, Fields]>> = {
  JSON: [json(message('seen')), {}],
  'JSON without a length': [
    (response) => {
      response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
      response.write(JSON.stringify(message('seen')).slice(0, 40));
      response.end(JSON.stringify(message('seen')).slice(40));
    },
    {},
  ],
  'long JSON': [json(message('long '.repeat(200_000))), {}],
  'packed JSON': [gzipJson(message('seen')), {}],
  'long packed JSON': [gzipJson(message('long '.repeat(200_000))), {}],
  'a stream': [events(stream('seen')), { stream: true }],
  'a stream in single bytes': [events(stream('seen'), 1), { stream: true }],
  'a long stream': [events(stream('long '.repeat(20_000)), 1_000), { stream: true }],
  'a stream with CRLF': [events(stream('seen').replaceAll('\n', '\r\n'), 3), { stream: true }],
};

test.each(Object.keys(FORMS))('the worked example costs $0.031888 as %s', async (form) => {
  const [answer, more] = FORMS[form] ?? [json({}), {}];
  expect(await costOfAnswer(`form ${form}`, answer, more)).toBe(USAGE_NANOS);
});

/** The worked examples of the price list, and what else an answer can report. */
const EXAMPLES: readonly (readonly [name: string, costNanos: number, message: Fields])[] = [
  ['cache reads of Sonnet', 17_000_000, used('claude-sonnet-5-5', [1_000, 100_000, 500])],
  ['Haiku at 100,000 tokens', 1_095_000, used('claude-haiku-5-5', [500, 99_500, 100])],
  ['Haiku above 100,000 tokens', 5_475_500, used('claude-haiku-5-5', [501, 99_500, 100])],
  ['fast', 48_000_000, used(MODEL, [1_000, 0, 1_000], { speed: 'fast' })],
  ['in the US', 26_400_000, used(MODEL, [1_000, 0, 1_000], { inference_geo: 'us' })],
  ['batch', 12_000_000, used(MODEL, [1_000, 0, 1_000], { service_tier: 'batch' })],
  ['an hour’s cache', 8_000_000, used(MODEL, [0, 0, 0], { ...written(0, 1_000) })],
  ['five minutes’ cache', 5_000_000, used(MODEL, [0, 0, 0], { ...written(1_000, 0) })],
  ['ten searches', 100_000_000, used(MODEL, [0, 0, 0], searches(10))],
  ['a refusal before any output', 0, used(MODEL, [0, 0, 0])],
  [
    'a fraction, rounded up once',
    69, // 125 × 11/10 × 1/2 = 68.75
    used('claude-haiku-5-5', [0, 0, 0], {
      ...written(1, 0),
      inference_geo: 'us',
      service_tier: 'batch',
    }),
  ],
];

function used(model: string, counts: readonly [number, number, number], more: Fields = {}): Fields {
  const [input, read, output] = counts;
  const usage = { input_tokens: input, cache_read_input_tokens: read, output_tokens: output };
  return message('', { model, usage: { ...usage, ...more } });
}

function written(fiveMinutes: number, oneHour: number): Fields {
  return {
    cache_creation_input_tokens: fiveMinutes + oneHour,
    cache_creation: {
      ephemeral_5m_input_tokens: fiveMinutes,
      ephemeral_1h_input_tokens: oneHour,
    },
  };
}

function searches(count: number): Fields {
  return { server_tool_use: { web_search_requests: count } };
}

test.each(EXAMPLES)('%s costs %i nano-dollars', async (name, costNanos, document) => {
  const { model } = document;
  expect(await costOfAnswer(`example ${name}`, json(document), { model })).toBe(costNanos);
});

describe('iterations', () => {
  const iterations = [
    { type: 'message', model: MODEL, input_tokens: 1_000, output_tokens: 1_000 },
    { type: 'compaction', input_tokens: 500, output_tokens: 100 },
    {
      type: 'advisor_message',
      model: 'claude-haiku-4-5',
      input_tokens: 1_000,
      output_tokens: 100,
      cache_read_input_tokens: 0,
    },
  ];
  // 24,000,000 and 4,000,000 at Opus' prices, 1,500,000 at Haiku's.
  const costNanos = 29_500_000;

  test('are paid one by one, each at its own model’s price, in JSON', async () => {
    const usage = { input_tokens: 1_000, output_tokens: 1_000, iterations };
    const answer = json(message('seen', { usage }));
    expect(await costOfAnswer('iterations-json', answer)).toBe(costNanos);
  });

  test('are paid one by one in a stream, where only the end tells of them', async () => {
    const usage = { input_tokens: 1_000, output_tokens: 1_000, iterations };
    const start = { usage: { input_tokens: 1_000, output_tokens: 1 } };
    const answer = events(beginning('seen', start) + ending(usage), 11);
    expect(await costOfAnswer('iterations-sse', answer, { stream: true })).toBe(costNanos);
  });
});

test('in a stream the last word counts, and nothing is added up', async () => {
  const start = { usage: { ...USAGE, input_tokens: 2_679, output_tokens: 3 } };
  const first = { output_tokens: 40, input_tokens: 5_000 };
  // From the documentation's example: the input has grown by the tools' results.
  const last = { output_tokens: 510, input_tokens: 10_682, cache_read_input_tokens: 0 };
  const text = beginning('seen', start) + ending(first).replace(/event: message_stop[^]*/, '');
  const answer = events(text + ending(last).replace(/^[^]*?(?=event: message_delta)/, ''), 5);
  const writes = 100 * 5_000 + 200 * 8_000;
  const expected = 10_682 * 4_000 + writes + 510 * 20_000 + 2 * 10_000_000;
  expect(await costOfAnswer('cumulative', answer, { stream: true })).toBe(expected);
});

test('a write beyond the split that was told is priced as the lifetime that was asked', async () => {
  const start = { usage: { input_tokens: 0, output_tokens: 1, ...written(100, 0) } };
  const last = { output_tokens: 0, cache_creation_input_tokens: 300 };
  const answer = events(beginning('', start) + ending(last));
  const asked = (ttl: string): Fields => ({
    stream: true,
    cache_control: { type: 'ephemeral', ttl },
  });
  expect(await costOfAnswer('split-5m', answer, asked('5m'))).toBe(300 * 5_000);
  expect(await costOfAnswer('split-1h', answer, asked('1h'))).toBe(100 * 5_000 + 200 * 8_000);
});

test.each([
  ['no usage at all', message('words', { usage: undefined })],
  ['usage that is no usage', message('words', { usage: 'none' })],
])('an answer with %s is not free', async (name, document) => {
  expect(await costOfAnswer(`unread ${name}`, json(document))).toBeGreaterThan(0);
});

test('negative and broken counts are never a credit', async () => {
  const usage = { input_tokens: -1_000_000, output_tokens: 1.5, cache_read_input_tokens: 'many' };
  expect(await costOfAnswer('negative', json(message('x', { usage })))).toBeGreaterThanOrEqual(0);
});

test('a model that is served but has no price is paid at twice the dearest of its family', async () => {
  const answer = json(used('claude-opus-9', [1_000, 0, 1_000]));
  // Opus 4: $15 and $75 a million.
  expect(await costOfAnswer('served-unknown', answer)).toBe(2 * (15_000_000 + 75_000_000));
});

describe('a scarce wallet', () => {
  test('has its stream ended cleanly before more is spent than was granted', async () => {
    const { scarce } = relay.keys;
    upstream.on('talks-on', talk(beginning('Well, ')));
    const body = ask('talks-on', { stream: true, max_tokens: 128_000 });
    const { status, text } = await send('/v1/messages', { key: scarce, body });
    expect(status).toBe(200);
    expect(text).not.toContain('message_stop');
    const last = text.trimEnd().split('\n\n').at(-1) ?? '';
    expect(last).toMatch(/^event: error\ndata: \{"type":"error","error":\{"type":"billing_error"/);
    const { wallet } = await settledInfo(scarce);
    expect(wallet.balance_nanos).toBeGreaterThanOrEqual(0);
    expect(wallet.balance_nanos).toBeLessThan(20_000_000);
  });
});

describe('a spent wallet', () => {
  test('is refused in words that stop a client, and costs no call upstream', async () => {
    const { spent } = relay.keys;
    const { wallet } = await settledInfo(spent);
    expect(wallet.balance_nanos).toBe(1);
    for (const who of [spent, relay.keys.penniless]) {
      const reply = await send('/v1/messages', { key: who, body: ask('spending too much') });
      expect([reply.status, JSON.parse(reply.text)]).toMatchObject([
        429,
        { type: 'error', error: { type: 'billing_error', message: expect.stringContaining('$') } },
      ]);
      expect(reply.headers['x-should-retry']).toBe('false');
    }
    expect(upstream.seen('spending too much')).toHaveLength(0);
  });

  test('still counts tokens and lists models', async () => {
    const { penniless } = relay.keys;
    upstream.on('poor-count', json({ input_tokens: 5 }));
    upstream.on('/v1/models', json({ data: [], has_more: false, first_id: null, last_id: null }));
    const counted = await send('/v1/messages/count_tokens', {
      key: penniless,
      body: ask('poor-count'),
    });
    expect([counted.status, counted.text]).toEqual([200, '{"input_tokens":5}']);
    expect((await send('/v1/models', { key: penniless })).status).toBe(200);
    expect((await send('/api/v1/key-info', { key: penniless })).status).toBe(200);
  });
});
