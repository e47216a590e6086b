// Reading what a call brings: path, query and body against the endpoint's schemas. Every schema is
// strict: an unknown field is refused, never dropped.

import en from 'zod/v4/locales/en.js';
import * as z from 'zod/mini';
import type { Endpoint } from './contract/endpoint';
import type { Refused } from './refusals';
import { refused } from './refusals';
import type { RelayError } from '../domain/errors';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';

// The small zod brings no words of its own: each wrong field would be an "Invalid input".
z.config(en());

/** No body of the control plane is larger, but the playground's, which the relay reads. */
export const BODY_BYTES_MAX = 64 * 1024;

export interface Given {
  readonly query: unknown;
  readonly body: unknown;
}

/** Query and body as the endpoint's schemas have them; `not-valid` names every wrong field. */
export async function readGiven(
  request: Request,
  { query, body }: Endpoint,
): Promise<Result<Given, RelayError | Refused>> {
  const asked = query === undefined ? ok(undefined) : parsed(query, queryOf(request.url));
  if (!asked.ok) return asked;
  if (body === undefined) return ok({ query: asked.value, body: undefined });
  const text = await textOf(request);
  if (!text.ok) return text;
  const json = jsonOf(text.value);
  if (json === undefined) return refused('not-valid', { fields: { body: 'is no JSON' } });
  const read = parsed(body, json);
  return read.ok ? ok({ query: asked.value, body: read.value }) : read;
}

function parsed(schema: z.ZodMiniType, value: unknown): Result<unknown, Refused> {
  const read = schema.safeParse(value);
  if (read.success) return ok(read.data);
  const fields = new Map<string, string>();
  for (const { path, message, ...issue } of read.error.issues) {
    const unknown = 'keys' in issue && Array.isArray(issue.keys) ? issue.keys : [];
    // The sender's own words, cut to a length that can be shown.
    for (const key of unknown) fields.set(pathOf([...path, key.slice(0, 64)]), 'is not known');
    if (unknown.length === 0) fields.set(pathOf(path) || 'body', message);
  }
  return refused('not-valid', { fields: Object.fromEntries(fields) });
}

function pathOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

/** Each name once: a name that comes twice is an array, which no schema takes. */
function queryOf(address: string): Record<string, string | string[]> {
  const found = new Map<string, string[]>();
  for (const [name, value] of new URL(address).searchParams) {
    found.set(name, [...(found.get(name) ?? []), value]);
  }
  return Object.fromEntries(
    [...found].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  );
}

async function textOf(request: Request): Promise<Result<string, RelayError>> {
  const decoder = new TextDecoder();
  let text = '';
  let byteLength = 0;
  for await (const bytes of request.body ?? []) {
    byteLength += bytes.byteLength;
    if (byteLength > BODY_BYTES_MAX) {
      return fail({ kind: 'too-large', limitBytes: BODY_BYTES_MAX, decoded: false });
    }
    text += decoder.decode(bytes, { stream: true });
  }
  return ok(text + decoder.decode());
}

/** undefined for what is no JSON. An empty body is an empty object. */
function jsonOf(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text, refuseProto);
  } catch {
    return undefined;
  }
}

/** `__proto__` as a name is nobody's field. */
function refuseProto(name: string, value: unknown): unknown {
  if (name === '__proto__') throw new SyntaxError('__proto__');
  return value;
}
