// Somebody's balance and how the budgets stand, live from the wallet's object.

import type { Balance, BudgetStanding } from '../contract/credits';
import type { Call } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { LedgerPort } from '../../domain/ledger/calls';
import type { LimitStanding } from '../../domain/ledger/limited';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { SECOND_MS } from '../../domain/time';
import { causeOf, log } from '../../observe/log';
import { ledgerOf } from '../../platform/objects';
import type { Payer } from '../../store/credits';
import { findTerms } from '../../store/credits';

type Asking = Pick<Call, 'env' | 'requestId'>;

/** Everything that is told of somebody's money as it is now. */
export async function balanceOf(
  call: Asking,
  { userId, walletId, region }: Payer,
): Promise<Result<Balance, RelayError>> {
  const terms = await findTerms(call.env.DB, { userId, walletId });
  if (terms === null) return fail({ kind: 'not-found', what: userId });
  const asked = await askLedger(call, { walletId, region }, (ledger) => ledger.balance());
  if (!asked.ok) return asked;
  const { limits, openRequests, ...amounts } = asked.value;
  const alertPercents = [...terms.alertPercents];
  const budgets = limits.flatMap((limit) => budgetStanding(limit, alertPercents));
  const open = { openRequests: [...openRequests] };
  return ok({ userId, walletId, ...amounts, ...open, budgets, alertPercents });
}

/** What the wallet's object says; `busy` where it does not answer. */
export async function askLedger<T>(
  { env, requestId }: Asking,
  { walletId, region }: Pick<Payer, 'walletId' | 'region'>,
  ask: (ledger: LedgerPort) => Promise<T>,
): Promise<Result<T, RelayError>> {
  try {
    return ok(await ask(ledgerOf(env, walletId, region)));
  } catch (error) {
    log('ledger-not-read', { request: requestId, wallet: walletId, error: causeOf(error) });
    return fail({ kind: 'busy', what: 'ledger', retryAfterMs: SECOND_MS });
  }
}

function budgetStanding(
  standing: LimitStanding,
  alertPercents: readonly number[],
): readonly BudgetStanding[] {
  const { scope, kind, period, family = null, limit, used, remaining, resetsAt } = standing;
  if (kind !== 'budget' || period === undefined || scope === 'key') return [];
  const usedPercent = percentOf(used, limit);
  const amounts = { limitNanos: limit, spentNanos: used, remainingNanos: remaining };
  const passedPercents = alertPercents.filter((percent) => usedPercent >= percent);
  return [{ scope, period, family, ...amounts, resetsAt, usedPercent, passedPercents }];
}

/** Whole percent, rounded down: 100 means spent. A budget of nothing is spent. */
function percentOf(used: number, limit: number): number {
  if (limit <= 0) return 100;
  return Number((BigInt(Math.max(0, used)) * 100n) / BigInt(limit));
}
