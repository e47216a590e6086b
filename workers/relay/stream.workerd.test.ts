import { describe, expect, it } from 'vitest';
import { clientOf } from './client';
import type { Flow } from './stream';
import { flow } from './stream';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What the client gets, and how it is said to have ended, when the upstream breaks off. */
async function brokenOffAfter(text: string, lastWords: Flow['lastWords']) {
  let breakOff: (error: Error) => void = () => undefined;
  const body = new ReadableStream({
    type: 'bytes',
    start: (upstream) => {
      upstream.enqueue(encoder.encode(text));
      breakOff = (error) => upstream.error(error);
    },
  });
  let read = '';
  const flowing = flow({
    beginning: new Uint8Array(0),
    body,
    sink: {
      push: (bytes) => {
        read += decoder.decode(bytes);
      },
      complete: () => read.endsWith('END'),
    },
    isFinished: () => read.endsWith('END'),
    client: clientOf(new AbortController().signal, { seq: 1 }),
    cancelUpstream: () => undefined,
    lastWords,
  });
  const reader = flowing.readable.getReader();
  let got = decoder.decode((await reader.read()).value);
  breakOff(new Error('reset'));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    got += decoder.decode(value);
  }
  return { got, how: await flowing.ended };
}

describe('flow, when the connection upstream breaks', () => {
  const sorry = () => encoder.encode('|error');

  it('ends a stream that had said all as what it is: whole', async () => {
    expect(await brokenOffAfter('a END', sorry)).toEqual({ got: 'a END', how: 'whole' });
  });

  it('tells the client of a stream that had not', async () => {
    expect(await brokenOffAfter('a', sorry)).toEqual({ got: 'a|error', how: 'cut' });
  });

  it('never ends a body cleanly that has no last words and may lack bytes', async () => {
    await expect(brokenOffAfter('a END', null)).rejects.toThrow('the upstream broke off');
  });
});

/** An upstream's body, said piece by piece. */
function source() {
  let controller: ReadableByteStreamController | null = null;
  const body = new ReadableStream({
    type: 'bytes',
    start: (given) => {
      controller = given;
    },
  });
  return {
    body,
    say: (text: string) => controller?.enqueue(encoder.encode(text)),
    close: () => controller?.close(),
    breakOff: () => controller?.error(new Error('reset')),
  };
}

/** An answer of which `a ` has come when its client leaves, and what becomes of it from then on. */
async function leftAfterBeginning(whenClientLeaves: 'cancel' | 'drain', drainMs?: number) {
  const upstream = source();
  const request = new AbortController();
  const client = clientOf(request.signal, { seq: 1, whenClientLeaves }, drainMs);
  let read = '';
  const cancelled = Promise.withResolvers<string>();
  const flowing = flow({
    beginning: new Uint8Array(0),
    body: upstream.body,
    sink: {
      push: (bytes) => {
        read += decoder.decode(bytes);
      },
      complete: () => read.endsWith('END'),
    },
    isFinished: () => read.endsWith('END'),
    client,
    cancelUpstream: () => {
      cancelled.resolve(read);
      upstream.breakOff();
    },
    lastWords: null,
  });
  const reader = flowing.readable.getReader();
  upstream.say('a ');
  expect(decoder.decode((await reader.read()).value)).toBe('a ');
  const leave = {
    /** As the runtime tells it. */
    told: () => request.abort(),
    /** As nobody tells it: only the pipe fails. */
    untold: () => reader.cancel(),
  };
  return { flowing, client, leave, upstream, cancelled: cancelled.promise, read: () => read };
}

describe('flow, when the client leaves', () => {
  it('reads what has come, and lets the upstream go', async () => {
    const { flowing, leave, cancelled, read } = await leftAfterBeginning('cancel');
    leave.told();
    expect(await cancelled).toBe('a ');
    expect([await flowing.ended, read()]).toEqual(['left', 'a ']);
  });

  it.each(['told', 'untold'] as const)(
    'reads a draining answer on to its end (leaving is %s)',
    async (how) => {
      const { flowing, client, leave, upstream, read } = await leftAfterBeginning('drain');
      await leave[how]();
      for (const text of ['b ', 'c ', 'd ']) upstream.say(text);
      // Nothing said that the answer is over, not even the time that leaving is given.
      await scheduler.wait(1_000);
      upstream.say('END');
      upstream.close();
      expect([await flowing.ended, read()]).toEqual(['drained', 'a b c d END']);
      expect(client.leftAt()).not.toBeNull();
    },
  );

  it('gives a draining answer up when its time is over, with all that came', async () => {
    const { flowing, leave, upstream, cancelled } = await leftAfterBeginning('drain', 300);
    leave.told();
    upstream.say('b ');
    expect(await cancelled).toBe('a b ');
    expect(await flowing.ended).toBe('drained');
  });

  it('gives a draining answer up when it is stopped', async () => {
    const { flowing, leave, upstream, cancelled } = await leftAfterBeginning('drain');
    leave.told();
    upstream.say('b ');
    flowing.stop('cut-by-credit');
    expect(await cancelled).toBe('a b ');
    expect(await flowing.ended).toBe('drained');
  });

  it('does not wait for an upstream that has said all', async () => {
    const { flowing, leave, upstream, cancelled } = await leftAfterBeginning('drain');
    upstream.say('END');
    leave.told();
    expect(await cancelled).toBe('a END');
    expect(await flowing.ended).toBe('left');
  });

  it('takes an upstream that breaks off for what it is, also where answers are drained', async () => {
    const { flowing, client, upstream } = await leftAfterBeginning('drain');
    upstream.breakOff();
    expect(await flowing.ended).toBe('cut');
    expect(client.leftAt()).toBeNull();
  });
});
