// What D1 knows of people's money: whose wallet is where, balances as of the last batch, the alerts
// somebody wants, and what was refunded of a request. The balance itself is the Ledger object's.

import { and, asc, count, desc, eq, lt, ne, or, sql } from 'drizzle-orm';
import type { RequestId, UserId, WalletId } from '../domain/ids';
import type { BudgetLimit, LimitSet } from '../domain/limits/limit-set';
import type { Nanos } from '../domain/money';
import { nanos } from '../domain/money';
import type { Region } from '../domain/region';
import type { Condition, Database, Part } from './db';
import { contains, primary, raised } from './db';
import { pushWallet } from './outbox';
import { balances, outbox, requests, users, wallets } from './schema';
import { audit } from './schema-control';

/** The audit's word for a refund: its lines say how much of a request was given back. */
export const REFUND_ACTION = 'admin.credits.refund';
/** No grant may leave a balance above this or below its negative, far from the safe integers. */
const BALANCE_NANOS_MAX = 4_000_000_000_000_000;

/** Where somebody's money is. */
export interface Payer {
  readonly userId: UserId;
  readonly walletId: WalletId;
  readonly region: Region;
}

/** The first wallet of somebody who is not deleted; null: nobody. Throws as D1 does. */
export async function findPayer(d1: D1Database, userId: UserId): Promise<Payer | null> {
  return onePayer(d1, and(eq(users.id, userId), ne(users.status, 'deleted')));
}

/** Whose wallet it is; null: nobody's, or of somebody deleted. Throws as D1 does. */
export async function findPayerOf(d1: D1Database, walletId: WalletId): Promise<Payer | null> {
  return onePayer(d1, and(eq(wallets.id, walletId), ne(users.status, 'deleted')));
}

/** Who paid for a request of the last 30 days; null: it is not in the log. Throws as D1 does. */
export async function findPayerFor(d1: D1Database, requestId: RequestId): Promise<Payer | null> {
  const [row] = await primary(d1)
    .select({ walletId: requests.walletId })
    .from(requests)
    .where(eq(requests.id, requestId));
  return row === undefined ? null : findPayerOf(d1, row.walletId);
}

async function onePayer(d1: D1Database, where: ReturnType<typeof and>): Promise<Payer | null> {
  const [row] = await primary(d1)
    .select({ userId: users.id, walletId: wallets.id, region: wallets.region })
    .from(wallets)
    .innerJoin(users, eq(users.id, wallets.userId))
    .where(where)
    .orderBy(asc(wallets.id))
    .limit(1);
  return row ?? null;
}

/** Somebody's balance as of the last batch of the wallet's object. */
export interface StoredBalance {
  readonly userId: UserId;
  readonly email: string;
  readonly name: string;
  readonly walletId: WalletId;
  /** null: no batch came yet. */
  readonly balanceNanos: Nanos | null;
  /** Unix ms; null: no batch came yet. */
  readonly asOf: number | null;
}

/** Balances of people, newest people first; `search` in names and addresses, as it is. */
export async function listBalances(
  d1: D1Database,
  filter: { readonly search?: string; readonly before?: UserId; readonly limit: number },
): Promise<StoredBalance[]> {
  const { search, before, limit } = filter;
  const { balanceNanos, asOf } = balances;
  const { id: userId, email, name } = users;
  return primary(d1)
    .select({ userId, email, name, walletId: wallets.id, balanceNanos, asOf })
    .from(users)
    .innerJoin(wallets, eq(wallets.userId, users.id))
    .leftJoin(balances, eq(balances.walletId, wallets.id))
    .where(
      and(
        ne(users.status, 'deleted'),
        before === undefined ? undefined : lt(users.id, before),
        search === undefined ? undefined : or(contains(email, search), contains(name, search)),
      ),
    )
    .orderBy(desc(users.id))
    .limit(limit);
}

/** Holds while the wallet can take the amount (signed), what is still on its way counted. */
export function hasRoom(walletId: WalletId, amountNanos: Nanos): Condition {
  return sql`abs(coalesce((SELECT ${balances.balanceNanos} FROM ${balances}
      WHERE ${balances.walletId} = ${walletId}), 0)
    + coalesce((SELECT sum(${outbox.payload} ->> '$.amountNanos') FROM ${outbox}
      WHERE ${outbox.walletId} = ${walletId} AND ${outbox.kind} = 'credit'), 0)
    + CAST(${amountNanos} AS INTEGER)) <= ${BALANCE_NANOS_MAX}`;
}

/** What was given back of a request. */
export interface Refunds {
  readonly count: number;
  readonly amountNanos: Nanos;
}

/** Throws as D1 does. */
export async function refundsOf(d1: D1Database, requestId: RequestId): Promise<Refunds> {
  const [row] = await primary(d1)
    .select({
      count: count(),
      amountNanos: sql<number>`coalesce(sum(${audit.after} ->> '$.amountNanos'), 0)`,
    })
    .from(audit)
    .where(isRefundOf(requestId));
  return { count: row?.count ?? 0, amountNanos: nanos(row?.amountNanos ?? 0) };
}

/** Holds while so many refunds of the request were made and no more. */
export function refundsAre(times: number, requestId: RequestId): Condition {
  return sql`(SELECT count(*) FROM ${audit} WHERE ${isRefundOf(requestId)}) = ${times}`;
}

function isRefundOf(requestId: RequestId): ReturnType<typeof and> {
  return and(eq(audit.targetId, requestId), eq(audit.action, REFUND_ACTION));
}

/** What somebody and the admins have set about the spending. */
export interface SpendingTerms {
  /** Whole percents of a budget at which the user wants to be told. */
  readonly alertPercents: readonly number[];
  readonly userBudgets: readonly BudgetLimit[];
  readonly walletBudgets: readonly BudgetLimit[];
}

/** null: nobody. Throws as D1 does. */
export async function findTerms(
  d1: D1Database,
  { userId, walletId }: Pick<Payer, 'userId' | 'walletId'>,
): Promise<SpendingTerms | null> {
  const [row] = await primary(d1)
    .select({ alerts: users.alertPercents, user: users.limits, wallet: wallets.limits })
    .from(users)
    .innerJoin(wallets, eq(wallets.userId, users.id))
    .where(and(eq(users.id, userId), eq(wallets.id, walletId)));
  if (row === undefined) return null;
  // These columns were checked when they were written.
  const budgetsIn = (limits: string) => (JSON.parse(limits) as LimitSet).budgets ?? [];
  return {
    alertPercents: JSON.parse(row.alerts) as readonly number[],
    userBudgets: budgetsIn(row.user),
    walletBudgets: budgetsIn(row.wallet),
  };
}

/** Puts these budgets in the place of the wallet's; its other limits stay. Tells its object. */
export function setBudgets(
  db: Database,
  walletId: WalletId,
  change: {
    readonly budgets: readonly BudgetLimit[];
    readonly now: number;
    readonly when: Condition;
  },
): readonly Part[] {
  const { budgets, now, when } = change;
  const limits =
    budgets.length === 0
      ? sql`json_remove(${wallets.limits}, '$.budgets')`
      : sql`json_set(${wallets.limits}, '$.budgets', json(${JSON.stringify(budgets)}))`;
  return [
    db
      .update(wallets)
      .set({ limits, version: raised(wallets.version, now) })
      .where(and(eq(wallets.id, walletId), when)),
    pushWallet(db, walletId, { now, when }),
  ];
}

/** Sets the percents at which somebody wants to be told. No copy has them: no version rises. */
export function setAlerts(
  db: Database,
  userId: UserId,
  { percents, when }: { readonly percents: readonly number[]; readonly when: Condition },
): Part {
  return db
    .update(users)
    .set({ alertPercents: JSON.stringify(percents) })
    .where(and(eq(users.id, userId), when));
}
