// A wallet's limits as the ledger puts them together: whose they are, what a call asks of them, how
// they stand, and what the user is told of them. The decisions are limits/limits.ts.

import type { LimitScope } from '../errors';
import type { BudgetPeriod, WindowKind } from '../limits/limit-set';
import { WINDOW_KINDS } from '../limits/limit-set';
import type { BudgetFigure } from '../limits/budget';
import { budgetFigure } from '../limits/budget';
import { windowFigures } from '../limits/counters';
import type { Holder, LimitFacts, MoneyFacts, ScopedCall } from '../limits/limits';
import { figuresOf, moneyLeft, tokensLeft } from '../limits/limits';
import type { UsageDocument } from '../limits/notice';
import { capHeaders, tightestCap, usageDocument, windowHeaders } from '../limits/notice';
import type { Nanos } from '../money';
import { nanos, subtractNanos, ZERO_NANOS } from '../money';
import type { AdmitCall } from './calls';
import { countersOf, THE_WALLET } from './counting';
import type { LimitsInForce } from './counting';
import type { Copies, Owner } from './decide';
import type { WalletState } from './state';

const SCOPES: readonly LimitScope[] = ['key', 'user', 'wallet'];
const PERIODS: readonly BudgetPeriod[] = ['day', 'week', 'month', 'total'];
const NO_LIMITS = {} as const;

/** How a limit of a key, its user or its wallet stands. */
export interface LimitStanding {
  readonly scope: LimitScope;
  readonly kind: WindowKind | 'concurrency' | 'budget';
  /** Of a sliding window. */
  readonly spanMs?: number;
  /** Of a budget. */
  readonly period?: BudgetPeriod;
  /** Of a budget that counts one family of models alone. */
  readonly family?: string;
  /** Requests, tokens, requests at once, or nano-dollars. */
  readonly limit: number;
  /** Without holds. */
  readonly used: number;
  /** Less what is held; never negative. */
  readonly remaining: number;
  /** Unix ms; null: never, or whenever a request ends. */
  readonly resetsAt: number | null;
}

/** Key, user and wallet with their limits and counters. */
export function limitFactsOf(copies: Copies, state: WalletState, now: number): LimitFacts {
  const { key, user, wallet } = copies;
  const holders = {
    key: holderOf(state, key.id, key.limits),
    user: holderOf(state, user.id, user.limits),
    wallet: holderOf(state, THE_WALLET, wallet.limits),
  };
  return { holders, book: state.book, now };
}

function holderOf(state: WalletState, id: string, limits: Holder['limits'] = NO_LIMITS): Holder {
  return { id, limits, counters: countersOf(state, id) };
}

/** The limit sets in force, for `alignTo`. */
export function limitsInForce(copies: Copies): LimitsInForce['limits'] {
  return [[copies.key.id, copies.key.limits ?? NO_LIMITS], ...ownerLimits(copies)];
}

/** Those of the wallet and its owner alone. */
export function ownerLimits({ user, wallet }: Owner): LimitsInForce['limits'] {
  return [
    [user.id, user.limits ?? NO_LIMITS],
    [THE_WALLET, wallet.limits ?? NO_LIMITS],
  ];
}

/** What the scope of a key is asked; `models`: catalogue ids. */
export function scopedCallOf(call: AdmitCall, models: readonly string[]): ScopedCall {
  const { userAgent = null, address = null } = call;
  return { models, protocol: 'anthropic', userAgent, address };
}

/** What balance and limits of money leave for new holds. */
export function availableWithin(state: WalletState, facts: MoneyFacts): Nanos {
  const available = subtractNanos(state.balanceNanos, state.heldNanos);
  const left = moneyLeft(facts);
  return left === null ? available : nanos(Math.min(available, left));
}

/** What is left for more output of an open request: balance or limits less all holds, its too. */
export interface LeftForOutput {
  /** Of the balance. */
  readonly creditNanos: Nanos;
  /** Of what limits of money allow; absent or null: none does. */
  readonly limitNanos?: Nanos | null;
  /** Of what windows of tokens allow; absent or null: none does. */
  readonly limitTokens?: number | null;
}

/** `facts`: of the open request, by the date of its admit; null: its limits are not known. */
export function leftForOutput(state: WalletState, facts: MoneyFacts | null): LeftForOutput {
  const creditNanos = subtractNanos(state.balanceNanos, state.heldNanos);
  if (facts === null) return { creditNanos };
  return { creditNanos, limitNanos: moneyLeft(facts), limitTokens: tokensLeft(facts) };
}

/** The user's own rate-limit headers for an answer; null: nothing is limited. */
export function noticeOf(
  facts: LimitFacts & { readonly families: readonly string[] },
): Readonly<Record<string, string>> | null {
  const holders = SCOPES.map((scope) => facts.holders[scope]);
  const cap = tightestCap(holders.flatMap((holder) => figuresOf(holder, facts)));
  const windows = holders.flatMap((holder) =>
    WINDOW_KINDS.flatMap((kind) => windowFigures(holder, kind, facts.now)),
  );
  const headers = { ...(cap === null ? {} : capHeaders(cap)), ...windowHeaders(windows) };
  return Object.keys(headers).length === 0 ? null : headers;
}

/**
 * What the key's user has spent and the caps on it, made of the same figures as `noticeOf`; of
 * several caps with one period the tightest. `now` in Unix ms.
 */
export function usageOf(copies: Copies, state: WalletState, now: number): UsageDocument {
  const facts = limitFactsOf(copies, state, now);
  const caps = SCOPES.flatMap((scope) => budgetFigures(facts.holders[scope], facts));
  const tightest = PERIODS.flatMap(
    (period) => tightestCap(caps.filter((cap) => cap.period === period)) ?? [],
  );
  const spentIn = (period: BudgetPeriod): Nanos =>
    budgetFigure(state.book, copies.user.id, { limit: { period, limitNanos: ZERO_NANOS }, now })
      .spentNanos;
  const spent = { dayNanos: spentIn('day'), weekNanos: spentIn('week') };
  return usageDocument(tightest, { ...spent, monthNanos: spentIn('month') });
}

/** Every limit of the three, as it stands. */
export function standingsOf(facts: LimitFacts): readonly LimitStanding[] {
  return SCOPES.flatMap((scope) => holderStandings(scope, facts.holders[scope], facts));
}

/** Every limit of a wallet and its owner as it stands at `now` (Unix ms). */
export function ownerStandings(
  { user, wallet }: Owner,
  state: WalletState,
  now: number,
): readonly LimitStanding[] {
  const facts = { book: state.book, now };
  return [
    ...holderStandings('user', holderOf(state, user.id, user.limits), facts),
    ...holderStandings('wallet', holderOf(state, THE_WALLET, wallet.limits), facts),
  ];
}

type BookFacts = Pick<LimitFacts, 'book' | 'now'>;

function holderStandings(
  scope: LimitScope,
  holder: Holder,
  facts: BookFacts,
): readonly LimitStanding[] {
  return [
    ...WINDOW_KINDS.flatMap((kind) => windowStandings(scope, holder, { kind, now: facts.now })),
    ...concurrencyStanding(scope, holder),
    ...budgetStandings(scope, holder, facts),
  ];
}

function windowStandings(
  scope: LimitScope,
  holder: Holder,
  { kind, now }: { readonly kind: WindowKind; readonly now: number },
): readonly LimitStanding[] {
  const { heldTokens, heldNanos } = holder.counters;
  const held = { requests: 0, tokens: heldTokens, cost: heldNanos }[kind];
  const limits = holder.limits[kind] ?? [];
  return windowFigures(holder, kind, now).map(({ limit, used, resetsAt }, index) => {
    const spanMs = limits[index]?.spanMs ?? 0;
    return { scope, kind, spanMs, limit, used, remaining: above(limit - used - held), resetsAt };
  });
}

function concurrencyStanding(scope: LimitScope, holder: Holder): readonly LimitStanding[] {
  const { concurrency: limit } = holder.limits;
  if (limit === undefined) return [];
  const { open: used } = holder.counters;
  const remaining = above(limit - used);
  return [{ scope, kind: 'concurrency', limit, used, remaining, resetsAt: null }];
}

function budgetStandings(
  scope: LimitScope,
  holder: Holder,
  facts: BookFacts,
): readonly LimitStanding[] {
  return budgetFigures(holder, facts).map((figure) => {
    const { period, family, limitNanos: limit, spentNanos, heldNanos, resetsAt } = figure;
    const used = { limit, used: spentNanos, remaining: above(limit - spentNanos - heldNanos) };
    return {
      scope,
      kind: 'budget',
      period,
      ...(family === null ? {} : { family }),
      ...used,
      resetsAt,
    };
  });
}

/** How all budgets of the holder stand, those of single families too. */
function budgetFigures(holder: Holder, { book, now }: BookFacts): readonly BudgetFigure[] {
  const families = (holder.limits.budgets ?? []).flatMap(({ family }) => family ?? []);
  return figuresOf(holder, { book, families, now });
}

function above(amount: number): number {
  return Math.max(0, amount);
}
