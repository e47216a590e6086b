// The beginning of an event stream, held back until it is known to be an answer: whatever else came
// can still be replaced by another account's. Pings are no content; they may leave by themselves.
// From the first other event on nothing is held.

import { fieldOf, jsonOf, textOf } from '../domain/json';
import { statusOfErrorType } from '../domain/scheduling/failure';
import { SECOND_MS } from '../domain/time';
import { concatBytes } from '../platform/bytes';

/** So long, and so much, may pings alone hold an answer's headers back. */
export const HOLD_MS = 5 * SECOND_MS;
const HOLD_BYTES_MAX = 64 * 1024;

/** An error that an event names, before anything else was said. */
export interface EventError {
  readonly status: number;
  readonly type: string | null;
  readonly code: string | null;
  readonly message: string;
  /** The event's data. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** How a stream begins. `held` has not left yet; `rest` is what follows it. */
export type Beginning =
  | {
      readonly is: 'answer';
      readonly held: Uint8Array<ArrayBuffer>;
      readonly rest: ReadableStream<Uint8Array>;
    }
  | {
      readonly is: 'error';
      readonly error: EventError;
      readonly held: Uint8Array<ArrayBuffer>;
      readonly rest: ReadableStream<Uint8Array>;
    }
  /** It ended, or the connection did, with nothing said. */
  | { readonly is: 'broke-off' };

export interface Holding {
  /** Takes whole pings that have been held for too long. */
  readonly letPingsGo: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Called with every read: the stream lives. */
  readonly onBytes: () => void;
  readonly holdMs: number;
}

/** Reads `body` up to its first event that is no ping. Rejects as its reads do. */
export async function beginningOf(
  body: ReadableStream<Uint8Array>,
  { letPingsGo, onBytes, holdMs }: Holding,
): Promise<Beginning> {
  const reader = body.getReader();
  const begins = new Begins();
  let isLetGo = false;
  const letGo = (): void => {
    isLetGo = true;
    const pings = begins.takePings();
    if (pings.byteLength > 0) letPingsGo(pings);
  };
  const timer = setTimeout(letGo, holdMs);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return { is: 'broke-off' };
      onBytes();
      const found = begins.push(value);
      if (found !== null) {
        reader.releaseLock();
        const held = begins.takeAll();
        return found === 'content'
          ? { is: 'answer', held, rest: body }
          : { is: 'error', error: found, held, rest: body };
      }
      if (isLetGo || begins.size > HOLD_BYTES_MAX) letGo();
    }
  } finally {
    clearTimeout(timer);
  }
}

const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();

/** Looks at lines as they become whole; CR, LF and both end one (WHATWG HTML §9.2.6). */
class Begins {
  /** Bytes that wait. */
  readonly #chunks: Uint8Array[] = [];
  size = 0;
  /** How many of them are whole pings. */
  #pingBytes = 0;
  #scanned = 0;
  #line: number[] = [];
  #afterReturn = false;
  #isFirstLine = true;
  #name: string | null = null;
  #data: string[] = [];

  /** What the stream begins with, once that can be told. */
  push(chunk: Uint8Array): 'content' | EventError | null {
    this.#chunks.push(chunk);
    this.size += chunk.byteLength;
    for (const byte of chunk) {
      this.#scanned += 1;
      const isFeed = byte === 0x0a;
      if (isFeed && this.#afterReturn) {
        this.#afterReturn = false;
        // The second half of a line's end belongs to the ping before it.
        if (this.#name === null && this.#data.length === 0) this.#pingBytes = this.#scanned;
        continue;
      }
      this.#afterReturn = byte === 0x0d;
      if (!isFeed && !this.#afterReturn) {
        this.#line.push(byte);
        // A line that outgrows all bounds is no ping and no error.
        if (this.#line.length > HOLD_BYTES_MAX) return 'content';
        continue;
      }
      const found = this.#endLine();
      if (found !== null) return found;
    }
    return null;
  }

  #endLine(): 'content' | EventError | null {
    const bytes = Uint8Array.from(this.#line);
    this.#line = [];
    const text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: !this.#isFirstLine }).decode(
      bytes,
    );
    this.#isFirstLine = false;
    if (text === '') return this.#endEvent();
    const [, field = '', value = ''] = /^([^:]*)(?::\x20?(.*))?$/s.exec(text) ?? [];
    if (field === 'event') {
      this.#name = value;
      return value === 'ping' || value === 'error' ? null : 'content';
    }
    if (field !== 'data') return null;
    this.#data.push(value);
    if (this.#name !== null) return null;
    // A stream without names says in its data what it is.
    const type = fieldOf(jsonOf(value), 'type');
    return type === 'ping' || type === 'error' ? null : 'content';
  }

  #endEvent(): EventError | null {
    const data = this.#data.join('\n');
    const name = this.#name ?? fieldOf(jsonOf(data), 'type');
    const isEmpty = this.#name === null && this.#data.length === 0;
    this.#name = null;
    this.#data = [];
    if (name === 'error' && !isEmpty) return errorOf(data);
    this.#pingBytes = this.#scanned;
    return null;
  }

  /** The whole pings that wait; they wait no longer. */
  takePings(): Uint8Array<ArrayBuffer> {
    const all = this.takeAll();
    const pings = all.slice(0, this.#pingBytes);
    const rest = all.slice(this.#pingBytes);
    if (rest.byteLength > 0) this.#chunks.push(rest);
    this.size = rest.byteLength;
    this.#scanned -= this.#pingBytes;
    this.#pingBytes = 0;
    return pings;
  }

  takeAll(): Uint8Array<ArrayBuffer> {
    const [only, ...more] = this.#chunks.splice(0);
    if (only === undefined) return NOTHING;
    return more.length === 0 ? new Uint8Array(only) : concatBytes([only, ...more]);
  }
}

function errorOf(data: string): EventError {
  const error = fieldOf(jsonOf(data), 'error');
  const type = textOf(fieldOf(error, 'type'));
  const code = textOf(fieldOf(fieldOf(error, 'details'), 'error_code'));
  const message = textOf(fieldOf(error, 'message')) ?? '';
  const status = statusOfErrorType(type ?? '');
  return { status, type, code, message, body: new Uint8Array(encoder.encode(data)) };
}

/** What a JSON error body says of itself, as all of it that is not there is null. */
export function errorFactsOf(body: Uint8Array): Pick<EventError, 'type' | 'code' | 'message'> {
  const { type, code, message } = errorOf(new TextDecoder().decode(body));
  return { type, code, message };
}
