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

/**
 * `answer` itself when it comes in time; else a stream of pings that ends in its body. `headers` are
 * the early answer's. A rejected answer rejects, or ends the stream.
 */
export async function withPatience(
  answer: Promise<Response>,
  headers: () => Headers,
  patience: Patience,
): Promise<Response> {
  const first = await withinMs(answer, patience.afterMs);
  if (first !== 'late') return first;
  const identity = new IdentityTransformStream();
  void fill(identity.writable, answer, patience).catch(() => giveUp(answer));
  return new Response(identity.readable, { status: 200, headers: headers() });
}

async function fill(
  writable: WritableStream<Uint8Array>,
  answer: Promise<Response>,
  { everyMs }: Patience,
): Promise<void> {
  const writer = writable.getWriter();
  for (;;) {
    await writer.write(encoder.encode(anthropic.ping));
    const next = await withinMs(answer, everyMs);
    if (next === 'late') continue;
    if (next.ok) {
      writer.releaseLock();
      await next.body?.pipeTo(writable);
      return;
    }
    await writer.write(encoder.encode(`event: error\ndata: ${oneLine(await next.text())}\n\n`));
    await writer.close();
    return;
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
