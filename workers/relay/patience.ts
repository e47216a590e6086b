// Keep-alive for streams that wait: a client that has seen no header for 45 s gets a 200 and pings,
// so that nothing on the way takes the silence for death. From then on an error is an event.

import { SECOND_MS } from '../domain/time';
import { withinMs } from '../platform/clock';
import { anthropic } from '../protocols/anthropic';

export interface Patience {
  /** Silence after which the first ping goes out, and between pings. */
  readonly afterMs: number;
  readonly everyMs: number;
}

export const PATIENCE: Patience = { afterMs: 45 * SECOND_MS, everyMs: 15 * SECOND_MS };

const encoder = new TextEncoder();

/** What may reach a waiting client before its answer: an upstream's own pings, whole events. */
export interface Early {
  /** Bytes to send now; with them the answer has begun, and an error can only be an event. */
  say(bytes: Uint8Array<ArrayBuffer>): void;
}

/** For clients that wait for one whole answer: nothing reaches them before. */
export const NO_EARLY: Early = { say: () => undefined };

/** What was said early, for `withPatience`. */
export interface EarlyWords extends Early {
  /** Resolves when something waits. */
  readonly some: () => Promise<void>;
  /** All that waits; it waits no longer. */
  readonly take: () => readonly Uint8Array[];
}

/** Early words of one request. */
export function earlyWords(): EarlyWords {
  let waiting: Uint8Array[] = [];
  let came = Promise.withResolvers<void>();
  return {
    say: (bytes) => {
      waiting.push(bytes);
      came.resolve();
    },
    some: () => came.promise,
    take: () => {
      const all = waiting;
      waiting = [];
      came = Promise.withResolvers<void>();
      return all;
    },
  };
}

/**
 * `answer` itself when it comes in time; else, or when something is said early, a stream of pings
 * that ends in its body. `headers` are the early answer's. A rejected answer rejects, or ends the
 * stream.
 */
export async function withPatience(
  answer: Promise<Response>,
  { headers, early }: { readonly headers: () => Headers; readonly early: EarlyWords },
  patience: Patience,
): Promise<Response> {
  const said = early.some().then(() => 'said' as const);
  const first = await withinMs(Promise.race([answer, said]), patience.afterMs);
  if (first !== 'late' && first !== 'said') return first;
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  void fill(writer, { answer, early }, patience).catch((error: unknown) => {
    giveUp(answer);
    // Of an answer that was rejected: else its client would wait for ever.
    writer.abort(error).catch(() => undefined);
  });
  return new Response(readable, { status: 200, headers: headers() });
}

async function fill(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  { answer, early }: { readonly answer: Promise<Response>; readonly early: EarlyWords },
  { everyMs }: Patience,
): Promise<void> {
  for (;;) {
    const words = early.take();
    const pings = words.length > 0 ? words : [encoder.encode(anthropic.ping)];
    for (const bytes of pings) await writer.write(bytes);
    const said = early.some().then(() => 'said' as const);
    const next = await withinMs(Promise.race([answer, said]), everyMs);
    if (next === 'late' || next === 'said') continue;
    for (const bytes of early.take()) await writer.write(bytes);
    if (next.ok) {
      await pour(next.body, writer);
      return;
    }
    await writer.write(encoder.encode(`event: error\ndata: ${oneLine(await next.text())}\n\n`));
    await writer.close();
    return;
  }
}

/**
 * The answer's bytes as they come. Not piped: the runtime pipes no stream of its own kind into
 * another, and an answer that flows comes out of one.
 */
async function pour(
  body: ReadableStream<Uint8Array> | null,
  writer: WritableStreamDefaultWriter<Uint8Array>,
): Promise<void> {
  const reader = body?.getReader();
  try {
    for (;;) {
      const { value, done } = (await reader?.read()) ?? { done: true };
      if (done || value === undefined) break;
      await writer.write(value);
    }
    await writer.close();
  } catch (error) {
    // Whichever side is gone, the other one learns of it.
    await Promise.allSettled([reader?.cancel(error), writer.abort(error)]);
  }
}

/** Nobody listens any more: what still comes must not wait for a reader. */
function giveUp(answer: Promise<Response>): void {
  answer.then((late) => late.body?.cancel()).catch(() => undefined);
}

/** An error body as an event's data. */
function oneLine(body: string): string {
  return body.replaceAll(/\s*[\r\n]\s*/g, ' ');
}
