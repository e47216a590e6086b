import { describe, expect, it } from 'vitest';
import { runRequest } from '../../../tests/support/attempts-shell';
import { said, without } from '../../../tests/support/failure-examples';
import { seeded } from '../../../tests/support/ledger';
import { account, elsewhereHosted } from '../../../tests/support/pool-accounts';
import type { SnapshotAccount } from '../snapshot';
import type { Reply } from './failure';
import type { RetryTokens } from './retry-tokens';
import { afterSuccess, FULL_TOKENS, takeToken } from './retry-tokens';

const REQUESTS = 10_000;
const EMPTY: RetryTokens = { left: 0, successes: 0 };

describe('retry tokens', () => {
  it('begin with ten, and end', () => {
    expect(spendAll(FULL_TOKENS)).toBe(10);
    expect(takeToken(EMPTY)).toBeNull();
  });

  it('are earned back one for twenty successes, and not before', () => {
    expect(successes(EMPTY, 19)).toEqual({ left: 0, successes: 19 });
    expect(successes(EMPTY, 20)).toEqual({ left: 1, successes: 0 });
    expect(successes(EMPTY, 59)).toEqual({ left: 2, successes: 19 });
  });

  it('are never more than ten', () => {
    expect(spendAll(successes(EMPTY, 10_000))).toBe(10);
    expect(spendAll(successes(FULL_TOKENS, 10_000))).toBe(10);
  });

  it('do not let successes be saved up while there are ten', () => {
    const one = takeToken(successes(FULL_TOKENS, 19)) ?? EMPTY;
    expect(successes(one, 19).left).toBe(9);
    expect(successes(one, 20).left).toBe(10);
  });

  it('keep what was earned towards the next one when one is taken', () => {
    const some = successes({ left: 5, successes: 0 }, 15);
    expect(successes(takeToken(some) ?? EMPTY, 5).left).toBe(5);
  });
});

describe('a total outage of 10,000 requests', () => {
  const ONE_PROVIDER = Array.from({ length: 10 }, (_, n) => account(n));
  const FOUR = [
    ...ONE_PROVIDER,
    ...['a', 'b', 'c'].map((host, n) => elsewhereHosted(20 + n, host)),
  ];
  const FAULTS: Readonly<Record<string, Reply>> = {
    'refused connections': without('unreachable'),
    'plain 500s': said(500, 'api_error', 'Internal server error'),
    overload: said(529, 'overloaded_error', 'Overloaded'),
    timeouts: without('timeout'),
  };

  it.each([
    ...Object.keys(FAULTS).map((fault) => ({ fault, isolates: 50, accounts: ONE_PROVIDER })),
    { fault: 'plain 500s', isolates: 1, accounts: ONE_PROVIDER },
  ])('costs at most 1.05 calls a request: $fault, $isolates isolates', (outage) => {
    const calls = callsIn(outage);
    expect(calls).toBeGreaterThan(REQUESTS);
    expect(calls).toBeLessThanOrEqual(1.05 * REQUESTS);
  });

  it('costs as little with accounts at four providers, in a quarter of the isolates', () => {
    const calls = callsIn({ fault: 'plain 500s', isolates: 12, accounts: FOUR });
    expect(calls).toBeLessThanOrEqual(1.05 * REQUESTS);
  });

  it('would cost more without tokens', () => {
    const outage = { fault: 'plain 500s', isolates: 1, accounts: ONE_PROVIDER, isFree: true };
    expect(callsIn(outage)).toBe(4 * REQUESTS);
  });

  /** Calls made by requests that come to isolates in turns; no breaker helps. */
  function callsIn(outage: {
    readonly fault: string;
    readonly isolates: number;
    readonly accounts: readonly SnapshotAccount[];
    readonly isFree?: boolean;
  }): number {
    const { fault, isolates, accounts, isFree = false } = outage;
    const purses = Array.from({ length: isolates }, () => new Map<string, RetryTokens>());
    const random = seeded(7);
    let calls = 0;
    for (let n = 0; n < REQUESTS; n += 1) {
      const purse = purses[n % isolates];
      runRequest({
        accounts,
        tag: `conversation ${n}`,
        random,
        warm: null,
        waitMsMax: 0,
        canLeaveElsewhere: false,
        marks: new Map(),
        isGranted: () => true,
        tookMsOf: ({ how }) => (how === 'timeout' ? 30_000 : 20),
        replyOf: () => {
          calls += 1;
          return FAULTS[fault] ?? without('unreachable');
        },
        takesToken: (provider) => isFree || takeFrom(purse, provider),
      });
    }
    return calls;
  }
});

function takeFrom(purse: Map<string, RetryTokens> | undefined, provider: string): boolean {
  const rest = takeToken(purse?.get(provider) ?? FULL_TOKENS);
  if (rest !== null) purse?.set(provider, rest);
  return rest !== null;
}

function successes(tokens: RetryTokens, count: number): RetryTokens {
  let sum = tokens;
  for (let n = 0; n < count; n += 1) sum = afterSuccess(sum);
  return sum;
}

function spendAll(tokens: RetryTokens): number {
  let left: RetryTokens | null = tokens;
  for (let taken = 0; ; taken += 1) {
    left = takeToken(left);
    if (left === null) return taken;
  }
}
