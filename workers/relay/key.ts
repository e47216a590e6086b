// The client's key: found in either header, checked by its tag alone. A forged or mistyped key
// costs no I/O, wakes no object and creates none.

import type { RelayError } from '../domain/errors';
import { parseKey } from '../domain/keys/format';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { sha256, verifyKeyTag } from '../platform/digest';
import type { Config } from '../platform/env';
import type { Bearer } from './journey';

/** True keys seen by this isolate: their checks need not be made again. */
const seen = new Map<string, Bearer>();
const SEEN_MAX = 1_000;

/** The bearer of a request; `unauthenticated` when no header holds one true key. */
export async function readKey(
  headers: Headers,
  config: Config,
): Promise<Result<Bearer, RelayError>> {
  const given = keyText(headers);
  if (!given.ok) return given;
  const known = seen.get(given.value);
  if (known !== undefined) return ok(known);
  const parts = parseKey(given.value);
  if (parts === null || !(await verifyKeyTag(given.value, config.keyTagSecrets))) {
    return fail({ kind: 'unauthenticated', why: 'malformed' });
  }
  const bearer: Bearer = { parts, hash: await sha256(given.value) };
  remember(given.value, bearer);
  return ok(bearer);
}

/**
 * `x-api-key` or `Authorization: Bearer`, either or both. Of two different values the one that has
 * a relay key's form counts: some clients send a provider's own key in the other header.
 */
function keyText(headers: Headers): Result<string, RelayError> {
  const bearer = /^bearer\s+(\S+)\s*$/i.exec(headers.get('authorization') ?? '')?.[1];
  const given = new Set([headers.get('x-api-key')?.trim(), bearer].flatMap((text) => text || []));
  const [first] = given;
  if (first === undefined) return fail({ kind: 'unauthenticated', why: 'missing' });
  if (given.size === 1) return ok(first);
  const formed = [...given].filter((text) => parseKey(text) !== null);
  if (formed.length > 1) return fail({ kind: 'unauthenticated', why: 'conflicting' });
  return ok(formed[0] ?? first);
}

function remember(text: string, bearer: Bearer): void {
  if (seen.size >= SEEN_MAX) {
    const [oldest] = seen.keys();
    if (oldest !== undefined) seen.delete(oldest);
  }
  seen.set(text, bearer);
}
