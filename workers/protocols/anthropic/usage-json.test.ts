import { describe, expect, it } from 'vitest';
import { NO_TOKENS } from '../../domain/usage/tokens';
import type { MeterOptions, MeterReading } from '../protocol';
import plain from './__fixtures__/plain.sse?raw';
import { createStreamMeter, readJsonAnswer } from './usage';

const encoder = new TextEncoder();
const OPTIONS: MeterOptions = { askedModel: 'claude-opus-5-5', cacheTtl: '5m' };

describe('readJsonAnswer', () => {
  const MESSAGE = {
    id: 'msg_1',
    type: 'message',
    model: 'claude-opus-5-5',
    stop_reason: 'end_turn',
    container: { id: 'container_1' },
    content: [
      { type: 'thinking', thinking: 'Hm.', signature: 'x' },
      { type: 'text', text: '日本' },
      { type: 'tool_use', id: 't', name: 'n', input: { a: 1, file_id: 'not_held' } },
      { type: 'container_upload', file_id: 'file_1' },
    ],
    usage: { input_tokens: 4, output_tokens: 9, speed: 'fast', inference_geo: 'us' },
  };

  function read(body: unknown): MeterReading {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return readJsonAnswer(encoder.encode(text), OPTIONS);
  }

  it('reads a message whole', () => {
    const input = JSON.stringify({ a: 1, file_id: 'not_held' });
    expect(read(MESSAGE)).toEqual({
      started: true,
      finished: true,
      usage: {
        entries: [
          {
            model: 'claude-opus-5-5',
            counts: { ...NO_TOKENS, input: 4, output: 9 },
            terms: { speed: 'fast', geo: 'us', tier: null },
          },
        ],
        flags: [],
      },
      flags: [],
      deliveredBytes: 3 + 6 + input.length,
      reportedOutputTokens: 9,
      hiddenThinkingOpen: false,
      hiddenThinkingClosed: 0,
      serverTools: { calls: 0, searches: 0, unreportedCalls: 0 },
      estimatedThinkingTokens: 0,
      error: null,
      messageId: 'msg_1',
      model: 'claude-opus-5-5',
      stopReason: 'end_turn',
      heldIds: ['msg_1', 'container_1', 'file_1'],
    });
  });

  it.each(['web_search_tool_result', 'redacted_thinking', 'something_new'])(
    'does not believe zeros beside a block of %s',
    (type) => {
      const usage = { input_tokens: 0, output_tokens: 0 };
      expect(read({ ...MESSAGE, content: [{ type }], usage }).flags).toEqual(['usage-missing']);
      expect(read({ ...MESSAGE, content: [], usage }).flags).toEqual([]);
    },
  );

  it('agrees with the stream of the same answer', () => {
    const meter = createStreamMeter(OPTIONS);
    meter.push(encoder.encode(plain));
    const usage = {
      input_tokens: 12,
      cache_creation_input_tokens: 300,
      cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
      cache_read_input_tokens: 40_000,
      output_tokens: 87,
      service_tier: 'standard',
      inference_geo: 'global',
    };
    const content = [{ type: 'text', text: 'Hello, 世界 🙂!\n' }];
    const whole = { ...MESSAGE, id: 'msg_plain', container: null, content, usage };
    expect(read(whole)).toEqual(meter.reading());
  });

  it('reads an error body', () => {
    const error = { type: 'rate_limit_error', message: 'Slow down' };
    const reading = read({ type: 'error', error, request_id: 'req_1' });
    expect(reading).toMatchObject({
      started: false,
      finished: true,
      usage: null,
      flags: [],
      error,
    });
  });

  it.each(['', '<html>', '{"type":"message"', '\ufffd'])(
    'is unfinished when %j is not JSON',
    (body) => {
      expect(read(body)).toMatchObject({ started: false, finished: false, usage: null });
    },
  );

  it.each(['null', '[]', '5', '{}'])('flags %s as an answer without usage', (body) => {
    expect(read(body)).toMatchObject({ finished: true, usage: null, flags: ['usage-missing'] });
  });
});
