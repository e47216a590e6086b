// Service tokens in D1: what programs use the admins' API with. Only their hashes are stored.

import { and, desc, eq, gt, isNull, lt, sql } from 'drizzle-orm';
import type { ServiceTokenId } from '../domain/ids';
import type { Condition, Database, Part } from './db';
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
  return row === undefined ? null : { ...row, scopes: scopesOf(row.scopes) };
}

type ServiceTokenRow = typeof serviceTokens.$inferSelect;

export interface ListedServiceToken extends Omit<ServiceTokenRow, 'hash' | 'scopes'> {
  readonly scopes: readonly string[];
}

/** All tokens, the latest first. Throws as D1 does. */
export async function listServiceTokens(
  d1: D1Database,
  { before, limit }: { readonly before?: ServiceTokenId; readonly limit: number },
): Promise<ListedServiceToken[]> {
  const { id, name, scopes, createdBy, createdAt, expiresAt, revokedAt } = serviceTokens;
  const rows = await primary(d1)
    .select({ id, name, scopes, createdBy, createdAt, expiresAt, revokedAt })
    .from(serviceTokens)
    .where(before === undefined ? undefined : lt(serviceTokens.id, before))
    .orderBy(desc(serviceTokens.id))
    .limit(limit);
  return rows.map((row) => ({ ...row, scopes: scopesOf(row.scopes) }));
}

export function addServiceToken(
  db: Database,
  token: Omit<ServiceTokenRow, 'revokedAt' | 'scopes'> & { readonly scopes: readonly string[] },
  when: Condition,
): Part {
  const { id, name, hash, scopes, createdBy, createdAt, expiresAt } = token;
  return db.insert(serviceTokens).select(
    sql`SELECT ${id}, ${name}, ${hash}, ${JSON.stringify(scopes)}, ${createdBy}, ${createdAt},
        ${expiresAt}, NULL WHERE ${when}`,
  );
}

/** `now` in Unix ms. */
export function revokeServiceToken(
  db: Database,
  id: ServiceTokenId,
  { now, when }: { readonly now: number; readonly when: Condition },
): Part {
  return db
    .update(serviceTokens)
    .set({ revokedAt: now })
    .where(and(eq(serviceTokens.id, id), when));
}

/** Holds while there is such a token that was not revoked. */
export function serviceTokenHolds(id: ServiceTokenId): Condition {
  const holds = and(eq(serviceTokens.id, id), isNull(serviceTokens.revokedAt));
  return sql`EXISTS (SELECT 1 FROM ${serviceTokens} WHERE ${holds})`;
}

/** Written as an array of texts by this Worker alone; anything else allows nothing. */
function scopesOf(text: string): readonly string[] {
  const parsed: unknown = JSON.parse(text);
  return Array.isArray(parsed) ? parsed.filter((scope) => typeof scope === 'string') : [];
}
