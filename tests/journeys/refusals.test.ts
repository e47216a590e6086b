// What the relay refuses itself: by which status and class, that retries are discouraged where they
// cannot help, and that nothing of it reaches an upstream or costs anything.

import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { json, message, MODEL } from '../support/answers';
import type { Call, Reply } from '../support/client';
import { ask, costOf, eventually, send, settledInfo } from '../support/client';
import { FakeUpstream } from '../support/fake-upstream';

const relay = inject('relay');
const { keys } = relay;
const key = keys.errors;
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

function expectError(reply: Reply, status: number, type: string): void {
  expect([reply.status, reply.text]).toEqual([status, expect.stringContaining('"error"')]);
  expect(reply.headers['content-type']).toBe('application/json');
  expect(JSON.parse(reply.text)).toMatchObject({
    type: 'error',
    error: { type, message: expect.stringMatching(/./) },
    request_id: reply.headers['request-id'],
  });
}

/** Refused for good: the client is told so, and the upstream never hears of it. */
async function expectFinal(
  call: Call,
  expected: { readonly status: number; readonly type: string; readonly mark: string },
  path = '/api/v1/messages',
): Promise<Reply> {
  upstream.on(expected.mark, json(message('must not be reached')));
  const reply = await send(path, call);
  expectError(reply, expected.status, expected.type);
  expect(reply.headers['x-should-retry']).toBe('false');
  expect(upstream.seen(expected.mark)).toHaveLength(0);
  return reply;
}

/** The last character of the tag, changed to another of the same alphabet. */
function forged(text: string): string {
  return text.slice(0, -1) + (text.endsWith('2') ? '3' : '2');
}

/** The secret part changed, the tag left as it was. */
function guessed(text: string): string {
  const parts = text.split('_');
  const secret = parts[4] ?? '';
  return parts.with(4, forged(secret)).join('_');
}

/** So many wrong keys would otherwise count as one guesser's. */
let visitors = 0;
function newAddress(): Record<string, string> {
  visitors += 1;
  return { 'cf-connecting-ip': `198.51.100.${visitors}` };
}

describe('a key', () => {
  const WRONG: Readonly<Record<string, Call>> = {
    'that is missing': {},
    'that is empty': { headers: { authorization: 'Bearer ', 'x-api-key': '' } },
    'of another kind': { key: 'sk-ant-api03-abcdefghijklmnop' },
    'that lacks its end': { key: key.slice(0, -1) },
    'with a forged tag': { key: forged(key) },
    'with a guessed secret': { key: guessed(key) },
    'with a tag secret that does not exist': { key: key.replace('cr_1', 'cr_2') },
    'of another region': { key: key.replace('weur', 'enam') },
    'of enormous length': { key: `cr_1weur_${'2'.repeat(10_000)}` },
    'beside another, different one': { key, headers: { 'x-api-key': keys.bytes } },
    'that was never made': { key: keys.unknown },
    'that is disabled': { key: keys.disabled },
    'that is deleted': { key: keys.deleted },
    'that has expired': { key: keys.expired },
  };

  test.each(Object.keys(WRONG))('%s is 401, and a retry is discouraged', async (name) => {
    const mark = `wrong-key ${name}`;
    const call = { ...WRONG[name], body: ask(mark) };
    const headers = { ...newAddress(), ...call.headers };
    const expected = { status: 401, type: 'authentication_error', mark };
    const reply = await expectFinal({ ...call, headers }, expected);
    // Claude Code takes these words for a reason to log in again.
    expect(reply.text).not.toContain('x-api-key');
    for (const path of ['/v1/models', '/v1/models/x', '/api/v1/key-info']) {
      const other = await send(path, { ...WRONG[name], headers });
      expectError(other, 401, 'authentication_error');
    }
  });

  test.each(['userSuspended', 'walletSuspended'] as const)(
    'whose owner is %s is 403, and a retry is discouraged',
    async (who) => {
      const mark = `suspended ${who}`;
      const call = { key: keys[who], body: ask(mark) };
      await expectFinal(call, { status: 403, type: 'permission_error', mark });
    },
  );

  test('is looked at before the body is', async () => {
    const reply = await send('/v1/messages', { body: 'not JSON', headers: newAddress() });
    expectError(reply, 401, 'authentication_error');
  });

  test('that is guessed again and again is told to wait, a true one from there is not', async () => {
    const headers = newAddress();
    const guess = (): Promise<Reply> => send('/v1/models', { key: forged(key), headers });
    const told = await eventually('the guesser is told to wait', async () => {
      const replies = await Promise.all(Array.from({ length: 100 }, guess));
      return replies.find(({ status }) => status !== 401) ?? null;
    });
    expectError(told, 429, 'rate_limit_error');
    expect(told.headers['x-should-retry']).toBe('false');
    expect(Number(told.headers['retry-after'])).toBeGreaterThan(0);
    expect((await send('/api/v1/key-info', { key, headers })).status).toBe(200);
  });
});

describe('a body', () => {
  const { stringify } = JSON;
  const messages = [{ role: 'user', content: 'wrong-body' }];
  const WRONG: Readonly<Record<string, string>> = {
    'that is empty': '',
    'that is no JSON': '{"model":"claude-opus-5-5","messages":[wrong-body',
    'that breaks off': ask('wrong-body').slice(0, -1),
    'with more behind it': `${ask('wrong-body')}x`,
    'that is a list': '["wrong-body"]',
    'without a model': stringify({ max_tokens: 5, messages }),
    'with an empty model': stringify({ model: '', max_tokens: 5, messages }),
    'whose model is a number': stringify({ model: 5, max_tokens: 5, messages }),
    'with two models': `{"model":"claude-opus-5-5",${ask('wrong-body').slice(1)}`,
    'without messages': stringify({ model: MODEL, max_tokens: 5, system: 'wrong-body' }),
    'whose messages are text': stringify({ model: MODEL, max_tokens: 5, messages: 'wrong-body' }),
    'without max_tokens': stringify({ model: MODEL, messages }),
    'whose max_tokens is negative': stringify({ model: MODEL, max_tokens: -1, messages }),
  };

  test.each(Object.keys(WRONG))('%s is 400', async (name) => {
    const body = WRONG[name] ?? '';
    const expected = { status: 400, type: 'invalid_request_error', mark: 'wrong-body' };
    await expectFinal({ key, body }, expected);
  });

  test.each([
    [undefined],
    ['text/plain'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data'],
  ])('of type %s is 400', async (type) => {
    const headers = { 'content-type': type ?? '' };
    const expected = { status: 400, type: 'invalid_request_error', mark: 'wrong-type' };
    const reply = await expectFinal({ key, body: ask('wrong-type'), headers }, expected);
    expect(reply.text).toContain('content-type');
  });

  test.each(['br', 'zstd', 'gzip, gzip', 'made-up'])('packed with %s is 415', async (encoding) => {
    const headers = { 'content-encoding': encoding };
    const expected = { status: 415, type: 'invalid_request_error', mark: 'wrong-encoding' };
    await expectFinal({ key, body: ask('wrong-encoding'), headers }, expected);
  });

  test('that says it is gzip and is not is 400', async () => {
    const headers = { 'content-encoding': 'gzip' };
    const expected = { status: 400, type: 'invalid_request_error', mark: 'not-gzip' };
    await expectFinal({ key, body: ask('not-gzip'), headers }, expected);
    const cut = gzipSync(ask('not-gzip')).subarray(0, -9);
    await expectFinal({ key, body: cut, headers }, expected);
  });

  const tooLarge = 32 * 1024 * 1024 + 1;

  test.each([false, true])('of more than 32 MB is 413 (without a length: %s)', async (chunked) => {
    const body = `${' '.repeat(tooLarge)}${ask('too-large')}`;
    const expected = { status: 413, type: 'request_too_large', mark: 'too-large' };
    await expectFinal({ key, body, chunked }, expected);
  });

  test('that is larger than 32 MB when unpacked is 413', async () => {
    const body = gzipSync(`${' '.repeat(tooLarge)}${ask('gzip-bomb')}`);
    const headers = { 'content-encoding': 'gzip', 'x-claude-code-session-id': 'gzip-bomb' };
    const expected = { status: 413, type: 'request_too_large', mark: 'gzip-bomb' };
    const { text } = await expectFinal({ key, body, headers }, expected);
    expect(text).toContain('request_body_too_large_after_decoding');
  });
});

describe('a model', () => {
  test.each(['claude-opus-9', 'claude-sonnet-5-', 'gpt-6-sol', 'opus', 'claude-mythos-5-2'])(
    '%s that has no price is 404 before dispatch',
    async (model) => {
      for (const path of ['/v1/messages', '/api/v1/messages/count_tokens']) {
        const mark = `unknown-model-${model}`;
        const call = { key, body: ask(mark, { model }) };
        const reply = await expectFinal(call, { status: 404, type: 'not_found_error', mark }, path);
        expect(reply.text).toContain(model);
      }
    },
  );

  test('that is only a fallback must have a price too', async () => {
    const mark = 'unknown-fallback';
    const call = { key, body: ask(mark, { fallbacks: [{ model: 'claude-opus-9' }] }) };
    await expectFinal(call, { status: 404, type: 'not_found_error', mark });
  });

  test('that nobody knows is 404 in the list as well', async () => {
    upstream.on('/v1/models/claude-opus-9', json({}, 404));
    const reply = await send('/v1/models/claude-opus-9', { key });
    expectError(reply, 404, 'not_found_error');
  });
});

describe('an id that a provider holds', () => {
  const content = (block: unknown): unknown => [{ role: 'user', content: [block] }];
  const HELD: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    container: { container: 'container_1' },
    'container.id': { container: { id: 'container_1' } },
    'thread.previous_message_id': { thread: { type: 'continue', previous_message_id: 'msg_1' } },
    file_id: {
      messages: content({ type: 'document', source: { type: 'file', file_id: 'file_1' } }),
    },
    'file_id in a tool result': {
      messages: content({
        type: 'tool_result',
        tool_use_id: 'toolu_1',
        content: [{ type: 'image', source: { type: 'file', file_id: 'file_1' } }],
      }),
    },
    'file_id of an upload': { messages: content({ type: 'container_upload', file_id: 'file_1' }) },
    fallback_credit_token: { fallback_credit_token: 'token_1' },
    'diagnostics.previous_message_id': { diagnostics: { previous_message_id: 'msg_1' } },
    previous_response_id: { previous_response_id: 'resp_1' },
  };

  test.each(Object.keys(HELD))('(%s) is 404 before dispatch', async (name) => {
    const mark = `held-id ${name}`;
    const call = { key, body: ask(mark, { metadata: { mark }, ...HELD[name] }) };
    await expectFinal(call, { status: 404, type: 'not_found_error', mark });
  });

  test('written with escapes is found as well', async () => {
    const mark = 'held-id-escaped';
    const body = ask(mark, { container: 'container_1' }).replace('container', 'cont\\u0061iner');
    await expectFinal({ key, body }, { status: 404, type: 'not_found_error', mark });
  });

  test('is not meant by what a client’s own tool calls so', async () => {
    const mark = 'tools-own-words';
    upstream.on(mark, json(message('fine')));
    const inputs = { file_id: 'f', container: { id: 'c' }, source: { file_id: 'f' } };
    const schema = { type: 'object', properties: { file_id: { type: 'string' } } };
    const body = ask(mark, {
      tools: [{ name: 'read', input_schema: schema, input_examples: [inputs] }],
      messages: [
        { role: 'user', content: mark },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id: 'toolu_1', name: 'read', input: inputs }],
        },
        {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: '{"file_id":"f"}' }],
        },
      ],
    });
    const { status } = await send('/api/v1/messages', { key, body });
    expect(status).toBe(200);
    expect(upstream.only(mark).body.toString()).toBe(body);
  });
});

test('whatever was refused here has cost nothing', async () => {
  const before = await settledInfo(keys.leaving);
  const cost = await costOf(keys.leaving, async () => {
    await send('/v1/messages', { key: keys.leaving, body: '{' });
    await send('/v1/messages', { key: keys.leaving, body: ask('x', { model: 'claude-opus-9' }) });
    await send('/v1/messages', { key: keys.leaving, body: ask('x', { container: 'c' }) });
  });
  expect(cost).toBe(0);
  const { key: after } = await settledInfo(keys.leaving);
  expect(after).toEqual(before.key);
});
