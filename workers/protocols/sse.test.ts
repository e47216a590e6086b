import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SseEvent } from './sse';
import { createSseSplitter } from './sse';

const encoder = new TextEncoder();

function split(bytes: Uint8Array, cuts: readonly number[], maxEventBytes = 1_000_000): SseEvent[] {
  const splitter = createSseSplitter({ maxEventBytes });
  const events: SseEvent[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    events.push(...splitter.push(bytes.subarray(from, cut)));
    from = cut;
  }
  return events;
}

function everyByte(bytes: Uint8Array): number[] {
  return Array.from({ length: bytes.length }, (_, index) => index);
}

const STREAM = [
  'event: message_start\ndata: {"a":"日本語"}\n\n',
  ': a comment\n\n',
  'data: no name 🙂\n\n',
  'event: ping\nid: 7\nretry: 3\nunknown\ndata: {"type": "ping"}\n\n',
  'event: multi\ndata: one\ndata:two\ndata:  three\ndata\n\n',
  'event: without data\n\n',
  'data: é\n\n',
].join('');

const EVENTS: SseEvent[] = [
  { event: 'message_start', data: '{"a":"日本語"}' },
  { event: null, data: 'no name 🙂' },
  { event: 'ping', data: '{"type": "ping"}' },
  { event: 'multi', data: 'one\ntwo\n three\n' },
  { event: null, data: 'é' },
];

const LINE_ENDS = [
  ['LF', '\n'],
  ['CRLF', '\r\n'],
  ['CR', '\r'],
] as const;

describe('createSseSplitter', () => {
  it.each(LINE_ENDS)('reads %s line ends at every single cut and byte by byte', (_, lineEnd) => {
    const bytes = encoder.encode(STREAM.replaceAll('\n', lineEnd));
    expect(split(bytes, [])).toEqual(EVENTS);
    expect(split(bytes, everyByte(bytes))).toEqual(EVENTS);
    for (const cut of everyByte(bytes)) expect(split(bytes, [cut])).toEqual(EVENTS);
  });

  it('reads mixed line ends at any chunking', () => {
    const lines = STREAM.split('\n');
    const ends = fc.array(fc.constantFrom('\n', '\r\n', '\r'), {
      minLength: lines.length,
      maxLength: lines.length,
    });
    fc.assert(
      fc.property(ends, fc.array(fc.nat(400), { maxLength: 20 }), (lineEnds, cuts) => {
        // A CR before an LF would be one line end, so an LF never follows a bare CR here.
        const text = lines.reduce((joined, line, index) => {
          const end = lineEnds[index - 1] ?? '';
          return joined + (end === '\n' && joined.endsWith('\r') ? '\r' : end) + line;
        });
        const bytes = encoder.encode(text);
        const sorted = cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b);
        expect(split(bytes, sorted)).toEqual(EVENTS);
      }),
    );
  });

  it('drops a byte order mark, also one that is cut in two', () => {
    const bytes = encoder.encode(`\ufeffdata: x\n\n`);
    for (const cut of everyByte(bytes)) {
      expect(split(bytes, [cut])).toEqual([{ event: null, data: 'x' }]);
    }
  });

  it('gives an event with the bytes that complete it, not later', () => {
    const splitter = createSseSplitter({ maxEventBytes: 100 });
    expect(splitter.push(encoder.encode('data: x\r'))).toEqual([]);
    expect(splitter.push(encoder.encode('\n\r'))).toEqual([{ event: null, data: 'x' }]);
    expect(splitter.push(encoder.encode('\ndata: y\n\n'))).toEqual([{ event: null, data: 'y' }]);
  });

  it('drops an event that the stream does not finish', () => {
    expect(split(encoder.encode('data: x\n\ndata: y\n'), [])).toEqual([{ event: null, data: 'x' }]);
  });

  it('survives broken UTF-8', () => {
    const broken = Uint8Array.from([...encoder.encode('data: '), 0xff, 0xe6, 0x97, 0x0a, 0x0a]);
    expect(split(broken, [])).toEqual([{ event: null, data: '\ufffd\ufffd' }]);
  });

  it('skips an event over the bound whole, counts it, and reads on behind it', () => {
    const long = `event: big\ndata: ${'x'.repeat(60)}\ndata: more\n\n`;
    const many = `${'data: 1234567890\n'.repeat(7)}\n`;
    const bytes = encoder.encode(`data: a\n\n${long}data: b\n\n${many}data: c\n\n`);
    const expected = ['a', 'b', 'c'].map((data) => ({ event: null, data }));
    for (const cuts of [[], everyByte(bytes), ...everyByte(bytes).map((cut) => [cut])]) {
      expect(split(bytes, cuts, 64)).toEqual(expected);
    }
    const splitter = createSseSplitter({ maxEventBytes: 64 });
    splitter.push(bytes);
    expect(splitter.oversized).toBe(2);
  });

  it('keeps nothing of a line without end', () => {
    const splitter = createSseSplitter({ maxEventBytes: 1_000 });
    const chunk = encoder.encode('x'.repeat(64 * 1_024));
    splitter.push(encoder.encode('data: '));
    for (let round = 0; round < 1_600; round += 1) splitter.push(chunk);
    expect(JSON.stringify(splitter).length).toBeLessThan(1_000);
    expect(splitter.push(encoder.encode('\n\ndata: y\n\n'))).toEqual([{ event: null, data: 'y' }]);
    expect(splitter.oversized).toBe(1);
  });

  it('gives the same events for any text at any chunking', () => {
    const unit = fc.constantFrom('data:', 'event:', 'x', ' ', '\n', '\r', ':', '日', '🙂', '\n\n');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), fc.array(fc.nat(240)), (text, cuts) => {
        const bytes = encoder.encode(text);
        const sorted = cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b);
        expect(split(bytes, sorted, 40)).toEqual(split(bytes, [], 40));
      }),
      { numRuns: 1_000 },
    );
  });
});
