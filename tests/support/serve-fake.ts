// Puts a stand-in of fake-kind.ts behind a port, for journeys. What it throws breaks the
// connection.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import type { FakeKind } from './fake-kind';

const BODY_BYTES_MAX = 64 * 1024 * 1024;

export interface Served {
  readonly baseUrl: string;
  close(): Promise<void>;
}

/**
 * Listens on a loopback port, a free one if none is named; answers leave in pieces of so many
 * bytes, each a write of its own.
 */
export async function serveFake(
  fake: FakeKind,
  port = 0,
  pieceBytes = Number.MAX_SAFE_INTEGER,
): Promise<Served> {
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    pass(fake, { request, response, pieceBytes }).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    baseUrl: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

interface Passing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly pieceBytes: number;
}

async function pass(fake: FakeKind, given: Passing): Promise<void> {
  const { request: incoming, response: outgoing, pieceBytes } = given;
  const chunks: Buffer[] = [];
  let byteLength = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    byteLength += chunk.byteLength;
    if (byteLength > BODY_BYTES_MAX) throw new Error('the body is too long');
    chunks.push(chunk);
  }
  const method = incoming.method ?? 'GET';
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headersDistinct)) {
    for (const one of value ?? []) headers.append(name, one);
  }
  const body = method === 'GET' || method === 'HEAD' ? null : Buffer.concat(chunks);
  const url = `http://${incoming.headers.host ?? '127.0.0.1'}${incoming.url ?? '/'}`;
  const answer = await fake.handle(new Request(url, { method, headers, body }));
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
  for await (const bytes of answer.body ?? []) {
    for (let start = 0; start < bytes.length; start += pieceBytes) {
      outgoing.write(bytes.subarray(start, start + pieceBytes));
      await setImmediate();
    }
  }
  outgoing.end();
}
