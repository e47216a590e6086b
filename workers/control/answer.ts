// How the control plane answers: JSON, never cached, errors as `{error: {code, message, requestId,
// fields?}}`. The data plane has its own forms (relay/answer.ts).

import type { RelayError } from '../domain/errors';
import { facts } from '../domain/errors';
import type { RequestId } from '../domain/ids';
import { SECOND_MS } from '../domain/time';
import type { Refused } from './refusals';
import { REFUSALS } from './refusals';

/** Body of every answer of the control plane with a status of 400 or above. */
export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly requestId: RequestId;
    readonly fields?: Readonly<Record<string, string>>;
  };
}

/** What every answer carries, whatever it says. */
const ALWAYS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** Adds to `headers` what every answer of the control plane carries. */
export function withAlways(headers: Headers, requestId: RequestId): Headers {
  for (const [name, value] of Object.entries(ALWAYS)) {
    if (!headers.has(name)) headers.set(name, value);
  }
  headers.set('x-relay-request-id', requestId);
  return headers;
}

/** The answer to what went wrong; `internal.cause` stays inside. */
export function refusalAnswer(error: RelayError | Refused, requestId: RequestId): Response {
  const { status, code, message, fields, retryAfterMs, allow } = wordsOf(error);
  const headers = withAlways(new Headers(), requestId);
  if (allow !== undefined) headers.set('allow', allow);
  if (status === 401) headers.set('www-authenticate', 'Bearer realm="control"');
  if (retryAfterMs !== undefined) {
    headers.set('retry-after', String(Math.ceil(retryAfterMs / SECOND_MS)));
  }
  const body: ErrorBody = {
    error: { code, message, requestId, ...(fields === undefined ? {} : { fields }) },
  };
  return Response.json(body, { status, headers });
}

interface Words extends Omit<Refused, 'code'> {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly allow?: string;
}

function wordsOf(error: RelayError | Refused): Words {
  if ('code' in error) {
    const { code, ...details } = error;
    return { ...REFUSALS[code], code, ...details };
  }
  const { status, code, message, allow, retryAfterMs } = facts(error);
  return {
    status,
    code,
    message,
    ...(allow === undefined ? {} : { allow }),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  };
}
