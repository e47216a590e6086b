// What a request's row is made of and what is read back from it: the row that admit opens, the
// lease that the row stands for, the answer to a settle. It decides nothing; see decide.ts.

import type { WalletId } from '../ids';
import type { Nanos } from '../money';
import { ZERO_NANOS } from '../money';
import type { Catalogue } from '../pricing/catalogue';
import { rewriteCost } from '../pricing/move-cost';
import type { Usage } from '../usage/tokens';
import type { Admission } from './admission';
import type { AdmitCall, Lease, SettleAnswer, SettleCall } from './calls';
import type { Copies } from './decide';
import { LEASE_MS } from './decide';
import { leaseHoldOf } from './held';
import type { Closed, Opened, RequestRow, RowHold, Ties } from './row';
import { keptIds } from './things';

export interface OpeningFacts {
  readonly admission: Omit<Admission, 'hold'>;
  readonly copies: Copies;
  readonly catalogue: Catalogue;
  /** Unix ms by the object's clock. */
  readonly now: number;
}

/** What a metered request writes down; null for a free one, which has no row. */
export function openedOf(call: AdmitCall, facts: OpeningFacts): Opened | null {
  const { model, price, likelyInputNanos, ties } = facts.admission;
  if (call.class === 'free' || model === null || price === null) return null;
  const { requestId, keyId, sizes, conversation, tags } = call;
  const userId = facts.copies.user.id;
  const pricesVersion = facts.catalogue.version;
  const priced = { model, price, pricesVersion, likelyInputNanos };
  return { requestId, keyId, userId, ...priced, sizes, conversation, tags, ...ties };
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
    ...tiedTo(facts.admission.ties),
    ...placesOf(facts.copies),
  };
}

/** What the labels and settings in force say of where a request may go, for its lease. */
export function placesOf({ key, user, wallet }: Copies): Pick<Lease, 'groups' | 'waitsForCacheMs'> {
  const groups = [key, user, wallet].flatMap(({ limits }) =>
    limits?.groups === undefined ? [] : [limits.groups],
  );
  const waitsForCacheMs = key.limits?.waitsForCacheMs;
  return {
    ...(groups.length === 0 ? {} : { groups }),
    ...(waitsForCacheMs === undefined ? {} : { waitsForCacheMs }),
  };
}

/** What the Worker is told of the accounts that a request has to do with. */
function tiedTo({ owner, warm }: Ties): Pick<Lease, 'owner' | 'warm'> {
  return { ...(owner === undefined ? {} : { owner }), ...(warm === undefined ? {} : { warm }) };
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
    ...tiedTo(opened),
  };
}

/** The details that a settle brings, and what follows from them for its row. */
export function closedOf(call: SettleCall, row: Pick<RequestRow, 'opened' | 'admittedAt'>): Closed {
  const { closing, usage, model, accountId, status, attempts, timings } = call;
  const { cacheGroup, accountNanos } = call;
  const movedNanos = movedOf(call, row);
  return {
    closing,
    usage,
    model,
    accountId,
    status,
    attempts,
    timings,
    ...keptIds(call),
    ...(cacheGroup === undefined ? {} : { cacheGroup }),
    ...(accountNanos === undefined ? {} : { accountNanos }),
    ...(movedNanos === ZERO_NANOS ? {} : { movedNanos }),
  };
}

/** What it cost that another account, without that one's cache, answered a warm conversation. */
function movedOf(
  { accountId, cacheGroup, usage }: SettleCall,
  { opened, admittedAt: at }: Pick<RequestRow, 'opened' | 'admittedAt'>,
): Nanos {
  const warm = opened?.warm;
  if (opened === null || warm === undefined || accountId === null) return ZERO_NANOS;
  const isSame = accountId === warm.accountId;
  const isShared = cacheGroup !== undefined && cacheGroup === warm.cacheGroup;
  if (isSame || isShared) return ZERO_NANOS;
  return rewriteCost(usage, { asked: opened.price, cachedTokens: warm.cachedTokens ?? 0, at });
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
