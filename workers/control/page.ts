// Lists that are paged by id: the cursor is the last id of the page before.

import { refused } from './refusals';
import type { Refused } from './refusals';
import type { IdKind, newId } from '../domain/ids';
import { isId } from '../domain/ids';
import type { Result } from '../domain/result';
import { ok } from '../domain/result';

const PAGE_ITEMS = 50;

/** What a query asks for; `limit` is one more than is shown, so that the end is known. */
export function pageAsked<K extends IdKind>(
  kind: K,
  { cursor, limit = PAGE_ITEMS }: { cursor?: string | undefined; limit?: number | undefined },
): Result<{ readonly before?: IdOf<K>; readonly limit: number }, Refused> {
  if (cursor === undefined) return ok({ limit: limit + 1 });
  if (isId(kind, cursor)) return ok({ before: cursor, limit: limit + 1 });
  return refused('not-valid', { fields: { cursor: 'is not one of this list' } });
}

/** The page of `rows`, of which there may be one too many. */
export function pageMade<T extends { readonly id: string }>(
  rows: readonly T[],
  { limit }: { readonly limit: number },
): { items: T[]; next: string | null } {
  const items = rows.slice(0, limit - 1);
  return { items, next: rows.length < limit ? null : (items.at(-1)?.id ?? null) };
}

type IdOf<K extends IdKind> = ReturnType<typeof newId<K>>;
