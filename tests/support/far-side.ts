// What stands outside in the tests that run inside workerd: a server that does what an upstream may
// do to a connection, and one that counts who comes to it. Tests reach the first one's notes by
// plain HTTP, because they run in another process; what they wait for, it tells when it happens.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createPlainServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { TestProject } from 'vitest/node';
import type { Kept } from './far-place';

/** By the mark of a request; known before or after they are. */
type Moments = Map<string, PromiseWithResolvers<void>>;

const CHUNK = new Uint8Array(64 * 1024).fill(0x61);
/** More than every buffer between the two ends together. */
const ENDLESS_CHUNKS = 4_096;
/** A writer that has got nothing rid for this long is held back. */
const HELD_BACK_MS = 500;
const ANSWER_OF_EVIL =
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n' +
  'connection: close\r\n\r\n{}';
const RAY = '0123456789abcdef-SIN';

const kept = new Map<string, Kept[]>();
const came: Moments = new Map();
const left: Moments = new Map();
const sent = new Map<string, number>();
let evilVisits = 0;

/** vitest's global setup; gives the teardown. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  const far = createServer((request, response) => {
    response.on('error', () => undefined);
    answer(request, response).catch(() => response.destroy());
  });
  const evil = createPlainServer((socket) => {
    evilVisits += 1;
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(ANSWER_OF_EVIL));
  });
  for (const server of [far, evil]) {
    server.on('connection', (socket: Socket) => sockets.add(socket));
  }
  const [port, evilPort] = [await listen(far), await listen(evil)];
  evilTarget = `http://127.0.0.1:${evilPort}/v1/messages`;
  project.provide('far', { url: `http://127.0.0.1:${port}`, evilPort });
  return async () => {
    for (const socket of sockets) socket.destroy();
    await Promise.all([far, evil].map((server) => new Promise((resolve) => server.close(resolve))));
  };
}

let evilTarget = '';

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://far');
  const mark = searchParams.get('mark') ?? '';
  const [, room = '', word = ''] = pathname.split('/');
  if (room === 'told') return json(response, await told(word, mark));
  response.once('close', () => {
    if (!response.writableFinished) of(left, mark).resolve();
  });
  const play = PLAYS[room];
  if (play === undefined) throw new Error('no such play');
  await play({ request, response, mark, word });
}

/** What a test asks about its own request. */
async function told(word: string, mark: string): Promise<unknown> {
  switch (word) {
    case 'evil':
      return evilVisits;
    case 'kept':
      return kept.get(mark) ?? [];
    case 'came':
      // Answers when there is a request.
      return of(came, mark).promise.then(() => true);
    case 'left':
      // Answers when the relay has given up the connection.
      return of(left, mark).promise.then(() => true);
    case 'held-back':
      return heldBack(mark);
    default:
      throw new Error('nothing is told of this');
  }
}

interface Played {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly mark: string;
  readonly word: string;
}

/** By the first part of the path. */
const PLAYS: Readonly<Record<string, (played: Played) => void | Promise<void>>> = {
  /** Tells what it was sent. */
  keep: async (played) => {
    await keep(played);
    played.response.setHeader('cf-ray', RAY);
    json(played.response, { url: played.request.url });
  },
  /** Answers each piece of the body as it comes, before the body is complete. */
  echo: ({ request, response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    request.pipe(response);
  },
  /** Says nothing, not even a header. */
  hang: async (played) => keep(played),
  /** A first piece, and then nothing. */
  begin: async (played) => {
    await keep(played);
    played.response.writeHead(200, { 'content-type': 'text/event-stream' });
    played.response.write('data: begun\n\n');
  },
  /** A first piece, and then a connection that is gone. */
  break: async (played) => {
    played.response.writeHead(200, { 'content-type': 'text/event-stream' });
    played.response.write('data: begun\n\n', () => played.response.destroy());
  },
  /** As fast as it is taken. */
  flood: async ({ response, mark }) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    for (let count = 1; count <= ENDLESS_CHUNKS && !response.destroyed; count += 1) {
      await new Promise((resolve) => response.write(CHUNK, resolve));
      sent.set(mark, count * CHUNK.byteLength);
    }
    response.end();
  },
  /** Sends whoever follows it to the other server. */
  redirect: async (played) => {
    await keep(played);
    played.response.writeHead(Number(played.word), { location: evilTarget });
    played.response.end();
  },
  status: ({ response, word }) => {
    response.writeHead(Number(word), { 'relay-egress-outcome': 'forbidden', 'set-cookie': 'a=b' });
    response.end();
  },
  /** Says of itself that it came in at the data centre named. */
  ray: ({ response, word }) => {
    response.writeHead(403, { 'cf-ray': decodeURIComponent(word) });
    response.end();
  },
};

async function keep({ request, mark }: Played): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method = '', url = '', rawHeaders } = request;
  const body = Buffer.concat(chunks).toString('base64');
  kept.set(mark, [...(kept.get(mark) ?? []), { method, url, rawHeaders, body }]);
  of(came, mark).resolve();
}

function of(moments: Moments, mark: string): PromiseWithResolvers<void> {
  const known = moments.get(mark) ?? Promise.withResolvers<void>();
  moments.set(mark, known);
  return known;
}

/** Bytes that were taken when nothing more was. */
async function heldBack(mark: string): Promise<number> {
  let before = -1;
  while (before !== (sent.get(mark) ?? 0)) {
    before = sent.get(mark) ?? 0;
    await pause(HELD_BACK_MS);
  }
  return before;
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}
