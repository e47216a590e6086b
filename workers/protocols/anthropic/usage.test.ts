import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServiceTerms, TokenCounts, UsageEntry } from '../../domain/usage/tokens';
import { NO_TOKENS } from '../../domain/usage/tokens';
import type { MeterOptions, MeterReading } from '../protocol';
import codeExecution from './__fixtures__/code-execution.sse?raw';
import compaction from './__fixtures__/compaction.sse?raw';
import errorAfterStart from './__fixtures__/error-after-start.sse?raw';
import fallback from './__fixtures__/fallback.sse?raw';
import hiddenThinking from './__fixtures__/hidden-thinking.sse?raw';
import newEvents from './__fixtures__/new-events.sse?raw';
import plain from './__fixtures__/plain.sse?raw';
import refusal from './__fixtures__/refusal.sse?raw';
import thinking from './__fixtures__/thinking.sse?raw';
import toolUse from './__fixtures__/tool-use.sse?raw';
import webSearch from './__fixtures__/web-search.sse?raw';
import { createStreamMeter } from './usage';

const encoder = new TextEncoder();
const OPTIONS: MeterOptions = { askedModel: 'claude-opus-5-5', cacheTtl: '5m' };
const STANDARD: ServiceTerms = { speed: null, geo: 'global', tier: 'standard' };

function metered(stream: string, options: Partial<MeterOptions> = {}): MeterReading {
  return meteredIn([encoder.encode(stream)], options);
}

function meteredIn(
  chunks: readonly Uint8Array[],
  options: Partial<MeterOptions> = {},
): MeterReading {
  const meter = createStreamMeter({ ...OPTIONS, ...options });
  for (const chunk of chunks) meter.push(chunk);
  return meter.reading();
}

function entry(model: string, counts: Partial<TokenCounts>, terms = STANDARD): UsageEntry {
  return { model, counts: { ...NO_TOKENS, ...counts }, terms };
}

function eventOf(body: Readonly<Record<string, unknown>>): string {
  return `event: ${String(body['type'])}\ndata: ${JSON.stringify(body)}\n\n`;
}

function countsOf(reading: MeterReading): TokenCounts {
  const only = reading.usage?.entries[0];
  if (only === undefined) throw new Error('nothing was reported');
  return only.counts;
}

const FIXTURES: readonly (readonly [name: string, stream: string, expected: object])[] = [
  [
    'plain text',
    plain,
    {
      messageId: 'msg_plain',
      stopReason: 'end_turn',
      deliveredBytes: 7 + 11 + 2,
      reportedOutputTokens: 87,
      heldIds: ['msg_plain'],
      usage: {
        entries: [
          entry('claude-opus-5-5', {
            input: 12,
            cacheWrite5m: 100,
            cacheWrite1h: 200,
            cacheRead: 40_000,
            output: 87,
          }),
        ],
        flags: [],
      },
    },
  ],
  [
    'tool use',
    toolUse,
    {
      model: 'claude-sonnet-5-5',
      stopReason: 'tool_use',
      deliveredBytes: 12 + 12 + 6,
      usage: { entries: [entry('claude-sonnet-5-5', { input: 1_000, output: 45 })], flags: [] },
    },
  ],
  [
    'thinking with a signature',
    thinking,
    {
      deliveredBytes: 14 + 5,
      estimatedThinkingTokens: 0,
      usage: { entries: [entry('claude-opus-5-5', { input: 30, output: 60 })], flags: [] },
    },
  ],
  [
    'hidden thinking',
    hiddenThinking,
    {
      deliveredBytes: 4,
      estimatedThinkingTokens: 150,
      hiddenThinkingOpen: false,
      usage: { entries: [entry('claude-opus-5-5', { input: 30, output: 190 })], flags: [] },
    },
  ],
  [
    'web search, whose input grows after the start',
    webSearch,
    {
      deliveredBytes: 19 + 6,
      usage: {
        entries: [
          entry('claude-opus-5-5', {
            input: 10_682,
            cacheWrite5m: 1_500,
            output: 510,
            webSearches: 2,
          }),
        ],
        flags: [],
      },
    },
  ],
  [
    'fallback over two models',
    fallback,
    {
      model: 'claude-sonnet-5-5',
      usage: {
        entries: [
          entry('claude-fable-5-1', { input: 100, cacheRead: 900, output: 7 }),
          entry('claude-sonnet-5-5', { input: 1_000, output: 20 }),
        ],
        flags: [],
      },
    },
  ],
  [
    'compaction and an advisor',
    compaction,
    {
      deliveredBytes: 14 + 6,
      usage: {
        entries: [
          entry('claude-opus-5-5', { input: 180_000, output: 3_500 }),
          entry('claude-opus-5-5', { input: 400, output: 30 }),
          entry('claude-fable-5-1', { input: 700, output: 80 }),
        ],
        flags: [],
      },
    },
  ],
  [
    'code execution',
    codeExecution,
    { heldIds: ['msg_code', 'file_made', 'container_1'], reportedOutputTokens: 33 },
  ],
  [
    'an error after the start',
    errorAfterStart,
    {
      started: true,
      finished: false,
      deliveredBytes: 7,
      reportedOutputTokens: 1,
      error: { type: 'overloaded_error', message: 'Overloaded' },
      usage: { entries: [entry('claude-opus-5-5', { input: 12, output: 1 })], flags: [] },
    },
  ],
  [
    'a refusal before any output, which costs nothing',
    refusal,
    {
      stopReason: 'refusal',
      heldIds: ['msg_refusal', 'credit_1'],
      usage: { entries: [], flags: [] },
    },
  ],
  [
    'events that nobody knows yet',
    newEvents,
    {
      deliveredBytes: 1,
      usage: {
        entries: [
          entry('claude-opus-5-5', { input: 10, output: 4 }, { ...STANDARD, speed: 'fast' }),
        ],
        flags: [],
      },
    },
  ],
];

describe('createStreamMeter', () => {
  it.each(FIXTURES)('reads %s', (_, stream, expected) => {
    expect(metered(stream)).toMatchObject(expected);
  });

  it.each(FIXTURES)('reads %s the same when cut at every byte', (_, stream) => {
    const bytes = encoder.encode(stream);
    const whole = metered(stream);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(meteredIn([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
    }
  });

  it.each(FIXTURES)('reads %s the same byte by byte, with any line end', (_, stream) => {
    for (const lineEnd of ['\n', '\r\n', '\r']) {
      const bytes = encoder.encode(stream.replaceAll('\n', lineEnd));
      const reading = meteredIn(Array.from(bytes, (byte) => Uint8Array.of(byte)));
      expect(reading).toEqual(metered(stream));
    }
  });

  it('knows the true input as soon as message_start is there', () => {
    const reading = metered(plain.slice(0, plain.indexOf('\n\n') + 2));
    expect(reading).toMatchObject({
      started: true,
      finished: false,
      flags: [],
      model: 'claude-opus-5-5',
    });
    expect(countsOf(reading)).toMatchObject({ input: 12, cacheRead: 40_000, output: 1 });
  });

  it('says while a model thinks without showing it, and no longer', () => {
    const bytes = encoder.encode(hiddenThinking);
    const meter = createStreamMeter(OPTIONS);
    const states: boolean[] = [];
    for (const byte of bytes) {
      meter.push(Uint8Array.of(byte));
      const { hiddenThinkingOpen } = meter.reading();
      if (states.at(-1) !== hiddenThinkingOpen) states.push(hiddenThinkingOpen);
    }
    expect(states).toEqual([false, true, false]);
    const visible = thinking.slice(0, thinking.indexOf('" this."'));
    expect(metered(visible).hiddenThinkingOpen).toBe(false);
  });

  it('reports nothing and flags nothing when only an error came', () => {
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
    expect(metered(eventOf(error))).toMatchObject({ started: false, usage: null, flags: [] });
    expect(metered('event: error\ndata: upstream died\n\n').error).toEqual({
      type: 'api_error',
      message: 'upstream died',
    });
  });

  it('ignores the placeholder of a second message_start after the closing figures', () => {
    const again = plain.slice(0, plain.indexOf('event: content_block_start'));
    const twice = metered(plain + again);
    expect(countsOf(twice).output).toBe(87);
    expect(twice).toEqual(metered(plain));
  });

  it('reads on behind an event too large to hold usage', () => {
    const result = { type: 'web_fetch_tool_result', content: 'x'.repeat(3_000_000) };
    const huge = eventOf({ type: 'content_block_start', index: 1, content_block: result });
    const at = plain.indexOf('event: message_delta');
    expect(metered(plain.slice(0, at) + huge + plain.slice(at))).toEqual(metered(plain));
  });

  it('survives any JSON in any place of any event', () => {
    const any = fc.jsonValue({ maxDepth: 1 });
    const names = fc.constantFrom(
      'message_start',
      'message_delta',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_stop',
      'error',
      'other',
    );
    const parts = ['message', 'delta', 'usage', 'content_block', 'error', 'index'] as const;
    const leaf = fc.record(
      {
        type: fc.constantFrom('text_delta', 'thinking', 'fallback', 'refusal', 5, null),
        usage: any,
        input_tokens: any,
        output_tokens: fc.oneof(fc.integer(), fc.double(), any),
        cache_creation: fc.dictionary(
          fc.constantFrom('ephemeral_5m_input_tokens', 'ephemeral_1h_input_tokens'),
          any,
        ),
        iterations: any,
        to: any,
        input: any,
        file_id: any,
        server_tool_use: any,
      },
      { requiredKeys: [] },
    );
    const event = fc.record({
      type: names,
      body: fc.dictionary(fc.constantFrom(...parts), fc.oneof(leaf, any)),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), (events) => {
        const stream = events.map(({ type, body }) => eventOf({ ...body, type })).join('');
        const reading = metered(stream);
        for (const { counts } of reading.usage?.entries ?? []) {
          for (const count of Object.values(counts)) {
            expect(Number.isInteger(count) && count >= 0 && count <= 3e9).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('survives nesting that cannot be walked', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    const block = `{"type":"content_block_start","content_block":{"type":"x","a":${deep}}}`;
    const input = block.replace('"a":', '"input":{"a":').replace(/\}\}$/u, '}}}');
    expect(metered(`data: ${block}\n\ndata: ${input}\n\n${plain}`).finished).toBe(true);
  });
});
