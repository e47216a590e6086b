import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Beginning } from './first-event';
import { beginningOf, errorFactsOf } from './first-event';

const PING = 'event: ping\ndata: {"type": "ping"}\n\n';
const START = 'event: message_start\ndata: {"type":"message_start","message":{}}\n\n';
const REST = 'event: message_stop\ndata: {"type":"message_stop"}\n\n';
const OVERLOADED =
  '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded","details":{"error_code":"c"}}}';
const ERROR = `event: error\ndata: ${OVERLOADED}\n\n`;
const NEVER_MS = 1_000_000;

const encoder = new TextEncoder();

/** A body that comes in these pieces, and then ends or breaks. */
function bodyOf(pieces: readonly Uint8Array[], end: 'ends' | 'breaks' = 'ends') {
  const left = [...pieces];
  return new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const next = left.shift();
      if (next !== undefined) controller.enqueue(next);
      else if (end === 'ends') controller.close();
      else controller.error(new Error('reset'));
    },
  });
}

function cutAt(text: string, cuts: readonly number[]): Uint8Array[] {
  const bytes = encoder.encode(text);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted(
    (a, b) => a - b,
  );
  const edges = [0, ...places, bytes.length];
  return edges.slice(1).map((to, index) => bytes.slice(edges[index], to));
}

async function begin(pieces: readonly Uint8Array[], holdMs = NEVER_MS) {
  const early: Uint8Array<ArrayBuffer>[] = [];
  const beginning = await beginningOf(bodyOf(pieces), {
    letPingsGo: (bytes) => void early.push(bytes),
    onBytes: () => undefined,
    holdMs,
  });
  return { beginning, early: await new Blob(early).text() };
}

/** All that the client gets, in its order. */
async function wholeOf(beginning: Beginning): Promise<string> {
  if (beginning.is === 'broke-off') return '';
  const decoder = new TextDecoder();
  let text = decoder.decode(beginning.held, { stream: true });
  for await (const chunk of beginning.rest) text += decoder.decode(chunk, { stream: true });
  return text;
}

const cuts = fc.array(fc.nat(1_000), { maxLength: 12 });
const ends = fc.constantFrom('\n', '\r\n', '\r');

describe('the beginning of a stream', () => {
  it('is its first event that is no ping, whatever the chunks and the ends of lines', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(3), cuts, ends, async (pings, places, end) => {
        const text = (PING.repeat(pings) + START + REST).replaceAll('\n', end);
        const { beginning, early } = await begin(cutAt(text, places));
        expect(beginning.is).toBe('answer');
        expect(early + (await wholeOf(beginning))).toBe(text);
      }),
    );
  });

  it('is an error where one comes before any content, at every cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(2), cuts, ends, async (pings, places, end) => {
        const text = (PING.repeat(pings) + ERROR + REST).replaceAll('\n', end);
        const { beginning } = await begin(cutAt(text, places));
        expect(beginning).toMatchObject({
          is: 'error',
          error: { status: 529, type: 'overloaded_error', code: 'c', message: 'Overloaded' },
        });
        if (beginning.is !== 'error') return;
        expect(new TextDecoder().decode(beginning.error.body)).toBe(OVERLOADED);
        expect(await wholeOf(beginning)).toBe(text);
      }),
    );
  });

  it('is told by the data where events have no names', async () => {
    const error = await begin([encoder.encode(`data: ${OVERLOADED}\n\n`)]);
    expect(error.beginning.is).toBe('error');
    const content = await begin([encoder.encode('data: {"type":"message_start"}\n\n')]);
    expect(content.beginning.is).toBe('answer');
    const ping = await begin([encoder.encode('data: {"type":"ping"}\n\ndata: x\n\n')]);
    expect(ping.beginning.is).toBe('answer');
  });

  it('is known before the rest of the first event has come', async () => {
    const text = 'event: message_start\n';
    const forever = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(encoder.encode(text)),
    });
    const given = { letPingsGo: () => undefined, onBytes: () => undefined, holdMs: NEVER_MS };
    const beginning = await beginningOf(forever, given);
    expect(beginning).toMatchObject({ is: 'answer', held: encoder.encode(text) });
  });

  it.each([
    ['nothing at all', ''],
    ['pings alone', PING + PING],
    ['a comment', ': hello\n\n'],
    ['half of an event’s name', 'event: message_st'],
  ])('has broken off after %s', async (_what, text) => {
    expect((await begin([encoder.encode(text)])).beginning.is).toBe('broke-off');
  });

  it('is content where a line outgrows all bounds', async () => {
    const long = `data: ${'x'.repeat(100_000)}`;
    const { beginning } = await begin([encoder.encode(long)]);
    expect(beginning.is).toBe('answer');
    expect(await wholeOf(beginning)).toBe(long);
  });

  it('lets whole pings go when they have been held for too long, and no half of one', async () => {
    const half = 'event: pi';
    let said = '';
    const let1 = Promise.withResolvers<void>();
    let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
    const body = new ReadableStream<Uint8Array>({
      start: (given) => {
        controller = given;
        given.enqueue(encoder.encode(PING + half));
      },
    });
    const beginning = beginningOf(body, {
      letPingsGo: (bytes) => {
        said += new TextDecoder().decode(bytes);
        let1.resolve();
      },
      onBytes: () => undefined,
      holdMs: 1,
    });
    await let1.promise;
    expect(said).toBe(PING);
    const more = controller as ReadableStreamDefaultController<Uint8Array> | null;
    more?.enqueue(encoder.encode(PING.slice(half.length)));
    more?.enqueue(encoder.encode(START));
    const begun = await beginning;
    expect(begun.is).toBe('answer');
    if (begun.is !== 'answer') return;
    expect(said + new TextDecoder().decode(begun.held)).toBe(PING + PING + START);
  });

  it('rejects as the connection does', async () => {
    const given = { letPingsGo: () => undefined, onBytes: () => undefined, holdMs: NEVER_MS };
    const body = bodyOf([encoder.encode(PING)], 'breaks');
    await expect(beginningOf(body, given)).rejects.toThrow('reset');
  });
});

describe('the facts of a refusal', () => {
  it('are those of its body, and nothing where it has none', () => {
    expect(errorFactsOf(encoder.encode(OVERLOADED))).toEqual({
      type: 'overloaded_error',
      code: 'c',
      message: 'Overloaded',
    });
    for (const text of ['', 'null', '[]', '{"error":"x"}', '{"error":{"type":7}}', '<html>']) {
      expect(errorFactsOf(encoder.encode(text))).toEqual({ type: null, code: null, message: '' });
    }
  });
});
