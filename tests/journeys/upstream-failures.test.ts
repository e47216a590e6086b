// What an upstream can do wrong before its answer begins: its own refusals come back as it wrote
// them, an account that fails is replaced by the other, and nothing of it is charged.

import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
import { ask, costOf, eventually, send } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

const BOTH = ['first', 'second'] as const;
type AccountName = (typeof BOTH)[number];

let owner: Owner;
/** Made together, so that the relay has to hear of them but once. */
const stock: Own[] = [];
const STOCK = 60;
beforeAll(async () => {
  owner = await ownerOfAccounts();
  for (let made = 0; made < STOCK; made += 1) {
    stock.push(await owner.own(BOTH, { priority: 100 }));
  }
  await owner.known();
});
afterAll(() => owner.end());

/** Both accounts, new and in good health, neither before the other. */
async function newAccounts(): Promise<Own> {
  const next = stock.pop();
  if (next === undefined) throw new Error(`more than ${STOCK} tests have accounts of their own`);
  return next;
}

/** Enough conversations that each account is surely some one's first choice. */
const SESSIONS = Array.from({ length: 16 }, (_, index) => `session-${index}`);

/** Sends one request for each of many conversations. */
function sendAll(
  { key }: Own,
  mark: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Reply[]> {
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
  const own = await newAccounts();
  const { upstream } = own;
  upstream.on('affinity', json(message('fine')));
  const rounds = [await sendAll(own, 'affinity one'), await sendAll(own, 'affinity two')];
  expect(rounds.flat().every(({ status }) => status === 200)).toBe(true);
  const accountOf = (round: string, session: string): string | undefined =>
    upstream.seen(`affinity ${round} ${session}"`)[0]?.account;
  const used = SESSIONS.map((session) => accountOf('one', session));
  expect(new Set(used)).toEqual(new Set(BOTH));
  expect(SESSIONS.map((session) => accountOf('two', session))).toEqual(used);
});

test.each(BOTH)('with the account %s refusing connections, the other one answers', async (name) => {
  const own = await newAccounts();
  const { key, upstream } = own;
  upstream.on('refusing', events(stream('from the other')));
  await upstream.close([name]);
  const cost = await costOf(key, async () => {
    const replies = await sendAll(own, 'refusing', { stream: true });
    for (const { status, text } of replies) {
      expect([status, text]).toEqual([200, stream('from the other')]);
    }
  });
  expect(cost).toBe(SESSIONS.length * USAGE_NANOS);
  expect(upstream.seen('refusing').every(({ account }) => account !== name)).toBe(true);
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
      const own = await newAccounts();
      const { upstream } = own;
      const mark = `bad-${name} ${kind}`;
      upstream.on(mark, failingAt(name, BAD[kind] ?? resetAtOnce, json(message('good'))));
      const replies = await sendAll(own, mark);
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
  const { key, upstream } = await newAccounts();
  await upstream.close();
  const cost = await costOf(key, async () => {
    for (const streamed of [false, true]) {
      const body = ask('both-down', { stream: streamed });
      expectRelayError(await send('/v1/messages', { key, body }), 502, 'api_error');
    }
  });
  expect(cost).toBe(0);
});

test.each([
  [401, 'authentication_error', 'invalid x-api-key'],
  [402, 'billing_error', 'There is a problem with your billing information: x-api-key'],
])('an upstream’s %i is never the client’s, nor are its words', async (status, type, words) => {
  const { key, upstream } = await newAccounts();
  upstream.on('all-refuse', json(errorBody(type, words), status));
  const cost = await costOf(key, async () => {
    const reply = await send('/v1/messages', { key, body: ask('all-refuse') });
    expectRelayError(reply, 502, 'api_error');
    expect(reply.text).not.toContain('x-api-key');
  });
  expect(cost).toBe(0);
  expect(new Set(upstream.seen('all-refuse').map(({ account }) => account)).size).toBe(2);
});

test('once all accounts have refused, clients are told when to come again, until one is back', async () => {
  const { key, upstream } = await newAccounts();
  upstream.on('all-401', json(errorBody('authentication_error', 'invalid x-api-key'), 401));
  const ask401 = { key, body: ask('all-401') };
  expectRelayError(await send('/v1/messages', ask401), 502, 'api_error');
  // Each is asked once more, as the last resort; then nobody is.
  for (const _ of BOTH) expectRelayError(await send('/v1/messages', ask401), 502, 'api_error');
  const reply = await send('/v1/messages', ask401);
  expectRelayError(reply, 503, 'overloaded_error');
  expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
  expect(upstream.seen('all-401')).toHaveLength(4);
  // Every five seconds a request may ask again.
  upstream.on('all-401', json(message('back')));
  await eventually('the service is back', async () =>
    (await send('/v1/messages', ask401)).status === 200 ? true : null,
  );
  expect(upstream.seen('all-401')).toHaveLength(5);
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
  const { key, upstream } = await newAccounts();
  upstream.on('redirect', (response) => {
    response.writeHead(status, { location: `http://127.0.0.1:${port}/v1/messages` });
    response.end();
  });
  try {
    const reply = await send('/v1/messages', { key, body: ask('redirect') });
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
])('the last %i of all accounts comes back as it was written, for free', async (status, type) => {
  const body = errorBody(type, `prompt is too long: ${status} tokens`);
  const retry = { 'retry-after': '7', 'x-should-retry': 'true' };
  for (const path of ['/v1/messages', '/v1/messages/count_tokens']) {
    const { key, upstream } = await newAccounts();
    upstream.on('passed', json(body, status, retry));
    const cost = await costOf(key, async () => {
      const reply = await send(path, { key, body: ask('passed', { stream: path.endsWith('s') }) });
      expect([reply.status, reply.text]).toEqual([status, body]);
      expect(reply.headers).toMatchObject(retry);
    });
    expect(cost).toBe(0);
  }
});

test.each([403, 502, 503, 520])(
  'a page of HTML with %i is told in the API’s form',
  async (status) => {
    const { key, upstream } = await newAccounts();
    upstream.on('html', (response) => {
      response.writeHead(status, { 'content-type': 'text/html' });
      response.end('<html><title>Sorry</title>who-answers-canary</html>');
    });
    const reply = await send('/v1/messages', { key, body: ask('html') });
    expectRelayError(reply, 502, 'api_error');
    expect(reply.text).not.toContain('canary');
  },
);

test('an upstream without a list of models leaves the relay’s own', async () => {
  const { key, upstream } = await newAccounts();
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
