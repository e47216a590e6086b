// A small body, whole, within bounds.

import { concatBytes } from '../platform/bytes';
import { withinMs } from '../platform/clock';

/** All of `body`; null when it is larger, takes longer, or breaks off. It is then let go. */
export async function readUpTo(
  body: ReadableStream<Uint8Array> | null,
  { bytes, ms }: { readonly bytes: number; readonly ms: number },
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (body === null) return new Uint8Array(0);
  const reader = body.getReader();
  const whole = await withinMs(collect(reader, bytes), ms).catch(() => null);
  if (whole !== null && whole !== 'late') return whole;
  void reader.cancel().catch(() => undefined);
  return null;
}

async function collect(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return concatBytes(chunks);
    length += value.byteLength;
    if (length > bytesMax) return null;
    chunks.push(value);
  }
}
