// Somebody who uses the relay in a workerd test: requests that the real Ledger admits, and that are
// settled as the relay does, at the true price.

import { env } from 'cloudflare:workers';
import type { KeyId, RequestId } from '../../workers/domain/ids';
import { newId } from '../../workers/domain/ids';
import type { AdmitCall, Lease, SettleCall } from '../../workers/domain/ledger/calls';
import { priceUsage } from '../../workers/domain/pricing/price';
import { sha256 } from '../../workers/platform/digest';
import { poolOf } from '../../workers/platform/objects';
import { randomBytes } from '../../workers/platform/random';
import { admitCall } from '../support/ledger';
import type { Somebody } from './control-world';
import { newApiKey } from './control-world';
import { ledgerOfPerson, withCredit } from './credit-world';

export const MODEL = 'claude-opus-5-5';
export const ACCOUNTS = ['acc_1111111111111111111111', 'acc_1111111111111111111112'] as const;

/** Somebody with credit and a key that the wallet's object knows. */
export async function customer(): Promise<
  Somebody & { readonly keyId: KeyId; readonly hash: string }
> {
  const who = await withCredit();
  const { keyId, key } = await newApiKey(who);
  return { ...who, keyId, hash: await sha256(key) };
}

export type Customer = Awaited<ReturnType<typeof customer>>;

/** The lease of a request that runs. */
export async function opened(
  who: Customer,
  model = MODEL,
  asks: Partial<AdmitCall> = {},
): Promise<Lease> {
  const requestId = newId('request', Date.now(), randomBytes(10));
  const differs = { keyHash: who.hash, model, tags: { session: '=cmd', agent: 'a1' }, ...asks };
  const answer = await ledgerOfPerson(who).admit(admitCall(who.keyId, requestId, differs));
  if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
  return answer.lease;
}

/** A request that is over; `n` makes its figures. */
export async function closed(
  who: Customer,
  n: number,
  differs: Partial<SettleCall> = {},
): Promise<RequestId> {
  const lease = await opened(who, n % 3 === 0 ? 'claude-haiku-5-5' : MODEL);
  const { price, model } = lease;
  if (price === null || model === null) throw new Error('a metered request has a price');
  const snapshot = await poolOf(env).snapshot(null);
  if (!snapshot.ok || snapshot.value === 'unchanged') throw new Error('no snapshot');
  const counts = {
    input: 10 + n,
    cacheWrite5m: n % 7,
    cacheWrite1h: n % 5,
    cacheRead: 1_001 * n,
    output: 50 + n,
    webSearches: n % 2,
  };
  const terms = { speed: n % 4 === 0 ? 'fast' : null, geo: n % 2 === 0 ? 'us' : null, tier: null };
  const usage = { entries: [{ model, counts, terms }], flags: [] };
  const context = { asked: price, catalogue: snapshot.value.catalogue, at: lease.admittedAt };
  const [first, second] = ACCOUNTS;
  await ledgerOfPerson(who).settle({
    seq: lease.seq,
    requestId: lease.requestId,
    keyId: who.keyId,
    closing: 'completed',
    certainty: 'reported',
    usage,
    costNanos: priceUsage(usage, context).costNanos,
    admittedAt: lease.admittedAt,
    model,
    accountId: second,
    status: 200,
    attempts: [
      { accountId: first, status: 529, outcome: 'refused', durationMs: 40 },
      { accountId: second, status: 200, outcome: 'answered', durationMs: 900 },
    ],
    timings: { admitMs: 2, firstByteMs: 100 + n, totalMs: 1_000 + n },
    ...differs,
  });
  return lease.requestId;
}
