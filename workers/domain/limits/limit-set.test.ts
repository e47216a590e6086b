import { describe, expect, it } from 'vitest';
import { checkLimitSet, usableUntil } from './limit-set';

const FULL = {
  requests: [
    { limit: 60, spanMs: 60_000 },
    { limit: 1_000, spanMs: 86_400_000 },
  ],
  tokens: [{ limit: 2_000_000, spanMs: 60_000 }],
  cost: [{ limit: 5_000_000_000, spanMs: 3_600_000 }],
  concurrency: 8,
  budgets: [
    { period: 'day', limitNanos: 10_000_000_000 },
    { period: 'month', limitNanos: 0, family: 'opus' },
    { period: 'week', limitNanos: 1 },
    { period: 'total', limitNanos: 1 },
  ],
  models: { allow: ['claude-*'], deny: ['*opus*'] },
  protocols: ['anthropic', 'gemini'],
  clients: ['claude-cli/*'],
  addresses: ['10.0.0.0/8', '2001:db8::/32', '203.0.113.9'],
  activation: { lifetimeMs: 86_400_000 },
  groups: ['team-a', 'eu'],
  waitsForCacheMs: 20_000,
};

function times(count: number, value: unknown): readonly unknown[] {
  return Array.from({ length: count }, () => value);
}

function problemOf(value: unknown, holder?: 'key' | 'user' | 'wallet'): string {
  const result = checkLimitSet(value, holder);
  if (result.ok || result.error.kind !== 'bad-request') throw new Error('was not refused');
  return result.error.message;
}

describe('checkLimitSet', () => {
  it('takes every limit that a key can have, and none at all', () => {
    expect(checkLimitSet(FULL)).toEqual({ ok: true, value: FULL });
    expect(checkLimitSet({})).toEqual({ ok: true, value: {} });
  });

  it('takes for users and wallets what is not of keys alone', () => {
    const { requests, tokens, cost, concurrency, budgets, groups } = FULL;
    const shared = { requests, tokens, cost, concurrency, budgets, groups };
    expect(checkLimitSet(shared, 'user').ok).toBe(true);
    expect(checkLimitSet(shared, 'wallet').ok).toBe(true);
    const ofKeys = ['models', 'protocols', 'clients', 'addresses', 'activation'] as const;
    for (const name of [...ofKeys, 'waitsForCacheMs'] as const) {
      expect(problemOf({ [name]: FULL[name] }, 'wallet')).toBe(
        `limits.${name}: is not a limit here`,
      );
    }
  });

  const windows = [{ limit: 1, spanMs: 1_000 }];
  it.each([
    [null, 'limits: must be an object'],
    [[], 'limits: must be an object'],
    ['{}', 'limits: must be an object'],
    [{ request: windows }, 'limits.request: is not a limit here'],
    [{ groups: [] }, 'limits.groups: must be a list of 1 to 20; leave it out for no limit'],
    [
      { groups: times(21, 'a') },
      'limits.groups: must be a list of 1 to 20; leave it out for no limit',
    ],
    [{ groups: ['a', ''] }, 'limits.groups[1]: must be a text of 1 to 64 characters'],
    [{ groups: ['a'.repeat(65)] }, 'limits.groups[0]: must be a text of 1 to 64 characters'],
    [{ waitsForCacheMs: -1 }, 'limits.waitsForCacheMs: must be a whole number from 0 to 20000'],
    [{ waitsForCacheMs: 20_001 }, 'limits.waitsForCacheMs: must be a whole number from 0 to 20000'],
    [JSON.parse('{"__proto__":1}'), 'limits.__proto__: is not a limit here'],
    [{ constructor: 1 }, 'limits.constructor: is not a limit here'],
    [{ requests: undefined }, 'limits.requests: must be a list of 1 to 4'],
    [{ requests: [] }, 'limits.requests: must be a list of 1 to 4'],
    [{ requests: [...windows, ...windows, ...windows, ...windows, ...windows] }, '1 to 4'],
    [{ requests: [{ limit: 1 }] }, 'limits.requests[0].spanMs: is required'],
    [{ tokens: [{ limit: 0, spanMs: 1_000 }] }, 'limits.tokens[0].limit: must be a whole number'],
    [{ tokens: [{ limit: 1.5, spanMs: 1_000 }] }, 'limits.tokens[0].limit'],
    [{ tokens: [{ limit: 2 ** 53, spanMs: 1_000 }] }, 'limits.tokens[0].limit'],
    [{ tokens: [{ limit: '5', spanMs: 1_000 }] }, 'limits.tokens[0].limit'],
    [{ cost: [{ limit: 1, spanMs: 999 }] }, 'from 1000 to 86400000'],
    [{ cost: [{ limit: 1, spanMs: 86_400_001 }] }, 'limits.cost[0].spanMs'],
    [{ cost: [...windows, { limit: 1, spanMs: 1_000, burst: 2 }] }, 'limits.cost[1].burst'],
    [{ concurrency: 0 }, 'limits.concurrency'],
    [{ concurrency: null }, 'limits.concurrency'],
    [{ budgets: [{ period: 'year', limitNanos: 1 }] }, 'day or week or month or total'],
    [{ budgets: [{ period: 'day' }] }, 'limits.budgets[0].limitNanos: is required'],
    [{ budgets: [{ period: 'day', limitNanos: -1 }] }, 'limits.budgets[0].limitNanos'],
    [{ budgets: [{ period: 'day', limitNanos: 1, family: '' }] }, 'limits.budgets[0].family'],
    [{ models: { allow: [] } }, 'limits.models.allow'],
    [{ models: { allow: [5] } }, 'limits.models.allow[0]'],
    [{ models: ['*'] }, 'limits.models: must be an object'],
    [{ protocols: ['smtp'] }, 'limits.protocols[0]: must be anthropic or openai or gemini'],
    [{ clients: ['x'.repeat(129)] }, 'limits.clients[0]: must be a text of 1 to 128 characters'],
    [
      { clients: Array.from({ length: 65 }, () => 'x') },
      'limits.clients: must be a list of 1 to 64',
    ],
    [{ addresses: ['10.0.0.1/8'] }, 'limits.addresses[0]: must be an address or a range'],
    [{ addresses: [10] }, 'limits.addresses[0]'],
    // As text it would be one.
    [{ addresses: [['10.0.0.1']] }, 'limits.addresses[0]'],
    [{ clients: [null] }, 'limits.clients[0]: must be a text'],
    [{ activation: {} }, 'limits.activation.lifetimeMs: is required'],
    [{ activation: { lifetimeMs: 0 } }, 'limits.activation.lifetimeMs'],
  ])('refuses %j and names where', (value, problem) => {
    expect(problemOf(value)).toContain(problem);
  });

  const lifetimeMsMax = 10 * 366 * 86_400_000;
  it.each([
    [{ requests: times(4, windows[0]) }, { requests: times(5, windows[0]) }],
    [{ cost: [{ limit: 1, spanMs: 86_400_000 }] }, { cost: [{ limit: 1, spanMs: 86_400_001 }] }],
    [
      { tokens: [{ limit: Number.MAX_SAFE_INTEGER, spanMs: 1_000 }] },
      { tokens: [{ limit: Number.MAX_SAFE_INTEGER + 1, spanMs: 1_000 }] },
    ],
    [{ concurrency: 1 }, { concurrency: 0 }],
    [{ concurrency: 10_000 }, { concurrency: 10_001 }],
    [
      { budgets: times(16, { period: 'day', limitNanos: 0 }) },
      { budgets: times(17, { period: 'day', limitNanos: 0 }) },
    ],
    [
      { budgets: [{ period: 'day', limitNanos: Number.MAX_SAFE_INTEGER }] },
      { budgets: [{ period: 'day', limitNanos: Number.MAX_SAFE_INTEGER + 1 }] },
    ],
    [{ clients: times(64, 'x') }, { clients: times(65, 'x') }],
    [{ clients: ['x'.repeat(128)] }, { clients: ['x'.repeat(129)] }],
    [{ models: { deny: ['x'.repeat(128)] } }, { models: { deny: ['x'.repeat(129)] } }],
    [{ models: { allow: times(64, 'x') } }, { models: { allow: times(65, 'x') } }],
    [{ addresses: times(64, '10.0.0.0/8') }, { addresses: times(65, '10.0.0.0/8') }],
    [
      { protocols: ['anthropic', 'openai', 'gemini'] },
      { protocols: ['anthropic', 'openai', 'gemini', 'gemini'] },
    ],
    [{ activation: { lifetimeMs: 1_000 } }, { activation: { lifetimeMs: 999 } }],
    [
      { activation: { lifetimeMs: lifetimeMsMax } },
      { activation: { lifetimeMs: lifetimeMsMax + 1 } },
    ],
  ])('takes a bound itself and refuses the next step beyond it (case %#)', (within, beyond) => {
    expect(checkLimitSet(within)).toEqual({ ok: true, value: within });
    expect(checkLimitSet(beyond).ok).toBe(false);
  });

  it('says in full what an address must look like', () => {
    expect(problemOf({ addresses: ['10.0.0.1/8'] })).toBe(
      'limits.addresses[0]: must be an address or a range like 10.0.0.0/8 or 2001:db8::/32, ' +
        'with no bit set behind its prefix',
    );
  });

  it('repeats of an unknown field its first 64 characters', () => {
    const problem = problemOf({ ['x'.repeat(10_000)]: 1 });
    expect(problem).toBe(`limits.${'x'.repeat(64)}: is not a limit here`);
  });
});

describe('usableUntil', () => {
  const limits = { activation: { lifetimeMs: 1_000 } };

  it.each([
    [{ limits: {}, expiresAt: null, firstUsedAt: 5 }, null],
    [{ limits: {}, expiresAt: 9_000, firstUsedAt: 5 }, 9_000],
    [{ limits, expiresAt: null, firstUsedAt: null }, null],
    [{ limits, expiresAt: null, firstUsedAt: 5 }, 1_005],
    [{ limits, expiresAt: 9_000, firstUsedAt: 5 }, 1_005],
    [{ limits, expiresAt: 500, firstUsedAt: 5 }, 500],
  ])('of %j is %s', (key, expected) => {
    expect(usableUntil(key)).toBe(expected);
  });
});
