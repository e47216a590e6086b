import { describe, expect, it } from 'vitest';
import { receive } from './receive';

function source(): { readonly body: ReadableStream<Uint8Array>; readonly writer: Writer } {
  const { readable, writable } = new IdentityTransformStream();
  return { body: readable, writer: writable.getWriter() };
}
type Writer = WritableStreamDefaultWriter<ArrayBuffer | ArrayBufferView>;

const bytes = new Uint8Array(200_000).map((_, index) => index % 251);
const patient = { length: bytes.byteLength, stallMs: 60_000 };

describe('receive', () => {
  it('gives the body as it came, whatever the pieces', async () => {
    for (const piece of [1_000, 70_000, 200_000]) {
      const { body, writer } = source();
      const received = receive({ ...patient, body, grow: () => true });
      for (let at = 0; at < bytes.byteLength; at += piece) {
        await writer.write(bytes.slice(at, at + piece));
      }
      expect(await received).toEqual(bytes);
    }
  });

  it('takes room when the first byte has come, for the whole', async () => {
    const { body, writer } = source();
    const taken: number[] = [];
    const grow = (count: number): boolean => taken.push(count) > 0;
    const received = receive({ ...patient, body, grow });
    await Promise.resolve();
    expect(taken).toEqual([]);
    await writer.write(bytes);
    await received;
    expect(taken).toEqual([bytes.byteLength]);
  });

  it('says so when there is no room, once the client has sent all', async () => {
    const { body, writer } = source();
    const received = receive({ ...patient, body, grow: () => false });
    await writer.write(bytes);
    await writer.close();
    expect(await received).toBe('full');
  });

  it('gives up a body that does not come, or stops coming', async () => {
    for (const sent of [0, 1_000]) {
      const { body, writer } = source();
      const received = receive({ ...patient, body, grow: () => true, stallMs: 5 });
      if (sent > 0) writer.write(bytes.slice(0, sent)).catch(() => undefined);
      expect(await received).toBe('stalled');
    }
  });
});
