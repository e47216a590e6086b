// What the ledger answers to a request that ends and to one that runs, and whether a key may do
// anything at all; who is let in is admission.ts. Plain functions of what is stored; the object
// loads, calls and stores.

import type { RelayError } from '../errors';
import type { RequestId } from '../ids';
import type { Nanos } from '../money';
import { subtractNanos, ZERO_NANOS } from '../money';
import { usableUntil } from '../limits/limit-set';
import { MINUTE_MS } from '../time';
import type { Certainty, Closing, ProgressAnswer, SettleCall } from './calls';
import { CERTAINTIES } from './calls';
import type { KeyCopy, UserCopy, WalletCopy } from './copies';
import type { Entry, Outcome, RequestRow } from './row';

/** A request without a sign of life for this long is closed by the alarm. */
export const LEASE_MS = MINUTE_MS;

export interface Copies {
  readonly key: KeyCopy;
  readonly user: UserCopy;
  readonly wallet: WalletCopy;
}

/** Whose the wallet is, as the object holds both rows. */
export type Owner = Pick<Copies, 'user' | 'wallet'>;

/**
 * Whether this key, sent with this hash, may do anything at `now`; null: it was not sent, its owner
 * chose it.
 */
export function checkKey(copies: Copies, keyHash: string | null, now: number): RelayError | null {
  const { key, user, wallet } = copies;
  const previous = key.previous !== null && now < key.previous.until ? key.previous.hash : null;
  if (keyHash !== null && keyHash !== key.hash && keyHash !== previous) {
    return { kind: 'unauthenticated', why: 'unknown' };
  }
  if (key.status !== 'active') return { kind: 'unauthenticated', why: 'revoked' };
  if (key.expiresAt !== null && key.expiresAt <= now) {
    return { kind: 'unauthenticated', why: 'expired' };
  }
  if (user.status !== 'active') return { kind: 'forbidden', why: 'user-suspended' };
  if (wallet.status !== 'active') return { kind: 'forbidden', why: 'wallet-suspended' };
  return null;
}

export type SettleDecision =
  /** First closing of an open row. */
  | { readonly do: 'close'; readonly outcome: Outcome }
  /** Closed before with less certainty: the difference becomes an entry. */
  | {
      readonly do: 'correct';
      readonly amountNanos: Nanos;
      readonly closing: Closing;
      readonly certainty: Certainty;
      readonly costNanos: Nanos;
    }
  /** Nothing new. */
  | { readonly do: 'nothing' };

/** What a settle does to its row. A cost is never negative: that is the caller's bug (throws). */
export function decideSettle(
  row: Pick<RequestRow, 'outcome' | 'known'> | null,
  call: Pick<SettleCall, 'closing' | 'certainty' | 'costNanos'>,
  now: number,
): SettleDecision {
  if (call.costNanos < 0) throw new RangeError('a cost is never negative');
  const { closing, certainty, costNanos } = call;
  if (row === null || row.outcome === null || row.known === null) {
    return { do: 'close', outcome: { closing, certainty, costNanos, closedAt: now } };
  }
  if (rank(certainty) <= rank(row.known.certainty)) return { do: 'nothing' };
  const amountNanos = subtractNanos(row.known.costNanos, costNanos);
  return { do: 'correct', amountNanos, closing, certainty, costNanos };
}

/** The correction's entry without its number. */
export function correctionOf(
  row: Pick<RequestRow, 'requestId' | 'keyId' | 'outcome' | 'known'>,
  change: Extract<SettleDecision, { do: 'correct' }>,
  now: number,
): Omit<Entry, 'n'> {
  const before = `${row.outcome?.closing ?? 'open'} (${row.known?.certainty ?? 'unknown'})`;
  return {
    entryId: correctionId(row.requestId, change.certainty),
    kind: 'correction',
    amountNanos: change.amountNanos,
    at: now,
    keyId: row.keyId,
    reason: `${before} is ${change.closing} (${change.certainty})`,
    actor: 'ledger',
  };
}

/** One correction at most for each certainty that is reached. */
export function correctionId(requestId: RequestId, certainty: Certainty): string {
  return `correction:${requestId}:${certainty}`;
}

/** How the alarm closes a row whose lease ran out, from the last sign of life (ledger.md §3). */
export function recover(row: RequestRow, now: number): Outcome {
  const closing: Closing = 'recovered';
  const costNanos = recoveredCost(row);
  return { closing, certainty: 'recovered', costNanos, closedAt: now };
}

function recoveredCost(row: RequestRow): Nanos {
  if (row.progress !== null && !row.progress.dispatched) return ZERO_NANOS;
  if (row.progress !== null && row.progress.costNanos > 0) return row.progress.costNanos;
  return row.opened?.likelyInputNanos ?? ZERO_NANOS;
}

/** What a running request learns at its next sign of life; a key that ended ends what it runs. */
export function decideProgress(
  row: RequestRow | null,
  copies: Copies | null,
  { now, firstUsedAt }: { readonly now: number; readonly firstUsedAt: number | null },
): ProgressAnswer {
  if (row === null) return { state: 'unknown' };
  if (row.outcome !== null) return { state: 'closed', closing: row.outcome.closing };
  if (row.stoppedBy !== undefined) return { state: 'stop', closing: 'stopped' };
  if (copies === null) return { state: 'open' };
  // The hash was checked at admit; a rotation does not end what runs.
  const refusal = checkKey(copies, copies.key.hash, now);
  const { limits = {}, expiresAt } = copies.key;
  const until = usableUntil({ limits, expiresAt, firstUsedAt });
  const isOver = refusal !== null || (until !== null && until <= now);
  return isOver ? { state: 'stop', closing: 'revoked' } : { state: 'open' };
}

function rank(certainty: Certainty): number {
  return CERTAINTIES.indexOf(certainty);
}
