// A stand-in for upstream accounts: plain HTTP servers that keep every request byte for byte and
// answer as each test scripts it. It judges nothing; a request that no script claims gets
// an error that says so. Tests find their own requests by a mark in the body or a header.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';

export interface SeenRequest<Name extends string = string> {
  readonly account: Name;
  readonly method: string;
  readonly url: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** Resolves with the Unix ms at which the relay gave up the connection, its answer unfinished. */
  readonly left: Promise<number>;
}

/** Answers one request; what it throws breaks the connection. */
export type Answer = (response: ServerResponse, seen: SeenRequest) => void | Promise<void>;

/** Sent with every answer: what a relay must pass on, and what it must keep to itself. */
export const UPSTREAM_HEADERS = {
  'request-id': 'req_of_the_upstream',
  'anthropic-organization-id': 'organization-canary',
  'anthropic-workspace-id': 'workspace-canary',
  'anthropic-ratelimit-requests-remaining': '7',
  'anthropic-ratelimit-unified-status': 'allowed',
  'anthropic-priority-input-tokens-limit': '9',
  'set-cookie': 'session=cookie-canary',
  'cf-ray': 'ray-canary',
  'x-open-list': 'kept',
} as const;

export class FakeUpstream<Name extends string = string> {
  readonly #servers = new Map<Name, Server>();
  readonly #scripts = new Map<string, Answer[]>();
  readonly #seen: SeenRequest<Name>[] = [];
  readonly #names: readonly Name[];
  readonly #ports: Record<Name, number>;

  /** Accounts by name; of port 0: on a free one, and on the same when opened again. */
  constructor(accounts: Readonly<Record<Name, { readonly port: number }>>) {
    // The record's own keys.
    this.#names = Object.keys(accounts) as Name[];
    this.#ports = Object.fromEntries(
      this.#names.map((name) => [name, accounts[name].port]),
    ) as Record<Name, number>;
  }

  /** Opens all accounts' servers, or those named again. */
  async open(names: readonly Name[] = this.#names): Promise<void> {
    await Promise.all(names.map((name) => this.#listen(name)));
  }

  /** Where the account's server listens. */
  portOf(name: Name): number {
    return this.#ports[name];
  }

  /** From now on connections to these accounts are refused. */
  async close(names: readonly Name[] = this.#names): Promise<void> {
    await Promise.all(
      names.map((name) => {
        const server = this.#servers.get(name);
        this.#servers.delete(name);
        server?.closeAllConnections();
        return new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
      }),
    );
  }

  /** Requests that carry `mark` are answered by `answers` in turn, the last one from then on. */
  on(mark: string, ...answers: readonly Answer[]): void {
    this.#scripts.set(mark, [...answers]);
  }

  /** What has come with `mark`. */
  seen(mark: string): readonly SeenRequest<Name>[] {
    return this.#seen.filter((request) => carries(request, mark));
  }

  /** The one request that has come with `mark`; throws when there is none, or more. */
  only(mark: string): SeenRequest<Name> {
    const [only, ...more] = this.seen(mark);
    if (only === undefined || more.length > 0) {
      throw new Error(`${only === undefined ? 'no' : 'more than one'} request came with ${mark}`);
    }
    return only;
  }

  async #listen(name: Name): Promise<void> {
    const server = createServer((request, response) => {
      response.on('error', () => undefined);
      this.#take(name, request, response).catch(() => response.destroy());
    });
    this.#servers.set(name, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#ports[name], '127.0.0.1', resolve);
    });
    const address = server.address();
    if (typeof address === 'object' && address !== null) this.#ports[name] = address.port;
  }

  async #take(account: Name, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const left = new Promise<number>((resolve) => {
      response.once('close', () => {
        if (!response.writableFinished) resolve(Date.now());
      });
    });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const seen: SeenRequest<Name> = {
      account,
      method: request.method ?? '',
      url: request.url ?? '',
      rawHeaders: request.rawHeaders,
      headers: request.headers,
      body: Buffer.concat(chunks),
      left,
    };
    this.#seen.push(seen);
    for (const [header, value] of Object.entries(UPSTREAM_HEADERS)) {
      response.setHeader(header, value);
    }
    await this.#answerFor(seen)(response, seen);
  }

  #answerFor(seen: SeenRequest): Answer {
    const marks = [...this.#scripts.keys()].filter((mark) => carries(seen, mark));
    // A longer mark may hold a shorter one.
    const [longest = ''] = marks.toSorted((one, other) => other.length - one.length);
    const answers = this.#scripts.get(longest) ?? [];
    const [answer = unscripted] = answers.length > 1 ? answers.splice(0, 1) : answers;
    return answer;
  }
}

function carries(seen: SeenRequest, mark: string): boolean {
  return seen.url.includes(mark) || seen.rawHeaders.includes(mark) || seen.body.includes(mark);
}

function unscripted(response: ServerResponse): void {
  response.writeHead(500, { 'content-type': 'application/json' });
  const error = { type: 'api_error', message: 'no test has scripted this request' };
  response.end(JSON.stringify({ type: 'error', error }));
}
