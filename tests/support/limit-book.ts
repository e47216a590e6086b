// A naive model beside the limits of a wallet: every request in a plain list, every window summed
// anew, every day asked of the calendar. It knows no bucket, no checkpoint and no running sum, and
// trusts the ledger only for what it held for a request at admit.

import assert from 'node:assert/strict';
import type { BudgetPeriod, LimitSet, WindowKind } from '../../workers/domain/limits/limit-set';
import { WINDOW_KINDS } from '../../workers/domain/limits/limit-set';
import { periodNameOf } from './limit-days';

/** One limit of one holder (an id; `wallet` is the wallet). */
export type OneLimit = { readonly holder: string; readonly limit: number } & (
  | { readonly what: WindowKind; readonly spanMs: number }
  | { readonly what: 'concurrency' }
  | { readonly what: 'budget'; readonly period: BudgetPeriod; readonly family: string | null }
);

/** The limit sets that a request meets, and whose days its budgets follow (IANA name). */
export interface InForce {
  readonly sets: readonly (readonly [holder: string, LimitSet])[];
  readonly timeZone: string;
}

export interface Figures {
  readonly costNanos: number;
  readonly tokens: number;
}

/** What a request may take; it is held until the request is closed. */
export interface Room {
  /** What was set aside for its input. */
  readonly setAsideNanos: number;
  readonly inputTokens: number;
  readonly nanosPerToken: number;
  inputNanos: number;
  isReported: boolean;
  upTo: number;
  /** What the last sign of life said that it has cost. */
  soFarNanos: number;
}

export interface Booked {
  /** Place in the list. */
  readonly order: number;
  readonly holders: readonly string[];
  /** null: not known. */
  readonly family: string | null;
  /** Unix ms of admit. */
  readonly at: number;
  /** null: written by a settle for a request that was never admitted. */
  readonly room: Room | null;
  readonly inForce: InForce;
  /** Tokens that each of its holders was asked for, and what was held for it at admit. */
  readonly asked: ReadonlyMap<string, number>;
  readonly begunWith: number;
  readonly grants: Grant[];
  /** The best that is known; null: open. */
  closed: Figures | null;
  /** By how much corrections have raised it after its closing freed what it held. */
  readonly late: { costNanos: number; tokens: number };
}

/** Room that was given after admit. */
interface Grant {
  readonly nanos: number;
  readonly tokens: number;
  /** Unix ms. */
  readonly at: number;
  readonly inForce: InForce;
  /** How many requests were in the list. */
  readonly after: number;
}

/** What a call asks of limits of tokens and money, alone and beside others. */
export interface Asks {
  readonly tokens: { readonly needed: number; readonly hold: number };
  readonly nanos: { readonly needed: number; readonly hold: number };
}

export class LimitBook {
  readonly #requests: Booked[] = [];
  /** By period and zone, then by instant: the calendar is asked often for the same. */
  readonly #names = new Map<string, Map<number, string>>();

  /** A request that was admitted: checks that every limit in force allowed it. */
  admit(
    request: Omit<Booked, 'order' | 'asked' | 'begunWith' | 'grants' | 'closed' | 'late'>,
    asks: Asks,
  ): Booked {
    const { room } = request;
    const begunWith = room === null ? 0 : room.inputTokens + room.upTo;
    // Only the smallest hold may pass what is left, of a holder that runs nothing else.
    const isLeast = begunWith === asks.tokens.hold;
    const asked = new Map(
      request.holders.map((holder) => {
        const isAlone = this.open(holder).length === 0;
        return [holder, isAlone && isLeast ? asks.tokens.needed : begunWith];
      }),
    );
    const booked = this.#add({ ...request, asked, begunWith });
    for (const limit of limitsOf(booked.inForce)) this.#expectWithin(booked, limit, 'at admit');
    return booked;
  }

  /** A closing of a request that was never admitted. */
  addStranger(request: Pick<Booked, 'holders' | 'at' | 'inForce'>, figures: Figures): Booked {
    const none = { room: null, asked: new Map<string, number>(), begunWith: 0 };
    const stranger = this.#add({ ...request, family: null, ...none });
    stranger.closed = figures;
    return stranger;
  }

  /** More room for output. */
  extend(request: Booked, upTo: number, known: { readonly at: number; readonly inForce: InForce }) {
    const { room } = request;
    if (room === null || upTo <= room.upTo) return;
    const tokens = upTo - room.upTo;
    const nanos = tokens * room.nanosPerToken;
    room.upTo = upTo;
    request.grants.push({ nanos, tokens, ...known, after: this.#requests.length });
    for (const limit of limitsOf(known.inForce)) {
      if (limit.what === 'budget' && (limit.family ?? request.family) !== request.family) continue;
      if (limit.what === 'requests' || limit.what === 'concurrency') continue;
      // Of a budget the period that the request is dated in.
      const at = limit.what === 'budget' ? request.at : known.at;
      const { timeZone } = known.inForce;
      const used = this.figure(limit, at, 'exact', timeZone);
      const held = this.held(limit, at, timeZone)[limit.what === 'tokens' ? 'tokens' : 'nanos'];
      assert.ok(used + held <= limit.limit, `extended beyond ${limit.limit} of ${limit.what}`);
    }
    this.check(request);
  }

  /** The first closing, or one that knew more. */
  close(request: Booked, figures: Figures): void {
    const { closed, late, room } = request;
    if (closed !== null) {
      const most = room === null ? Infinity : grantedOf(room);
      late.costNanos += above(Math.min(figures.costNanos, most) - closed.costNanos);
      const mostTokens = room === null ? Infinity : room.inputTokens + room.upTo;
      late.tokens += above(Math.min(figures.tokens, mostTokens) - closed.tokens);
    }
    request.closed = figures;
    this.check(request);
  }

  /** Every limit that a later request met with this one in the same window or period. */
  check(changed: Booked): void {
    for (const request of this.#requests.slice(changed.order)) {
      for (const limit of limitsOf(request.inForce)) {
        if (!changed.holders.includes(limit.holder)) continue;
        this.#expectWithin(request, limit, 'later');
      }
    }
  }

  checkAll(): void {
    const [first] = this.#requests;
    if (first === undefined) return;
    for (const request of this.#requests) {
      for (const limit of limitsOf(request.inForce)) this.#expectWithin(request, limit, 'later');
    }
  }

  /** Requests of the holder that are open. */
  open(holder: string): readonly Booked[] {
    return this.#requests.filter((each) => isOpen(each) && each.holders.includes(holder));
  }

  /** What the limit's holder holds; of a budget in the period of `now` (Unix ms). */
  held(limit: OneLimit, now: number, timeZone = 'UTC'): { nanos: number; tokens: number } {
    const open = this.open(limit.holder).filter(
      (each) => limit.what !== 'budget' || this.#isInPeriod(each, limit, { now, timeZone }),
    );
    return { nanos: sum(open, nanosOf), tokens: sum(open, tokensOf) };
  }

  /** What counts for the limit at `now`; `loose`: with what left a window a bucket ago. */
  figure(limit: OneLimit, now: number, how: 'exact' | 'loose', timeZone = 'UTC'): number {
    const ofHolder = this.#requests.filter(({ holders }) => holders.includes(limit.holder));
    const closed = ofHolder.filter((each) => !isOpen(each));
    switch (limit.what) {
      case 'concurrency':
        return ofHolder.length - closed.length;
      case 'budget':
        return sum(
          closed.filter((each) => this.#isInPeriod(each, limit, { now, timeZone })),
          nanosOf,
        );
      default: {
        const since = now - limit.spanMs - (how === 'loose' ? bucketMs(limit.spanMs) - 1 : 0);
        if (limit.what === 'requests') return ofHolder.filter(({ at }) => at > since).length;
        return sum(
          closed.filter(({ at }) => at > since),
          limit.what === 'cost' ? nanosOf : tokensOf,
        );
      }
    }
  }

  /** What its requests cost above what was set aside for them. */
  overrun(keyId: string): number {
    const ofKey = this.#requests.filter((each) => !isOpen(each) && each.holders[0] === keyId);
    return sum(ofKey, overrunOf);
  }

  /** Whether any request is dated after `now` (Unix ms): a bad reading of the clock. */
  hasFuture(now: number): boolean {
    return this.#requests.some(({ at }) => at > now);
  }

  /** The name of the day, week or month; of `total` always the same. */
  periodName(period: BudgetPeriod, at: number, timeZone: string): string {
    if (period === 'total') return '';
    const kind = `${period} ${timeZone}`;
    const names = this.#names.get(kind) ?? new Map<number, string>();
    this.#names.set(kind, names);
    const name = names.get(at) ?? periodNameOf(period, at, timeZone);
    names.set(at, name);
    return name;
  }

  #add(request: Omit<Booked, 'order' | 'grants' | 'closed' | 'late'>): Booked {
    const order = this.#requests.length;
    const late = { costNanos: 0, tokens: 0 };
    const booked: Booked = { ...request, order, grants: [], closed: null, late };
    this.#requests.push(booked);
    return booked;
  }

  /**
   * That `request` fits the limit it was admitted under, in every window that it is in, with all
   * that was there before it. `later`: what has passed since by overruns, corrections and room
   * given beyond the window may come on top.
   */
  #expectWithin(request: Booked, limit: OneLimit, when: 'at admit' | 'later'): void {
    const before = this.#requests.slice(0, request.order + 1);
    const ofHolder = before.filter(({ holders }) => holders.includes(limit.holder));
    switch (limit.what) {
      case 'concurrency': {
        if (when === 'later') return;
        assert.ok(ofHolder.filter(isOpen).length <= limit.limit, 'more at once than allowed');
        return;
      }
      case 'budget': {
        if (limit.family !== null && limit.family !== request.family) return;
        const dated = { now: request.at, timeZone: request.inForce.timeZone };
        const members = ofHolder.filter((each) => this.#isInPeriod(each, limit, dated));
        const isOver = (grant: Grant): boolean => grant.inForce.timeZone !== dated.timeZone;
        expectSum({ request, limit, members, isOver, when });
        return;
      }
      default: {
        const { spanMs } = limit;
        const ends = ofHolder.filter(({ at }) => at >= request.at && at < request.at + spanMs);
        for (const { at: end } of ends) {
          const members = ofHolder.filter(({ at }) => at > end - spanMs && at <= end);
          const isOver = (grant: Grant): boolean => grant.at > end;
          expectSum({ request, limit, members, isOver, when });
        }
      }
    }
  }

  #isInPeriod(
    { at, family }: Booked,
    limit: Extract<OneLimit, { readonly what: 'budget' }>,
    dated: { readonly now: number; readonly timeZone: string },
  ): boolean {
    if (limit.family !== null && limit.family !== family) return false;
    return this.#isSamePeriod(limit, at, dated);
  }

  #isSamePeriod(
    { period }: { readonly period: BudgetPeriod },
    at: number,
    { now, timeZone }: { readonly now: number; readonly timeZone: string },
  ): boolean {
    return this.periodName(period, at, timeZone) === this.periodName(period, now, timeZone);
  }
}

/** All limits in force, one by one. */
export function limitsOf({ sets }: InForce): readonly OneLimit[] {
  return sets.flatMap(([holder, set]): readonly OneLimit[] => [
    ...WINDOW_KINDS.flatMap((what) =>
      (set[what] ?? []).map(({ limit, spanMs }) => ({ holder, what, limit, spanMs })),
    ),
    ...(set.concurrency === undefined
      ? []
      : [{ holder, what: 'concurrency' as const, limit: set.concurrency }]),
    ...(set.budgets ?? []).map(({ period, limitNanos: limit, family = null }) => {
      return { holder, what: 'budget' as const, limit, period, family };
    }),
  ]);
}

/** A thousandth of the window, to the next whole millisecond. */
function bucketMs(spanMs: number): number {
  return Math.ceil(spanMs / 999);
}

function expectSum(known: {
  readonly request: Booked;
  readonly limit: OneLimit;
  readonly members: readonly Booked[];
  readonly isOver: (grant: Grant) => boolean;
  readonly when: 'at admit' | 'later';
}): void {
  const { request, limit, members, when } = known;
  const { holder, what } = limit;
  if (what === 'requests') {
    assert.ok(members.length <= limit.limit, `more requests than ${limit.limit} in a window`);
    return;
  }
  const isLater = when === 'later';
  if (what === 'tokens') {
    const used = sum(members, (each) =>
      each === request && !isLater ? (each.asked.get(holder) ?? 0) : tokensOf(each),
    );
    // With what a request that began alone was held for beyond what was left, if it used it.
    const passed = sum(members, (each) => {
      const asked = each.asked.get(holder) ?? Infinity;
      const begun = above(Math.min(tokensOf(each), each.begunWith) - asked);
      const since = sum(sinceOf(each, known), ({ tokens }) => tokens);
      return each.late.tokens + begun + passedTokens(each) + since;
    });
    assert.ok(used <= limit.limit + (isLater ? passed : 0), `tokens passed ${limit.limit} ${when}`);
    return;
  }
  const passed = sum(members, (each) => {
    const since = sum(sinceOf(each, known), ({ nanos }) => nanos);
    return each.late.costNanos + overrunOf(each) + since;
  });
  const allowed = limit.limit + (isLater ? passed : 0);
  assert.ok(sum(members, nanosOf) <= allowed, `${what} passed ${limit.limit} ${when}`);
}

/** Room that was given to `each` after the request came, and not within the limit it came under. */
function sinceOf(
  each: Booked,
  {
    request,
    limit: { holder },
    isOver,
  }: {
    readonly request: Booked;
    readonly limit: OneLimit;
    readonly isOver: (grant: Grant) => boolean;
  },
): readonly Grant[] {
  return each.grants.filter(
    (grant) =>
      grant.after > request.order &&
      (isOver(grant) || setOf(grant, holder) !== setOf(request, holder)),
  );
}

function setOf({ inForce }: { readonly inForce: InForce }, holder: string): LimitSet | undefined {
  return inForce.sets.find(([name]) => name === holder)?.[1];
}

function isOpen({ closed }: Booked): boolean {
  return closed === null;
}

/** What it has cost, or holds while it is open. */
function nanosOf({ closed, room }: Booked): number {
  if (closed !== null || room === null) return closed?.costNanos ?? 0;
  return Math.max(room.inputNanos + room.upTo * room.nanosPerToken, room.soFarNanos);
}

/** What it has used, or holds while it is open. */
function tokensOf({ closed, room }: Booked): number {
  if (closed !== null || room === null) return closed?.tokens ?? 0;
  return room.inputTokens + room.upTo;
}

/** What it has used beyond all that was ever held for it. */
function passedTokens({ closed, room }: Booked): number {
  return closed === null || room === null ? 0 : above(closed.tokens - room.inputTokens - room.upTo);
}

function overrunOf(request: Booked): number {
  return request.room === null ? 0 : above(nanosOf(request) - grantedOf(request.room));
}

/** What a report of less input gave back is no longer its own. */
function grantedOf({ setAsideNanos, inputNanos, upTo, nanosPerToken }: Room): number {
  return Math.min(setAsideNanos, inputNanos) + upTo * nanosPerToken;
}

function above(amount: number): number {
  return Math.max(0, amount);
}

function sum<T>(list: readonly T[], amountOf: (each: T) => number): number {
  let total = 0;
  for (const each of list) total += amountOf(each);
  return total;
}
