// Looking at one request and stopping it, whoever's it is: the wallet's Ledger tells and ends.

import { commit } from '../commit';
import type { Looking } from './detail';
import { detailOf } from './detail';
import type { relay } from '../contract/relay';
import type { adminRequests, RequestDetail } from '../contract/requests';
import { askLedger } from '../credits/balance';
import { snapshotNow } from '../relay/models';
import type { Acting, Call, Outcome } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { RequestId } from '../../domain/ids';
import { isId } from '../../domain/ids';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import type { Payer } from '../../store/credits';

/** What the request is of somebody's wallet; `not-found`: none of it. */
export async function readOne(
  call: Pick<Call, 'env' | 'requestId'>,
  payer: Payer,
  { id, as }: { readonly id: RequestId; readonly as: Looking['as'] },
): Promise<Result<RequestDetail, RelayError>> {
  const asked = await askLedger(call, payer, (ledger) => ledger.request(id));
  if (!asked.ok) return asked;
  if (asked.value === null) return unknown(id);
  const snapshot = await snapshotNow(call);
  if (!snapshot.ok) return snapshot;
  const { catalogue, accounts } = snapshot.value;
  const looking: Looking =
    as === 'user' ? { as, userId: payer.userId } : { as, ...payer, accounts };
  return ok(detailOf(asked.value, catalogue, looking));
}

type Stop = typeof relay.stop | typeof adminRequests.stop;

/** Asks that it be ended; the audit has it before the Ledger. One that is over is left alone. */
export async function stopOne(
  visit: Acting<Stop>,
  payer: Payer,
  id: RequestId,
): Promise<Outcome<Stop>> {
  const asked = await askLedger(visit, payer, (ledger) => ledger.request(id));
  if (!asked.ok) return asked;
  if (asked.value === null) return unknown(id);
  const { closing } = asked.value;
  if (closing !== null) return ok({ body: { id, state: 'closed', closing } });
  const { userId, walletId } = payer;
  const noted = await commit(visit, {
    audit: { targetId: id, after: { userId, walletId } },
    parts: () => [],
    reply: { body: { id, state: 'stopping', closing: null } },
  });
  if (!noted.ok) return noted;
  const actor = visit.actor.id;
  const stopped = await askLedger(visit, payer, (ledger) => ledger.stop({ requestId: id, actor }));
  if (!stopped.ok) return stopped;
  const { value } = stopped;
  if (value.state === 'unknown') return unknown(id);
  if (value.state === 'stopping') return noted;
  return ok({ body: { id, state: 'closed', closing: value.closing } });
}

/** The id in the path; anything else is no request. */
export function requestIn({
  parameters,
}: Pick<Acting<Stop>, 'parameters'>): Result<RequestId, RelayError> {
  const { id = '' } = parameters;
  return isId('request', id) ? ok(id) : unknown(id);
}

function unknown(id: string): Result<never, RelayError> {
  return fail({ kind: 'not-found', what: id.slice(0, 64) });
}
