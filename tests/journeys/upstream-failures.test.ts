// What an upstream can do wrong before its answer begins: its own refusals come back as it wrote
// them, an account that fails is replaced by the other, and nothing of it is charged.

import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import {
  errorBody,
  events,
  json,
  message,
  resetAtOnce,
  stream,
  USAGE_NANOS,
} from '../support/answers';
import type { Reply } from '../support/client';
import { ask, costOf, send } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import { FakeUpstream } from '../support/fake-upstream';
import type { AccountName } from '../support/start-relay';

const relay = inject('relay');
const key = relay.keys.retry;
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

const BOTH: readonly AccountName[] = ['first', 'second'];
/** Enough conversations that each account is surely some one's first choice. */
const SESSIONS = Array.from({ length: 16 }, (_, index) => `session-${index}`);

/** Sends one request for each of many conversations. */
function sendAll(mark: string, more: Readonly<Record<string, unknown>> = {}): Promise<Reply[]> {
  return Promise.all(
    SESSIONS.map((session) =>
      send('/api/v1/messages', {
        key,
        body: ask(`${mark} ${session}`, more),
        headers: { 'x-claude-code-session-id': session },
      }),
    ),
  );
}

/** `bad` from the named account, `good` from the other. */
function failingAt(name: AccountName, bad: Answer, good: Answer): Answer {
  return (response, seen) => (seen.account === name ? bad : good)(response, seen);
}

function expectRelayError(reply: Reply, status: number, type: string): void {
  expect([reply.status, JSON.parse(reply.text)]).toMatchObject([
    status,
    { type: 'error', error: { type }, request_id: reply.headers['request-id'] },
  ]);
}

test('conversations stay with their account, and both accounts have some', async () => {
  upstream.on('affinity', json(message('fine')));
  const rounds = [await sendAll('affinity one'), await sendAll('affinity two')];
  expect(rounds.flat().every(({ status }) => status === 200)).toBe(true);
  const accountOf = (round: string, session: string): AccountName | undefined =>
    upstream.seen(`affinity ${round} ${session}"`)[0]?.account;
  const used = SESSIONS.map((session) => accountOf('one', session));
  expect(new Set(used)).toEqual(new Set(BOTH));
  expect(SESSIONS.map((session) => accountOf('two', session))).toEqual(used);
});

test.each(BOTH)('with the account %s refusing connections, the other one answers', async (name) => {
  const mark = `refusing-${name}`;
  upstream.on(mark, events(stream('from the other')));
  await upstream.close([name]);
  try {
    const cost = await costOf(key, async () => {
      const replies = await sendAll(mark, { stream: true });
      for (const { status, text } of replies) {
        expect([status, text]).toEqual([200, stream('from the other')]);
      }
    });
    expect(cost).toBe(SESSIONS.length * USAGE_NANOS);
  } finally {
    await upstream.open([name]);
  }
  expect(upstream.seen(mark).every(({ account }) => account !== name)).toBe(true);
});

const BAD: Readonly<Record<string, Answer>> = {
  'a reset before any header': resetAtOnce,
  'a 401 of its own': json(errorBody('authentication_error', 'invalid x-api-key'), 401),
  'a redirect': (response) => {
    response.writeHead(307, { location: 'http://127.0.0.1:9/elsewhere' });
    response.end();
  },
};

test.each(Object.keys(BAD))(
  'after %s the other account is tried, with the same bytes',
  async (kind) => {
    for (const name of BOTH) {
      const mark = `bad-${name} ${kind}`;
      upstream.on(mark, failingAt(name, BAD[kind] ?? resetAtOnce, json(message('good'))));
      const replies = await sendAll(mark);
      expect(replies.map(({ status }) => status)).toEqual(SESSIONS.map(() => 200));
      const retried = upstream.seen(mark).filter(({ account }) => account === name);
      expect(retried.length).toBeGreaterThan(0);
      for (const { body } of retried) {
        const same = upstream.seen(mark).filter((other) => other.body.equals(body));
        expect(same).toHaveLength(2);
      }
    }
  },
);

test('with both accounts down the client is told so at once, and pays nothing', async () => {
  await upstream.close();
  try {
    const cost = await costOf(key, async () => {
      for (const streamed of [false, true]) {
        const body = ask('both-down', { stream: streamed });
        expectRelayError(await send('/v1/messages', { key, body }), 502, 'api_error');
      }
    });
    expect(cost).toBe(0);
  } finally {
    await upstream.open();
  }
});

test('an upstream’s 401 is never the client’s, nor are its words', async () => {
  upstream.on('all-401', json(errorBody('authentication_error', 'invalid x-api-key'), 401));
  const cost = await costOf(key, async () => {
    const reply = await send('/v1/messages', { key, body: ask('all-401') });
    expectRelayError(reply, 502, 'api_error');
    expect(reply.text).not.toContain('x-api-key');
  });
  expect(cost).toBe(0);
  expect(new Set(upstream.seen('all-401').map(({ account }) => account)).size).toBe(2);
});

test.each([301, 302, 303, 307, 308])('a %i is not followed', async (status) => {
  let visitors = 0;
  const target = createServer((_, response) => {
    visitors += 1;
    response.end('{}');
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const address = target.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const mark = `redirect-${status}`;
  upstream.on(mark, (response) => {
    response.writeHead(status, { location: `http://127.0.0.1:${port}/v1/messages` });
    response.end();
  });
  try {
    const reply = await send('/v1/messages', { key, body: ask(mark) });
    expectRelayError(reply, 502, 'api_error');
    expect(reply.text).toContain('upstream_redirect');
    expect(reply.headers.location).toBeUndefined();
    expect(visitors).toBe(0);
  } finally {
    await new Promise((resolve) => target.close(resolve));
  }
});

test.each([
  [400, 'invalid_request_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [408, 'timeout_error'],
  [409, 'conflict_error'],
  [413, 'request_too_large'],
  [422, 'invalid_request_error'],
  [429, 'rate_limit_error'],
  [500, 'api_error'],
  [503, 'api_error'],
  [504, 'timeout_error'],
  [529, 'overloaded_error'],
])('an upstream’s %i comes back as it was written, and costs nothing', async (status, type) => {
  const mark = `passed-${status}`;
  const body = errorBody(type, `prompt is too long: ${status} tokens`);
  const retry = { 'retry-after': '7', 'x-should-retry': 'true' };
  upstream.on(mark, json(body, status, retry));
  const cost = await costOf(key, async () => {
    for (const path of ['/v1/messages', '/v1/messages/count_tokens']) {
      const reply = await send(path, { key, body: ask(mark, { stream: path.endsWith('s') }) });
      expect([reply.status, reply.text]).toEqual([status, body]);
      expect(reply.headers).toMatchObject(retry);
    }
  });
  expect(cost).toBe(0);
});

test.each([403, 502, 503, 520])(
  'a page of HTML with %i is told in the API’s form',
  async (status) => {
    const mark = `html-${status}`;
    upstream.on(mark, (response) => {
      response.writeHead(status, { 'content-type': 'text/html' });
      response.end('<html><title>Sorry</title>who-answers-canary</html>');
    });
    const reply = await send('/v1/messages', { key, body: ask(mark) });
    expectRelayError(reply, 502, 'api_error');
    expect(reply.text).not.toContain('canary');
  },
);

test('an upstream without a list of models leaves the relay’s own', async () => {
  upstream.on('/v1/models', json(errorBody('not_found_error', 'no such path'), 404));
  const { status, text } = await send('/api/v1/models', { key });
  expect(status).toBe(200);
  const list: unknown = JSON.parse(text);
  expect(list).toMatchObject({ has_more: false });
  expect(list).toHaveProperty(
    'data',
    expect.arrayContaining([expect.objectContaining({ type: 'model', id: 'claude-opus-5-5' })]),
  );
});
