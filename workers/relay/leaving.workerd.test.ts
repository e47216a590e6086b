// A client leaves at any position of a stream, with either kind of key: what it pays, what becomes
// of the upstream, and that nothing stays open behind it.

import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RelayedWallet, Row } from '../../tests/workerd/relayed';
import {
  relayedWallet,
  rowsBySession,
  scriptUpstream,
  send,
  spoken,
  untilGivenUp,
} from '../../tests/workerd/relayed';
import type { Script } from '../../tests/workerd/relayed';
import { infoOfKey } from '../../tests/workerd/relayed';
import type { WhenClientLeaves } from '../domain/ledger/copies';
import { nanosFromDollars } from '../domain/money';

/** Opus 5.5, in nano-dollars a token. */
const INPUT_NANOS = 4_000;
const WRITE_NANOS = 5_000;
const OUTPUT_NANOS = 20_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function event(type: string, data: Readonly<Record<string, unknown>> = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

function delta(index: number, type: string, data: Readonly<Record<string, unknown>>): string {
  return event('content_block_delta', { index, delta: { type, ...data } });
}

function block(index: number, content: Readonly<Record<string, unknown>>, deltas: string[]) {
  const start = event('content_block_start', { index, content_block: content });
  return [start, ...deltas, event('content_block_stop', { index })].join('');
}

const INPUT_TOKENS = 1_000;
const OUTPUT_TOKENS = 420;
const WORDS = ['Ein ', 'größerer ', 'Text, ', '漢字かな交じり文'.repeat(4), '👩‍👩‍👧‍👦 ', 'and so on. '];

/** Everything that an answer can be made of, in the order in which it comes. */
const PARTS = {
  start: event('message_start', {
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-opus-5-5',
      content: [],
      stop_reason: null,
      usage: { input_tokens: INPUT_TOKENS, output_tokens: 1 },
    },
  }),
  ping: event('ping'),
  visibleThinking: block(
    0,
    { type: 'thinking', thinking: '' },
    WORDS.map((thinking) => delta(0, 'thinking_delta', { thinking })),
  ),
  hiddenThinking: block(1, { type: 'thinking', thinking: '', signature: '' }, [
    delta(1, 'thinking_delta', { thinking: '', estimated_tokens: 50 }),
    delta(1, 'signature_delta', { signature: 'EqQBCkYIBhgCIkA==' }),
  ]),
  text: block(
    2,
    { type: 'text', text: '' },
    WORDS.map((text) => delta(2, 'text_delta', { text })),
  ),
  toolJson: block(
    3,
    { type: 'tool_use', id: 'toolu_1', name: 'write', input: {} },
    ['{"path":"', 'ü.txt","co', 'ntent":"', '漢字"}'].map((partial_json) =>
      delta(3, 'input_json_delta', { partial_json }),
    ),
  ),
  delta: event('message_delta', {
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: { output_tokens: OUTPUT_TOKENS },
  }),
  stop: event('message_stop'),
} as const;

const STREAM = encoder.encode(Object.values(PARTS).join(''));
const TRUE_NANOS = INPUT_TOKENS * INPUT_NANOS + OUTPUT_TOKENS * OUTPUT_NANOS;
/** What the upstream itself estimates of its hidden thinking. */
const THOUGHT_TOKENS = 50;
/** While nothing of a thinking block is seen, it may be so many tokens a second. */
const UNSEEN_TOKENS_PER_SECOND = 60;

/** `null`: before the headers; else so many bytes have come. First and last bytes included. */
const POSITIONS: readonly (number | null)[] = [
  null,
  ...Array.from({ length: 199 }, (_, index) => Math.round((index * STREAM.byteLength) / 198)),
];

/** Before the first line says what the answer begins with, nobody is given any of it. */
const FIRST_LINE_BYTES = encoder.encode('event: message_start\n').byteLength;

/** By the rule as it is told, and by none of the code that follows it: what is paid at least. */
function deliveredNanos(position: number | null, body: string): number {
  const whole = eventsBefore(position).join('\n');
  const input = whole.includes('message_start')
    ? INPUT_TOKENS * INPUT_NANOS
    : Math.ceil(encoder.encode(body).byteLength / 2.6) * WRITE_NANOS;
  let words = '';
  for (const [, field] of whole.matchAll(/"(?:text|thinking|partial_json)":("(?:[^"\\]|\\.)*")/g)) {
    words += String(JSON.parse(field ?? '""'));
  }
  const thought = whole.includes('"estimated_tokens":') ? THOUGHT_TOKENS : 0;
  const guessed = Math.ceil(encoder.encode(words).byteLength / 3) + thought;
  const atStart = whole.includes('message_start') ? 1 : 0;
  const reported = whole.includes('message_delta') ? OUTPUT_TOKENS : atStart;
  return input + Math.max(guessed, reported) * OUTPUT_NANOS;
}

interface Departure {
  readonly session: string;
  readonly position: number | null;
  readonly body: string;
  /** Its call upstream was given up before the end was said. */
  readonly wasGivenUp: boolean;
}

/** Sends a request and leaves once the position is reached. */
async function leaveAt(
  wallet: RelayedWallet,
  scripts: Map<string, Script>,
  position: number | null,
): Promise<Departure> {
  const session = `leaves at ${position}`;
  const content = [{ role: 'user', content: session }];
  const model = 'claude-opus-5-5';
  const body = JSON.stringify({ model, max_tokens: 1_000, stream: true, messages: content });
  const left = Promise.withResolvers<void>();
  const called = Promise.withResolvers<void>();
  let saidAll = false;
  let wasGivenUp = false;
  scripts.set(session, async ({ signal }) => {
    signal.addEventListener('abort', () => (wasGivenUp = !saidAll));
    called.resolve();
    const { body: answer, say, close } = spoken(signal);
    say(STREAM.subarray(0, position ?? 0));
    const goOn = async (): Promise<void> => {
      await left.promise;
      if (wallet.copy.whenClientLeaves !== 'drain') return;
      say(STREAM.subarray(position ?? 0, -10));
      // Later than what was under way when the client left.
      await scheduler.wait(1_000);
      say(STREAM.subarray(Math.max(position ?? 0, STREAM.byteLength - 10)));
      saidAll = true;
      close();
    };
    const going = goOn();
    if (position === null) await Promise.race([going, untilGivenUp(signal)]);
    return new Response(answer, { headers: { 'content-type': 'text/event-stream' } });
  });
  const { response, leave, finished } = send(wallet, { body, session });
  await called.promise;
  const isHeld = position === null || position < FIRST_LINE_BYTES;
  const reader = isHeld ? null : (await response).body?.getReader();
  for (let count = 0; reader && count < (position ?? 0);) {
    const { value } = await reader.read();
    count += value?.byteLength ?? 0;
  }
  leave();
  reader?.cancel().catch(() => undefined);
  left.resolve();
  await finished();
  return { session, position, body, wasGivenUp };
}

/** So few that none waits for its lease for long. */
const AT_ONCE = 50;

async function leaveEverywhere(whenClientLeaves: WhenClientLeaves) {
  const wallet = await relayedWallet({ whenClientLeaves });
  const scripts = new Map<string, Script>();
  scriptUpstream(scripts);
  const startedAt = Date.now();
  const departures: Departure[] = [];
  for (let from = 0; from < POSITIONS.length; from += AT_ONCE) {
    const wave = POSITIONS.slice(from, from + AT_ONCE);
    departures.push(
      ...(await Promise.all(wave.map((position) => leaveAt(wallet, scripts, position)))),
    );
  }
  const tookMs = Date.now() - startedAt;
  const rows = await rowsBySession(wallet);
  const info = await infoOfKey(wallet);
  const total = [...rows.values()].reduce((sum, row) => sum + (row.costNanos ?? 0), 0);
  expect(info).toMatchObject({ openRequests: 0, heldNanos: 0, requests: POSITIONS.length });
  expect(info.balanceNanos).toBe(nanosFromDollars(1_000) - total);
  expect(rows.size).toBe(POSITIONS.length);
  const left = departures.map((departure) => {
    const row = rows.get(departure.session);
    if (row === undefined) throw new Error(`no row of ${departure.session}`);
    return { ...departure, row };
  });
  return { left, tookMs };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a client that leaves at 200 positions of a stream', () => {
  it('meets every part of it, and the middle of characters', () => {
    let from = 0;
    for (const [name, text] of Object.entries(PARTS)) {
      const to = from + encoder.encode(text).byteLength;
      const inside = POSITIONS.filter((at) => at !== null && at > from && at < to);
      expect([name, inside.length]).not.toEqual([name, 0]);
      from = to;
    }
    const split = POSITIONS.filter((at) => at !== null && (STREAM[at] ?? 0) >> 6 === 0b10);
    expect(split.length).toBeGreaterThan(3);
    expect(POSITIONS).toHaveLength(200);
  });

  it('pays what it was given, and its upstream is let go', async () => {
    const { left, tookMs } = await leaveEverywhere('cancel');
    const unseenNanos = ((tookMs * UNSEEN_TOKENS_PER_SECOND) / 1_000) * OUTPUT_NANOS;
    for (const { position, body, row, wasGivenUp, session } of left) {
      const given = deliveredNanos(position, body);
      const hasAll = position === STREAM.byteLength;
      expect([session, row.closing]).toEqual([session, hasAll ? 'completed' : 'client-left']);
      expect([session, row.certainty]).toEqual([session, hasAll ? 'reported' : 'estimated']);
      expect([session, wasGivenUp]).toEqual([session, true]);
      const expected = hasAll ? TRUE_NANOS : given;
      if (!isUnseen(position)) expect([session, row.costNanos]).toEqual([session, expected]);
      expect(row.costNanos).toBeGreaterThanOrEqual(expected);
      expect(row.costNanos).toBeGreaterThan(0);
      expect(row.costNanos).toBeLessThanOrEqual(Math.max(TRUE_NANOS, given + unseenNanos));
    }
  });

  it('pays exactly what was used where answers are drained', async () => {
    const { left } = await leaveEverywhere('drain');
    for (const { position, row, wasGivenUp, session } of left) {
      const closing = position === STREAM.byteLength ? 'completed' : 'client-left';
      const exact: Row = { closing, certainty: 'reported', costNanos: TRUE_NANOS };
      expect([session, row]).toEqual([session, exact]);
      // Of one that has all there is nothing to wait for.
      expect([session, wasGivenUp]).toEqual([session, position === STREAM.byteLength]);
    }
  });
});

/** Within a thinking block of which nothing has been seen. */
function isUnseen(position: number | null): boolean {
  const telling = eventsBefore(position).filter((text) =>
    /"thinking":"[^"]|"content_block":\{"type":"thinking"|content_block_stop/.test(text),
  );
  return telling.at(-1)?.includes('"content_block":') ?? false;
}

/** Those that came whole. */
function eventsBefore(position: number | null): string[] {
  const text = decoder.decode(STREAM.subarray(0, position ?? 0));
  return text.split('\n\n').slice(0, -1);
}
