// What must reach an object after a change in D1. The row is written in the batch of the change,
// the push follows at once, success deletes the row; the cron sends what was left. Every delivery
// may happen twice: the objects keep the higher version and know an entry by its id.

import { and, asc, eq, gt, inArray, lte, or, sql } from 'drizzle-orm';
import type { KeyId, UserId, WalletId } from '../domain/ids';
import type { CreditCall, LedgerPort } from '../domain/ledger/calls';
import type { Copy } from '../domain/ledger/copies';
import { nanos } from '../domain/money';
import { SECOND_MS } from '../domain/time';
import { isMarked, ledgerOf, poolOf } from '../platform/objects';
import { KEY_COPY, readCopy, USER_COPY, WALLET_COPY } from './copies';
import type { Condition, Database, Part } from './db';
import { primary } from './db';
import { keys, outbox, settings, users, wallets } from './schema';

export type OutboxRow = typeof outbox.$inferSelect;

/** Younger rows are still being pushed by whoever wrote them. */
const STALE_MS = 5 * SECOND_MS;
const PAGE_ROWS = 100;
/** Rows that cannot be delivered must not keep the newer ones waiting. */
const PAGES_MAX = 5;
/** Objects called at once, well under what one invocation may have open. */
const CALLS_AT_ONCE = 4;

/** When a row is written, and under which condition: the same as the change's. */
interface Writing {
  readonly now: number;
  readonly when: Condition;
}

/** The key's row as it now is, for its wallet's object. */
export function pushKey(db: Database, keyId: KeyId, { now, when }: Writing): Part {
  return db
    .insert(outbox)
    .select(
      sql`SELECT 'key:' || ${keys.id} || ':' || ${keys.version}, 'key', ${keys.id},
        ${wallets.id}, ${wallets.region}, ${keys.version}, ${KEY_COPY}, ${now}
        FROM ${keys} JOIN ${wallets} ON ${wallets.id} = ${keys.walletId}
        WHERE ${keys.id} = ${keyId} AND ${when}`,
    )
    .onConflictDoNothing();
}

/** The user's row as it now is, for the objects of all wallets that are the user's. */
export function pushUser(db: Database, userId: UserId, { now, when }: Writing): Part {
  return db
    .insert(outbox)
    .select(
      sql`SELECT 'user:' || ${users.id} || ':' || ${users.version} || ':' || ${wallets.id},
        'user', ${users.id}, ${wallets.id}, ${wallets.region}, ${users.version}, ${USER_COPY},
        ${now} FROM ${users} JOIN ${wallets} ON ${wallets.userId} = ${users.id}
        WHERE ${users.id} = ${userId} AND ${when}`,
    )
    .onConflictDoNothing();
}

/** The wallet's row as it now is, for its object. */
export function pushWallet(db: Database, walletId: WalletId, { now, when }: Writing): Part {
  return db
    .insert(outbox)
    .select(
      sql`SELECT 'wallet:' || ${wallets.id} || ':' || ${wallets.version}, 'wallet', ${wallets.id},
        ${wallets.id}, ${wallets.region}, ${wallets.version}, ${WALLET_COPY}, ${now}
        FROM ${wallets} WHERE ${wallets.id} = ${walletId} AND ${when}`,
    )
    .onConflictDoNothing();
}

/** Money for the wallet; the entry id makes it once, however often it is delivered. */
export function pushCredit(
  db: Database,
  credit: CreditCall & { readonly walletId: WalletId },
  { now, when }: Writing,
): Part {
  const { walletId, ...call } = credit;
  const payload = JSON.stringify({ ...call, amountNanos: nanos(call.amountNanos) });
  return db
    .insert(outbox)
    .select(
      sql`SELECT ${`credit:${call.entryId}`}, 'credit', ${call.entryId}, ${wallets.id},
        ${wallets.region}, ${now}, ${payload}, ${now}
        FROM ${wallets} WHERE ${wallets.id} = ${walletId} AND ${when}`,
    )
    .onConflictDoNothing();
}

/** The snapshot's version as it now is, for Pool. */
export function pushSnapshot(db: Database, { now, when }: Writing): Part {
  return db
    .insert(outbox)
    .select(
      sql`SELECT 'snapshot:' || ${settings.version}, 'snapshot', 'snapshot', NULL, NULL,
        ${settings.version}, 'null', ${now}
        FROM ${settings} WHERE ${settings.name} = 'snapshot_version' AND ${when}`,
    )
    .onConflictDoNothing();
}

/** The rows that wait for these wallets' objects, oldest first; at most a page. */
export async function waitingFor(
  d1: D1Database,
  walletIds: readonly WalletId[],
): Promise<OutboxRow[]> {
  return primary(d1)
    .select()
    .from(outbox)
    .where(inArray(outbox.walletId, [...walletIds]))
    .orderBy(asc(outbox.createdAt), asc(outbox.id))
    .limit(PAGE_ROWS);
}

/** The rows that wait for Pool, oldest first; at most a page. */
export async function waitingForPool(d1: D1Database): Promise<OutboxRow[]> {
  return primary(d1)
    .select()
    .from(outbox)
    .where(eq(outbox.kind, 'snapshot'))
    .orderBy(asc(outbox.createdAt), asc(outbox.id))
    .limit(PAGE_ROWS);
}

/** Rows that stay for the next time, and why. */
interface Failure {
  readonly ids: readonly string[];
  readonly error: unknown;
}

export interface Delivery {
  /** Rows that arrived and are gone. */
  readonly delivered: number;
  readonly failures: readonly Failure[];
}

/** Pushes `rows`, an object's together; deletes those that arrived and no other. Never throws. */
export async function deliver(env: Env, rows: readonly OutboxRow[]): Promise<Delivery> {
  const groups = [...groupByObject(rows).values()];
  let delivered = 0;
  const failures: Failure[] = [];
  for (let start = 0; start < groups.length; start += CALLS_AT_ONCE) {
    const called = groups.slice(start, start + CALLS_AT_ONCE);
    const deliveries = await Promise.all(called.map((group) => deliverGroup(env, group)));
    for (const delivery of deliveries) {
      delivered += delivery.delivered;
      failures.push(...delivery.failures);
    }
  }
  return { delivered, failures };
}

/** Delivers what has waited for more than 5 s, a bounded number of pages. `now` in Unix ms. */
export async function deliverStale(env: Env, now: number): Promise<Delivery> {
  let delivered = 0;
  const failures: Failure[] = [];
  let last: OutboxRow | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const rows = await stalePage(env.DB, now - STALE_MS, last);
    const delivery = await deliver(env, rows);
    delivered += delivery.delivered;
    failures.push(...delivery.failures);
    last = rows.at(-1);
    if (rows.length < PAGE_ROWS) break;
  }
  return { delivered, failures };
}

async function stalePage(
  d1: D1Database,
  writtenBy: number,
  after: OutboxRow | undefined,
): Promise<OutboxRow[]> {
  const { createdAt, id } = outbox;
  const beyond =
    after === undefined
      ? undefined
      : or(gt(createdAt, after.createdAt), and(eq(createdAt, after.createdAt), gt(id, after.id)));
  return primary(d1)
    .select()
    .from(outbox)
    .where(and(lte(createdAt, writtenBy), beyond))
    .orderBy(asc(createdAt), asc(id))
    .limit(PAGE_ROWS);
}

function groupByObject(rows: readonly OutboxRow[]): Map<string, OutboxRow[]> {
  const groups = new Map<string, OutboxRow[]>();
  for (const row of rows) {
    const name = row.walletId ?? 'pool';
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  return groups;
}

async function deliverGroup(env: Env, rows: readonly OutboxRow[]): Promise<Delivery> {
  const failures = await pushGroup(env, rows);
  const failed = new Set(failures.flatMap(({ ids }) => ids));
  const ids = idsOf(rows).filter((id) => !failed.has(id));
  if (ids.length === 0) return { delivered: 0, failures };
  try {
    // One parameter however many rows: a statement takes no more than a hundred.
    await primary(env.DB)
      .delete(outbox)
      .where(sql`${outbox.id} IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`);
    return { delivered: ids.length, failures };
  } catch (error) {
    return { delivered: 0, failures: [...failures, { ids, error }] };
  }
}

/** Tells one object all of it; answers what did not arrive. */
async function pushGroup(env: Env, rows: readonly OutboxRow[]): Promise<readonly Failure[]> {
  const [first] = rows;
  if (first === undefined) return [];
  const { walletId, region } = first;
  if (walletId !== null && region !== null) {
    return deliverTo(ledgerOf(env, walletId, region), rows);
  }
  const newest = Math.max(...rows.map((row) => row.version));
  return attempt(rows, async () => poolOf(env).refresh(newest));
}

/** Copies first, then entries one by one: what cannot be taken keeps nothing else waiting. */
async function deliverTo(
  ledger: LedgerPort,
  rows: readonly OutboxRow[],
): Promise<readonly Failure[]> {
  const credits = rows.filter((row) => row.kind === 'credit');
  const copies: { readonly row: OutboxRow; readonly copy: Copy }[] = [];
  const failures: Failure[] = [];
  for (const row of rows.filter(({ kind }) => kind !== 'credit')) {
    const unread = await attempt([row], async () => {
      copies.push({ row, copy: readCopy(row.payload) });
    });
    failures.push(...unread);
  }
  if (copies.length > 0) {
    const told = copies.map(({ row }) => row);
    failures.push(
      ...(await attempt(told, async () => ledger.apply(copies.map(({ copy }) => copy)))),
    );
  }
  for (const [index, row] of credits.entries()) {
    // The object itself cannot be reached: the rest would only wait for it, one after the other.
    const last = failures.at(-1)?.error;
    if (isMarked(last, 'overloaded') || isMarked(last, 'retryable')) {
      return [...failures, { ids: idsOf(credits.slice(index)), error: last }];
    }
    // Written by pushCredit alone.
    const credit = async () => ledger.credit(JSON.parse(row.payload) as CreditCall);
    failures.push(...(await attempt([row], credit)));
  }
  return failures;
}

async function attempt(
  rows: readonly OutboxRow[],
  push: () => Promise<unknown>,
): Promise<readonly Failure[]> {
  try {
    await push();
    return [];
  } catch (error) {
    return [{ ids: idsOf(rows), error }];
  }
}

function idsOf(rows: readonly OutboxRow[]): string[] {
  return rows.map((row) => row.id);
}
