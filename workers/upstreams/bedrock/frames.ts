// Amazon's event stream (application/vnd.amazon.eventstream) as Bedrock uses it, cut at any byte:
// its messages and what each carries. Headers and checksums are the codec's business; where one
// message ends is decided here, because a stream's chunks know nothing of it.

import { EventStreamCodec } from '@smithy/eventstream-codec';

/** What one message says. */
export type Frame =
  /** An event of the Messages API: its JSON as the model's host wrote it. */
  | { readonly kind: 'event'; readonly json: string }
  /** Something went wrong: `exception` names it, `text` is its JSON or its message. */
  | { readonly kind: 'exception'; readonly exception: string; readonly text: string }
  /** The bytes are not what they say; nothing after this one can be read. */
  | { readonly kind: 'damaged'; readonly why: string };

/** Of the length in front and both checksums: the shortest message there can be. */
const FRAME_BYTES_MIN = 16;
/** The longest that is kept in memory; events are kilobytes. */
export const FRAME_BYTES_MAX = 8 * 1024 * 1024;
const LENGTH_BYTES = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const codec = new EventStreamCodec(
  (bytes) => decoder.decode(typeof bytes === 'string' ? encoder.encode(bytes) : bytes),
  (text) => encoder.encode(text),
);

/** Reads one stream's bytes. */
export class FrameReader {
  #parts: Uint8Array[] = [];
  #held = 0;
  #isDamaged = false;

  /** What these bytes complete, in order; nothing after damage. */
  push(bytes: Uint8Array): readonly Frame[] {
    if (this.#isDamaged || bytes.byteLength === 0) return [];
    this.#parts.push(bytes);
    this.#held += bytes.byteLength;
    const frames: Frame[] = [];
    for (let size = this.#nextSize(); size !== null; size = this.#nextSize()) {
      const frame =
        size === 'wrong' ? damaged('a message has no fitting length') : this.#take(size);
      if (frame === null) continue;
      frames.push(frame);
      if (frame.kind !== 'damaged') continue;
      this.#isDamaged = true;
      this.#parts = [];
      break;
    }
    return frames;
  }

  /** Whether the stream ended within a message. */
  get isMidFrame(): boolean {
    return this.#held > 0;
  }

  /** Bytes of the next message; null: it is not there yet. */
  #nextSize(): number | 'wrong' | null {
    if (this.#held < LENGTH_BYTES) return null;
    const start = this.#joined(LENGTH_BYTES);
    const size = new DataView(start.buffer, start.byteOffset).getUint32(0);
    if (size < FRAME_BYTES_MIN || size > FRAME_BYTES_MAX) return 'wrong';
    return size <= this.#held ? size : null;
  }

  #take(size: number): Frame | null {
    const all = this.#joined(size);
    this.#parts =
      all.byteLength > size ? [all.subarray(size), ...this.#parts.slice(1)] : this.#parts.slice(1);
    this.#held -= size;
    return frameIn(all.subarray(0, size));
  }

  /** The first part, made at least so long. */
  #joined(size: number): Uint8Array {
    const [first = new Uint8Array(0)] = this.#parts;
    if (first.byteLength >= size) return first;
    const whole = new Uint8Array(this.#held);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.byteLength;
    }
    this.#parts = [whole];
    return whole;
  }
}

function damaged(why: string): Frame {
  return { kind: 'damaged', why };
}

/** null: a message that says nothing to a client, like a keep-alive. */
function frameIn(bytes: Uint8Array): Frame | null {
  try {
    const { headers, body } = codec.decode(bytes);
    const text = decoder.decode(body);
    const header = (name: string): string => String(headers[name]?.value ?? '');
    switch (header(':message-type')) {
      case 'event':
        return eventIn(text);
      case 'exception':
        return { kind: 'exception', exception: header(':exception-type'), text };
      case 'error':
        return {
          kind: 'exception',
          exception: header(':error-code'),
          text: header(':error-message'),
        };
      default:
        return null;
    }
  } catch (error) {
    return damaged(error instanceof Error ? error.message : 'a message cannot be read');
  }
}

function eventIn(text: string): Frame | null {
  const payload: unknown = JSON.parse(text);
  if (typeof payload !== 'object' || payload === null || !('bytes' in payload)) return null;
  if (typeof payload.bytes !== 'string') return null;
  const bytes = Uint8Array.from(atob(payload.bytes), (character) => character.charCodeAt(0));
  return { kind: 'event', json: decoder.decode(bytes) };
}
