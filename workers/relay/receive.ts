// A body of a declared length into memory: room is taken when its first byte has come, not when it
// is announced, and given up when no more comes. Who announces much and sends nothing keeps nobody
// else out.

/** No byte for so long: the client is gone or does not mean it. */
export const STALL_MS = 10_000;
const FIRST_BYTES = 64 * 1024;
/** Read together: each wake costs more than the bytes. In STALL_MS it is 26 kB a second. */
const PIECE_BYTES = 256 * 1024;

export interface Reception {
  readonly body: ReadableStream<Uint8Array>;
  /** As declared. */
  readonly length: number;
  /** Takes room for that many bytes; false: there is none. */
  readonly grow: (bytes: number) => boolean;
  readonly stallMs: number;
}

/**
 * The body; `full` when there is no room for it, `stalled` when it stops coming. Rejects when the
 * connection breaks off.
 */
export async function receive({
  body,
  length,
  grow,
  stallMs,
}: Reception): Promise<Uint8Array<ArrayBuffer> | 'full' | 'stalled'> {
  const reader = body.getReader({ mode: 'byob' });
  let hasMoved = false;
  let timer: ReturnType<typeof setInterval> | null = null;
  const stalled = new Promise<'stalled'>((resolve) => {
    timer = setInterval(() => {
      if (!hasMoved) resolve('stalled');
      hasMoved = false;
    }, stallMs);
  });
  try {
    const first = await Promise.race([reader.read(new Uint8Array(FIRST_BYTES)), stalled]);
    if (first === 'stalled') return first;
    if (!grow(length)) {
      await discard(reader, stalled);
      return 'full';
    }
    const whole = new Uint8Array(length);
    let filled = 0;
    let next: ReadableStreamReadResult<Uint8Array> = first;
    while (next.value !== undefined) {
      hasMoved = true;
      whole.set(next.value, filled);
      filled += next.value.byteLength;
      if (next.done || filled === length) break;
      // A small buffer: the runtime makes one of its size for every read.
      const buffer = new Uint8Array(Math.min(PIECE_BYTES, length - filled));
      const read = await Promise.race([reader.readAtLeast(buffer.byteLength, buffer), stalled]);
      if (read === 'stalled') return read;
      next = read;
    }
    return filled === length ? whole : whole.slice(0, filled);
  } finally {
    clearInterval(timer);
  }
}

/** Lets the rest go by: a connection that is cut while it sends never reads the answer. */
async function discard(
  reader: ReadableStreamBYOBReader,
  stalled: Promise<'stalled'>,
): Promise<void> {
  let buffer = new Uint8Array(FIRST_BYTES);
  for (;;) {
    const next = await Promise.race([reader.read(buffer), stalled]);
    if (next === 'stalled' || next.done || next.value === undefined) return;
    buffer = new Uint8Array(next.value.buffer);
  }
}
