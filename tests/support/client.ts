// A bare HTTP client: what it sends and gets is not touched by any library's good will (no
// decoding, no retries, no added headers). It knows the relay's addresses and nothing else.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { inject } from 'vitest';
import { MODEL } from './answers';

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as `Authorization: Bearer`. */
  readonly key?: string;
  readonly body?: string | Buffer;
  /** Sends the body without a length. */
  readonly chunked?: boolean;
  /** Past wrangler's proxy: leaving is then noticed at once, as it is in production. */
  readonly atRuntime?: boolean;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

/** An answer that is still coming. */
export interface OpenReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Everything that has come so far. */
  readonly soFar: () => Buffer;
  /** Resolves when `text` has come; rejects when the answer ends without it. */
  readonly until: (text: string) => Promise<void>;
  /** The whole body; rejects when the connection breaks before the end. */
  readonly whole: Promise<Buffer>;
  /** The client goes away. */
  readonly leave: () => void;
}

const relay = inject('relay');
const agent = new Agent({ keepAlive: false });

/** Sends `call` to `path` and waits for the headers. */
export function open(path: string, call: Call = {}): Promise<OpenReply> {
  return start(path, call).opened;
}

/** Sends `call` to `path` and waits for the whole answer. */
export async function send(path: string, call: Call = {}): Promise<Reply> {
  const { status, headers, whole } = await open(path, call);
  const body = await whole;
  return { status, headers, body, text: body.toString() };
}

/** Sends `call`; `leave` works before the headers too. */
export function start(
  path: string,
  call: Call = {},
): { readonly opened: Promise<OpenReply>; readonly leave: () => void } {
  const body = call.body === undefined ? undefined : Buffer.from(call.body);
  const request = httpRequest(`${call.atRuntime ? relay.runtimeUrl : relay.url}${path}`, {
    agent,
    method: call.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(body === undefined || call.chunked ? {} : { 'content-length': String(body.length) }),
      ...(call.key === undefined ? {} : { authorization: `Bearer ${call.key}` }),
      ...call.headers,
    },
  });
  // A reset: a mere close could also mean that the client has no more to say.
  const leave = (): void => void request.socket?.resetAndDestroy();
  const opened = new Promise<OpenReply>((resolve, reject) => {
    request.on('response', (response) => resolve(openReply(response, leave)));
    request.on('error', reject);
  });
  // Who leaves early may look at it late.
  opened.catch(() => undefined);
  request.end(body);
  return { opened, leave };
}

function openReply(response: IncomingMessage, leave: () => void): OpenReply {
  const chunks: Buffer[] = [];
  const waiting = new Set<() => void>();
  const soFar = (): Buffer => Buffer.concat(chunks);
  const wake = (): void => {
    for (const look of waiting) look();
  };
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    wake();
  });
  const whole = new Promise<Buffer>((resolve, reject) => {
    response.on('end', () => resolve(soFar()));
    response.on('error', reject);
    response.on('aborted', () => reject(new Error('the answer broke off')));
  });
  // Who only leaves does not ask for the whole.
  whole.catch(() => undefined);
  const until = (text: string): Promise<void> =>
    Promise.race([
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (soFar().includes(text)) resolve();
        };
        waiting.add(look);
        look();
      }),
      whole.then((body) => {
        if (!body.includes(text)) throw new Error(`the answer ended without ${text}: ${body}`);
      }),
    ]);
  const { statusCode: status = 0, headers } = response;
  return { status, headers, soFar, until, whole, leave };
}

/** The body of a plain request whose prompt is `prompt`. */
export function ask(prompt: string, more: Readonly<Record<string, unknown>> = {}): string {
  const messages = [{ role: 'user', content: prompt }];
  return JSON.stringify({ model: MODEL, max_tokens: 1_000, messages, ...more });
}

export interface KeyInfo {
  readonly key: { readonly requests: number; readonly used_nanos: number; readonly status: string };
  readonly wallet: { readonly balance_nanos: number; readonly open_requests: number };
}

/** What the relay tells a key's holder, once nothing of the wallet is open any more. */
export async function settledInfo(key: string): Promise<KeyInfo> {
  return eventually('all requests are settled', async () => {
    const { text } = await send('/api/v1/key-info', { key });
    // The relay's own document, checked by the journeys that read it.
    const info = JSON.parse(text) as KeyInfo;
    return info.wallet.open_requests === 0 ? info : null;
  });
}

/** Nano-dollars that `work` has cost the key's wallet, all settled. */
export async function costOf(key: string, work: () => Promise<unknown>): Promise<number> {
  const before = await settledInfo(key);
  await work();
  const after = await settledInfo(key);
  return before.wallet.balance_nanos - after.wallet.balance_nanos;
}

const LOOK_EVERY_MS = 20;
const LOOKS_MAX = 1_000;

/** Asks again until the answer is not null; what is waited for is named in the failure. */
export async function eventually<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const found = await look();
    if (found !== null) return found;
    await pause(LOOK_EVERY_MS);
  }
  throw new Error(`it did not come about that ${what}`);
}
