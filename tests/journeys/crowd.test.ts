// Many at once: nothing of one request shows in another, large bodies do not fill the isolate, and
// what is logged of all of them holds no key, no prompt and no answer.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import {
  beginning,
  ending,
  events,
  json,
  message,
  openStream,
  sendPieces,
  stream,
  USAGE_NANOS,
} from '../support/answers';
import { ask, costOf, eventually, open, send } from '../support/client';
import { FakeUpstream, UPSTREAM_HEADERS } from '../support/fake-upstream';

const relay = inject('relay');
const { load, clients, bytes } = relay.keys;
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

test('twenty streams at once keep to themselves, and to their own wallets', async () => {
  const runs = Array.from({ length: 20 }, (_, index) => {
    const canary = `canary-${index}-${createHash('sha256').update(`crowd ${index}`).digest('hex')}`;
    return { canary, index, text: stream(`${canary} `.repeat(50)) };
  });
  for (const { canary, index, text } of runs) upstream.on(canary, events(text, 13 + 97 * index));
  const run = async (key: string, mine: typeof runs): Promise<void> => {
    const cost = await costOf(key, () =>
      Promise.all(
        mine.map(async ({ canary, text }) => {
          const body = ask(canary, { stream: true, metadata: { user_id: canary } });
          const reply = await send('/api/v1/messages', { key, body });
          expect(reply.text === text).toBe(true);
          const { body: sent } = upstream.only(canary);
          expect(sent.toString().match(/canary-\d+-[0-9a-f]+/g)).toEqual([canary, canary]);
        }),
      ),
    );
    expect(cost).toBe(mine.length * USAGE_NANOS);
  };
  await Promise.all([run(load, runs.slice(0, 10)), run(clients, runs.slice(10))]);
});

test('four bodies of 30 MB at once do not end a stream beside them', async () => {
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  upstream.on('beside-the-large', async (response) => {
    openStream(response);
    await sendPieces(response, beginning('still '));
    await finished;
    await sendPieces(response, ending());
    response.end();
  });
  upstream.on('large-body', json(message('taken')));
  const living = await open('/v1/messages', {
    key: load,
    body: ask('beside-the-large', { stream: true }),
  });
  await living.until('still');

  const body = ask(`large-body ${'x'.repeat(30 * 1024 * 1024)}`);
  const call = { key: load, body };
  const replies = await Promise.all(Array.from({ length: 4 }, () => send('/v1/messages', call)));
  for (const { status, headers, text } of replies) {
    if (status === 200) continue;
    expect([status, headers['retry-after'], JSON.parse(text)]).toMatchObject([
      503,
      '1',
      { type: 'error', error: { type: 'overloaded_error' } },
    ]);
    expect(headers['x-should-retry']).not.toBe('false');
  }
  expect(replies.some(({ status }) => status === 200)).toBe(true);
  for (const seen of upstream.seen('large-body'))
    expect(seen.body.equals(Buffer.from(body))).toBe(true);

  finish();
  expect((await living.whole).toString()).toBe(beginning('still ') + ending());
  // What the bodies held has been given back.
  for (let again = 0; again < 3; again += 1) {
    expect((await send('/v1/messages', call)).status).toBe(200);
  }
});

test('a log line a request, with ids and figures, and nothing that anyone has said', async () => {
  const words = 'prompt-canary-9f2c';
  const headers = {
    'x-claude-code-session-id': 'session-canary-9f2c',
    cookie: 'cookie-canary-9f2c',
    'user-agent': 'agent-canary-9f2c',
  };
  const key = bytes;
  upstream.on(words, json(message('answer-canary-9f2c')), events(stream('answer-canary-9f2c')));
  const ids: string[] = [];
  for (const streamed of [false, true]) {
    const body = ask(words, { stream: streamed, system: 'system-canary-9f2c' });
    const reply = await send('/api/v1/messages?query=canary-9f2c', { key, body, headers });
    expect(reply.text).toContain('answer-canary-9f2c');
    ids.push(String(reply.headers['x-relay-request-id']));
  }
  for (const body of [`{"model":"model-canary-9f2c`, ask(words, { model: 'claude-canary-9f2c' })]) {
    const reply = await send('/api/v1/messages', { key, body, headers });
    ids.push(String(reply.headers['x-relay-request-id']));
  }
  await send('/v1/models', { key: 'cr_key-canary-9f2c', headers });

  const [whole, streamed, ...refused] = await Promise.all(ids.map(logLine));
  for (const line of [whole, streamed]) {
    expect(line).toMatchObject({
      event: 'request',
      model: 'claude-opus-5-5',
      status: 200,
      closing: 'completed',
      certainty: 'reported',
      costNanos: USAGE_NANOS,
      tokens: { input: 12, cacheWrite5m: 100, cacheWrite1h: 200, cacheRead: 40_000, output: 87 },
      admitMs: expect.any(Number),
      firstByteMs: expect.any(Number),
      totalMs: expect.any(Number),
    });
  }
  for (const line of refused) expect(line).toMatchObject({ event: 'refused' });

  const log = readFileSync(relay.logFile, 'utf8');
  expect(log).not.toContain('canary-9f2c');
  const secrets = [
    ...Object.values(relay.keys),
    relay.firstKey,
    ...Object.values(relay.accounts).map((account) => account.key),
    ...Object.values(UPSTREAM_HEADERS).filter((value) => value.includes('canary')),
  ];
  for (const secret of secrets) expect(log).not.toContain(secret);
});

/** The one line of the log that names the request. */
async function logLine(id: string): Promise<unknown> {
  const lines = await eventually(`${id} is logged`, async () => {
    const found = readFileSync(relay.logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes(id));
    return found.length > 0 ? found : null;
  });
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '');
}
