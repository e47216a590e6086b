// A call to a host that speaks the Messages API itself: address, headers and body are the client's
// but for the model's name and what the kind does not take. The credential is its room's business.

import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { SnapshotAccount } from '../domain/snapshot';
import { rewriteBody } from '../protocols/anthropic/rewrite';
import type { BodyEdit } from '../protocols/anthropic/rewrite';
import { betasFor, leftOutFields } from './capabilities';
import { headersFor, listOf } from './headers';
import { nameAt } from './names';
import type { CallBody, PreparedCall, PrepareFailure, UpstreamCall } from './upstream';

/** How a kind differs from the Claude API. */
export interface Native {
  /** Path in front of `/v1`, unless the account's base URL has one of its own. */
  readonly prefix?: string;
  /** The model's name there, from the catalogue's id and what the client wrote. */
  readonly nameOf: (asked: { readonly model: string; readonly written: string }) => string;
}

/** `call` for `account`, all but its credential. */
export function prepareNative(
  account: SnapshotAccount,
  call: UpstreamCall,
  { prefix = '', nameOf }: Native,
): Result<PreparedCall, PrepareFailure> {
  const headers = headersFor(call.headers);
  setBetas(headers, account, listOf(headers.get('anthropic-beta')));
  const url = `${withPrefix(account.baseUrl, prefix)}${call.path}${call.search}`;
  const { method } = call;
  if (call.body === null) return ok({ url, method, headers, body: null });
  const name = nameAt(account, call, nameOf);
  if (!name.ok) return name;
  const isOther = name.value !== call.askedModel;
  const removed = leftOutFields(account.kind);
  if (!isOther && removed.length === 0) return ok({ url, method, headers, body: call.body.bytes });
  const replace = isOther ? { model: name.value } : {};
  const body = edited(call.body, { replace, remove: removed });
  if (!body.ok) return body;
  headers.delete('content-encoding');
  return ok({ url, method, headers, body: body.value });
}

/** The unpacked body with `edit` made. */
export function edited(
  { plain }: CallBody,
  edit: BodyEdit,
): Result<Uint8Array<ArrayBuffer>, PrepareFailure> {
  const body = rewriteBody(plain, edit);
  return body.ok ? body : impossible(body.error);
}

/** Sends `betas`, as the kind has them; the client's own spelling stays where nothing changes. */
export function setBetas(
  headers: Headers,
  { kind }: Pick<SnapshotAccount, 'kind'>,
  betas: readonly string[],
): void {
  const sent = betasFor(kind, betas);
  if (sent.length === 0) headers.delete('anthropic-beta');
  else if (sent.join() !== listOf(headers.get('anthropic-beta')).join()) {
    headers.set('anthropic-beta', sent.join(','));
  }
}

/** `baseUrl`, with `prefix` as its path if it has none. */
export function withPrefix(baseUrl: string, prefix: string): string {
  return new URL(baseUrl).pathname === '/' ? `${baseUrl}${prefix}` : baseUrl;
}

/** The account or its credential is not what its kind needs. */
export function unfit(detail: string): Result<never, PrepareFailure> {
  return fail({ why: 'credential', detail });
}

/** The request cannot be made there, whatever the account. */
export function impossible(detail: string): Result<never, PrepareFailure> {
  return fail({ why: 'request', detail });
}
