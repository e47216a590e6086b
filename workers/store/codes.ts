// Codes in D1: batches, codes by their digests, and who redeemed what. The number of a use is taken
// in the batch that gives the money, so a code is never used once too often.

import type { SQL } from 'drizzle-orm';
import { and, asc, desc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm';
import type { CodeBatchId, CodeId, UserId, WalletId } from '../domain/ids';
import type { Condition, Database, Part } from './db';
import { primary } from './db';
import { codeBatches, codes, redemptions } from './schema-control';

type BatchRow = typeof codeBatches.$inferSelect;

/** A batch with what became of it. */
export interface CodeBatch extends BatchRow {
  /** How many codes it has. */
  readonly count: number;
  /** How often they were redeemed together. */
  readonly uses: number;
}

export type CodeRow = Pick<typeof codes.$inferSelect, 'id' | 'uses' | 'revokedAt'>;
export type RedemptionRow = Omit<typeof redemptions.$inferSelect, 'batchId'>;

interface Writing {
  /** Unix ms. */
  readonly now: number;
  readonly when: Condition;
}

/** Batches, newest first, those made before `before`. Throws as D1 does. */
export async function listBatches(
  d1: D1Database,
  { before, limit }: { readonly before?: CodeBatchId; readonly limit: number },
): Promise<CodeBatch[]> {
  const where = before === undefined ? undefined : lt(codeBatches.id, before);
  return selectBatches(primary(d1), where, limit);
}

/** null: there is none. Throws as D1 does. */
export async function findBatch(d1: D1Database, id: CodeBatchId): Promise<CodeBatch | null> {
  const [row] = await selectBatches(primary(d1), eq(codeBatches.id, id), 1);
  return row ?? null;
}

async function selectBatches(
  db: Database,
  where: SQL | undefined,
  limit: number,
): Promise<CodeBatch[]> {
  const ofBatch = sql`FROM ${codes} WHERE ${codes.batchId} = ${codeBatches.id}`;
  const rows = await db
    .select({
      batch: codeBatches,
      count: sql<number>`(SELECT count(*) ${ofBatch})`,
      uses: sql<number>`(SELECT coalesce(sum(${codes.uses}), 0) ${ofBatch})`,
    })
    .from(codeBatches)
    .where(where)
    .orderBy(desc(codeBatches.id))
    .limit(limit);
  return rows.map(({ batch, count, uses }) => ({ ...batch, count, uses }));
}

/** The codes of a batch by id, those after `after`. Throws as D1 does. */
export async function listCodes(
  d1: D1Database,
  batchId: CodeBatchId,
  { after, limit }: { readonly after?: CodeId; readonly limit: number },
): Promise<CodeRow[]> {
  return primary(d1)
    .select({ id: codes.id, uses: codes.uses, revokedAt: codes.revokedAt })
    .from(codes)
    .where(and(eq(codes.batchId, batchId), after === undefined ? undefined : gt(codes.id, after)))
    .orderBy(asc(codes.id))
    .limit(limit);
}

/** A place in the redemptions of a batch. */
export interface RedemptionPlace {
  readonly codeId: CodeId;
  readonly use: number;
}

/** The redemptions of a batch by code and use, those after `after`. Throws as D1 does. */
export async function listRedemptions(
  d1: D1Database,
  batchId: CodeBatchId,
  { after, limit }: { readonly after?: RedemptionPlace; readonly limit: number },
): Promise<RedemptionRow[]> {
  const { codeId, use, userId, walletId, entryId, at } = redemptions;
  return primary(d1)
    .select({ codeId, use, userId, walletId, entryId, at })
    .from(codes)
    .innerJoin(redemptions, eq(redemptions.codeId, codes.id))
    .where(and(eq(codes.batchId, batchId), after === undefined ? undefined : isAfter(after)))
    .orderBy(asc(codes.id), asc(redemptions.use))
    .limit(limit);
}

function isAfter({ codeId, use }: RedemptionPlace): SQL | undefined {
  return or(gt(codes.id, codeId), and(eq(codes.id, codeId), gt(redemptions.use, use)));
}

/** Makes a batch and its codes, of which only digests are stored. */
export function addBatch(
  db: Database,
  batch: Omit<BatchRow, 'revokedAt'>,
  { made, when }: { readonly made: readonly CodeDigest[]; readonly when: Condition },
): readonly Part[] {
  const { id, name, amountNanos, usesPerCode, usesPerUser } = batch;
  const { expiresAt, createdBy, createdAt } = batch;
  return [
    db.insert(codeBatches).select(
      sql`SELECT ${id}, ${name}, CAST(${amountNanos} AS INTEGER), ${usesPerCode}, ${usesPerUser},
        ${expiresAt}, NULL, ${createdBy}, ${createdAt} WHERE ${when}`,
    ),
    // One parameter however many codes.
    db.insert(codes).select(
      sql`SELECT value ->> '$.id', ${id}, value ->> '$.hash', 0, NULL
        FROM json_each(${JSON.stringify(made)}) WHERE ${when}`,
    ),
  ];
}

export interface CodeDigest {
  readonly id: CodeId;
  /** SHA-256 of the code in its one spelling, base64url. */
  readonly hash: string;
}

/** Nothing of the batch can be redeemed any more; what was, stays. */
export function revokeBatch(db: Database, id: CodeBatchId, { now, when }: Writing): Part {
  return db
    .update(codeBatches)
    .set({ revokedAt: now })
    .where(and(eq(codeBatches.id, id), isNull(codeBatches.revokedAt), when));
}

/** The same for one code. */
export function revokeCode(db: Database, id: CodeId, { now, when }: Writing): Part {
  return db
    .update(codes)
    .set({ revokedAt: now })
    .where(and(eq(codes.id, id), isNull(codes.revokedAt), when));
}

/** Holds where the code is one of the batch. */
export function codeIsIn(id: CodeId, batchId: CodeBatchId): Condition {
  return sql`EXISTS (SELECT 1 FROM ${codes}
    WHERE ${codes.id} = ${id} AND ${codes.batchId} = ${batchId})`;
}

/** A code as somebody meets it who wants to redeem it. */
export interface FoundCode {
  readonly id: CodeId;
  readonly batch: Pick<BatchRow, 'id' | 'name' | 'amountNanos'>;
  /** Not revoked, not expired, not used up. */
  readonly isValid: boolean;
  /** Whether this user has redeemed as many of the batch as one may. */
  readonly isUsed: boolean;
}

/** The code with this digest; null: there is none. `now` in Unix ms. Throws as D1 does. */
export async function findCode(
  d1: D1Database,
  hash: string,
  { userId, now }: { readonly userId: UserId; readonly now: number },
): Promise<FoundCode | null> {
  const db = primary(d1);
  const [row] = await db
    .select({
      id: codes.id,
      batch: {
        id: codeBatches.id,
        name: codeBatches.name,
        amountNanos: codeBatches.amountNanos,
      },
      isValid: sql<number>`(${isOpen(now)})`,
      isUsed: sql<number>`NOT (${isLeftFor(userId)})`,
    })
    .from(codes)
    .innerJoin(codeBatches, eq(codeBatches.id, codes.batchId))
    .where(eq(codes.hash, hash));
  return row === undefined
    ? null
    : { ...row, isValid: row.isValid === 1, isUsed: row.isUsed === 1 };
}

/** Holds while this user may redeem the code at `now` (Unix ms). */
export function mayRedeem(
  id: CodeId,
  { userId, now }: { readonly userId: UserId; readonly now: number },
): Condition {
  return sql`EXISTS (SELECT 1 FROM ${codes}
    JOIN ${codeBatches} ON ${codeBatches.id} = ${codes.batchId}
    WHERE ${codes.id} = ${id} AND ${isOpen(now)} AND ${isLeftFor(userId)})`;
}

/** Of a code and its batch. */
function isOpen(now: number): SQL {
  return sql`${codes.revokedAt} IS NULL AND ${codeBatches.revokedAt} IS NULL
    AND coalesce(${codeBatches.expiresAt} > ${now}, true)
    AND ${codes.uses} < ${codeBatches.usesPerCode}`;
}

function isLeftFor(userId: UserId): SQL {
  return sql`(SELECT count(*) FROM ${redemptions} WHERE ${redemptions.userId} = ${userId}
    AND ${redemptions.batchId} = ${codeBatches.id}) < ${codeBatches.usesPerUser}`;
}

/** Takes the code's next use for this user. The money goes out beside it (store/outbox.ts). */
export function redeemCode(
  db: Database,
  use: {
    readonly codeId: CodeId;
    readonly userId: UserId;
    readonly walletId: WalletId;
    readonly entryId: string;
  },
  { now, when }: Writing,
): readonly Part[] {
  const { codeId, userId, walletId, entryId } = use;
  return [
    db.insert(redemptions).select(
      sql`SELECT ${codes.id}, ${codes.uses} + 1, ${codes.batchId}, ${userId}, ${walletId},
        ${entryId}, ${now} FROM ${codes} WHERE ${codes.id} = ${codeId} AND ${when}`,
    ),
    db
      .update(codes)
      .set({ uses: sql`${codes.uses} + 1` })
      .where(and(eq(codes.id, codeId), when)),
  ];
}
