// Bedrock's event stream as Anthropic's events: whole, cut anywhere, damaged, interrupted.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { bytesOf, chunkOf, exceptionOf, frameOf } from '../../../tests/support/event-stream';
import { ARN, BEDROCK_EVENTS, fakeAws } from '../../../tests/support/fake-bedrock';
import { EVENTS, sseOf } from '../../../tests/support/fake-kind';
import { accountOf, asked, errorOf, PLAIN } from '../../../tests/workerd/upstream-world';
import { originalOf } from '../refusals';
import { translateEvents } from './events';
import { FRAME_BYTES_MAX } from './frames';

const CALL = { signal: new AbortController().signal };
const STREAM = { body: { ...PLAIN, stream: true } };
const FRAMES = BEDROCK_EVENTS.map(chunkOf);
const WHOLE = sseOf(BEDROCK_EVENTS);

afterEach(() => {
  vi.restoreAllMocks();
});

/** A body that comes in these pieces and then ends, or breaks. */
function inPieces(pieces: readonly Uint8Array[], end: 'whole' | 'broken' = 'whole'): Response {
  const left = [...pieces];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = left.shift();
      if (next !== undefined) controller.enqueue(next);
      else if (end === 'whole') controller.close();
      else controller.error(new Error('reset'));
    },
  });
  const type = 'application/vnd.amazon.eventstream';
  return new Response(body, { headers: { 'content-type': type, 'x-amzn-requestid': 'aws-1' } });
}

async function textOf(pieces: readonly Uint8Array[]): Promise<string> {
  return (await translateEvents(inPieces(pieces), CALL)).text();
}

describe('an event stream', () => {
  it('is the same when cut at every byte', async () => {
    const bytes = bytesOf(FRAMES);
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(await textOf([bytes.subarray(0, at), bytes.subarray(at)])).toBe(WHOLE);
    }
    expect(await textOf(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toBe(WHOLE);
  });

  it('has a body that can be read into a buffer of the reader’s own', async () => {
    const { body } = await translateEvents(inPieces(FRAMES), CALL);
    const reader = body?.getReader({ mode: 'byob' });
    const { value } = (await reader?.read(new Uint8Array(5))) ?? {};
    expect(new TextDecoder().decode(value)).toBe('event');
    await reader?.cancel();
  });

  it('drops what says nothing to a client', async () => {
    const quiet = [
      frameOf({ ':message-type': 'event', ':event-type': 'initial-response' }, '{}'),
      frameOf({ ':message-type': 'later' }, 'x'),
      frameOf({ ':message-type': 'event', ':event-type': 'chunk' }, '{"bytes":5}'),
      chunkOf('{"no":"type"}'),
      chunkOf('[1]'),
    ];
    expect(await textOf([...quiet, ...FRAMES, ...quiet])).toBe(WHOLE);
  });

  it('keeps an event on one line, however it was written', async () => {
    const json = JSON.stringify({ type: 'ping', text: 'a\nb' }, null, 2);
    expect(await textOf([chunkOf(json)])).toBe(sseOf([JSON.parse(json)]));
  });

  it('carries the figures that Bedrock adds to the last event', async () => {
    const fake = fakeAws('bedrock');
    const response = await asked(fake, accountOf(fake), STREAM);
    expect(response.headers.get('request-id')).toBe('aws-request-1');
    expect([...response.headers.keys()]).not.toContain('x-amzn-bedrock-canary');
    expect(await response.text()).toContain('"amazon-bedrock-invocationMetrics"');
  });

  it('that breaks off breaks off', async () => {
    const broken = await translateEvents(inPieces(FRAMES.slice(0, 2), 'broken'), CALL);
    await expect(broken.text()).rejects.toThrow();
    const fake = fakeAws('bedrock');
    for (const bytes of [bytesOf(FRAMES).length - 1, bytesOf(FRAMES).length - 60]) {
      fake.fail({ kind: 'cut', bytes });
      const response = await asked(fake, accountOf(fake), STREAM);
      await expect(response.text()).rejects.toThrow();
    }
  });

  it('that breaks before its first message is an error with a status', async () => {
    const cut = (FRAMES[0] ?? new Uint8Array()).subarray(0, 20);
    for (const response of [inPieces([], 'broken'), inPieces([cut]), inPieces([])]) {
      expect(await errorOf(await translateEvents(response, CALL))).toEqual([
        500,
        'error',
        'api_error',
        'The upstream broke off before it answered.',
      ]);
    }
  });

  it('whose call was given up before its first message is no answer', async () => {
    const signal = AbortSignal.abort();
    const given = translateEvents(inPieces([], 'broken'), { signal });
    await expect(given).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('whose client leaves is given up', async () => {
    const cancelled = Promise.withResolvers<void>();
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(FRAMES[2] ?? new Uint8Array()),
      cancel: () => cancelled.resolve(),
    });
    const response = await translateEvents(new Response(body), CALL);
    await response.body?.cancel();
    await cancelled.promise;
    expect(response.status).toBe(200);
  });
});

describe('a damaged stream', () => {
  const DAMAGE = {
    type: 'error',
    error: { type: 'api_error', message: 'The upstream’s stream was damaged.' },
  };

  it('is an error with a status where no event has come', async () => {
    const fake = fakeAws('bedrock');
    for (const byte of [5, 8, 20, 60, (FRAMES[0]?.length ?? 0) - 1]) {
      fake.fail({ kind: 'flip', frame: 0, byte });
      const response = await asked(fake, accountOf(fake), STREAM);
      expect(await errorOf(response)).toEqual([500, 'error', 'api_error', DAMAGE.error.message]);
    }
  });

  it('is an event of error behind those that have come, and nothing follows', async () => {
    const fake = fakeAws('bedrock');
    fake.fail({ kind: 'flip', frame: 3, byte: 70 });
    const response = await asked(fake, accountOf(fake), STREAM);
    expect(await response.text()).toBe(sseOf([...BEDROCK_EVENTS.slice(0, 3), DAMAGE]));
  });

  it.each([0, 15, FRAME_BYTES_MAX + 1, 0xffffffff])(
    'is one whose message has %i bytes',
    async (size) => {
      const start = new Uint8Array(12);
      new DataView(start.buffer).setUint32(0, size);
      expect(await textOf([...FRAMES.slice(0, 1), start])).toBe(
        sseOf([...EVENTS.slice(0, 1), DAMAGE]),
      );
    },
  );
});

describe('an exception', () => {
  it.each([
    ['throttlingException', 429, 'rate_limit_error'],
    ['serviceUnavailableException', 503, 'api_error'],
    ['internalServerException', 500, 'api_error'],
    ['modelStreamErrorException', 500, 'api_error'],
    ['modelTimeoutException', 504, 'timeout_error'],
    ['validationException', 400, 'invalid_request_error'],
    ['newException', 500, 'api_error'],
  ])(
    '%s is a status before the first event, an event of error after it',
    async (name, status, type) => {
      const fake = fakeAws('bedrock');
      const body = JSON.stringify({ message: `no luck for ${ARN}` });
      fake.fail({ kind: 'exception', at: 0, name, body });
      const early = await asked(fake, accountOf(fake), STREAM);
      expect(originalOf(early)).toContain(ARN);
      expect(early.headers.get('content-type')).toBe('application/json');
      const [gotStatus, , gotType, message] = await errorOf(early);
      expect([gotStatus, gotType]).toEqual([status, type]);
      expect(message).not.toContain('arn:');
      fake.fail({ kind: 'exception', at: 2, name, body });
      const late = await asked(fake, accountOf(fake), STREAM);
      const error = { type: 'error', error: { type, message } };
      expect(late.status).toBe(200);
      expect(await late.text()).toBe(sseOf([...BEDROCK_EVENTS.slice(0, 2), error]));
    },
  );

  it('keeps what says of the request that it is too long', async () => {
    const body = JSON.stringify({ message: 'Input is too long for requested model.' });
    const response = await translateEvents(
      inPieces([exceptionOf('validationException', body)]),
      CALL,
    );
    expect(await errorOf(response)).toEqual([
      400,
      'error',
      'invalid_request_error',
      'Input is too long.',
    ]);
  });

  it('of the other form is one too', async () => {
    const headers = {
      ':message-type': 'error',
      ':error-code': 'ThrottlingException',
      ':error-message': 'x',
    };
    const response = await translateEvents(inPieces([frameOf(headers, '')]), CALL);
    expect(response.status).toBe(429);
  });
});

it('a first message that does not come keeps nobody waiting for its status', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const start = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await start.promise;
      controller.enqueue(exceptionOf('throttlingException', '{}'));
      controller.close();
    },
  });
  const answer = translateEvents(new Response(body), CALL);
  await vi.advanceTimersByTimeAsync(5_000);
  vi.useRealTimers();
  const response = await answer;
  expect(response.status).toBe(200);
  start.resolve();
  expect(await response.text()).toContain(
    'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error"',
  );
});
