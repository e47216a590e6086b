// What people do with their own money: redeem codes, set budgets and alerts. The budgets here are
// the wallet's; those that an admin sets are the user's, and both hold, so nobody gets more by it.

import { commit } from '../commit';
import type { credits } from '../contract/credits';
import { refused } from '../refusals';
import { byName, throttled } from '../throttle';
import type { Outcome, Person, Visit } from '../visit';
import { readCode } from '../../domain/codes/format';
import { ID_RANDOM_BYTES, newId } from '../../domain/ids';
import type { BudgetLimit } from '../../domain/limits/limit-set';
import { nanos } from '../../domain/money';
import { fail, ok } from '../../domain/result';
import { sha256 } from '../../platform/digest';
import { randomBytes } from '../../platform/random';
import type { FoundCode } from '../../store/codes';
import { findCode, mayRedeem, redeemCode } from '../../store/codes';
import type { Payer, SpendingTerms } from '../../store/credits';
import { findTerms, setAlerts, setBudgets } from '../../store/credits';
import { pushCredit } from '../../store/outbox';

/** The wallet of whoever is logged in. */
export function ownPayer({ id: userId, walletId, region }: Person): Payer {
  return { userId, walletId, region };
}

/** Guessing codes gets slower for whoever guesses. */
export async function redeem(
  visit: Visit<typeof credits.redeem>,
): Promise<Outcome<typeof credits.redeem>> {
  return throttled(visit, [byName('redeem', visit.actor.id)], async () => redeemOnce(visit));
}

async function redeemOnce(
  visit: Visit<typeof credits.redeem>,
): Promise<Outcome<typeof credits.redeem>> {
  const found = await codeOf(visit);
  const refusal = refusalOf(found);
  if (found === null || refusal !== null) return refusal ?? refused('code-not-valid');
  const { now, actor } = visit;
  const { userId, walletId } = ownPayer(actor);
  const { id: codeId, batch } = found;
  const { amountNanos } = batch;
  const entryId = newId('entry', now, randomBytes(ID_RANDOM_BYTES));
  const use = { codeId, userId, walletId, entryId };
  const reason = `Code of ${batch.name}`;
  const credit = { kind: 'redeem', entryId, amountNanos, reason, actor: userId } as const;
  const outcome = await commit<typeof credits.redeem>(visit, {
    audit: { targetId: codeId, after: { ...use, batchId: batch.id, amountNanos } },
    only: mayRedeem(codeId, { userId, now }),
    otherwise: TAKEN,
    parts: (db, when) => [
      ...redeemCode(db, use, { now, when }),
      pushCredit(db, { ...credit, walletId }, { now, when }),
    ],
    push: { wallets: [walletId] },
    reply: { body: { amountNanos, entryId } },
  });
  if (outcome.ok || outcome.error !== TAKEN) return outcome;
  // Somebody was faster: perhaps the same user.
  return refusalOf(await codeOf(visit)) ?? refused('code-not-valid');
}

const TAKEN = { code: 'code-not-valid' } as const;

async function codeOf(visit: Visit<typeof credits.redeem>): Promise<FoundCode | null> {
  const { env, now, actor, body } = visit;
  const code = readCode(body.code);
  return code === null ? null : findCode(env.DB, await sha256(code), { userId: actor.id, now });
}

/** Unknown, used up, expired and revoked look the same, but to whoever has used it. */
function refusalOf(found: FoundCode | null) {
  if (found?.isUsed === true) return refused('code-used');
  return found?.isValid === true ? null : refused('code-not-valid');
}

/** Both sets of budgets of whoever is logged in. */
export async function readBudgets(
  visit: Visit<typeof credits.budgets>,
): Promise<Outcome<typeof credits.budgets>> {
  const terms = await findTerms(visit.env.DB, ownPayer(visit.actor));
  if (terms === null) return fail({ kind: 'not-found', what: visit.actor.id });
  return ok({ body: budgetsOf(terms) });
}

/** Replaces the own budgets as a whole. */
export async function changeBudgets(
  visit: Visit<typeof credits.setBudgets>,
): Promise<Outcome<typeof credits.setBudgets>> {
  const { now, actor, env } = visit;
  const { walletId } = actor;
  const terms = await findTerms(env.DB, ownPayer(actor));
  if (terms === null) return fail({ kind: 'not-found', what: actor.id });
  const budgets: readonly BudgetLimit[] = visit.body.budgets.map(({ limitNanos, ...budget }) => {
    return { ...budget, limitNanos: nanos(limitNanos) };
  });
  return commit(visit, {
    audit: { targetId: walletId, before: terms.walletBudgets, after: budgets },
    parts: (db, when) => setBudgets(db, walletId, { budgets, now, when }),
    push: { wallets: [walletId] },
    reply: { body: budgetsOf({ ...terms, walletBudgets: budgets }) },
  });
}

function budgetsOf({ userBudgets, walletBudgets }: SpendingTerms) {
  return { user: [...userBudgets], wallet: [...walletBudgets] };
}

/** Replaces the percents at which to be told; each once, rising. */
export async function changeAlerts(
  visit: Visit<typeof credits.setAlerts>,
): Promise<Outcome<typeof credits.setAlerts>> {
  const { actor, env, body } = visit;
  const terms = await findTerms(env.DB, ownPayer(actor));
  if (terms === null) return fail({ kind: 'not-found', what: actor.id });
  const percents = [...new Set(body.percents)].toSorted((a, b) => a - b);
  return commit(visit, {
    audit: { targetId: actor.id, before: terms.alertPercents, after: percents },
    parts: (db, when) => [setAlerts(db, actor.id, { percents, when })],
    reply: { body: { percents } },
  });
}
