// Searching the request log: always a range of ids, which is a range of time, newest first. A
// search looks at a bounded number of lines; what it did not reach is behind the next cursor.

import type { SQL } from 'drizzle-orm';
import { and, asc, desc, eq, gte, lt, min, sql } from 'drizzle-orm';
import type { AccountId, KeyId, RequestId, UserId } from '../domain/ids';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import type { Attempt, Closing } from '../domain/ledger/calls';
import type { UsageFlag } from '../domain/usage/tokens';
import { primary } from './db';
import { requests } from './schema';

/** Lines looked at in one call: some tens of milliseconds. */
const LOOKED_AT_MAX = 10_000;

type Row = typeof requests.$inferSelect;

export interface LogLine extends Omit<Row, 'flags' | 'attempts'> {
  readonly flags: readonly UsageFlag[];
  readonly attempts: readonly Attempt[];
}

/** What is left out does not filter. */
export interface LogFilter {
  readonly userId?: UserId | undefined;
  readonly keyId?: KeyId | undefined;
  readonly accountId?: AccountId | undefined;
  readonly model?: string | undefined;
  readonly closing?: Closing | undefined;
  readonly status?: number | undefined;
  readonly session?: string | undefined;
}

export interface LogSearch {
  /** Unix ms by the ids, included. */
  readonly from: number;
  /** Not included. */
  readonly to: number;
  readonly filter: LogFilter;
  /** Lines older than this one. */
  readonly before?: RequestId | undefined;
  readonly limit: number;
}

export interface LogPage {
  /** Newest first. */
  readonly lines: readonly LogLine[];
  /** To search on from; null: nothing is left. */
  readonly next: RequestId | null;
}

/** Throws as D1 does. */
export async function searchLog(d1: D1Database, search: LogSearch): Promise<LogPage> {
  const { from, to, filter, before, limit } = search;
  const db = primary(d1);
  const first = idAt(from);
  const upTo = before === undefined ? idAt(to) : lesser(before, idAt(to));
  const within = and(gte(requests.id, first), lt(requests.id, upTo));
  const looked = db
    .select({ id: requests.id })
    .from(requests)
    .where(within)
    .orderBy(desc(requests.id))
    .limit(LOOKED_AT_MAX)
    .as('looked');
  // How far this call looks, told first; the index alone answers it.
  const [[reach], lines] = await db.batch([
    db.select({ last: min(looked.id) }).from(looked),
    db
      .select()
      .from(requests)
      .where(and(within, gte(requests.id, lastLooked(looked)), ...conditionsOf(filter)))
      .orderBy(desc(requests.id))
      .limit(limit + 1),
  ]);
  const page = lines.slice(0, limit).map(lineOf);
  if (lines.length > limit) return { lines: page, next: page.at(-1)?.id ?? null };
  const last = reach?.last ?? null;
  const isEnd = last === null || (await isOldest(d1, first, last));
  return { lines: page, next: isEnd ? null : last };

  function lastLooked(subquery: typeof looked): SQL {
    return sql`(SELECT ${min(subquery.id)} FROM ${subquery})`;
  }
}

async function isOldest(d1: D1Database, first: RequestId, last: RequestId): Promise<boolean> {
  const [row] = await primary(d1)
    .select({ id: requests.id })
    .from(requests)
    .where(and(gte(requests.id, first), lt(requests.id, last)))
    .orderBy(asc(requests.id))
    .limit(1);
  return row === undefined;
}

function conditionsOf(filter: LogFilter): readonly (SQL | undefined)[] {
  const { userId, keyId, accountId, model, closing, status, session } = filter;
  return [
    userId === undefined ? undefined : eq(requests.userId, userId),
    keyId === undefined ? undefined : eq(requests.keyId, keyId),
    accountId === undefined ? undefined : eq(requests.accountId, accountId),
    model === undefined ? undefined : eq(requests.model, model),
    closing === undefined ? undefined : eq(requests.closing, closing),
    status === undefined ? undefined : eq(requests.status, status),
    session === undefined ? undefined : eq(requests.session, session),
  ];
}

/** Before every request of this millisecond and later ones. */
function idAt(at: number): RequestId {
  return newId('request', at, new Uint8Array(ID_RANDOM_BYTES));
}

function lesser(a: RequestId, b: RequestId): RequestId {
  return a < b ? a : b;
}

function lineOf(row: Row): LogLine {
  // Written by ledger-batches.ts alone.
  const flags = JSON.parse(row.flags) as readonly UsageFlag[];
  const attempts = JSON.parse(row.attempts) as readonly Attempt[];
  return { ...row, flags, attempts };
}
