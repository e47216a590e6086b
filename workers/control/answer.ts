// How the control plane answers: JSON, never cached, errors as `{error: {code, message}}`. The
// data plane has its own forms (relay/answer.ts).

import type { RelayError } from '../domain/errors';
import { facts } from '../domain/errors';

/** Body of every answer of the control plane with a status of 400 or above. */
export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string };
}

/** An error in the control plane's own words, where no RelayError says it. */
export interface Refusal {
  readonly status: number;
  /** Stable and machine-readable. */
  readonly code: string;
  /** Safe to show. */
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `body` as JSON with status 200. */
export function answer<T>(body: T): Response {
  return Response.json(body, { headers: NEVER_CACHED });
}

/** The error's public facts; `internal.cause` stays inside. */
export function refuse(error: RelayError): Response {
  const { status, code, message, allow } = facts(error);
  const headers = allow === undefined ? {} : { allow };
  return refuseWith({ status, code, message, headers });
}

/** A refusal in its own words. */
export function refuseWith({ status, code, message, headers }: Refusal): Response {
  const body: ErrorBody = { error: { code, message } };
  return Response.json(body, { status, headers: { ...NEVER_CACHED, ...headers } });
}

const NEVER_CACHED = { 'cache-control': 'no-store' } as const;
