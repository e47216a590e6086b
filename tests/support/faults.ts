// What an upstream can do wrong before its answer begins, as a table: what it does, how the relay
// names it, what it holds against the account, what a client is told who has no other account.
// tests/support/fault-checks.ts sends requests into it.

import { event, events, gzipJson, hang, openStream, resetAtOnce } from './answers';
import type { Answer } from './fake-upstream';

export type Form = 'stream' | 'JSON';

/** What holds the account back, as the admin's page tells it. */
export interface Held {
  readonly of: 'account' | 'family' | 'model';
  readonly state: 'out' | 'cooling';
  /** null: until somebody or a probe says otherwise; `month`: until it ends (UTC). */
  readonly lastsMs: number | 'month' | null;
}

export interface Fault {
  readonly what: string;
  /** `refused`: nobody listens. */
  readonly answer: Answer | 'refused';
  readonly forms: readonly Form[];
  /** As attempts name it, and the status that they give it. */
  readonly outcome: string;
  readonly status: number | null;
  /** Another account is called; else the answer is the client's own affair. */
  readonly moves: boolean;
  /** The only account is called a second time. */
  readonly repeats: boolean;
  readonly held: Held | null;
  /** It is held only once another account has answered. */
  readonly needsProof: boolean;
  /** What a client of the only account is told. */
  readonly shown: Shown;
}

export interface Shown {
  readonly status: number;
  /** Byte for byte; null: the relay's own words. */
  readonly body: string | null;
  readonly type: string;
  readonly code: string | null;
  /** The header as it came; null: none did. */
  readonly retryAfter: RegExp | null;
}

const BOTH: readonly Form[] = ['stream', 'JSON'];
/** Out until somebody says otherwise. */
export const OUT: Held = { of: 'account', state: 'out', lastsMs: null };
export const MINUTE_MS = 60_000;

/** What is not said of a fault. */
export const USUAL = {
  forms: BOTH,
  status: null,
  moves: true,
  repeats: false,
  held: null,
  needsProof: false,
} as const;

/** In the relay's own words. */
function told(status: number, code: string, type = 'api_error'): Shown {
  return { status, body: null, type, code, retryAfter: null };
}

/** In the upstream's. */
export function own(status: number, type: string, body: string): Shown {
  return { status, body, type, code: null, retryAfter: null };
}

/** What is told where the account's credential is what is wrong. */
export const CREDENTIAL = told(502, 'upstream-credential');
const UNREACHABLE = told(502, 'upstream-unreachable');
const TIMEOUT = told(504, 'upstream-timeout', 'timeout_error');
const ENDED = told(502, 'upstream-ended');
const UNREADABLE = told(502, 'upstream-unreadable');

const html = (status: number): Answer => {
  return (response) => {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
    response.end('<html><title>Sorry</title>who-answers-canary</html>');
  };
};

/** Begins a stream with that, and says nothing more. */
const begins = (text: string): Answer => {
  return (response) => {
    openStream(response);
    if (text !== '') response.write(text);
  };
};

const empty = (status: number, headers: Readonly<Record<string, string>>): Answer => {
  return (response) => {
    response.writeHead(status, headers);
    response.end();
  };
};

const PING = event('ping', {});

/** Nothing that could be an answer came. */
export const SILENT: readonly Fault[] = [
  {
    ...USUAL,
    what: 'a refused connection',
    answer: 'refused',
    outcome: 'unreachable',
    repeats: true,
    shown: UNREACHABLE,
  },
  {
    ...USUAL,
    what: 'a reset before any header',
    answer: resetAtOnce,
    outcome: 'unreachable',
    repeats: true,
    shown: UNREACHABLE,
  },
  {
    ...USUAL,
    what: 'no header at all',
    answer: hang,
    // One that wants a whole answer waits for ten minutes.
    forms: ['stream'],
    outcome: 'timeout',
    shown: TIMEOUT,
  },
  {
    ...USUAL,
    what: 'headers and no first event',
    answer: begins(''),
    forms: ['stream'],
    outcome: 'timeout',
    shown: TIMEOUT,
  },
  {
    ...USUAL,
    what: 'a ping and then nothing',
    answer: begins(PING),
    forms: ['stream'],
    outcome: 'timeout',
    shown: TIMEOUT,
  },
  {
    ...USUAL,
    what: 'half of a first line and then nothing',
    answer: begins('event: mess'),
    forms: ['stream'],
    outcome: 'timeout',
    shown: TIMEOUT,
  },
  {
    ...USUAL,
    what: 'a stream that ends before its first event',
    answer: events(''),
    forms: ['stream'],
    outcome: 'broke-off',
    status: 200,
    repeats: true,
    shown: ENDED,
  },
  {
    ...USUAL,
    what: 'a stream that ends after a ping',
    answer: events(PING),
    forms: ['stream'],
    outcome: 'broke-off',
    status: 200,
    repeats: true,
    shown: ENDED,
  },
  {
    ...USUAL,
    what: 'a stream reset in its first line',
    answer: async (response) => {
      openStream(response);
      await new Promise((resolve) => response.write('event: mess', resolve));
      response.socket?.resetAndDestroy();
    },
    forms: ['stream'],
    outcome: 'broke-off',
    status: 200,
    repeats: true,
    shown: ENDED,
  },
  {
    ...USUAL,
    what: 'a page of HTML with 200',
    answer: html(200),
    outcome: 'unreadable',
    status: 200,
    shown: UNREADABLE,
  },
  {
    ...USUAL,
    what: 'a 204',
    answer: empty(204, {}),
    outcome: 'unreadable',
    status: 204,
    shown: UNREADABLE,
  },
  {
    ...USUAL,
    what: 'an empty 200',
    answer: empty(200, { 'content-type': 'application/json', 'content-length': '0' }),
    outcome: 'unreadable',
    status: 200,
    shown: UNREADABLE,
  },
  {
    ...USUAL,
    what: 'a page of HTML with 502',
    answer: html(502),
    outcome: 'failed',
    status: 502,
    repeats: true,
    shown: UNREADABLE,
  },
  {
    ...USUAL,
    what: 'a redirect',
    answer: empty(307, { location: 'http://127.0.0.1:9/elsewhere' }),
    outcome: 'redirect',
    held: { ...OUT, lastsMs: 10 * MINUTE_MS },
    shown: told(502, 'upstream_redirect'),
  },
  {
    ...USUAL,
    what: 'a packed 401',
    answer: packed401(),
    outcome: 'unauthenticated',
    status: 401,
    held: OUT,
    shown: CREDENTIAL,
  },
];

function packed401(): Answer {
  const error = { type: 'authentication_error', message: 'invalid x-api-key' };
  return gzipJson({ type: 'error', error }, 401);
}

/** An error event where the answer should begin. */
function errorEvent(type: string, differs: Partial<Fault> & Pick<Fault, 'status'>): Fault {
  const error = { type, message: `words of ${type}` };
  const data = JSON.stringify({ type: 'error', error });
  return {
    ...USUAL,
    what: `an error event (${type}) first`,
    answer: events(event('error', { error })),
    forms: ['stream'],
    outcome: 'failed',
    shown: own(differs.status ?? 0, type, data),
    ...differs,
  };
}

const OVERLOADED_ERROR = { type: 'overloaded_error', message: 'words of overloaded_error' };
const OVERLOADED = errorEvent('overloaded_error', {
  status: 529,
  outcome: 'overloaded',
  repeats: true,
});

/** Errors that come as events inside a 200. */
export const ERROR_EVENTS: readonly Fault[] = [
  OVERLOADED,
  {
    ...OVERLOADED,
    what: 'an error event after pings',
    answer: events(PING + PING + event('error', { error: OVERLOADED_ERROR })),
  },
  {
    ...OVERLOADED,
    what: 'an error event in pieces of one byte, by CR alone',
    answer: events(event('error', { error: OVERLOADED_ERROR }).replaceAll('\n', '\r'), 1),
  },
  errorEvent('api_error', { status: 500, repeats: true }),
  errorEvent('rate_limit_error', {
    status: 429,
    outcome: 'throttled',
    held: { of: 'family', state: 'cooling', lastsMs: MINUTE_MS },
  }),
  errorEvent('authentication_error', {
    status: 401,
    outcome: 'unauthenticated',
    held: OUT,
    shown: CREDENTIAL,
  }),
];
