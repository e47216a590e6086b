// Whether the limits of key, user and wallet let a request in: the first refusal in a fixed order,
// scope, concurrency, requests, tokens, cost, budgets; in each the key's before the user's and the
// wallet's. It decides on figures that others count, and never on the balance (ledger/decide.ts).

import type { LimitScope, RelayError } from '../errors';
import type { Nanos } from '../money';
import { nanos, subtractNanos } from '../money';
import { SECOND_MS } from '../time';
import type { BudgetBook, BudgetFigure } from './budget';
import { budgetFigure, remainingNanos } from './budget';
import type { Counters } from './counters';
import { windowOf } from './counters';
import type { LimitedProtocol, LimitSet, WindowKind, WindowLimit } from './limit-set';
import { isAddressAllowed, isClientAllowed, isModelAllowed } from './scope';
import { retryAfterMs, sumAt } from './window';

/** How long to wait for requests in flight: nobody knows when they end. */
export const HELD_RETRY_MS = 2 * SECOND_MS;

const SCOPES: readonly LimitScope[] = ['key', 'user', 'wallet'];

/** What a call may be refused for before anything is counted. */
export interface ScopedCall {
  /** Catalogue ids of the asked model and of every fallback; empty: the request names none. */
  readonly models: readonly string[];
  readonly protocol: LimitedProtocol;
  readonly userAgent: string | null;
  readonly address: string | null;
}

/** What a call asks of a limit. */
export interface Ask {
  /** The least with which it can begin. */
  readonly needed: number;
  /** What will be held for it; at least `needed`. */
  readonly hold: number;
}

export interface LimitedCall extends ScopedCall {
  /** Families of `models`. */
  readonly families: readonly string[];
  readonly tokens: Ask;
  /** In nano-dollars. */
  readonly cost: Ask;
}

/** One that limits are set for. */
export interface Holder {
  /** As the budget book names it: the id. */
  readonly id: string;
  readonly limits: LimitSet;
  readonly counters: Counters;
}

export interface LimitFacts {
  readonly holders: Readonly<Record<LimitScope, Holder>>;
  readonly book: BudgetBook;
  /** Unix ms. */
  readonly now: number;
}

/**
 * The first refusal, or null. A holder of whom nothing is held may begin a request whose `needed`
 * fits, whatever its `hold`: it then holds at most `moneyLeft`.
 */
export function decideLimits(
  known: LimitFacts & { readonly call: LimitedCall },
): RelayError | null {
  const { holders, call, now } = known;
  return (
    checkScope(holders.key.limits, call) ??
    first((scope) => checkConcurrency(scope, holders[scope])) ??
    first((scope) => checkWindows('requests', scope, { ...known, ask: ONE, held: 0 })) ??
    first((scope) => {
      const held = holders[scope].counters.heldTokens;
      return checkWindows('tokens', scope, { holders, now, ask: call.tokens, held });
    }) ??
    first((scope) => {
      const held = holders[scope].counters.heldNanos;
      return checkWindows('cost', scope, { holders, now, ask: call.cost, held });
    }) ??
    first((scope) => checkBudgets(scope, known))
  );
}

/** Whether the key may be used so at all; all that a `free` call is asked. */
export function checkScope(limits: LimitSet, call: ScopedCall): RelayError | null {
  const { models, clients, addresses, protocols } = limits;
  if (models !== undefined && !call.models.every((model) => isModelAllowed(models, model))) {
    return { kind: 'not-allowed', what: 'model' };
  }
  if (clients !== undefined && !isClientAllowed(clients, call.userAgent)) {
    return { kind: 'not-allowed', what: 'client' };
  }
  if (addresses !== undefined && !isAddressAllowed(addresses, call.address)) {
    return { kind: 'not-allowed', what: 'address' };
  }
  if (protocols !== undefined && !protocols.includes(call.protocol)) {
    return { kind: 'not-allowed', what: 'protocol' };
  }
  return null;
}

/** Of which requests money is asked for. */
export interface MoneyFacts extends LimitFacts {
  readonly families: readonly string[];
  /** Unix ms of its admit, in whose budgets it counts; absent: it is to be admitted now. */
  readonly admittedAt?: number;
}

/**
 * What the tightest limit of money leaves for new holds, all budgets that can apply and all windows
 * of cost taken together; negative when more was used than allowed; null: no limit of money.
 */
export function moneyLeft(facts: MoneyFacts): Nanos | null {
  const { holders, book, families, now, admittedAt = now } = facts;
  const dated = { book, families, now: admittedAt };
  const left = SCOPES.flatMap((scope) => {
    const holder = holders[scope];
    const windows = (holder.limits.cost ?? []).map((limit) => {
      const used = sumAt(windowOf(holder.counters, 'cost', limit), now);
      return limit.limit - used - holder.counters.heldNanos;
    });
    return [...windows, ...figuresOf(holder, dated).map(remainingNanos)];
  });
  return left.length === 0 ? null : nanos(Math.min(...left));
}

/**
 * What the tightest window of tokens leaves for new holds; negative when more is used and held than
 * allowed; null: no limit of tokens.
 */
export function tokensLeft({ holders, now }: Pick<LimitFacts, 'holders' | 'now'>): number | null {
  const left = SCOPES.flatMap((scope) => {
    const { limits, counters } = holders[scope];
    return (limits.tokens ?? []).map(
      (limit) =>
        limit.limit - sumAt(windowOf(counters, 'tokens', limit), now) - counters.heldTokens,
    );
  });
  return left.length === 0 ? null : Math.min(...left);
}

/** How each of the holder's budgets stands that a model of `families` would count in. */
export function figuresOf(
  holder: Pick<Holder, 'id' | 'limits'>,
  { book, families, now }: Pick<LimitFacts, 'book' | 'now'> & { families: readonly string[] },
): readonly BudgetFigure[] {
  return (holder.limits.budgets ?? [])
    .filter(({ family }) => family === undefined || families.includes(family))
    .map((limit) => budgetFigure(book, holder.id, { limit, now }));
}

const ONE: Ask = { needed: 1, hold: 1 };

function first(check: (scope: LimitScope) => RelayError | null): RelayError | null {
  for (const scope of SCOPES) {
    const refusal = check(scope);
    if (refusal !== null) return refusal;
  }
  return null;
}

function checkConcurrency(scope: LimitScope, { limits, counters }: Holder): RelayError | null {
  const { concurrency: limit } = limits;
  if (limit === undefined || counters.open < limit) return null;
  return { ...RATE, scope, what: 'concurrency', limit, spanMs: null, retryAfterMs: HELD_RETRY_MS };
}

/** Of several full windows the one that takes longest to lift. */
function checkWindows(
  what: WindowKind,
  scope: LimitScope,
  known: Pick<LimitFacts, 'holders' | 'now'> & { readonly ask: Ask; readonly held: number },
): RelayError | null {
  const { limits, counters } = known.holders[scope];
  let refusal: Refusal | null = null;
  for (const limit of limits[what] ?? []) {
    const wait = waitFor(limit, windowOf(counters, what, limit), known);
    if (wait !== null) refusal = longer(refusal, { ...RATE, scope, what, ...wait });
  }
  return refusal;
}

function waitFor(
  { limit, spanMs }: WindowLimit,
  window: ReturnType<typeof windowOf>,
  { ask, held, now }: { readonly ask: Ask; readonly held: number; readonly now: number },
): Omit<RateLimited, 'kind' | 'scope' | 'what'> | null {
  const used = sumAt(window, now);
  if (used + ask.needed > limit) {
    const waitMs = retryAfterMs(window, { limit, amount: ask.needed, now });
    const isShort = used < limit && waitMs !== null;
    const short = isShort ? { needed: ask.needed, left: limit - used } : {};
    return { limit, spanMs, retryAfterMs: waitMs, ...short };
  }
  if (!isHeld(limit - used, ask, held)) return null;
  return { limit, spanMs: null, retryAfterMs: HELD_RETRY_MS };
}

/** Of several spent budgets the one that resets last. */
function checkBudgets(
  scope: LimitScope,
  { holders, book, call, now }: LimitFacts & { readonly call: LimitedCall },
): RelayError | null {
  let refusal: Refusal | null = null;
  for (const figure of figuresOf(holders[scope], { book, families: call.families, now })) {
    const { period, limitNanos, spentNanos, heldNanos, resetsAt } = figure;
    if (spentNanos + call.cost.needed > limitNanos) {
      // More than the whole budget fits no new period either.
      const isNever = resetsAt === null || call.cost.needed > limitNanos;
      const retryAfterMs = isNever ? null : resetsAt - now;
      const spent = { kind: 'budget-spent', scope, period, limitNanos } as const;
      const leftNanos = subtractNanos(limitNanos, spentNanos);
      const short = leftNanos > 0 ? { neededNanos: nanos(call.cost.needed), leftNanos } : {};
      refusal = longer(refusal, { ...spent, resetsAt, retryAfterMs, ...short });
    } else if (isHeld(limitNanos - spentNanos, call.cost, heldNanos)) {
      const held = { ...RATE, scope, what: 'cost', limit: limitNanos, spanMs: null } as const;
      refusal = longer(refusal, { ...held, retryAfterMs: HELD_RETRY_MS });
    }
  }
  return refusal;
}

/** Whether what is left is kept from a request only by others in flight. */
function isHeld(left: number, ask: Ask, held: number): boolean {
  return held > 0 && held + ask.hold > left;
}

type RateLimited = Extract<RelayError, { kind: 'rate-limited' }>;
type Refusal = RateLimited | Extract<RelayError, { kind: 'budget-spent' }>;
const RATE = { kind: 'rate-limited' } as const;

/** Of two refusals the one that lifts later, the first one of equals; null lifts never. */
function longer(known: Refusal | null, other: Refusal): Refusal {
  if (known === null) return other;
  const [knownMs, otherMs] = [known, other].map(({ retryAfterMs }) => retryAfterMs ?? Infinity);
  return (otherMs ?? 0) > (knownMs ?? 0) ? other : known;
}
