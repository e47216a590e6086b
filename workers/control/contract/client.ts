// Calling an endpoint from a program that knows the contract: what goes in and what comes out have
// the endpoint's own types. It keeps no login and tries nothing again; cookies are the browser's
// business, tokens the caller's.

import type * as z from 'zod/mini';
import type { Endpoint } from './endpoint';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';

/** Why a call came to nothing. */
export interface ApiError {
  /** Of the answer; 0: none came. */
  readonly status: number;
  /** Stable (docs/errors.md); `unreachable`, `unreadable`: nothing, or nothing known, came. */
  readonly code: string;
  /** For people. */
  readonly message: string;
  readonly requestId: string | null;
  /** What is wrong, by field. */
  readonly fields: Readonly<Record<string, string>>;
  /** When another try makes sense; null: nothing was said. */
  readonly retryAfterMs: number | null;
}

/** What `fetch` takes of a call; the platform's own fits. */
export type Fetch = (address: string, init: RequestInit) => Promise<Response>;

export interface Client {
  /** The answer of `endpoint` as its contract has it. */
  readonly call: <E extends Endpoint>(
    endpoint: E,
    ...given: Given<E>
  ) => Promise<Result<AnswerOf<E>, ApiError>>;
  /** The answer as it came, for files and streams; refusals as with `call`. */
  readonly open: <E extends Endpoint>(
    endpoint: E,
    ...given: Given<E>
  ) => Promise<Result<Response, ApiError>>;
}

/** What JSON makes of an answer; an endpoint without one answers undefined. */
type AnswerOf<E extends Endpoint> = E['answer'] extends z.ZodMiniType
  ? z.output<E['answer']>
  : undefined;

/** `{id}` and `{codeId}` of `/admin/codes/{id}/codes/{codeId}`. */
type NamesIn<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? Name | NamesIn<Rest>
  : never;

type ParametersOf<E extends Endpoint> = [NamesIn<E['path']>] extends [never]
  ? { readonly parameters?: never }
  : { readonly parameters: Readonly<Record<NamesIn<E['path']>, string>> };

/** A query's numbers are texts on their way: the schema reads them back. */
type QueryOf<E extends Endpoint> = E['query'] extends z.ZodMiniType
  ? { readonly query?: z.output<E['query']> }
  : { readonly query?: never };

type BodyOf<E extends Endpoint> = E['body'] extends z.ZodMiniType
  ? { readonly body: z.input<E['body']> }
  : { readonly body?: never };

type KeyOf<E extends Endpoint> = E['idempotent'] extends true
  ? { readonly idempotencyKey?: string }
  : { readonly idempotencyKey?: never };

type Call<E extends Endpoint> = ParametersOf<E> &
  QueryOf<E> &
  BodyOf<E> &
  KeyOf<E> & { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal };

/** Left out where the endpoint asks for nothing. */
type Given<E extends Endpoint> = Partial<Call<E>> extends Call<E> ? [Call<E>?] : [Call<E>];

/** As every call looks inside. */
interface AnyCall {
  readonly parameters?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A client of the relay at `baseUrl` ('' in a browser: the page's own). */
export function createClient(fetch: Fetch, baseUrl: string): Client {
  const open = async (
    endpoint: Endpoint,
    call: AnyCall = {},
  ): Promise<Result<Response, ApiError>> => {
    const { method, path } = endpoint;
    const { body, idempotencyKey, headers = {}, signal } = call;
    const address = `${baseUrl}${addressOf(path, call)}`;
    try {
      const response = await fetch(address, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
      return response.status < 400 ? ok(response) : fail(await refusalOf(response));
    } catch (error) {
      return fail({ ...NOTHING, code: 'unreachable', message: String(error) });
    }
  };
  const call = async (endpoint: Endpoint, given?: AnyCall): Promise<Result<unknown, ApiError>> => {
    const opened = await open(endpoint, given);
    if (!opened.ok) return opened;
    const { status } = opened.value;
    if (status === 204) return ok(undefined);
    const answer = jsonOf(await opened.value.text());
    const isFit = endpoint.answer === undefined || (typeof answer === 'object' && answer !== null);
    const unreadable = {
      ...NOTHING,
      status,
      code: 'unreadable',
      message: 'The answer is no JSON.',
    };
    return isFit ? ok(answer) : fail(unreadable);
  };
  // What each endpoint gives and takes is said by Client; both functions take any.
  return { call: call as Client['call'], open: open as Client['open'] };
}

function addressOf(path: string, { parameters = {}, query = {} }: AnyCall): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(parameters[name] ?? ''),
  );
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.size === 0 ? filled : `${filled}?${search.toString()}`;
}

const NOTHING: ApiError = {
  status: 0,
  code: '',
  message: '',
  requestId: null,
  fields: {},
  retryAfterMs: null,
};

/** A refusal in the one form; what is none (a proxy's page, say) keeps its status. */
async function refusalOf(response: Response): Promise<ApiError> {
  const { status, headers } = response;
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : null;
  const body = jsonOf(await response.text()) as { error?: Partial<ApiError> } | null | undefined;
  const { code, message, requestId = null, fields = {} } = body?.error ?? {};
  if (code === undefined || message === undefined) {
    const told = `The relay answered ${status}.`;
    return { ...NOTHING, status, code: 'unreadable', message: told, retryAfterMs };
  }
  return { status, code, message, requestId, fields, retryAfterMs };
}

/** undefined: it is none. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
