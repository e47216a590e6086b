import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSandbox } from './server.mjs';

const server = createServer(createSandbox());
let base = '';
beforeAll(async () => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const TOOL = {
  name: 'Look',
  input_schema: {
    type: 'object',
    properties: { path: { type: 'string' }, depth: { type: 'integer' } },
    required: ['path'],
  },
};

describe('the sandbox', () => {
  it('says that it is no model and echoes the model that was asked for', async () => {
    const { message, response } = await ask('Hello');
    expect(message.model).toBe('claude-anything-9');
    expect(message.content[0].text).toContain("the relay's sandbox, not a model");
    expect(message.stop_reason).toBe('end_turn');
    expect(response.headers.get('request-id')).toMatch(/^req_/);
    expect(response.headers.get('anthropic-ratelimit-tokens-limit')).toBe('400000');
  });

  it.each([
    ['a text', { text: '[fast] Grüße 🐚 and more than one piece of text' }],
    ['a tool call', { text: '[fast] use tool Look {"path":"ü/🐚"}', tools: [TOOL] }],
    ['thinking', { text: '[fast] Hello', thinking: { type: 'adaptive' } }],
    ['an answer cut by max_tokens', { text: '[fast] [words:50]', max_tokens: 9 }],
    ['a refusal', { text: '[fast] [refuse]' }],
  ])('streams %s that adds up to the whole answer', async (_name, { text, ...more }) => {
    const { message } = await ask(text, more);
    const folded = foldEvents(await events(text, more));
    const { id: _id, ...whole } = message;
    const { id: _other, ...streamed } = folded;
    expect(unsigned(streamed)).toEqual(unsigned(whole));
  });

  it('keeps the order of events that the Messages API has', async () => {
    const types = (await events('[fast] Hello')).map(({ type }) => type);
    expect(types.slice(0, 3)).toEqual(['message_start', 'content_block_start', 'ping']);
    expect(types.slice(-3)).toEqual(['content_block_stop', 'message_delta', 'message_stop']);
    expect(types.slice(3, -3).every((type) => type === 'content_block_delta')).toBe(true);
  });

  it('calls a tool with the required input, and answers its result with text', async () => {
    const { message } = await ask('please use the tool Look', { tools: [TOOL] });
    expect(message.stop_reason).toBe('tool_use');
    const [{ id, ...call }] = message.content;
    expect(call).toEqual({ type: 'tool_use', name: 'Look', input: { path: 'sandbox' } });
    const result = { type: 'tool_result', tool_use_id: id, content: 'seen: 42' };
    const messages = [
      { role: 'user', content: 'please use the tool Look' },
      { role: 'assistant', content: message.content },
      { role: 'user', content: [result] },
      { role: 'system', content: 'a reminder' },
    ];
    const after = await ask('', { tools: [TOOL], messages });
    expect(after.message.content[0].text).toContain('seen: 42');
  });

  it('writes a marked prefix to its cache once, reads it after, per key', async () => {
    const system = [
      { type: 'text', text: 'a'.repeat(400), cache_control: { type: 'ephemeral', ttl: '1h' } },
    ];
    const content = [{ type: 'text', text: 'b'.repeat(40), cache_control: { type: 'ephemeral' } }];
    const body = {
      system,
      messages: [
        { role: 'user', content },
        { role: 'user', content: 'cccc' },
      ],
    };
    const first = (await ask('', body, 'key-one')).message.usage;
    expect(first).toMatchObject({
      input_tokens: 1,
      cache_creation_input_tokens: 110,
      cache_read_input_tokens: 0,
      cache_creation: { ephemeral_1h_input_tokens: 100, ephemeral_5m_input_tokens: 10 },
    });
    const second = (await ask('', body, 'key-one')).message.usage;
    expect(second).toMatchObject({ cache_creation_input_tokens: 0, cache_read_input_tokens: 110 });
    const longer = { ...body, messages: [...body.messages, { role: 'user', content }] };
    const third = (await ask('', longer, 'key-one')).message.usage;
    expect(third).toMatchObject({ cache_creation_input_tokens: 11, cache_read_input_tokens: 110 });
    const other = (await ask('', body, 'key-two')).message.usage;
    expect(other.cache_read_input_tokens).toBe(0);
  });

  it.each([
    [400, 'invalid_request_error'],
    [401, 'authentication_error'],
    [429, 'rate_limit_error'],
    [529, 'overloaded_error'],
  ])('fails with %i when asked to', async (status, type) => {
    const { response, message } = await ask(`[error:${status}]`);
    expect(response.status).toBe(status);
    expect(message).toMatchObject({ type: 'error', error: { type } });
    expect(response.headers.get('retry-after')).toBe(status === 429 ? '1' : null);
  });

  it('puts an error into a stream that has begun, and never a message_stop after it', async () => {
    const types = (await events('[fast] [error:stream]')).map(({ type }) => type);
    expect(types[0]).toBe('message_start');
    expect(types.at(-1)).toBe('error');
    expect(types).not.toContain('message_stop');
  });

  it('breaks the connection when asked to, after what it wrote has left', async () => {
    const response = await post('/v1/messages', bodyOf('[fast] [cut]', { stream: true }));
    const seen = [];
    const reading = (async () => {
      for await (const chunk of response.body ?? []) seen.push(chunk);
    })();
    await expect(reading).rejects.toThrow();
    expect(seen.length).toBeGreaterThan(0);
  });

  it.each([
    ['x-api-key', { 'x-api-key': 'a' }, 200],
    ['a bearer', { authorization: 'Bearer a' }, 200],
    ['no key', {}, 401],
  ])('with %s answers as the provider would', async (_name, headers, status) => {
    const response = await fetch(`${base}/v1/models?limit=1000`, { headers });
    expect(response.status).toBe(status);
    await response.arrayBuffer();
  });

  it.each([
    ['no version', {}, 400],
    ['an unknown version', { 'anthropic-version': '2020-01-01' }, 400],
    ['sampling under the version without it', { 'anthropic-version': '2026-10-21' }, 400],
    ['sampling under the older version', { 'anthropic-version': '2023-06-01' }, 200],
  ])('answers %s with the status of the provider', async (_name, headers, status) => {
    const response = await post('/v1/messages', bodyOf('Hello', { temperature: 1 }), headers);
    expect(response.status).toBe(status);
    await response.arrayBuffer();
  });

  it('counts tokens of a packed body and refuses what is no JSON', async () => {
    const packed = gzipSync(JSON.stringify(bodyOf('abcdefgh')));
    const counted = await post('/v1/messages/count_tokens', packed, {
      ...HEADERS,
      'content-encoding': 'gzip',
    });
    expect(await counted.json()).toEqual({ input_tokens: 2 });
    const wrong = await post('/v1/messages', Buffer.from('{"model":'));
    expect(wrong.status).toBe(400);
    await wrong.arrayBuffer();
  });

  it('answers for a model by its id, for HEAD, and for a path that is not there', async () => {
    const headers = { 'x-api-key': 'a' };
    const model = await fetch(`${base}/v1/models/claude-anything-9`, { headers });
    expect(await model.json()).toMatchObject({ type: 'model', id: 'claude-anything-9' });
    expect((await fetch(base, { method: 'HEAD' })).status).toBe(200);
    const gone = await fetch(`${base}/v1/files`, { headers });
    expect(gone.status).toBe(404);
    await gone.arrayBuffer();
  });
});

const HEADERS = { 'anthropic-version': '2023-06-01' };

/** @param {string} text @param {Record<string, unknown>} [more] */
function bodyOf(text, more = {}) {
  const messages = [{ role: 'user', content: text }];
  return { model: 'claude-anything-9', max_tokens: 4096, messages, unknown: 1, ...more };
}

/**
 * @param {string} path
 * @param {unknown} body
 * @param {Record<string, string>} [headers]
 */
function post(path, body, headers = HEADERS) {
  return fetch(`${base}${path}`, {
    method: 'POST',
    headers: { 'x-api-key': 'key', ...headers },
    body: body instanceof Buffer ? body : JSON.stringify(body),
  });
}

/**
 * @param {string} text
 * @param {Record<string, unknown>} [more]
 * @param {string} [key]
 * @returns {Promise<{ response: Response, message: any }>}
 */
async function ask(text, more = {}, key = 'key') {
  const headers = { ...HEADERS, 'x-api-key': key };
  const response = await post('/v1/messages', bodyOf(text, more), headers);
  return { response, message: await response.json() };
}

/** @param {string} text @param {Record<string, unknown>} [more] */
async function events(text, more = {}) {
  const response = await post('/v1/messages', bodyOf(text, { ...more, stream: true }));
  return (await response.text())
    .split('\n\n')
    .filter((part) => part !== '')
    .map((part) => JSON.parse(part.replace(/^event: \w+\ndata: /, '')));
}

/** What a client makes of a stream. @param {any[]} all */
function foldEvents(all) {
  const message = structuredClone(all[0].message);
  /** @type {string[]} */
  const json = [];
  for (const { type, index, content_block: block, delta, usage } of all) {
    if (type === 'content_block_start') message.content[index] = structuredClone(block);
    if (type === 'content_block_delta') add(message.content[index], delta, json);
    if (type === 'content_block_stop' && message.content[index].type === 'tool_use') {
      message.content[index].input = JSON.parse(json.join(''));
    }
    if (type === 'message_delta') {
      Object.assign(message, delta);
      Object.assign(message.usage, usage);
    }
  }
  return message;
}

/** @param {any} block @param {any} delta @param {string[]} json */
function add(block, delta, json) {
  if (delta.type === 'text_delta') block.text += delta.text;
  if (delta.type === 'thinking_delta') block.thinking += delta.thinking;
  if (delta.type === 'signature_delta') block.signature = delta.signature;
  if (delta.type === 'input_json_delta') json.push(delta.partial_json);
}

/** Ids and signatures are made anew each time. @param {any} message */
function unsigned(message) {
  const content = message.content.map((/** @type {any} */ { id: _id, signature, ...block }) => ({
    ...block,
    isSigned: Boolean(signature),
  }));
  return { ...message, content, usage: { ...message.usage, ...NO_CACHE } };
}
const NO_CACHE = { cache_creation: null };
