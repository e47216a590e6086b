import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dollars } from '../../../tests/support/holds';
import { copiesOf, ownerOf } from '../../../tests/support/ledger';
import { postToBook } from '../limits/budget';
import type { BudgetPeriod, LimitSet } from '../limits/limit-set';
import type { Nanos } from '../money';
import { HOUR_MS } from '../time';
import { THE_WALLET } from './counting';
import type { Copies } from './decide';
import { limitFactsOf, noticeOf, usageOf } from './limited';
import type { WalletState } from './state';
import { emptyState } from './state';

const OWNER = ownerOf(1);
/** A Thursday noon in UTC. */
const NOW = Date.UTC(2026, 10, 26, 12);
const UNIFIED = 'anthropic-ratelimit-unified';

describe('the usage of a user without a cap', () => {
  it('is what was spent today, this week and this month in the user’s zone, without limits', () => {
    const state = emptyState('Asia/Tokyo');
    // In Tokyo the 26th began at three in the afternoon of the 25th, the week on Sunday.
    spend(state, { amount: 1, at: Date.UTC(2026, 10, 25, 15) });
    spend(state, { amount: 2, at: Date.UTC(2026, 10, 25, 15) - 1 });
    spend(state, { amount: 4, at: Date.UTC(2026, 10, 22, 15) - 1 });
    spend(state, { amount: 8, at: Date.UTC(2026, 9, 31, 15) - 1 });
    expect(usageOf(copies({}), state, NOW)).toEqual({
      extra_usage: {
        is_enabled: true,
        monthly_limit: null,
        used_credits: 700,
        utilization: null,
        currency: 'USD',
        daily: { limit: null, used_credits: 100, utilization: null },
        weekly: { limit: null, used_credits: 300, utilization: null },
      },
      limits: [],
    });
  });

  it('counts all keys of the user, and no hold', () => {
    const state = emptyState();
    spend(state, { amount: 1, at: NOW });
    postToBook(state.book, { holders: [OWNER.userId], family: null, at: NOW, ...money(2, 5) });
    expect(usageOf(copies({}), state, NOW).extra_usage.used_credits).toBe(300);
  });
});

describe('the usage of a user with caps', () => {
  it('shows of each period the tightest one, and the tightest of all as the active one', () => {
    const state = emptyState();
    spend(state, { amount: 6, at: NOW });
    const limited = copies({
      key: budgets(['day', 10], ['month', 60]),
      user: budgets(['day', 7]),
      wallet: budgets(['week', 8], ['total', 100]),
    });
    expect(usageOf(limited, state, NOW)).toMatchObject({
      extra_usage: { monthly_limit: 700, used_credits: 600, utilization: 85 },
      limits: [
        { group: 'daily', percent: 85, resets_at: '2026-11-27T00:00:00Z', is_active: true },
        { group: 'weekly', percent: 75, resets_at: '2026-11-30T00:00:00Z', is_active: false },
        { group: 'monthly', percent: 10, resets_at: '2026-12-01T00:00:00Z', is_active: false },
      ],
    });
  });

  it('is critical from 95 percent on, and 100 only when nothing is left', () => {
    const shown = (amount: number) => {
      const state = emptyState();
      spend(state, { amount, at: NOW });
      return usageOf(copies({ key: budgets(['day', 10]) }), state, NOW).limits[0];
    };
    expect(shown(9.499)).toMatchObject({ percent: 94, severity: 'normal' });
    expect(shown(9.5)).toMatchObject({ percent: 95, severity: 'critical' });
    expect(shown(9.999)).toMatchObject({ percent: 99, severity: 'critical' });
    expect(shown(11)).toMatchObject({ percent: 100, severity: 'critical' });
  });

  it('agrees with the headers of an answer: the same cap, part and second of reset', () => {
    const periods = fc.constantFrom<BudgetPeriod>('day', 'week', 'month');
    const limits = fc.array(fc.tuple(periods, fc.integer({ min: 1, max: 50 })), { minLength: 1 });
    const zones = fc.constantFrom('UTC', 'Asia/Kolkata', 'America/New_York', 'Pacific/Apia');
    const times = fc.integer({ min: NOW, max: NOW + 400 * 24 * HOUR_MS });
    const amounts = fc.integer({ min: 0, max: 60 });
    fc.assert(
      fc.property(fc.tuple(limits, zones, times, amounts), ([list, zone, now, amount]) => {
        const state = emptyState(zone);
        spend(state, { amount, at: now });
        const limited = copies({ user: budgets(...list) });
        const facts = { ...limitFactsOf(limited, state, now), families: ['opus'] };
        const headers = noticeOf(facts) ?? {};
        const active = usageOf(limited, state, now).limits.find((limit) => limit.is_active);
        const seconds = String(Date.parse(active?.resets_at ?? '') / 1_000);
        expect(headers[`${UNIFIED}-reset`]).toBe(seconds);
        expect(headers[`${UNIFIED}-overage-reset`]).toBe(seconds);
        const percent = Math.round(Number(headers[`${UNIFIED}-overage-utilization`]) * 100);
        expect(percent).toBe(Math.min(99, active?.percent ?? 0));
      }),
    );
  });

  it('shows a cap of one family, which the headers of other families’ answers do not', () => {
    const state = emptyState();
    spend(state, { amount: 3, at: NOW });
    const limits = {
      budgets: [{ period: 'day', limitNanos: dollars(4), family: 'opus' }],
    } as const;
    const limited = copies({ key: limits });
    expect(usageOf(limited, state, NOW).limits).toMatchObject([{ percent: 75, is_active: true }]);
    const facts = limitFactsOf(limited, state, NOW);
    expect(noticeOf({ ...facts, families: ['haiku'] })).toBeNull();
    expect(noticeOf({ ...facts, families: ['opus'] })).toHaveProperty(`${UNIFIED}-status`);
  });
});

interface Spent {
  /** In dollars. */
  readonly amount: number;
  readonly at: number;
}

function spend(state: WalletState, { amount, at }: Spent): void {
  const holders = [OWNER.keyId, OWNER.userId, THE_WALLET];
  postToBook(state.book, { holders, family: 'opus', at, ...money(amount, 0) });
}

function money(spent: number, held: number): Record<'spentNanos' | 'heldNanos', Nanos> {
  return { spentNanos: dollars(spent), heldNanos: dollars(held) };
}

function copies(limits: Partial<Record<'key' | 'user' | 'wallet', LimitSet>>): Copies {
  const { key, user, wallet } = copiesOf(OWNER);
  return {
    key: { ...key, limits: limits.key ?? {} },
    user: { ...user, limits: limits.user ?? {} },
    wallet: { ...wallet, limits: limits.wallet ?? {} },
  };
}

function budgets(...list: readonly (readonly [BudgetPeriod, number])[]): LimitSet {
  return {
    budgets: list.map(([period, amount]) => ({ period, limitNanos: dollars(amount) })),
  };
}
