// A client leaves before it has an answer, or within a JSON one, or for longer than an answer is
// read on for: what it pays, and when its upstream is let go.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Called, RelayedWallet, Row, Script, Sent } from '../../tests/workerd/relayed';
import {
  infoOfKey,
  relayedWallet,
  rowsBySession,
  scriptUpstream,
  send,
  spoken,
  untilGivenUp,
} from '../../tests/workerd/relayed';
import type { WhenClientLeaves } from '../domain/ledger/copies';
import { nanos } from '../domain/money';
import { SECOND_MS } from '../domain/time';

/** Opus 5.5, in nano-dollars a token. */
const INPUT_NANOS = 4_000;
const WRITE_NANOS = 5_000;
const OUTPUT_NANOS = 20_000;
const TRUE_NANOS = 100 * INPUT_NANOS + 50 * OUTPUT_NANOS;

const encoder = new TextEncoder();
const USAGE = { input_tokens: 100, output_tokens: 50 };
const MESSAGE = { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-opus-5-5' };
const DOCUMENT = encoder.encode(
  JSON.stringify({
    ...MESSAGE,
    content: [{ type: 'text', text: 'word '.repeat(30) }],
    stop_reason: 'end_turn',
    usage: USAGE,
  }),
);
const BEGINNING = event('message_start', {
  message: { ...MESSAGE, content: [], usage: { input_tokens: 100, output_tokens: 1 } },
});
const ENDING = event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: USAGE });
const STREAM = encoder.encode(BEGINNING + text('word ') + ENDING + event('message_stop', {}));

function event(type: string, data: Readonly<Record<string, unknown>>): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

function text(words: string): string {
  return event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: words } });
}

interface Running extends Sent {
  readonly wallet: RelayedWallet;
  readonly called: Called;
  readonly likelyNanos: number;
}

interface Course {
  readonly whenClientLeaves: WhenClientLeaves;
  readonly streamed?: boolean;
  readonly script: Script;
  readonly wallet?: RelayedWallet;
  readonly maxTokens?: number;
  /** More of the prompt. */
  readonly more?: string;
}

const SESSION = 'leaves early';

/** A request whose call upstream is under way. */
async function running(course: Course): Promise<Running> {
  const { script, whenClientLeaves, streamed = false, maxTokens = 1_000 } = course;
  const { more = '' } = course;
  const wallet = course.wallet ?? (await relayedWallet({ whenClientLeaves }));
  const called = Promise.withResolvers<Called>();
  const answer: Script = (call) => {
    called.resolve(call);
    return script(call);
  };
  scriptUpstream(new Map([[SESSION, answer]]));
  const messages = [{ role: 'user', content: SESSION }];
  if (more !== '') messages.push({ role: 'user', content: more });
  const asked = { model: 'claude-opus-5-5', max_tokens: maxTokens, stream: streamed, messages };
  const body = JSON.stringify(asked);
  const likelyNanos = Math.ceil(encoder.encode(body).byteLength / 2.6) * WRITE_NANOS;
  const sent = send(wallet, { body, session: SESSION });
  return { ...sent, wallet, likelyNanos, called: await called.promise };
}

/** The request's row when all is done, and that nothing is left open or held. */
async function rowOf({ wallet, finished }: Running): Promise<Row | undefined> {
  await finished();
  expect(await infoOfKey(wallet)).toMatchObject({ openRequests: 0, heldNanos: 0, requests: 1 });
  return (await rowsBySession(wallet)).get(SESSION);
}

function hang({ signal }: Called): Promise<never> {
  return untilGivenUp(signal);
}

function answerOf(body: ReadableStream, type: string): Response {
  return new Response(body, { headers: { 'content-type': type } });
}

const estimated = { closing: 'client-left', certainty: 'estimated' } as const;
const reported = { closing: 'client-left', certainty: 'reported' } as const;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe.each([true, false])(
  'a client that leaves before the headers (streaming: %s)',
  (streamed) => {
    it('pays its likely input, and its upstream is let go', async () => {
      const request = await running({ whenClientLeaves: 'cancel', streamed, script: hang });
      request.leave();
      await vi.advanceTimersByTimeAsync(0);
      expect(request.called.signal.aborted).toBe(true);
      expect(await rowOf(request)).toEqual({ ...estimated, costNanos: request.likelyNanos });
    });

    it('is waited for 15 s where answers are drained, and then pays the same', async () => {
      const request = await running({ whenClientLeaves: 'drain', streamed, script: hang });
      request.leave();
      await vi.advanceTimersByTimeAsync(15 * SECOND_MS - 1);
      expect(request.called.signal.aborted).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      expect(request.called.signal.aborted).toBe(true);
      expect(await rowOf(request)).toEqual({ ...estimated, costNanos: request.likelyNanos });
    });

    it('pays exactly what was used when the drained answer comes in time', async () => {
      const go = Promise.withResolvers<void>();
      const request = await running({
        whenClientLeaves: 'drain',
        streamed,
        script: async () => {
          await go.promise;
          const type = streamed ? 'text/event-stream' : 'application/json';
          const body = streamed ? STREAM : DOCUMENT;
          const headers = { 'content-type': type, 'content-length': String(body.byteLength) };
          return new Response(body, { headers });
        },
      });
      request.leave();
      await vi.advanceTimersByTimeAsync(10 * SECOND_MS);
      go.resolve();
      expect(await rowOf(request)).toEqual({ ...reported, costNanos: TRUE_NANOS });
    });

    it('pays nothing for an upstream that fails by itself, and no other is asked', async () => {
      const go = Promise.withResolvers<Response>();
      const script = vi.fn<Script>(() => go.promise);
      const request = await running({ whenClientLeaves: 'drain', streamed, script });
      request.leave();
      await vi.advanceTimersByTimeAsync(SECOND_MS);
      go.reject(new Error('reset'));
      const failed = { closing: 'upstream-failed', certainty: 'reported', costNanos: 0 };
      expect(await rowOf(request)).toEqual(failed);
      expect(script).toHaveBeenCalledTimes(1);
    });
  },
);

describe('a client that leaves while nobody is called', () => {
  it('pays nothing: the call before had failed, the next had not begun', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.9);
    const go = Promise.withResolvers<Response>();
    const script = vi.fn<Script>(() => go.promise);
    const request = await running({ whenClientLeaves: 'cancel', script });
    go.reject(new Error('reset'));
    await vi.advanceTimersByTimeAsync(10);
    request.leave();
    await vi.advanceTimersByTimeAsync(SECOND_MS);
    const free = { closing: 'client-left', certainty: 'reported', costNanos: 0 };
    expect(await rowOf(request)).toEqual(free);
    expect(script).toHaveBeenCalledTimes(1);
  });
});

describe.each([
  ['short', { 'content-length': String(DOCUMENT.byteLength) }],
  ['of no known length', {}],
])('a client that leaves within a JSON answer that is %s', (_, length) => {
  const half = DOCUMENT.byteLength >> 1;

  async function leftWithin(whenClientLeaves: WhenClientLeaves) {
    const answer = Promise.withResolvers<ReturnType<typeof spoken>>();
    const request = await running({
      whenClientLeaves,
      script: ({ signal }) => {
        const said = spoken(signal);
        said.say(DOCUMENT.subarray(0, half));
        answer.resolve(said);
        const headers = { 'content-type': 'application/json', ...length };
        return new Response(said.body, { headers });
      },
    });
    const said = await answer.promise;
    // As far as it comes without the rest.
    await vi.advanceTimersByTimeAsync(0);
    request.leave();
    // What is answered to one who has left is thrown away.
    void request.response.then((late) => late.body?.cancel());
    return { request, said };
  }

  it('pays at least its likely input', async () => {
    const { request } = await leftWithin('cancel');
    await vi.advanceTimersByTimeAsync(SECOND_MS);
    expect(request.called.signal.aborted).toBe(true);
    const row = await rowOf(request);
    expect(row).toMatchObject(estimated);
    expect(row?.costNanos).toBeGreaterThanOrEqual(request.likelyNanos);
  });

  it('pays exactly what was used where answers are drained', async () => {
    const { request, said } = await leftWithin('drain');
    await vi.advanceTimersByTimeAsync(10 * SECOND_MS);
    said.say(DOCUMENT.subarray(half));
    said.close();
    expect(await rowOf(request)).toEqual({ ...reported, costNanos: TRUE_NANOS });
  });

  it('pays at least its likely input when the drain takes too long', async () => {
    const { request } = await leftWithin('drain');
    await vi.advanceTimersByTimeAsync(14 * SECOND_MS);
    expect(request.called.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(2 * SECOND_MS);
    expect(request.called.signal.aborted).toBe(true);
    const row = await rowOf(request);
    expect(row).toMatchObject(estimated);
    expect(row?.costNanos).toBeGreaterThanOrEqual(request.likelyNanos);
  });
});

describe('a stream whose prompt is large', () => {
  it('has a second more for each megabyte until its headers must have come', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const more = 'x'.repeat(5 * 1024 * 1024);
    const course = { whenClientLeaves: 'cancel', streamed: true, script: hang, more } as const;
    const request = await running(course);
    await vi.advanceTimersByTimeAsync(34 * SECOND_MS);
    expect(request.called.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(2 * SECOND_MS);
    expect(request.called.signal.aborted).toBe(true);
    expect(await rowOf(request)).toMatchObject({ closing: 'upstream-failed', costNanos: 0 });
  });
});

describe('a short JSON answer that stops coming', () => {
  it('is given up after two minutes, and nobody pays', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'Date'] });
    const request = await running({
      whenClientLeaves: 'cancel',
      script: ({ signal }) => {
        const said = spoken(signal);
        said.say(DOCUMENT.subarray(0, 10));
        const length = { 'content-length': String(DOCUMENT.byteLength) };
        const headers = { 'content-type': 'application/json', ...length };
        return new Response(said.body, { headers });
      },
    });
    await vi.advanceTimersByTimeAsync(150 * SECOND_MS);
    expect(request.called.signal.aborted).toBe(true);
    expect((await request.response).status).toBe(502);
    const failed = { closing: 'upstream-failed', certainty: 'reported', costNanos: 0 };
    expect(await rowOf(request)).toEqual(failed);
  });
});

describe('a stream that is drained', () => {
  async function leftAfterBeginning(course: Partial<Course> = {}) {
    const answer = Promise.withResolvers<ReturnType<typeof spoken>>();
    const request = await running({
      whenClientLeaves: 'drain',
      streamed: true,
      script: ({ signal }) => {
        const said = spoken(signal);
        said.say(encoder.encode(BEGINNING));
        answer.resolve(said);
        return answerOf(said.body, 'text/event-stream');
      },
      ...course,
    });
    const reader = (await request.response).body?.getReader();
    await reader?.read();
    request.leave();
    reader?.cancel().catch(() => undefined);
    return { request, ...(await answer.promise) };
  }

  it('is let go 15 s after its client, at all that was read', async () => {
    const { request, say } = await leftAfterBeginning();
    await vi.advanceTimersByTimeAsync(14 * SECOND_MS);
    say(encoder.encode(text('word '.repeat(60))));
    await vi.advanceTimersByTimeAsync(SECOND_MS - 1);
    expect(request.called.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(SECOND_MS);
    expect(request.called.signal.aborted).toBe(true);
    const costNanos = 100 * INPUT_NANOS + 100 * OUTPUT_NANOS;
    expect(await rowOf(request)).toEqual({ ...estimated, costNanos });
  });

  it('does not wait for an upstream that has said its last event and keeps the line', async () => {
    const { request, say } = await leftAfterBeginning();
    await vi.advanceTimersByTimeAsync(SECOND_MS);
    say(encoder.encode(ENDING + event('message_stop', {})));
    expect(await rowOf(request)).toEqual({ ...reported, costNanos: TRUE_NANOS });
    expect(request.called.signal.aborted).toBe(true);
  });

  it('is let go when its wallet can hold no more', async () => {
    const wallet = await relayedWallet({ whenClientLeaves: 'drain' }, nanos(40_000_000));
    const { request, say } = await leftAfterBeginning({ wallet, maxTokens: 128_000 });
    const words = encoder.encode(text('word '.repeat(60)));
    await vi.advanceTimersByTimeAsync(SECOND_MS);
    for (let said = 0; said < 200 && !request.called.signal.aborted; said += 1) {
      say(words);
      await scheduler.wait(5);
    }
    expect(request.called.signal.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(SECOND_MS);
    expect(await rowOf(request)).toMatchObject(estimated);
  });
});
