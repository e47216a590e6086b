// What a request's row is made of and what is read back from it: the row that admit opens, the
// lease that the row stands for, the answer to a settle. It decides nothing; see decide.ts.

import type { WalletId } from '../ids';
import { ZERO_NANOS } from '../money';
import type { Catalogue } from '../pricing/catalogue';
import type { Usage } from '../usage/tokens';
import type { Admission } from './admission';
import type { AdmitCall, Lease, SettleAnswer, SettleCall } from './calls';
import type { Copies } from './decide';
import { LEASE_MS } from './decide';
import { leaseHoldOf } from './held';
import type { Closed, Opened, RequestRow, RowHold } from './row';

export interface OpeningFacts {
  readonly admission: Omit<Admission, 'hold'>;
  readonly copies: Copies;
  readonly catalogue: Catalogue;
  /** Unix ms by the object's clock. */
  readonly now: number;
}

/** What a metered request writes down; null for a free one, which has no row. */
export function openedOf(call: AdmitCall, facts: OpeningFacts): Opened | null {
  const { model, price, likelyInputNanos } = facts.admission;
  if (call.class === 'free' || model === null || price === null) return null;
  const { requestId, keyId, sizes, conversation, tags } = call;
  const userId = facts.copies.user.id;
  const pricesVersion = facts.catalogue.version;
  const priced = { model, price, pricesVersion, likelyInputNanos };
  return { requestId, keyId, userId, ...priced, sizes, conversation, tags };
}

/** The lease of a request without a row. */
export function freeLease(call: AdmitCall, facts: OpeningFacts): Lease {
  const models = call.model === null ? facts.copies.key.limits?.models : undefined;
  return {
    seq: 0,
    requestId: call.requestId,
    walletId: facts.copies.wallet.id,
    userId: facts.copies.user.id,
    keyId: call.keyId,
    model: facts.admission.model,
    price: null,
    pricesVersion: facts.catalogue.version,
    admittedAt: facts.now,
    likelyInputNanos: ZERO_NANOS,
    ...(models === undefined ? {} : { models }),
  };
}

interface Place {
  readonly seq: number;
  /** Unix ms by the object's clock. */
  readonly now: number;
}

/** The open row of a request that has just been admitted with this hold. */
export function openRow(
  opened: Opened,
  { seq, now, hold }: Place & { readonly hold: RowHold },
): RequestRow {
  const { requestId, keyId } = opened;
  const leaseUntil = now + LEASE_MS;
  return { seq, requestId, keyId, admittedAt: now, leaseUntil, opened, ...NOT_CLOSED, hold };
}

/** The row of a request that the object did not admit or no longer knows; it is closed at once. */
export function strangerRow(call: SettleCall, { seq, now }: Place): RequestRow {
  const { requestId, keyId } = call;
  const admittedAt = call.admittedAt ?? now;
  return { seq, requestId, keyId, admittedAt, leaseUntil: now, opened: null, ...NOT_CLOSED };
}

const NOT_CLOSED = { progress: null, outcome: null, known: null, closed: null } as const;

/** The lease that a row stands for: the same however often it is asked. */
export function leaseOf(row: RequestRow, opened: Opened, walletId: WalletId): Lease {
  const { requestId, keyId, userId, model, price, pricesVersion, likelyInputNanos } = opened;
  return {
    seq: row.seq,
    requestId,
    walletId,
    userId,
    keyId,
    model,
    price,
    pricesVersion,
    admittedAt: row.admittedAt,
    likelyInputNanos,
    ...(row.hold === undefined ? {} : { hold: leaseHoldOf(row.hold) }),
  };
}

/** The details that a settle brings. */
export function closedOf(call: SettleCall): Closed {
  const { closing, usage, model, accountId, status, attempts, timings } = call;
  return { closing, usage, model, accountId, status, attempts, timings };
}

/** The details of a row that the alarm closes: what its last sign of life told; null: none did. */
export function closedUnheard({ progress }: RequestRow): Closed | null {
  const { details } = progress ?? {};
  if (details === undefined) return null;
  const { usage: told, accountId = null } = details;
  const usage: Usage = {
    entries: told?.entries ?? [],
    flags: [...(told?.flags ?? []), 'estimated'],
  };
  const unknown = { model: null, status: null, attempts: [], timings: null };
  return { closing: 'recovered', usage, accountId, ...unknown };
}

/** What stands in a closed row; an open one is the caller's bug (throws). */
export function answerOf(row: RequestRow): SettleAnswer {
  if (row.outcome === null || row.known === null) throw new Error(`row ${row.seq} is open`);
  return { closing: row.outcome.closing, ...row.known };
}
