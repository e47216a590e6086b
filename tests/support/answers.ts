// What a scripted upstream says: messages, their events, usage figures, and the many ways in which
// an answer can come or fail to come.

import type { ServerResponse } from 'node:http';
import { setImmediate, setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Answer } from './fake-upstream';

export type Fields = Readonly<Record<string, unknown>>;

export const MODEL = 'claude-opus-5-5';

/** Worked example of the price list: at MODEL's prices this costs exactly USAGE_NANOS. */
export const USAGE = {
  input_tokens: 12,
  cache_creation_input_tokens: 300,
  cache_read_input_tokens: 40_000,
  cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
  output_tokens: 87,
  server_tool_use: { web_search_requests: 2, web_fetch_requests: 0 },
  service_tier: 'standard',
} as const;
export const USAGE_NANOS = 31_888_000;

/** A whole answer. */
export function message(text: string, more: Fields = {}): Fields {
  return {
    id: 'msg_01UpstreamAnswer',
    type: 'message',
    role: 'assistant',
    model: MODEL,
    content: [{ type: 'text', text }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: USAGE,
    ...more,
  };
}

/** One server-sent event. */
export function event(name: string, data: Fields): string {
  return `event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`;
}

/** The events of `message(text)` up to the text, without an end. */
export function beginning(text: string, more: Fields = {}): string {
  const { output_tokens: _, server_tool_use: __, ...startUsage } = USAGE;
  const start = {
    ...message('', more),
    content: [],
    stop_reason: null,
    usage: { ...startUsage, output_tokens: 1 },
    ...more,
  };
  const words = text.match(/\S+\s*/g) ?? [];
  return [
    event('message_start', { message: start }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    event('ping', {}),
    ...words.map((word) => textDelta(word)),
  ].join('');
}

/** A piece of text. */
export function textDelta(text: string): string {
  return event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
}

/** The events after the text. */
export function ending(usage: Fields = deltaUsage()): string {
  return [
    event('content_block_stop', { index: 0 }),
    event('message_delta', {
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage,
    }),
    event('message_stop', {}),
  ].join('');
}

/** The split of cache writes by lifetime is not in deltas. */
export function deltaUsage(): Fields {
  const { cache_creation: _, service_tier: __, ...usage } = USAGE;
  return usage;
}

/** `text` as a whole stream. */
export function stream(text: string): string {
  return beginning(text) + ending();
}

/** Answers with a JSON document. */
export function json(document: Fields | string, status = 200, headers: Fields = {}): Answer {
  const body = typeof document === 'string' ? document : JSON.stringify(document);
  return (response) => {
    const { length } = Buffer.from(body);
    const own = { 'content-type': 'application/json', 'content-length': length };
    response.writeHead(status, { ...own, ...headers } as Record<string, string | number>);
    response.end(body);
  };
}

/** The same, packed, whatever the relay asked for. */
export function gzipJson(document: Fields, status = 200): Answer {
  return (response) => {
    const packed = gzipSync(JSON.stringify(document));
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-encoding': 'gzip',
      'content-length': packed.length,
    });
    response.end(packed);
  };
}

/** An error in the Messages API's form. */
export function errorBody(type: string, words: string): string {
  // The odd spacing shows whether the body comes back as it was.
  return `{"type": "error",\n "error" : {"type":"${type}", "message":"${words}"}, "extra":"\\u00e9" }`;
}

/** Answers with `text` as an event stream, written in pieces of `size` bytes. */
export function events(text: string | Buffer, size = Number.MAX_SAFE_INTEGER): Answer {
  return async (response) => {
    openStream(response);
    await sendPieces(response, text, size);
    response.end();
  };
}

/** The head of an event stream. */
export function openStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.flushHeaders();
}

/** Writes `text` in pieces of `size` bytes, each a write of its own. */
export async function sendPieces(
  response: ServerResponse,
  text: string | Buffer,
  size = Number.MAX_SAFE_INTEGER,
): Promise<void> {
  const bytes = Buffer.from(text);
  for (let start = 0; start < bytes.length; start += size) {
    response.write(bytes.subarray(start, start + size));
    // One after the other: that is what makes them pieces.
    await setImmediate();
  }
}

/** Sends `text` as the beginning of a stream, then nothing more. */
export function stall(text: string): Answer {
  return (response) => {
    openStream(response);
    response.write(text);
  };
}

/** Sends `text` as the beginning of a stream, then pings until nobody listens. */
export function drip(text: string): Answer {
  return async (response) => {
    openStream(response);
    response.write(text);
    while (!response.destroyed) {
      await pause(DRIP_EVERY_MS);
      response.write(event('ping', {}));
    }
  };
}

/** Sends `text` as the beginning of a stream, then words (150 tokens a second) till it is left. */
export function talk(text: string): Answer {
  return async (response) => {
    openStream(response);
    response.write(text);
    while (!response.destroyed) {
      await pause(DRIP_EVERY_MS);
      response.write(textDelta('nine char'));
    }
  };
}

const DRIP_EVERY_MS = 20;

/** Never answers. */
export const hang: Answer = () => undefined;

/** Breaks the connection before any header. */
export const resetAtOnce: Answer = (response) => {
  response.socket?.resetAndDestroy();
};

/** Sends `text` as the beginning of a stream, then breaks the connection. */
export function breakAfter(text: string | Buffer): Answer {
  return async (response) => {
    openStream(response);
    await new Promise((resolve) => response.write(text, resolve));
    // Two turns of the loop: what was written has left before the connection goes.
    await setImmediate();
    await setImmediate();
    response.destroy();
  };
}
