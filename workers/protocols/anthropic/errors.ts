// Lays the facts of an error into Anthropic's envelope, as an answer and as an event of a stream
// already begun. It decides nothing: status, words and retry advice come from domain/errors.ts. An
// upstream's own error body never passes here.

import type { ErrorFacts, RelayError } from '../../domain/errors';
import { facts } from '../../domain/errors';
import { rejectedHeaders } from '../../domain/limits/notice';
import { SECOND_MS } from '../../domain/time';
import type { RenderedError } from '../protocol';

/** The error as an HTTP answer: `request-id` and, where they apply, retry advice and `allow`. */
export function renderError(error: RelayError, requestId: string): RenderedError {
  const known = facts(error);
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'request-id': requestId,
  };
  if (known.retry !== null) headers['x-should-retry'] = String(known.retry);
  if (known.retryAfterMs !== null) headers['retry-after'] = wholeSeconds(known.retryAfterMs);
  if (known.allow !== undefined) headers['allow'] = known.allow;
  Object.assign(headers, spentHeaders(error));
  return { status: known.status, headers, body: JSON.stringify(envelope(known, requestId)) };
}

/**
 * What says that it is the user's own money that is spent: without it Claude Code calls any other
 * 429 the server's limit, "not your usage limit", when it knows that a gateway answers.
 */
function spentHeaders(error: RelayError): Readonly<Record<string, string>> {
  if (error.kind === 'out-of-credit') {
    return rejectedHeaders({ period: 'total', resetsAt: null, shared: false });
  }
  if (error.kind !== 'budget-spent') return {};
  const { period, resetsAt, scope } = error;
  return rejectedHeaders({ period, resetsAt, shared: scope === 'wallet' });
}

/** The error as one server-sent event. */
export function renderStreamError(error: RelayError, requestId: string): string {
  return `event: error\ndata: ${JSON.stringify(envelope(facts(error), requestId))}\n\n`;
}

function envelope(known: ErrorFacts, requestId: string): object {
  const { errorClass: type, message, code } = known;
  const details = { error_code: code };
  return { type: 'error', error: { type, message, details }, request_id: requestId };
}

/** Rounded up: an earlier retry would fail. */
function wholeSeconds(durationMs: number): string {
  return String(Math.max(1, Math.ceil(durationMs / SECOND_MS)));
}
