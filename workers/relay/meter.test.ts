import { afterEach, describe, expect, it, vi } from 'vitest';
import { meterOf } from './meter';

const encoder = new TextEncoder();
const options = { askedModel: 'claude-opus-5-5', cacheTtl: 'none' } as const;
const USAGE = '"usage":{"input_tokens":10,"output_tokens":5}';
const ANSWER = `{"id":"msg_1","type":"message","model":"claude-opus-5-5","content":[],${USAGE}}`;

describe('meterOf a JSON answer', () => {
  it('reads the usage at whatever chunking it came, also when the buffer is used again', () => {
    for (let cut = 1; cut < ANSWER.length; cut += 1) {
      const meter = meterOf('json', options);
      const buffer = encoder.encode(ANSWER.slice(0, cut));
      meter.push(buffer);
      buffer.fill(0);
      expect(meter.complete()).toBe(false);
      meter.push(encoder.encode(ANSWER.slice(cut)));
      expect(meter.complete()).toBe(true);
      const [entry] = meter.reading().usage?.entries ?? [];
      expect(entry?.counts).toMatchObject({ input: 10, output: 5 });
    }
  });

  it('counts the words of a message that tells no usage, and all of what is no message', () => {
    const meter = meterOf('json', options);
    const content = '"content":[{"type":"text","text":"words"}]';
    meter.push(encoder.encode(`{"type":"message","model":"claude-opus-5-5",${content}}`));
    expect(meter.reading()).toMatchObject({ usage: null, deliveredBytes: 5 });
    const other = meterOf('json', options);
    other.push(encoder.encode('{"something":"else"}'));
    expect(other.reading()).toMatchObject({ usage: null, deliveredBytes: 20 });
  });

  it('counts what was delivered of a document that broke off', () => {
    const meter = meterOf('json', options);
    meter.push(encoder.encode(ANSWER.slice(0, -3)));
    expect(meter.reading()).toMatchObject({ usage: null, deliveredBytes: ANSWER.length - 3 });
  });
});

describe('meterOf an answer of another type', () => {
  it('reads a message all the same when it begins like one', () => {
    const start = `{"type":"message_start","message":${ANSWER}}`;
    for (const text of [ANSWER, `event: message_start\ndata: ${start}\n\n`]) {
      const meter = meterOf('other', options);
      meter.push(encoder.encode(text));
      expect(meter.complete()).toBe(true);
      expect(meter.reading().usage?.entries[0]?.counts.input).toBe(10);
    }
  });

  it('knows only how much was delivered, and lets it end as it ends', () => {
    const meter = meterOf('other', options);
    meter.push(encoder.encode('<html></html>'));
    expect(meter.complete()).toBe(true);
    expect(meter.reading()).toMatchObject({ usage: null, deliveredBytes: 13 });
  });
});

describe('meterOf events', () => {
  it('knows whether the bytes so far end inside an event', () => {
    const meter = meterOf('events', options);
    expect(meter.midEvent()).toBe(false);
    const steps = [
      ['event: ping\n', true],
      ['data: {"type":"ping"}\n', true],
      ['\n', false],
      ['event: ping\r\ndata: {}\r\n', true],
      ['\r\n', false],
      ['data: {}\r\r', false],
    ] as const;
    for (const [text, inside] of steps) {
      meter.push(encoder.encode(text));
      expect(meter.midEvent()).toBe(inside);
    }
  });
});

describe('the time of hidden thinking', () => {
  const event = (data: Readonly<Record<string, unknown>>): Uint8Array =>
    encoder.encode(`data: ${JSON.stringify(data)}\n\n`);
  const thinking = { type: 'thinking', thinking: '' };
  const OPEN = event({ type: 'content_block_start', content_block: thinking });
  const CLOSE = event({ type: 'content_block_stop' });
  const counted = (output_tokens: number) =>
    event({ type: 'message_delta', usage: { output_tokens } });

  afterEach(() => {
    vi.useRealTimers();
  });

  /** After two blocks of 12 s and 3 s, half a second before. */
  function thought() {
    vi.useFakeTimers({ now: 0, toFake: ['Date'] });
    const meter = meterOf('events', options);
    meter.push(OPEN);
    vi.setSystemTime(12_000);
    meter.push(CLOSE);
    vi.setSystemTime(20_000);
    meter.push(OPEN);
    vi.setSystemTime(23_000);
    meter.push(CLOSE);
    vi.setSystemTime(23_500);
    return meter;
  }

  it('stays when its blocks have closed, to be charged to a client that leaves', () => {
    expect(thought().hiddenThinkingMs()).toBe(15_000);
  });

  it('is covered by a cumulative output count, and by none of zero', () => {
    const meter = thought();
    meter.push(counted(0));
    expect(meter.hiddenThinkingMs()).toBe(15_000);
    meter.push(counted(900));
    expect(meter.hiddenThinkingMs()).toBe(0);
  });
});
