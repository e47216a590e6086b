// Bedrock's event stream as the server-sent events that Anthropic sends. What goes wrong before the
// first event is an answer with a status; after it, an event of type error. It pings nobody: the
// relay does that for every silent upstream.

import { SECOND_MS } from '../../domain/time';
import { withinMs } from '../../platform/clock';
import { answeredHeaders } from '../headers';
import type { Refused } from '../refusals';
import { readRefusal, refusalAnswer } from '../refusals';
import type { UpstreamCall } from '../upstream';
import type { Frame } from './frames';
import { FrameReader } from './frames';

/** So long the first message may keep the status waiting. */
const FIRST_FRAME_MS_MAX = 5 * SECOND_MS;
/** A stream that ended before its first message. */
const BROKEN_OFF: Refused = {
  status: 500,
  type: 'api_error',
  message: 'The upstream broke off before it answered.',
};
/** A stream that cannot be read any further. */
const DAMAGED: Refused = {
  status: 500,
  type: 'api_error',
  message: 'The upstream’s stream was damaged.',
};

const encoder = new TextEncoder();

/**
 * `response`, whose body is an event stream, as Anthropic would have answered. Rejects only when
 * the call itself was given up.
 */
export async function translateEvents(
  response: Response,
  { signal }: Pick<UpstreamCall, 'signal'>,
): Promise<Response> {
  if (response.body === null) return refusalAnswer(BROKEN_OFF, response, 'no body');
  const source = new Source(response.body);
  const first = source.next();
  const early = await withinMs(first, FIRST_FRAME_MS_MAX).catch((error: unknown) => {
    signal.throwIfAborted();
    return String(error);
  });
  if (early === null) return refusalAnswer(BROKEN_OFF, response, 'the stream held no message');
  if (typeof early === 'string' && early !== 'late') {
    return refusalAnswer(BROKEN_OFF, response, early);
  }
  const start = early === 'late' ? undefined : early[0];
  if (start !== undefined && start.kind !== 'event') {
    await source.cancel();
    const original = start.kind === 'damaged' ? start.why : `${start.exception}: ${start.text}`;
    return refusalAnswer(refusedBy(start), response, original);
  }
  const body = eventsOf(source, first);
  const headers = answeredHeaders(response.headers);
  headers.set('content-type', 'text/event-stream; charset=utf-8');
  return new Response(body, { status: response.status, headers });
}

/** The messages of a body, as they come. */
class Source {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #frames = new FrameReader();

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  /** One message or more; null at the end. Rejects when the connection breaks. */
  async next(): Promise<readonly Frame[] | null> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done && this.#frames.isMidFrame) throw new Error('the stream ended within a message');
      if (done) return null;
      const frames = this.#frames.push(value);
      if (frames.length > 0) return frames;
    }
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => undefined);
  }
}

/**
 * The events as bytes. A byte stream of JavaScript, because workerd pipes none of its own transform
 * streams into another, which the relay does with every answer.
 */
function eventsOf(source: Source, first: ReturnType<Source['next']>): ReadableStream<Uint8Array> {
  let next = first;
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      for (let frames = await next; frames !== null; frames = await next) {
        const last = frames.findIndex(({ kind }) => kind !== 'event');
        next = last < 0 ? source.next() : Promise.resolve(null);
        const told = last < 0 ? frames : frames.slice(0, last + 1);
        const bytes = encoder.encode(told.map(sseOf).join(''));
        if (bytes.byteLength > 0) return controller.enqueue(new Uint8Array(bytes));
      }
      await source.cancel();
      controller.close();
      // Who waits with a buffer of its own is told by it.
      controller.byobRequest?.respond(0);
    },
    cancel: () => source.cancel(),
  });
}

function sseOf(frame: Frame): string {
  if (frame.kind !== 'event') {
    const { type, message } = refusedBy(frame);
    return sse('error', JSON.stringify({ type: 'error', error: { type, message } }));
  }
  const { json } = frame;
  const event: unknown = JSON.parse(json);
  const type = typeof event === 'object' && event !== null && 'type' in event ? event.type : null;
  if (typeof type !== 'string' || /[\r\n]/.test(type)) return '';
  // A line break would end the data; JSON has none that means anything.
  return sse(type, /[\r\n]/.test(json) ? JSON.stringify(event) : json);
}

function sse(type: string, data: string): string {
  return `event: ${type}\ndata: ${data}\n\n`;
}

function refusedBy(frame: Exclude<Frame, { readonly kind: 'event' }>): Refused {
  if (frame.kind === 'damaged') return DAMAGED;
  // An exception within a stream has no status of its own.
  return readRefusal(500, { text: frame.text, exception: frame.exception });
}
