import { describe, expect, it } from 'vitest';
import { earlyWords, withPatience } from './patience';

const PING = 'event: ping\ndata: {"type": "ping"}\n\n';
const soon = { afterMs: 1, everyMs: 1 };

function headers(): Headers {
  return new Headers({ 'content-type': 'text/event-stream' });
}

/** An answer that is given once `pings` of them have been read. */
async function readThrough(answer: Response): Promise<string> {
  let resolve: (response: Response) => void = () => undefined;
  const late = new Promise<Response>((done) => {
    resolve = done;
  });
  const early = await withPatience(late, { headers, early: earlyWords() }, soon);
  expect(early.status).toBe(200);
  const reader = early.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    if (text.split(PING).length > 3) resolve(answer);
  }
  return text;
}

describe('withPatience', () => {
  it('hands an answer on untouched when it comes in time', async () => {
    const answer = new Response('body', { status: 404 });
    const patient = { afterMs: 60_000, everyMs: 60_000 };
    expect(
      await withPatience(Promise.resolve(answer), { headers, early: earlyWords() }, patient),
    ).toBe(answer);
  });

  it('pings while the answer is late, then gives its body and nothing else', async () => {
    const body = 'event: message_start\ndata: {}\n\n';
    const text = await readThrough(new Response(body));
    expect(text.startsWith(PING + PING + PING)).toBe(true);
    expect(text.replaceAll(PING, '')).toBe(body);
  });

  it('gives a body that flows as the relay’s own answers do, and its end', async () => {
    const body = 'event: message_start\ndata: {}\n\n';
    const flowing = new IdentityTransformStream();
    const text = readThrough(new Response(flowing.readable));
    const writer = flowing.writable.getWriter();
    for (const piece of [body, body]) await writer.write(new TextEncoder().encode(piece));
    await writer.close();
    expect((await text).replaceAll(PING, '')).toBe(body + body);
  });

  it('sends what is said early at once, in front of the answer', async () => {
    const early = earlyWords();
    const patient = { afterMs: 60_000, everyMs: 60_000 };
    const answer = Promise.withResolvers<Response>();
    const begun = withPatience(answer.promise, { headers, early }, patient);
    early.say(new Uint8Array(new TextEncoder().encode('event: ping\ndata: 1\n\n')));
    const response = await begun;
    answer.resolve(new Response('event: message_start\ndata: {}\n\n'));
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(
      'event: ping\ndata: 1\n\nevent: message_start\ndata: {}\n\n',
    );
  });

  it('lets an answer go whose client has left while it flows', async () => {
    const flowing = new IdentityTransformStream();
    const answer = Promise.resolve(new Response(flowing.readable));
    const early = earlyWords();
    early.say(new Uint8Array(new TextEncoder().encode(PING)));
    const late = scheduler.wait(20).then(() => answer);
    const response = await withPatience(late, { headers, early }, soon);
    await response.body?.cancel();
    const writer = flowing.writable.getWriter();
    const gone = async (): Promise<never> => {
      for (;;) await writer.write(new TextEncoder().encode('more'));
    };
    await expect(gone()).rejects.toBeDefined();
  });

  it('turns a late refusal into an event of its own words', async () => {
    const refusal = '{"type":"error",\n "error":{"type":"overloaded_error","message":"m"}}';
    const text = await readThrough(new Response(refusal, { status: 529 }));
    const [, event] = text.split('event: error\ndata: ');
    expect(JSON.parse(event ?? '')).toEqual(JSON.parse(refusal));
    expect(event?.endsWith('}\n\n')).toBe(true);
  });

  it('ends a stream whose answer was rejected after its first pings', async () => {
    const late = Promise.withResolvers<Response>();
    const early = await withPatience(late.promise, { headers, early: earlyWords() }, soon);
    const read = early.text().then(
      () => 'ended',
      () => 'broken off',
    );
    late.reject(new Error('a bug'));
    expect(await Promise.race([read, scheduler.wait(1_000)])).toBe('broken off');
  });

  it('lets go of an answer that comes when nobody listens any more', async () => {
    const late = Promise.withResolvers<Response>();
    const early = await withPatience(late.promise, { headers, early: earlyWords() }, soon);
    await early.body?.cancel();
    const letGo = Promise.withResolvers<void>();
    late.resolve(new Response(new ReadableStream({ cancel: () => letGo.resolve() })));
    await expect(letGo.promise).resolves.toBeUndefined();
  });
});
