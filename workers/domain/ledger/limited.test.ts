import { describe, expect, it } from 'vitest';
import {
  admitCall,
  creditCall,
  HOLD_NANOS,
  idOf,
  keyCopy,
  MODEL,
  NOW,
  ownerOf,
  settleCall,
  userCopy,
  walletCopy,
} from '../../../tests/support/ledger';
import { PaperLedger } from '../../../tests/support/paper-ledger';
import type { LimitSet } from '../limits/limit-set';
import type { UsageDocument } from '../limits/notice';
import { nanos } from '../money';
import { HOUR_MS, MINUTE_MS } from '../time';
import { NO_TOKENS } from '../usage/tokens';
import type { Copies } from './decide';
import {
  availableWithin,
  limitFactsOf,
  limitsInForce,
  noticeOf,
  scopedCallOf,
  usageOf,
} from './limited';

const OWNER = ownerOf(1);
const CENT_NANOS = 10_000_000;
/** A Friday, noon. */
const MIDNIGHT = NOW + 12 * HOUR_MS;

interface Sets {
  readonly key?: LimitSet;
  readonly user?: LimitSet;
  readonly wallet?: LimitSet;
}

function limited({ key = {}, user = {}, wallet = {} }: Sets): Copies {
  return {
    key: keyCopy(OWNER, { limits: key }),
    user: userCopy(OWNER, { limits: user }),
    wallet: walletCopy(OWNER, { limits: wallet }),
  };
}

function ledgerOf(sets: Sets, wallClock = NOW): PaperLedger {
  const ledger = new PaperLedger(limited(sets), { wallClock, every: 5 });
  ledger.credit(creditCall('txn_first'));
  return ledger;
}

/** Runs a request, to its end if it has a cost. */
function run(ledger: PaperLedger, n: number, costNanos: number | null): void {
  const answer = ledger.admit(admitCall(OWNER.keyId, idOf('request', n)));
  if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
  if (costNanos === null) return;
  const counts = { ...NO_TOKENS, input: 600, output: 100 };
  const terms = { speed: null, geo: null, tier: null };
  const usage = { entries: [{ model: MODEL, counts, terms }], flags: [] };
  ledger.settle(settleCall(answer.lease, { usage, costNanos: nanos(costNanos) }));
}

describe('how limits stand', () => {
  it('is told of every limit of the key: what is used, and what is left beside holds', () => {
    const key: LimitSet = {
      requests: [{ limit: 5, spanMs: MINUTE_MS }],
      tokens: [{ limit: 10_000, spanMs: HOUR_MS }],
      cost: [
        { limit: 100 * CENT_NANOS, spanMs: MINUTE_MS },
        { limit: 200 * CENT_NANOS, spanMs: HOUR_MS },
      ],
      concurrency: 3,
      budgets: [
        { period: 'day', limitNanos: nanos(50 * CENT_NANOS) },
        { period: 'total', limitNanos: nanos(60 * CENT_NANOS), family: 'opus' },
        { period: 'total', limitNanos: nanos(CENT_NANOS), family: 'haiku' },
      ],
    };
    const ledger = ledgerOf({ key });
    run(ledger, 1, CENT_NANOS);
    run(ledger, 2, null);
    const scope = 'key';
    const resetsAt: unknown = expect.any(Number);
    const left = (cents: number) => cents * CENT_NANOS - CENT_NANOS - HOLD_NANOS;
    const cost = { scope, kind: 'cost', used: CENT_NANOS, resetsAt };
    const budget = { scope, kind: 'budget', used: CENT_NANOS };
    expect(ledger.standings()).toEqual([
      { scope, kind: 'requests', spanMs: MINUTE_MS, limit: 5, used: 2, remaining: 3, resetsAt },
      {
        scope,
        kind: 'tokens',
        spanMs: HOUR_MS,
        limit: 10_000,
        used: 700,
        // The other one holds 3,300 of input and 1,000 of output.
        remaining: 10_000 - 700 - 4_300,
        resetsAt,
      },
      { ...cost, spanMs: MINUTE_MS, limit: 100 * CENT_NANOS, remaining: left(100) },
      { ...cost, spanMs: HOUR_MS, limit: 200 * CENT_NANOS, remaining: left(200) },
      { scope, kind: 'concurrency', limit: 3, used: 1, remaining: 2, resetsAt: null },
      {
        ...budget,
        period: 'day',
        limit: 50 * CENT_NANOS,
        remaining: left(50),
        resetsAt: MIDNIGHT,
      },
      {
        ...budget,
        period: 'total',
        family: 'opus',
        limit: 60 * CENT_NANOS,
        remaining: left(60),
        resetsAt: null,
      },
      {
        ...budget,
        period: 'total',
        family: 'haiku',
        limit: CENT_NANOS,
        used: 0,
        remaining: CENT_NANOS,
        resetsAt: null,
      },
    ]);
  });

  it('is told of key, user and wallet in this order, never as less than nothing', () => {
    const ledger = ledgerOf({});
    run(ledger, 1, 5 * CENT_NANOS);
    run(ledger, 2, null);
    run(ledger, 3, null);
    const one = { concurrency: 1 };
    ledger.apply(keyCopy(OWNER, { version: 2, limits: one }));
    const tokens = [{ limit: 1, spanMs: HOUR_MS }];
    ledger.apply(userCopy(OWNER, { version: 2, limits: { tokens } }));
    const budgets = [{ period: 'month', limitNanos: nanos(CENT_NANOS) }] as const;
    ledger.apply(walletCopy(OWNER, { version: 2, limits: { budgets } }));
    expect(ledger.standings()).toMatchObject([
      { scope: 'key', kind: 'concurrency', used: 2, remaining: 0 },
      { scope: 'user', kind: 'tokens', used: 700, remaining: 0 },
      { scope: 'wallet', kind: 'budget', used: 5 * CENT_NANOS, remaining: 0 },
    ]);
  });
});

describe('the limits in force', () => {
  it('are those of key, user and wallet, none where a copy names none', () => {
    const requests = [{ limit: 1, spanMs: MINUTE_MS }];
    const { limits: _, ...wallet } = walletCopy(OWNER);
    expect(limitsInForce({ ...limited({ key: { requests } }), wallet })).toEqual([
      [OWNER.keyId, { requests }],
      [OWNER.userId, {}],
      ['wallet', {}],
    ]);
  });
});

describe('what the scope of a key is asked', () => {
  it('is the protocol, client and address as far as they were told', () => {
    const call = admitCall(OWNER.keyId, idOf('request', 1));
    expect(scopedCallOf(call, [MODEL])).toEqual({
      models: [MODEL],
      protocol: 'anthropic',
      userAgent: null,
      address: null,
    });
    const told = { userAgent: 'claude-cli/2', address: '::1' };
    expect(scopedCallOf({ ...call, ...told }, [])).toMatchObject({ models: [], ...told });
  });
});

describe('what is available for new holds', () => {
  it('is the balance less holds, or what limits leave when that is less', () => {
    const ledger = ledgerOf({});
    run(ledger, 1, CENT_NANOS);
    run(ledger, 2, null);
    const free = 10 * 100 * CENT_NANOS - CENT_NANOS - HOLD_NANOS;
    const within = (cents: number | null) => {
      const limitNanos = nanos((cents ?? 0) * CENT_NANOS);
      const user = cents === null ? {} : { budgets: [{ period: 'day', limitNanos }] as const };
      const facts = limitFactsOf(limited({ user }), ledger.state, NOW);
      return availableWithin(ledger.state, { ...facts, families: ['opus'] });
    };
    expect(within(null)).toBe(free);
    expect(within(5_000)).toBe(free);
    expect(within(20)).toBe(19 * CENT_NANOS - HOLD_NANOS);
  });
});

describe('the notice in the headers of an answer', () => {
  const notice = (sets: Sets, families: readonly string[] = ['opus']) => {
    const ledger = ledgerOf(sets);
    run(ledger, 1, CENT_NANOS);
    return noticeOf({ ...limitFactsOf(limited(sets), ledger.state, NOW), families });
  };

  it('is none where nothing is limited', () => {
    expect(notice({})).toBeNull();
  });

  it('shows the tightest window of all three, and no cap where there is none', () => {
    const requests = (limit: number) => ({ requests: [{ limit, spanMs: HOUR_MS }] });
    const headers = notice({ key: requests(9), user: requests(5), wallet: requests(7) });
    expect(headers).toMatchObject({
      'anthropic-ratelimit-requests-limit': '5',
      'anthropic-ratelimit-requests-remaining': '4',
    });
    expect(Object.keys(headers ?? {})).toHaveLength(3);
  });

  it('shows the tightest cap that the model counts in', () => {
    const of = (cents: number) => nanos(cents * CENT_NANOS);
    const sets: Sets = {
      key: { budgets: [{ period: 'day', limitNanos: of(10) }] },
      wallet: { budgets: [{ period: 'total', limitNanos: of(5), family: 'opus' }] },
    };
    const used = 'anthropic-ratelimit-unified-overage-utilization';
    expect(notice(sets)).toMatchObject({ [used]: '0.20' });
    expect(notice(sets, ['haiku'])).toMatchObject({ [used]: '0.10' });
  });
});

describe('the own usage', () => {
  it('shows of each period the tightest cap of key, user and wallet, families too', () => {
    const budget = (period: 'day' | 'week' | 'month' | 'total', cents: number) => ({
      period,
      limitNanos: nanos(cents * CENT_NANOS),
    });
    const sets: Sets = {
      key: { budgets: [budget('month', 10), budget('day', 50)] },
      user: { budgets: [{ ...budget('day', 20), family: 'opus' }] },
      wallet: { budgets: [budget('total', 5), budget('week', 40)] },
    };
    const ledger = ledgerOf(sets);
    run(ledger, 1, CENT_NANOS);
    const { limits, extra_usage } = usageOf(limited(sets), ledger.state, NOW);
    const shown = limits.map(({ group, percent }) => [group, percent]);
    expect(shown).toEqual([
      ['daily', 5],
      ['weekly', 2],
      ['monthly', 10],
    ]);
    // The one for all time is the tightest of all.
    expect(extra_usage).toMatchObject({ monthly_limit: 5, used_credits: 1, utilization: 20 });
  });

  it('shows what the user spent today, this week and this month to one without a cap', () => {
    const ledger = ledgerOf({}, NOW - 12 * 24 * HOUR_MS);
    run(ledger, 1, 4 * CENT_NANOS);
    ledger.wallClock = NOW - 2 * 24 * HOUR_MS;
    run(ledger, 2, 2 * CENT_NANOS);
    ledger.wallClock = NOW;
    run(ledger, 3, CENT_NANOS);
    const { extra_usage }: UsageDocument = usageOf(limited({}), ledger.state, NOW);
    expect(extra_usage).toMatchObject({
      monthly_limit: null,
      used_credits: 7,
      daily: { used_credits: 1 },
      weekly: { used_credits: 3 },
    });
  });
});
