// Writes Amazon's event stream (application/vnd.amazon.eventstream) byte by byte, with a checksum
// of its own making: what the reading side must agree with.

const encoder = new TextEncoder();
const STRING_TYPE = 7;

/** CRC-32 as in zlib. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** One message. */
export function frameOf(headers: Readonly<Record<string, string>>, body: string): Uint8Array {
  const head = Object.entries(headers).flatMap(([name, value]) => {
    const [key, text] = [encoder.encode(name), encoder.encode(value)];
    return [key.length, ...key, STRING_TYPE, text.length >> 8, text.length & 255, ...text];
  });
  const payload = encoder.encode(body);
  const frame = new Uint8Array(16 + head.length + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, frame.length);
  view.setUint32(4, head.length);
  view.setUint32(8, crc32(frame.subarray(0, 8)));
  frame.set(head, 12);
  frame.set(payload, 12 + head.length);
  view.setUint32(frame.length - 4, crc32(frame.subarray(0, frame.length - 4)));
  return frame;
}

/** An event of the Messages API as Bedrock packs it. */
export function chunkOf(event: unknown): Uint8Array {
  const json = typeof event === 'string' ? event : JSON.stringify(event);
  const binary = Array.from(encoder.encode(json), (byte) => String.fromCharCode(byte)).join('');
  const headers = {
    ':event-type': 'chunk',
    ':content-type': 'application/json',
    ':message-type': 'event',
  };
  return frameOf(headers, JSON.stringify({ bytes: btoa(binary), p: 'abcdef' }));
}

/** An exception, which ends a stream. */
export function exceptionOf(name: string, body: string): Uint8Array {
  const headers = {
    ':exception-type': name,
    ':content-type': 'application/json',
    ':message-type': 'exception',
  };
  return frameOf(headers, body);
}

/** One after the other. */
export function bytesOf(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(frames.flatMap((frame) => [...frame]));
}
