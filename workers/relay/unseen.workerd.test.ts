// What no byte of an answer tells the relay: thinking that is hidden, tools that run upstream,
// usage that is a lie. All of it counts before more is spent than is there, and none of it is free.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Called, RelayedWallet } from '../../tests/workerd/relayed';
import {
  infoOfKey,
  relayedWallet,
  rowsBySession,
  scriptUpstream,
  send,
  spoken,
} from '../../tests/workerd/relayed';
import { nanosFromDollars } from '../domain/money';
import { SECOND_MS } from '../domain/time';

/** Opus 5.5, in nano-dollars a token. */
const INPUT_NANOS = 4_000;
const OUTPUT_NANOS = 20_000;
const SEARCH_NANOS = 10_000_000;
/** What a call of a tool is taken to add to the prompt. */
const RESULT_TOKENS = 10_000;
const INPUT_TOKENS = 100;
/** How fast unseen thinking may have been at most. */
const TOP_TOKENS_PER_SECOND = 300;

const SESSION = 'unseen';
const encoder = new TextEncoder();
const realNow = Date.now.bind(Date);
let aheadMs = 0;

function event(type: string, data: Readonly<Record<string, unknown>> = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

function block(content: Readonly<Record<string, unknown>>): string {
  const start = event('content_block_start', { index: 0, content_block: content });
  return start + event('content_block_stop', { index: 0 });
}

function text(words: string): string {
  return event('content_block_delta', { index: 1, delta: { type: 'text_delta', text: words } });
}

const BEGINNING = event('message_start', {
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-opus-5-5',
    content: [],
    usage: { input_tokens: INPUT_TOKENS, output_tokens: 1 },
  },
});
const HIDDEN = event('content_block_start', {
  index: 0,
  content_block: { type: 'thinking', thinking: '', signature: '' },
});
const CLOSED = event('content_block_stop', { index: 0 });
const SEARCH = [
  block({ type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} }),
  block({ type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] }),
].join('');

interface Course {
  readonly dollars?: number;
  readonly maxTokens?: number;
}

/** A stream that is under way, and can be said piece by piece. */
async function streaming({ dollars = 100, maxTokens = 32_000 }: Course = {}) {
  const wallet = await relayedWallet({}, nanosFromDollars(dollars));
  const called = Promise.withResolvers<Pick<Called, 'signal'> & ReturnType<typeof spoken>>();
  const script = (call: Called): Response => {
    const said = spoken(call.signal);
    called.resolve({ signal: call.signal, ...said });
    return new Response(said.body, { headers: { 'content-type': 'text/event-stream' } });
  };
  scriptUpstream(new Map([[SESSION, script]]));
  const messages = [{ role: 'user', content: SESSION }];
  const asked = { model: 'claude-opus-5-5', max_tokens: maxTokens, stream: true, messages };
  const sent = send(wallet, { body: JSON.stringify(asked), session: SESSION });
  const upstream = await called.promise;
  // The answer is held until its first event: nobody may wait for it before that is said.
  const reader = sent.response.then(({ body }) => body?.getReader());
  let saidBytes = 0;
  let heardBytes = 0;
  const hear = async (upToBytes: number): Promise<void> => {
    while (heardBytes < upToBytes) {
      const { value, done } = (await (await reader)?.read()) ?? { done: true };
      if (done) return;
      heardBytes += value?.byteLength ?? 0;
    }
  };
  /** Until it has come, the meter has had its nap, and what was asked of the ledger is answered. */
  const say = async (words: string): Promise<void> => {
    const bytes = encoder.encode(words);
    saidBytes += bytes.byteLength;
    upstream.say(bytes);
    await hear(saidBytes);
    await vi.advanceTimersByTimeAsync(SECOND_MS);
    await scheduler.wait(5);
  };
  const row = async () => {
    hear(Number.POSITIVE_INFINITY).catch(() => undefined);
    await sent.finished();
    return rowOf(wallet);
  };
  return { wallet, say, row, close: upstream.close, signal: upstream.signal };
}

async function rowOf(wallet: RelayedWallet) {
  expect(await infoOfKey(wallet)).toMatchObject({ openRequests: 0, heldNanos: 0, requests: 1 });
  return (await rowsBySession(wallet)).get(SESSION);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  aheadMs = 0;
  vi.spyOn(Date, 'now').mockImplementation(() => realNow() + aheadMs);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Thinks unseen for so long, with a ping each second. */
async function think({ say }: { say: (words: string) => Promise<void> }, seconds: number) {
  await say(BEGINNING + HIDDEN);
  for (let second = 0; second < seconds; second += 1) {
    aheadMs += SECOND_MS;
    await say(event('ping'));
  }
}

describe('hidden thinking', () => {
  it('of 14 s with a long text behind it is cut before more is spent than a small wallet has', async () => {
    const dollars = 0.15;
    const stream = await streaming({ dollars });
    await think(stream, 14);
    await stream.say(CLOSED);
    let textTokens = 0;
    for (; textTokens < 6_000 && !stream.signal.aborted; textTokens += 100) {
      await stream.say(text('w'.repeat(300)));
    }
    expect(stream.signal.aborted).toBe(true);
    expect(await stream.row()).toMatchObject({ closing: 'cut-by-credit' });
    const spent = (14 * TOP_TOKENS_PER_SECOND + textTokens) * OUTPUT_NANOS;
    expect(textTokens).toBeGreaterThan(1_000);
    expect(INPUT_TOKENS * INPUT_NANOS + spent).toBeLessThanOrEqual(nanosFromDollars(dollars));
  });
});

describe('tools that run upstream', () => {
  it('end a stream that calls more of them than its wallet can pay', async () => {
    const stream = await streaming({ dollars: 0.3 });
    await stream.say(BEGINNING);
    let calls = 0;
    for (; calls < 20 && !stream.signal.aborted; calls += 1) await stream.say(SEARCH);
    expect(stream.signal.aborted).toBe(true);
    expect(await stream.row()).toMatchObject({ closing: 'cut-by-credit' });
    // The last one came while the ledger was asked for the one before.
    const known = (calls - 1) * (SEARCH_NANOS + RESULT_TOKENS * INPUT_NANOS);
    expect(known).toBeLessThanOrEqual(nanosFromDollars(0.3));
  });
});

describe('an upstream that lies', () => {
  it('is cut when it reports more output than was asked for, and goes on', async () => {
    const stream = await streaming({ maxTokens: 1_000 });
    const reported = (output_tokens: number): string =>
      event('message_delta', { delta: { stop_reason: null }, usage: { output_tokens } });
    await stream.say(BEGINNING + reported(1_000 + TOP_TOKENS_PER_SECOND));
    expect(stream.signal.aborted).toBe(false);
    await stream.say(reported(1_001 + TOP_TOKENS_PER_SECOND));
    expect(stream.signal.aborted).toBe(true);
    expect(await stream.row()).toMatchObject({ closing: 'cut-by-credit', certainty: 'estimated' });
  });

  it('is not free when all it reports are zeros beside results of a search', async () => {
    const stream = await streaming();
    const zeros = { input_tokens: 0, output_tokens: 0 };
    await stream.say(BEGINNING.replace('"input_tokens":100', '"input_tokens":0') + SEARCH);
    await stream.say(event('message_delta', { delta: {}, usage: zeros }) + event('message_stop'));
    stream.close();
    const row = await stream.row();
    expect(row).toMatchObject({ closing: 'completed', certainty: 'estimated' });
    expect(row?.costNanos).toBeGreaterThan(SEARCH_NANOS + RESULT_TOKENS * INPUT_NANOS);
  });
});
