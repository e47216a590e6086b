// Giving back what a request cost. How much that was, its wallet's object knows; how much of it was
// given back already, D1 does: the audit's lines are the record, and each refund is made only while
// there are as many of them as were counted. So two refunds never both take the same rest, and the
// same batch brings the money on its way. A cost that is corrected downwards later is not chased.

import { askLedger } from './balance';
import { commit } from '../commit';
import type { adminCredits } from '../contract/credits';
import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Outcome, Visit } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { Nanos } from '../../domain/money';
import { nanos, subtractNanos } from '../../domain/money';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { SECOND_MS } from '../../domain/time';
import { pushCredit } from '../../store/outbox';
import type { Payer } from '../../store/credits';
import {
  findPayerFor,
  findPayerOf,
  REFUND_ACTION,
  refundsAre,
  refundsOf,
} from '../../store/credits';

type Refund = typeof adminCredits.refund;

/** A try is repeated only when another refund of the same request was faster. */
const TRIES_MAX = 5;
const OVERTAKEN: RelayError = { kind: 'busy', what: 'database', retryAfterMs: SECOND_MS };

/** Gives back a part of what a request cost, or all that is left. */
export async function refund(visit: Visit<Refund>): Promise<Outcome<Refund>> {
  const payer = await payerOf(visit);
  if (!payer.ok) return payer;
  const cost = await costOf(visit, payer.value);
  if (!cost.ok) return cost;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const outcome = await refundOnce(visit, payer.value, cost.value);
    if (outcome.ok || outcome.error !== OVERTAKEN) return outcome;
  }
  return fail(OVERTAKEN);
}

/** Who paid: by the log, or as the admin says where it is not there. */
async function payerOf({ env, body }: Visit<Refund>): Promise<Result<Payer, RelayError>> {
  const { requestId, walletId } = body;
  const logged = await findPayerFor(env.DB, requestId);
  const named = walletId === undefined ? null : await findPayerOf(env.DB, walletId);
  const payer = logged ?? named;
  const isOther = walletId !== undefined && payer?.walletId !== walletId;
  return payer === null || isOther ? fail({ kind: 'not-found', what: requestId }) : ok(payer);
}

/** The best-known cost; of one that runs there is nothing to give back yet. */
async function costOf(
  visit: Visit<Refund>,
  payer: Payer,
): Promise<Result<Nanos, RelayError | Refused>> {
  const { requestId } = visit.body;
  const asked = await askLedger(visit, payer, (ledger) => ledger.request(requestId));
  if (!asked.ok) return asked;
  if (asked.value === null) return fail({ kind: 'not-found', what: requestId });
  const { closing, costNanos } = asked.value;
  return closing === null ? refused('not-refundable') : ok(costNanos);
}

async function refundOnce(
  visit: Visit<Refund>,
  { userId, walletId }: Payer,
  costNanos: Nanos,
): Promise<Outcome<Refund>> {
  const { env, now, actor, body } = visit;
  const { requestId, reason } = body;
  const before = await refundsOf(env.DB, requestId);
  const leftNanos = subtractNanos(costNanos, before.amountNanos);
  const amountNanos = body.amountNanos === undefined ? leftNanos : nanos(body.amountNanos);
  if (leftNanos <= 0) return refused('not-refundable');
  if (amountNanos > leftNanos) {
    const fields = { amountNanos: `is more than the ${leftNanos} that are left` };
    return refused('not-refundable', { fields });
  }
  const entryId = `refund:${requestId}:${before.count + 1}`;
  const after = { entryId, userId, walletId, amountNanos };
  const credit = { kind: 'refund', entryId, amountNanos, reason, actor: actor.id } as const;
  return commit(visit, {
    audit: { action: REFUND_ACTION, targetId: requestId, after: { ...after, reason } },
    only: refundsAre(before.count, requestId),
    otherwise: OVERTAKEN,
    parts: (db, when) => [pushCredit(db, { ...credit, walletId }, { now, when })],
    push: { wallets: [walletId] },
    reply: { body: after },
  });
}
