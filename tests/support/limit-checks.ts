// Whether a refusal was due and its wait honest, and whether a key's holder is told the truth, both
// by the naive book (limit-book.ts). It changes nothing.

import assert from 'node:assert/strict';
import type { LimitScope, RelayError } from '../../workers/domain/errors';
import type { AdmitCall } from '../../workers/domain/ledger/calls';
import type { LimitStanding } from '../../workers/domain/ledger/limited';
import type { Asks, InForce, LimitBook, OneLimit } from './limit-book';
import { limitsOf } from './limit-book';
import type { PaperLedger } from './paper-ledger';

/** What both checks look at. */
export interface Standing {
  readonly book: LimitBook;
  readonly inForce: InForce;
  /** Unix ms by the ledger's clock. */
  readonly now: number;
  /** Budgets of the period in which the zone changed may count what was spent before. */
  readonly isRezoned: boolean;
}

interface Refused extends Standing {
  readonly ledger: PaperLedger;
  readonly call: AdmitCall;
  readonly asks: Asks;
  readonly family: string;
  readonly error: RelayError;
}

const SCOPES: readonly LimitScope[] = ['key', 'user', 'wallet'];

/** That a limit in force, or the balance, really has no room; at most a bucket of it early. */
export function expectDue(refused: Refused): void {
  const { ledger, asks, error } = refused;
  switch (error.kind) {
    case 'rate-limited': {
      if (error.scope === 'wallet' && error.limit === ledger.state.balanceNanos) {
        expectBalanceHeld(refused);
        return;
      }
      const due = limitsAt(refused, error.scope).filter((limit) => isFull(refused, limit));
      const isCarried = refused.isRezoned && error.what === 'cost' && error.spanMs === null;
      assert.ok(due.length > 0 || isCarried, `nothing of ${error.what} is full`);
      if (error.spanMs !== null) expectHonest(refused, error.retryAfterMs);
      return;
    }
    case 'budget-spent': {
      const due = limitsAt(refused, error.scope).filter((limit) => isSpent(refused, limit));
      assert.ok(due.length > 0 || refused.isRezoned, `no budget of a ${error.period} is spent`);
      expectHonest(refused, error.retryAfterMs);
      return;
    }
    case 'out-of-credit': {
      const { balanceNanos, heldNanos } = ledger.state;
      assert.ok(asks.nanos.hold > balanceNanos - heldNanos, 'there is credit enough');
      assert.ok(error.neededNanos > balanceNanos);
      return;
    }
    default:
      assert.fail(`refused as ${error.kind}`);
  }
}

/** That the figures are those of the book, each window at most a bucket late. */
export function expectTold(standings: readonly LimitStanding[], told: Standing): void {
  const { book, inForce, now } = told;
  const limits = limitsOf(inForce);
  assert.equal(standings.length, limits.length);
  for (const standing of standings) {
    const limit = limits.find((each) => isSame(standing, each, inForce));
    assert.ok(limit !== undefined, `told of a limit that is none: ${standing.kind}`);
    const { timeZone } = inForce;
    const { used, resetsAt } = standing;
    const [least, most] = (['exact', 'loose'] as const).map((how) =>
      book.figure(limit, now, how, timeZone),
    );
    assert.ok(used >= (least ?? 0), `${standing.kind} of ${used} is less than is true`);
    if (limit.what === 'budget' && told.isRezoned) continue;
    assert.ok(used <= (most ?? 0), `${standing.kind} of ${used} is more than is true`);
    if (limit.what === 'budget' && resetsAt !== null) {
      const nameOf = (at: number): string => book.periodName(limit.period, at, timeZone);
      assert.equal(nameOf(resetsAt - 1), nameOf(now));
      assert.notEqual(nameOf(resetsAt), nameOf(now));
    } else if (limit.what !== 'budget' && limit.what !== 'concurrency' && resetsAt !== null) {
      assert.equal(book.figure(limit, resetsAt, 'exact'), 0);
    }
  }
}

/** Others in flight hold what the balance has. */
function expectBalanceHeld({ ledger, asks }: Refused): void {
  const { balanceNanos, heldNanos } = ledger.state;
  assert.ok(heldNanos > 0 && asks.nanos.hold > balanceNanos - heldNanos);
}

/** The limits of the scope that the refusal can be of. */
function limitsAt({ inForce, error, family }: Refused, scope: LimitScope): readonly OneLimit[] {
  const holder = inForce.sets[SCOPES.indexOf(scope)]?.[0];
  return limitsOf(inForce).filter((limit) => {
    if (limit.holder !== holder) return false;
    if (limit.what === 'budget') {
      if (limit.family !== null && limit.family !== family) return false;
      if (error.kind === 'budget-spent') return error.period === limit.period;
      return error.kind === 'rate-limited' && error.what === 'cost' && error.spanMs === null;
    }
    if (error.kind !== 'rate-limited' || error.what !== limit.what) return false;
    return error.spanMs === null || (limit.what !== 'concurrency' && limit.spanMs === error.spanMs);
  });
}

function isFull({ book, asks, now, inForce, error }: Refused, limit: OneLimit): boolean {
  const { timeZone } = inForce;
  if (error.kind !== 'rate-limited' || error.limit !== limit.limit) return false;
  const used = book.figure(limit, now, 'loose', timeZone);
  if (limit.what === 'requests' || limit.what === 'concurrency') return used + 1 > limit.limit;
  const kind = limit.what === 'tokens' ? 'tokens' : 'nanos';
  if (error.spanMs !== null) return used + asks[kind].needed > limit.limit;
  const held = book.held(limit, now, timeZone)[kind];
  return held > 0 && used + held + asks[kind].hold > limit.limit;
}

function isSpent({ book, asks, now, inForce, error }: Refused, limit: OneLimit): boolean {
  if (error.kind !== 'budget-spent' || error.limitNanos !== limit.limit) return false;
  const spent = book.figure(limit, now, 'loose', inForce.timeZone);
  return spent + asks.nanos.needed > limit.limit;
}

/** A retry after the wait is not refused for the same, and a millisecond sooner it would be. */
function expectHonest(refused: Refused, waitMs: number | null): void {
  const { ledger, call, now, error, book, asks } = refused;
  if (waitMs === null) {
    const isTotal = error.kind === 'budget-spent' && error.period === 'total';
    assert.ok(
      isTotal || neededBy(error, asks) > limitOf(error),
      'refused for ever without a reason',
    );
    return;
  }
  assert.ok(waitMs > 0 && Number.isSafeInteger(waitMs));
  const then = ledger.refusalAt(call, now + waitMs);
  // What a misread clock has dated ahead is not over when the others are; and what others in flight
  // hold at that moment is another reason, of which nobody knows the end.
  const isOver = then?.kind !== error.kind || !isOfSame(then, error) || isHeld(then);
  assert.ok(isOver || book.hasFuture(now), 'still refused after the wait');
  const sooner = ledger.refusalAt(call, now + waitMs - 1);
  assert.ok(sooner !== null && isOfSame(sooner, error), 'a shorter wait would have done');
}

/** Whether both are of one scope's budgets, or of its windows of one kind. */
function isOfSame(one: RelayError, other: RelayError): boolean {
  if (!('scope' in one) || !('scope' in other) || one.scope !== other.scope) return false;
  const isMoney = (each: RelayError): boolean =>
    each.kind === 'budget-spent' || (each.kind === 'rate-limited' && each.what === 'cost');
  if (one.kind === 'rate-limited' && other.kind === 'rate-limited') return one.what === other.what;
  return isMoney(one) && isMoney(other);
}

function isHeld(error: RelayError): boolean {
  return error.kind === 'rate-limited' && error.spanMs === null;
}

function neededBy(error: RelayError, { tokens, nanos }: Asks): number {
  if (error.kind === 'rate-limited' && error.what === 'requests') return 1;
  return error.kind === 'rate-limited' && error.what === 'tokens' ? tokens.needed : nanos.needed;
}

function limitOf(error: RelayError): number {
  if (error.kind === 'budget-spent') return error.limitNanos;
  return error.kind === 'rate-limited' ? error.limit : Infinity;
}

function isSame(standing: LimitStanding, limit: OneLimit, { sets }: InForce): boolean {
  const { scope, kind, period, family = null, spanMs } = standing;
  if (sets[SCOPES.indexOf(scope)]?.[0] !== limit.holder) return false;
  if (kind !== limit.what || standing.limit !== limit.limit) return false;
  if (limit.what === 'budget') return period === limit.period && family === limit.family;
  return limit.what === 'concurrency' || spanMs === limit.spanMs;
}
