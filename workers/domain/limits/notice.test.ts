import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nanos } from '../money';
import type { CapFigure } from './notice';
import { capHeaders, rejectedHeaders, tightestCap, usageDocument, windowHeaders } from './notice';

const RESETS_AT = Date.UTC(2026, 10, 24);
const SECONDS = String(RESETS_AT / 1_000);
const NO_SPENT = { dayNanos: nanos(0), weekNanos: nanos(0), monthNanos: nanos(0) };

function dollars(amount: number): CapFigure['limitNanos'] {
  return nanos(Math.round(amount * 1e9));
}

function cap(spent: number, more: Partial<CapFigure> = {}): CapFigure {
  const money = { limitNanos: dollars(10), spentNanos: dollars(spent) };
  return { period: 'day', ...money, resetsAt: RESETS_AT, ...more };
}

describe('the headers of an answer under a cap', () => {
  it('say allowed, below the first threshold, with the reset and the part that is used', () => {
    expect(capHeaders(cap(5.4))).toEqual({
      'anthropic-ratelimit-unified-status': 'allowed',
      'anthropic-ratelimit-unified-overage-status': 'allowed',
      'anthropic-ratelimit-unified-representative-claim': 'overage',
      'anthropic-ratelimit-unified-overage-utilization': '0.54',
      'anthropic-ratelimit-unified-reset': SECONDS,
      'anthropic-ratelimit-unified-overage-reset': SECONDS,
    });
  });

  it.each([
    [7.499_999_999, 'allowed', undefined, '0.74'],
    [7.5, 'allowed_warning', '0.75', '0.75'],
    [8.2, 'allowed_warning', '0.75', '0.82'],
    [9.499_999_999, 'allowed_warning', '0.75', '0.94'],
    [9.5, 'allowed_warning', '0.95', '0.95'],
    [9.999_999_999, 'allowed_warning', '0.95', '0.99'],
    // Let through, though spent meanwhile.
    [10, 'allowed_warning', '0.95', '0.99'],
    [12, 'allowed_warning', '0.95', '0.99'],
    [0, 'allowed', undefined, '0.00'],
    [-1, 'allowed', undefined, '0.00'],
  ])('say at %d of 10 dollars: %s', (spent, status, threshold, utilization) => {
    const headers = capHeaders(cap(spent));
    expect(headers['anthropic-ratelimit-unified-status']).toBe(status);
    expect(headers['anthropic-ratelimit-unified-overage-status']).toBe(status);
    expect(headers['anthropic-ratelimit-unified-overage-surpassed-threshold']).toBe(threshold);
    expect(headers['anthropic-ratelimit-unified-overage-utilization']).toBe(utilization);
  });

  it('name no reset where there is none', () => {
    const names = Object.keys(capHeaders(cap(8, { period: 'total', resetsAt: null })));
    expect(names.filter((name) => name.includes('reset'))).toEqual([]);
  });

  it('never say less than was used by a whole hundredth, nor 1, of any amounts', () => {
    const amounts = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(amounts, amounts, (limit, spent) => {
        const shown = cap(0, { limitNanos: nanos(limit), spentNanos: nanos(spent) });
        const text = capHeaders(shown)['anthropic-ratelimit-unified-overage-utilization'] ?? '';
        expect(text).toMatch(/^0\.\d\d$/);
        const exact = Number((BigInt(spent) * 100n) / BigInt(limit));
        expect(Math.round(Number(text) * 100)).toBe(Math.min(99, exact));
      }),
    );
  });
});

describe('the headers of a refusal for a spent cap', () => {
  it.each([
    ['day', 'daily'],
    ['week', 'weekly'],
    ['month', 'monthly'],
  ] as const)('say that the cap of the %s is reached, without claim and status', (period, name) => {
    expect(rejectedHeaders({ period, resetsAt: RESETS_AT, shared: false })).toEqual({
      'anthropic-ratelimit-unified-status': 'rejected',
      'anthropic-ratelimit-unified-reset': SECONDS,
      'anthropic-ratelimit-unified-overage-reset': SECONDS,
      'anthropic-ratelimit-unified-overage-utilization': '1',
      'anthropic-ratelimit-unified-overage-surpassed-threshold': '1',
      'anthropic-ratelimit-unified-overage-period': name,
      'anthropic-ratelimit-unified-overage-disabled-reason': 'org_spend_cap_reached',
    });
  });

  it('name the pool of a shared cap, and neither period nor reset of one for all time', () => {
    expect(rejectedHeaders({ period: 'total', resetsAt: null, shared: true })).toStrictEqual({
      'anthropic-ratelimit-unified-status': 'rejected',
      'anthropic-ratelimit-unified-overage-utilization': '1',
      'anthropic-ratelimit-unified-overage-surpassed-threshold': '1',
      'anthropic-ratelimit-unified-overage-disabled-reason': 'org_spend_cap_reached',
      'anthropic-ratelimit-unified-overage-scope': 'group_pool',
    });
  });
});

describe('tightestCap', () => {
  it('is the one of which most is used, and of equals the one that resets first', () => {
    const later = cap(8.2, { period: 'week', resetsAt: RESETS_AT + 1_000 });
    const never = cap(8.2, { period: 'total', resetsAt: null });
    expect(tightestCap([cap(5), never, later, cap(8.2)])).toEqual(cap(8.2));
    expect(tightestCap([never, later])).toBe(later);
    expect(tightestCap([never, { ...never, spentNanos: dollars(9) }])?.spentNanos).toBe(dollars(9));
    expect(tightestCap([])).toBe(null);
  });
});

describe('the headers of windows', () => {
  it('show of each kind the window of which the least is left', () => {
    const figures = [
      { kind: 'requests', limit: 60, used: 10, resetsAt: RESETS_AT },
      { kind: 'requests', limit: 1_000, used: 970, resetsAt: RESETS_AT + 1 },
      { kind: 'tokens', limit: 500, used: 900, resetsAt: RESETS_AT - 1 },
      { kind: 'cost', limit: 1, used: 1, resetsAt: RESETS_AT },
    ] as const;
    expect(windowHeaders(figures)).toEqual({
      'anthropic-ratelimit-requests-limit': '1000',
      'anthropic-ratelimit-requests-remaining': '30',
      'anthropic-ratelimit-requests-reset': '2026-11-24T00:00:01Z',
      'anthropic-ratelimit-tokens-limit': '500',
      'anthropic-ratelimit-tokens-remaining': '0',
      'anthropic-ratelimit-tokens-reset': '2026-11-24T00:00:00Z',
    });
    expect(windowHeaders([])).toEqual({});
  });
});

describe('the document of the own usage', () => {
  it('shows the active cap in cents and every cap that resets', () => {
    const week = cap(9.6, { period: 'week' });
    const total = cap(1, { period: 'total', resetsAt: null });
    expect(usageDocument([cap(8.209), week, total], NO_SPENT)).toEqual({
      extra_usage: {
        is_enabled: true,
        monthly_limit: 1_000,
        used_credits: 960,
        utilization: 96,
        currency: 'USD',
      },
      limits: [
        {
          kind: 'spend',
          group: 'daily',
          percent: 82,
          resets_at: '2026-11-24T00:00:00Z',
          severity: 'normal',
          is_active: false,
        },
        {
          kind: 'spend',
          group: 'weekly',
          percent: 96,
          resets_at: '2026-11-24T00:00:00Z',
          severity: 'critical',
          is_active: true,
        },
      ],
    });
  });

  it('shows what was spent to a user who has no cap', () => {
    const spent = { dayNanos: dollars(1.239), weekNanos: dollars(2), monthNanos: dollars(30) };
    expect(usageDocument([], spent)).toEqual({
      extra_usage: {
        is_enabled: true,
        monthly_limit: null,
        used_credits: 3_000,
        utilization: null,
        currency: 'USD',
        daily: { limit: null, used_credits: 123, utilization: null },
        weekly: { limit: null, used_credits: 200, utilization: null },
      },
      limits: [],
    });
  });

  it('resets to the second when the headers say so, and is used up by the same figures', () => {
    const instants = fc.integer({ min: 0, max: Date.UTC(2100, 0) });
    fc.assert(
      fc.property(instants, fc.nat(10_500_000_000), (resetsAt, spent) => {
        const shown = cap(0, { resetsAt, spentNanos: nanos(spent) });
        const headers = capHeaders(shown);
        const [row] = usageDocument([shown], NO_SPENT).limits;
        const seconds = Date.parse(row?.resets_at ?? '') / 1_000;
        expect(headers['anthropic-ratelimit-unified-reset']).toBe(String(seconds));
        expect(seconds * 1_000).toBeGreaterThanOrEqual(resetsAt);
        expect(row?.percent === 100).toBe(spent >= 10_000_000_000);
        const part = headers['anthropic-ratelimit-unified-overage-utilization'];
        expect(Math.min(99, row?.percent ?? -1)).toBe(Math.round(Number(part) * 100));
      }),
    );
  });

  it.each([
    [9.499_999_999, 'normal'],
    [9.5, 'critical'],
  ])('calls %d of 10 dollars %s', (spent, severity) => {
    expect(usageDocument([cap(spent)], NO_SPENT).limits[0]?.severity).toBe(severity);
  });

  it('shows a cap of nothing as spent, also when a correction has given back', () => {
    for (const spent of [0, -1]) {
      const nothing = cap(spent, { limitNanos: nanos(0) });
      expect(usageDocument([nothing], NO_SPENT).limits[0]).toMatchObject({
        percent: 100,
        severity: 'critical',
      });
    }
  });
});
