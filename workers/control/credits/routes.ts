// The addresses of money: one's own below /api/credits, anybody's below /admin. Every change is
// claimed in D1 with its entry in the outbox; the wallet's object applies an entry once.

import { balanceOf } from './balance';
import { changeAlerts, changeBudgets, ownPayer, readBudgets, redeem } from './own';
import { refund } from './refund';
import { statementOf } from './statement';
import { commit } from '../commit';
import { adminCredits, credits } from '../contract/credits';
import { refused } from '../refusals';
import type { Acting, Call, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { RelayError } from '../../domain/errors';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import { nanos } from '../../domain/money';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { randomBytes } from '../../platform/random';
import type { Payer } from '../../store/credits';
import { findPayer, hasRoom, listBalances } from '../../store/credits';
import { pushCredit } from '../../store/outbox';

const PAGE_ITEMS = 50;

export const CREDIT_ROUTES: readonly Route[] = [
  on(credits.balance, async (visit) => told(await balanceOf(visit, ownPayer(visit.actor)))),
  on(credits.statement, async (visit) =>
    statementOf(visit, ownPayer(visit.actor), { query: visit.query, withActors: false }),
  ),
  on(credits.redeem, redeem),
  on(credits.budgets, readBudgets),
  on(credits.setBudgets, changeBudgets),
  on(credits.setAlerts, changeAlerts),

  on(adminCredits.list, list),
  on(adminCredits.balance, async (visit) => {
    const payer = await payerOf(visit, visit.parameters['id'] ?? '');
    return payer.ok ? told(await balanceOf(visit, payer.value)) : payer;
  }),
  on(adminCredits.statement, async (visit) => {
    const payer = await payerOf(visit, visit.parameters['id'] ?? '');
    if (!payer.ok) return payer;
    return statementOf(visit, payer.value, { query: visit.query, withActors: true });
  }),
  on(adminCredits.grant, async (visit) => post(visit, 'grant', visit.body)),
  on(adminCredits.adjust, async (visit) => post(visit, 'adjust', visit.body)),
  on(adminCredits.refund, refund),
];

function told<T>(result: Result<T, RelayError>): Result<{ readonly body: T }, RelayError> {
  return result.ok ? ok({ body: result.value }) : result;
}

async function payerOf(
  { env }: Pick<Call, 'env'>,
  userId: string,
): Promise<Result<Payer, RelayError>> {
  const payer = isId('user', userId) ? await findPayer(env.DB, userId) : null;
  return payer === null ? fail({ kind: 'not-found', what: 'user' }) : ok(payer);
}

async function list(
  visit: Visit<typeof adminCredits.list>,
): Promise<Outcome<typeof adminCredits.list>> {
  const { search, cursor, limit = PAGE_ITEMS } = visit.query;
  if (cursor !== undefined && !isId('user', cursor)) {
    return refused('not-valid', { fields: { cursor: 'is not one of this list' } });
  }
  const rows = await listBalances(visit.env.DB, {
    ...(search === undefined ? {} : { search }),
    ...(cursor === undefined ? {} : { before: cursor }),
    limit: limit + 1,
  });
  const next = rows.length > limit ? (rows[limit - 1]?.userId ?? null) : null;
  return ok({ body: { items: rows.slice(0, limit), next } });
}

type Posting = typeof adminCredits.grant | typeof adminCredits.adjust;

async function post(
  visit: Acting<Posting>,
  kind: 'grant' | 'adjust',
  body: Visit<Posting>['body'],
): Promise<Outcome<Posting>> {
  const payer = await payerOf(visit, body.userId);
  if (!payer.ok) return payer;
  const { now, actor } = visit;
  const { userId, walletId } = payer.value;
  const { reason } = body;
  const amountNanos = nanos(body.amountNanos);
  const entryId = newId('entry', now, randomBytes(ID_RANDOM_BYTES));
  const after = { entryId, userId, walletId, amountNanos };
  const credit = { kind, entryId, amountNanos, reason, actor: actor.id } as const;
  return commit(visit, {
    audit: { targetId: userId, after: { ...after, reason } },
    only: hasRoom(walletId, amountNanos),
    otherwise: { code: 'not-valid', fields: { amountNanos: 'no balance can become so large' } },
    parts: (db, when) => [pushCredit(db, { ...credit, walletId }, { now, when })],
    push: { wallets: [walletId] },
    reply: { body: after },
  });
}
