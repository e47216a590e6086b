import { describe, expect, it } from 'vitest';
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
    body,
    sink: {
      push: (bytes) => {
        read += decoder.decode(bytes);
      },
      complete: () => read.endsWith('END'),
    },
    client: new AbortController().signal,
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
