// Service tokens in D1: what programs use the admins' API with. Only their hashes are stored.

import { and, eq, gt, isNull } from 'drizzle-orm';
import type { ServiceTokenId } from '../domain/ids';
import { primary } from './db';
import { serviceTokens } from './schema-control';

export interface ServiceTokenFacts {
  readonly id: ServiceTokenId;
  readonly name: string;
  /** SHA-256 of the whole token, base64url: the caller compares. */
  readonly hash: string;
  readonly scopes: readonly string[];
}

/** The token's row while it may be used at `now` (Unix ms); null else. Throws as D1 does. */
export async function findServiceToken(
  d1: D1Database,
  id: ServiceTokenId,
  now: number,
): Promise<ServiceTokenFacts | null> {
  const { hash, name, scopes, expiresAt, revokedAt } = serviceTokens;
  const [row] = await primary(d1)
    .select({ id: serviceTokens.id, name, hash, scopes })
    .from(serviceTokens)
    .where(and(eq(serviceTokens.id, id), isNull(revokedAt), gt(expiresAt, now)));
  if (row === undefined) return null;
  // Written as an array of texts by this Worker alone; anything else allows nothing.
  const parsed: unknown = JSON.parse(row.scopes);
  const list = Array.isArray(parsed) ? parsed.filter((scope) => typeof scope === 'string') : [];
  return { ...row, scopes: list };
}
