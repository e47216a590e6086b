import { describe, expect, it } from 'vitest';
import type { TokenCounts } from '../../domain/usage/tokens';
import type { MeterOptions, MeterReading } from '../protocol';
import { createStreamMeter } from './usage';

const encoder = new TextEncoder();
const OPTIONS: MeterOptions = { askedModel: 'claude-opus-5-5', cacheTtl: '5m' };

function metered(stream: string, options: Partial<MeterOptions> = {}): MeterReading {
  const meter = createStreamMeter({ ...OPTIONS, ...options });
  meter.push(encoder.encode(stream));
  return meter.reading();
}

function eventOf(body: Readonly<Record<string, unknown>>): string {
  return `event: ${String(body['type'])}\ndata: ${JSON.stringify(body)}\n\n`;
}

/** A stream with these usage objects at its start and its end, and five bytes of text. */
function streamWith(first: unknown, last: unknown, reason = 'end_turn'): string {
  return [
    eventOf({ type: 'message_start', message: { id: 'm', model: 'served', usage: first } }),
    eventOf({ type: 'content_block_delta', delta: { type: 'text_delta', text: 'words' } }),
    eventOf({ type: 'message_delta', delta: { stop_reason: reason }, usage: last }),
    eventOf({ type: 'message_stop' }),
  ].join('');
}

function countsOf(reading: MeterReading): TokenCounts {
  const only = reading.usage?.entries[0];
  if (only === undefined) throw new Error('nothing was reported');
  return only.counts;
}

describe('the usage of an answer', () => {
  it('charges cache writes that the split leaves open at the lifetime asked for', () => {
    const first = {
      input_tokens: 5,
      output_tokens: 1,
      cache_creation_input_tokens: 30,
      cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
    };
    const last = { cache_creation_input_tokens: 100, output_tokens: 2 };
    const stream = streamWith(first, last);
    const split = (cacheTtl: MeterOptions['cacheTtl']): number[] => {
      const { cacheWrite5m, cacheWrite1h } = countsOf(metered(stream, { cacheTtl }));
      return [cacheWrite5m, cacheWrite1h];
    };
    expect(split('5m')).toEqual([80, 20]);
    expect(split('none')).toEqual([80, 20]);
    expect(split('1h')).toEqual([10, 90]);
  });

  it('lets the total of cache writes rule when the split says more or stands alone', () => {
    const cache_creation = { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 };
    const more = { input_tokens: 5, cache_creation_input_tokens: 25, cache_creation };
    expect(countsOf(metered(streamWith(more, { output_tokens: 1 })))).toMatchObject({
      cacheWrite5m: 5,
      cacheWrite1h: 20,
    });
    const alone = { input_tokens: 5, cache_creation };
    expect(countsOf(metered(streamWith(alone, { output_tokens: 1 })))).toMatchObject({
      cacheWrite5m: 10,
      cacheWrite1h: 20,
    });
  });

  it('overwrites with later figures and never adds them', () => {
    const extra = eventOf({ type: 'message_delta', delta: {}, usage: { output_tokens: 5 } });
    const stream =
      extra + extra + streamWith({ input_tokens: 7, output_tokens: 1 }, { output_tokens: 6 });
    expect(countsOf(metered(stream))).toMatchObject({ input: 7, output: 6 });
    const early = metered(stream.slice(0, stream.lastIndexOf('event: message_delta')));
    expect(countsOf(early)).toMatchObject({ input: 7, output: 5 });
  });

  it('prices a streamed fallback without iterations at the model that took over', () => {
    const to = { model: 'claude-haiku-5-5' };
    const block = { type: 'fallback', from: {}, to };
    const stream = streamWith({ input_tokens: 7 }, { output_tokens: 6 });
    const hop = eventOf({ type: 'content_block_start', index: 0, content_block: block });
    const at = stream.indexOf('event: message_delta');
    const reading = metered(stream.slice(0, at) + hop + stream.slice(at));
    expect(reading.usage?.entries.map(({ model }) => model)).toEqual(['claude-haiku-5-5']);
  });

  it('prices a refusal after output, and of listed attempts those that gave any', () => {
    const spent = metered(streamWith({ input_tokens: 7 }, { output_tokens: 6 }, 'refusal'));
    expect(countsOf(spent)).toMatchObject({ input: 7, output: 6 });
    const iterations = [
      { type: 'message', model: null, input_tokens: 7, output_tokens: 0 },
      { type: 'message', model: 'b', input_tokens: 8, output_tokens: 1 },
    ];
    const listed = metered(
      streamWith({ input_tokens: 7 }, { output_tokens: 1, iterations }, 'refusal'),
    );
    expect(listed.usage?.entries.map(({ model, counts }) => [model, counts.input])).toEqual([
      ['b', 8],
    ]);
  });

  it('gives searches to the attempt that answered', () => {
    const iterations = [
      { type: 'message', model: 'served', input_tokens: 1, output_tokens: 1 },
      { type: 'compaction', input_tokens: 2, output_tokens: 2 },
    ];
    const last = { output_tokens: 3, iterations, server_tool_use: { web_search_requests: 4 } };
    const reading = metered(streamWith({ input_tokens: 7 }, last));
    const found = reading.usage?.entries.map(({ model, counts }) => [model, counts.webSearches]);
    expect(found).toEqual([
      ['served', 4],
      ['claude-opus-5-5', 0],
    ]);
  });

  it.each([
    ['a negative count', { input_tokens: 5, cache_read_input_tokens: -9 }, 'usage-negative'],
    ['half a token', { input_tokens: 5, cache_read_input_tokens: 0.5 }, 'usage-negative'],
    ['a count in quotes', { input_tokens: '5' }, 'usage-negative'],
    ['an object for a count', { input_tokens: {} }, 'usage-negative'],
    ['a huge count', { input_tokens: 1e300 }, 'usage-absurd'],
    ['no input count', {}, 'usage-missing'],
    ['no usage', undefined, 'usage-missing'],
    ['a list for usage', [], 'usage-missing'],
    ['a prompt of nothing', { input_tokens: 0 }, 'usage-missing'],
  ])('flags %s and stays within bounds', (_, first, flag) => {
    const reading = metered(streamWith(first, { output_tokens: 9 }));
    expect(reading.flags).toContain(flag);
    expect(reading.usage?.flags).toEqual(reading.flags);
    for (const count of Object.values(countsOf(reading))) {
      expect(Number.isInteger(count) && count >= 0 && count <= 1e7).toBe(true);
    }
  });

  it.each([
    ['none at the end', { input_tokens: 5, output_tokens: 1 }, undefined],
    ['zero for delivered text', { input_tokens: 5, output_tokens: 1 }, { output_tokens: 0 }],
    ['below zero at the end', { input_tokens: 5, output_tokens: 1 }, { output_tokens: -9 }],
    ['in quotes at the end', { input_tokens: 5, output_tokens: 1 }, { output_tokens: '9' }],
  ])('flags an answer whose output count is %s', (_, first, last) => {
    expect(metered(streamWith(first, last)).flags).toContain('usage-missing');
  });

  it.each([
    ['no output', { type: 'message', input_tokens: 5, output_tokens: 0 }],
    ['no input', { type: 'message', input_tokens: 0, output_tokens: 9 }],
    ['less than nothing', { type: 'message', input_tokens: -5, output_tokens: -9 }],
  ])('flags an answer whose attempts, told one by one, used %s', (_, iteration) => {
    const last = { output_tokens: 9, iterations: [iteration] };
    expect(metered(streamWith({ input_tokens: 5 }, last)).flags).toContain('usage-missing');
  });

  it('keeps the earlier figure when a later one cannot be read', () => {
    const reading = metered(
      streamWith({ input_tokens: 5 }, { input_tokens: -1, output_tokens: 3 }),
    );
    expect(countsOf(reading)).toMatchObject({ input: 5, output: 3 });
    expect(reading.flags).toEqual(['usage-negative']);
  });
});
