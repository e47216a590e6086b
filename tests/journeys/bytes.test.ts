// Identity: what the client sends is what the upstream gets, what the upstream sends is what the
// client gets, byte for byte, however it is cut.

import { deflateSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Reply } from '../support/client';
import { ask, costOf, send } from '../support/client';
import {
  beginning,
  ending,
  event,
  events,
  gzipJson,
  json,
  message,
  stream,
  USAGE_NANOS,
} from '../support/answers';
import { FakeUpstream } from '../support/fake-upstream';

const relay = inject('relay');
const key = relay.keys.bytes;
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

/** Nothing that reads it into a value and writes it again gives the same bytes. */
function oddBody(mark: string): string {
  return [
    ' \r\n{ "x_unknown" : {"a":1, "a":2, "": null},\t"model"\n:"claude-opus-5-5" ,',
    '"max_tokens":1000.0e0, "x_number": 1.0E+2, "x_big": 123456789012345678901234567890,',
    '"messages": [ {"content": "caf\\u00e9 \\ud83d\\ude00 é 😀 \\u0000 \\/',
    mark,
    '", "role":"user"} ] , "x_repeated":1,"x_repeated" : 2, "x_list":[ ] }\n\n',
  ].join('');
}

test.each(['/api/v1/messages', '/v1/messages', '/api/v1/messages/count_tokens?beta=true'])(
  'an odd body reaches the upstream as it was written, through %s',
  async (path) => {
    const mark = `odd-${path.length}`;
    upstream.on(mark, json(message('seen')));
    const body = oddBody(mark);
    const { status } = await send(path, { key, body });
    expect(status).toBe(200);
    const seen = upstream.only(mark);
    expect(seen.body.toString()).toBe(body);
    expect(seen.url).toBe(path.replace('/api', ''));
    expect(seen.headers['content-type']).toBe('application/json');
    expect(seen.headers['content-length']).toBe(String(Buffer.byteLength(body)));
  },
);

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
] as const)('a body packed with %s is read and sent on packed', async (encoding, pack) => {
  const mark = `packed-${encoding}`;
  upstream.on(mark, json(message('seen')));
  const body = pack(oddBody(mark));
  // The body's own mark cannot be seen.
  const headers = { 'content-encoding': encoding, 'x-claude-code-session-id': mark };
  for (const chunked of [false, true]) {
    const { status } = await send('/api/v1/messages', { key, body, headers, chunked });
    expect(status).toBe(200);
  }
  const seen = upstream.seen(mark);
  expect(seen).toHaveLength(2);
  for (const request of seen) {
    expect(request.body.equals(body)).toBe(true);
    expect(request.headers['content-encoding']).toBe(encoding);
  }
});

test('a body without a length arrives whole', async () => {
  upstream.on('chunked-body', json(message('seen')));
  const body = ask(`chunked-body ${'lang '.repeat(50_000)}`);
  const { status } = await send('/v1/messages', { key, body, chunked: true });
  expect(status).toBe(200);
  expect(upstream.only('chunked-body').body.toString()).toBe(body);
});

/** Every form that a stream may take: CRLF, comments, unknown events, fields without a space. */
function oddStream(): string {
  const usual = beginning('eins zwei 😀 drei é');
  return [
    ': a comment\n\n',
    'retry: 3000\n\n',
    event('made_up_event', { future: { deep: [1, 2] } }),
    usual.replaceAll('\n', '\r\n'),
    'event:ping\ndata:{"type":"ping"}\n\n',
    event('content_block_delta', { index: 0, delta: { type: 'made_up_delta', x: '\u2028' } }),
    'id: 7\nevent: ping\ndata: {"type":\ndata:  "ping"}\n\n',
    ending(),
  ].join('');
}

test.each([1, 2, 3, 5, 64, 1_000_000])(
  'an odd stream arrives unchanged in pieces of %i bytes, and is charged in full',
  async (size) => {
    const mark = `odd-stream-${size}-`;
    const text = oddStream();
    upstream.on(mark, events(text, size));
    const cost = await costOf(key, async () => {
      const body = ask(mark, { stream: true });
      const reply = await send('/api/v1/messages', { key, body });
      expect(reply.status).toBe(200);
      expect(reply.headers['content-type']).toBe('text/event-stream; charset=utf-8');
      expect(reply.text).toBe(text);
    });
    expect(cost).toBe(USAGE_NANOS);
  },
);

test('a long burst arrives whole', async () => {
  const text = stream('Wort '.repeat(20_000));
  upstream.on('long-burst', events(text));
  const { text: got } = await send('/v1/messages', {
    key,
    body: ask('long-burst', { stream: true }),
  });
  expect(got === text).toBe(true);
});

test('a JSON answer arrives with its own spaces, escapes and repeats', async () => {
  const document = ` {"usage":${JSON.stringify(message('').usage)} ,\n"type":"message", "x":1.0,
    "role":"assistant","x":2, "id":"msg_odd","model":"claude-opus-5-5",
    "content":[ {"type":"text","text":"\\u00e9\\ud83d\\ude00 é"} ],"stop_reason":"end_turn"}\n`;
  upstream.on('odd-json', json(document));
  const reply = await send('/api/v1/messages', { key, body: ask('odd-json') });
  expect(reply.text).toBe(document);
  expectTrueLength(reply);
});

test('a JSON answer without a length arrives unchanged', async () => {
  const document = JSON.stringify(message('no length '.repeat(100_000)));
  upstream.on('json-chunked', (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(document.slice(0, 1_000));
    response.end(document.slice(1_000));
  });
  const reply = await send('/api/v1/messages', { key, body: ask('json-chunked') });
  expect(reply.text === document).toBe(true);
});

test.each(['identity', 'gzip', 'gzip, deflate, br, zstd'])(
  'an answer that the upstream packs is true to its headers for a client that takes %s',
  async (accepted) => {
    const document = message(`packed answer ${'x'.repeat(5_000)}`);
    upstream.on(`packed-for-${accepted}`, gzipJson(document));
    const reply = await send('/api/v1/messages', {
      key,
      body: ask(`packed-for-${accepted}`),
      headers: { 'accept-encoding': accepted },
    });
    expect(reply.status).toBe(200);
    expectTrueLength(reply);
    const packed = reply.headers['content-encoding'] !== undefined;
    if (packed) expect(accepted).toContain(reply.headers['content-encoding']);
    const plain = packed ? gunzipSync(reply.body) : reply.body;
    expect(plain.toString()).toBe(JSON.stringify(document));
  },
);

test('an upstream is asked for plain answers, whatever the client takes', async () => {
  upstream.on('asked-plain', json(message('plain')));
  const headers = { 'accept-encoding': 'gzip, br' };
  await send('/api/v1/messages', { key, body: ask('asked-plain'), headers });
  expect(upstream.only('asked-plain').headers['accept-encoding'] ?? 'identity').toBe('identity');
});

function expectTrueLength({ headers, body }: Reply): void {
  const declared = headers['content-length'];
  if (declared !== undefined) expect(Number(declared)).toBe(body.length);
}
