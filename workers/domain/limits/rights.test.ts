import { describe, expect, it } from 'vitest';
import { nanos } from '../money';
import type { LimitSet } from './limit-set';
import { beyondRights } from './rights';

const OWN: LimitSet = {
  requests: [
    { limit: 60, spanMs: 60_000 },
    { limit: 1_000, spanMs: 3_600_000 },
  ],
  concurrency: 5,
  groups: ['eu', 'team'],
  budgets: [
    { period: 'day', limitNanos: nanos(10) },
    { period: 'month', limitNanos: nanos(100), family: 'opus' },
  ],
};

describe('what a key may be allowed', () => {
  it.each<LimitSet>([
    {},
    { requests: [{ limit: 60, spanMs: 60_000 }], concurrency: 5 },
    { requests: [{ limit: 1_000, spanMs: 3_600_000 }] },
    { requests: [{ limit: 5_000, spanMs: 7_200_000 }] },
    { tokens: [{ limit: 1_000_000, spanMs: 1_000 }] },
    { budgets: [{ period: 'day', limitNanos: nanos(10), family: 'opus' }] },
    { budgets: [{ period: 'week', limitNanos: nanos(1_000) }] },
    { budgets: [{ period: 'month', limitNanos: nanos(1_000) }] },
    { budgets: [{ period: 'month', limitNanos: nanos(1_000), family: 'haiku' }] },
    { models: { allow: ['*'] } },
    { groups: ['team'] },
    { groups: ['team', 'eu'] },
  ])('may be %o', (wanted) => {
    expect(beyondRights(wanted, OWN)).toBeNull();
  });

  it.each<[LimitSet, string]>([
    [{ requests: [{ limit: 61, spanMs: 60_000 }] }, 'limits.requests[0].limit'],
    [{ requests: [{ limit: 61, spanMs: 1_000 }] }, 'limits.requests[0].limit'],
    [
      {
        requests: [
          { limit: 1, spanMs: 1_000 },
          { limit: 1_001, spanMs: 3_600_000 },
        ],
      },
      'limits.requests[1].limit',
    ],
    [{ concurrency: 6 }, 'limits.concurrency'],
    [{ groups: ['eu', 'us'] }, 'limits.groups[1]'],
    [{ budgets: [{ period: 'day', limitNanos: nanos(11) }] }, 'limits.budgets[0].limitNanos'],
    [
      { budgets: [{ period: 'day', limitNanos: nanos(11), family: 'opus' }] },
      'limits.budgets[0].limitNanos',
    ],
    [
      { budgets: [{ period: 'month', limitNanos: nanos(101), family: 'opus' }] },
      'limits.budgets[0].limitNanos',
    ],
  ])('may not be %o', (wanted, field) => {
    expect(beyondRights(wanted, OWN)?.field).toBe(field);
  });
});
