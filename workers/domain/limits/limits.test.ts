import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LimitScope } from '../errors';
import { nanos } from '../money';
import { emptyBook, postToBook } from './budget';
import { countEnded, countHeld, countOpened, countUsed, emptyCounters } from './counters';
import type { LimitSet } from './limit-set';
import type { Holder, LimitedCall, LimitFacts } from './limits';
import { checkScope, decideLimits, moneyLeft } from './limits';

const NOW = Date.UTC(2026, 10, 23, 12);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const CALL: LimitedCall = {
  models: ['claude-opus-5'],
  families: ['opus'],
  protocol: 'anthropic',
  userAgent: 'claude-cli/2.1.330',
  address: '203.0.113.9',
  tokens: { needed: 100, hold: 400 },
  cost: { needed: 10, hold: 40 },
};

type Sets = Partial<Record<LimitScope, LimitSet>>;

function known(sets: Sets): LimitFacts {
  const holder = (scope: LimitScope): Holder => {
    const limits = sets[scope] ?? {};
    return { id: scope, limits, counters: emptyCounters(limits) };
  };
  const holders = { key: holder('key'), user: holder('user'), wallet: holder('wallet') };
  return { holders, book: emptyBook('UTC'), now: NOW };
}

function all(facts: LimitFacts, count: (holder: Holder) => void): void {
  for (const holder of Object.values(facts.holders)) count(holder);
}

function admit(facts: LimitFacts, at = NOW): void {
  all(facts, ({ counters }) => countOpened(counters, { at, seenAt: at }));
}

function use(facts: LimitFacts, tokens: number, cost: number): void {
  const used = { tokens, costNanos: nanos(cost), at: facts.now, seenAt: facts.now };
  all(facts, ({ counters }) => countUsed(counters, used));
  const posting = { holders: ['key', 'user', 'wallet'], family: 'opus', at: facts.now };
  postToBook(facts.book, { ...posting, spentNanos: nanos(cost) });
}

function hold(facts: LimitFacts, tokens: number, cost: number): void {
  all(facts, ({ counters }) => countHeld(counters, { tokens, nanos: nanos(cost) }));
  const posting = { holders: ['key', 'user', 'wallet'], family: 'opus', at: facts.now };
  postToBook(facts.book, { ...posting, heldNanos: nanos(cost) });
}

const window = (limit: number, spanMs = MINUTE_MS) => [{ limit, spanMs }];

describe('decideLimits', () => {
  it('lets everything in where nothing is limited', () => {
    const facts = known({});
    admit(facts);
    use(facts, 1e9, 1e12);
    hold(facts, 1e9, 1e12);
    expect(decideLimits({ ...facts, call: CALL })).toBe(null);
    expect(moneyLeft({ ...facts, families: ['opus'] })).toBe(null);
  });

  it('refuses in a fixed order, and the key before the user and the wallet', () => {
    const budgets = [{ period: 'day', limitNanos: nanos(5) }] as const;
    const spent: LimitSet = {
      concurrency: 1,
      requests: window(1),
      tokens: window(150),
      cost: window(15),
      budgets,
    };
    const scope = { models: { deny: ['*opus*'] }, clients: ['curl/*'], addresses: ['::1'] };
    const keys: LimitSet = { ...spent, ...scope, protocols: ['gemini'] };
    const facts = known({ key: keys, user: { ...spent }, wallet: { ...spent } });
    admit(facts);
    use(facts, 100, 10);
    const order: string[] = [];
    for (let step = 0; step < 40; step += 1) {
      const refusal = decideLimits({ ...facts, call: CALL });
      if (refusal === null) break;
      const { kind } = refusal;
      if (kind !== 'rate-limited' && kind !== 'budget-spent' && kind !== 'not-allowed') break;
      const what = kind === 'budget-spent' ? 'budgets' : refusal.what;
      order.push(kind === 'not-allowed' ? what : `${refusal.scope} ${what}`);
      lift(facts, refusal.kind === 'not-allowed' ? 'key' : refusal.scope, what);
    }
    expect(order).toEqual(
      [
        ['model', 'client', 'address', 'protocol'],
        ['key concurrency', 'user concurrency', 'wallet concurrency'],
        ['key requests', 'user requests', 'wallet requests'],
        ['key tokens', 'user tokens', 'wallet tokens'],
        ['key cost', 'user cost', 'wallet cost'],
        ['key budgets', 'user budgets', 'wallet budgets'],
      ].flat(),
    );
  });

  /** Takes the limit away that refused. */
  function lift(facts: LimitFacts, scope: LimitScope, what: string): void {
    const named: Record<string, string> = {
      model: 'models',
      client: 'clients',
      address: 'addresses',
      protocol: 'protocols',
    };
    const limits = facts.holders[scope].limits as Record<string, unknown>;
    delete limits[named[what] ?? what];
  }

  it('tells when a window of requests lifts, and lets in just then', () => {
    const facts = known({ user: { requests: window(2) } });
    admit(facts);
    admit(facts, NOW + 10_000);
    const at = (now: number) => decideLimits({ ...facts, now, call: CALL });
    const refusal = at(NOW + 20_000);
    expect(refusal).toMatchObject({
      kind: 'rate-limited',
      scope: 'user',
      what: 'requests',
      limit: 2,
      spanMs: MINUTE_MS,
    });
    const wait = refusal?.kind === 'rate-limited' ? (refusal.retryAfterMs ?? 0) : 0;
    expect(wait).toBeGreaterThanOrEqual(40_000);
    expect(wait).toBeLessThanOrEqual(40_061);
    expect(at(NOW + 20_000 + wait - 1)).toEqual({ ...refusal, retryAfterMs: 1 });
    expect(at(NOW + 20_000 + wait)).toBe(null);
  });

  it('names the window that takes longest of several that are full', () => {
    const requests = [...window(1), ...window(1, HOUR_MS)];
    const facts = known({ key: { requests } });
    admit(facts);
    expect(decideLimits({ ...facts, call: CALL })).toMatchObject({ spanMs: HOUR_MS });
  });

  it('says that a request above the whole limit does not fit by waiting', () => {
    const facts = known({ wallet: { tokens: window(99) } });
    expect(decideLimits({ ...facts, call: CALL })).toEqual({
      kind: 'rate-limited',
      scope: 'wallet',
      what: 'tokens',
      limit: 99,
      spanMs: MINUTE_MS,
      retryAfterMs: null,
    });
  });

  it('lets a request begin that needs what is left, while nothing else is held', () => {
    const facts = known({ key: { tokens: window(100), cost: window(10) } });
    expect(decideLimits({ ...facts, call: CALL })).toBe(null);
    expect(moneyLeft({ ...facts, families: [] })).toBe(10);
  });

  it('asks to wait two seconds for what requests in flight hold', () => {
    for (const limits of [
      { tokens: window(450) },
      { cost: window(45) },
      { budgets: [{ period: 'day', limitNanos: nanos(45) }] },
    ] as const) {
      const facts = known({ key: limits });
      admit(facts);
      hold(facts, 200, 20);
      const refusal = decideLimits({ ...facts, call: CALL });
      expect(refusal).toMatchObject({ kind: 'rate-limited', spanMs: null, retryAfterMs: 2_000 });
      hold(facts, -200, -20);
      expect(decideLimits({ ...facts, call: CALL })).toBe(null);
    }
  });

  it('asks to wait too where a part of the budget is spent and others hold the rest', () => {
    const facts = known({ key: { budgets: [{ period: 'day', limitNanos: nanos(100) }] } });
    use(facts, 0, 50);
    hold(facts, 0, 11);
    expect(decideLimits({ ...facts, call: CALL })).toMatchObject({
      kind: 'rate-limited',
      what: 'cost',
      limit: 100,
      retryAfterMs: 2_000,
    });
    hold(facts, 0, -1);
    expect(decideLimits({ ...facts, call: CALL })).toBe(null);
  });

  it('names the first of several limits that lift at the same time', () => {
    const tokens = [...window(99), ...window(98, HOUR_MS)];
    const refusal = decideLimits({ ...known({ key: { tokens } }), call: CALL });
    expect(refusal).toMatchObject({ limit: 99, retryAfterMs: null });
  });

  it('lets in what just fits, spent and held', () => {
    const budgets = [{ period: 'day', limitNanos: nanos(100) }] as const;
    const facts = known({ key: { budgets, cost: window(100), tokens: window(1_000) } });
    use(facts, 500, 50);
    hold(facts, 100, 10);
    expect(decideLimits({ ...facts, call: CALL })).toBe(null);
    hold(facts, -100, -10);
    use(facts, 400, 40);
    expect(decideLimits({ ...facts, call: CALL })).toBe(null);
    use(facts, 1, 0);
    expect(decideLimits({ ...facts, call: CALL })).toMatchObject({ what: 'tokens' });
  });

  it('refuses a spent budget until it resets, and one for all time without a wait', () => {
    const at = (period: 'day' | 'total', family?: string) => {
      const budget = { period, limitNanos: nanos(50), ...(family === undefined ? {} : { family }) };
      const facts = known({ wallet: { budgets: [budget] } });
      use(facts, 0, 41);
      return decideLimits({ ...facts, call: CALL });
    };
    const short = { neededNanos: CALL.cost.needed, leftNanos: 9 };
    const refusal = { kind: 'budget-spent', scope: 'wallet', limitNanos: 50, ...short };
    const resetsAt = Date.UTC(2026, 10, 24);
    const day = { ...refusal, period: 'day', resetsAt, retryAfterMs: 12 * HOUR_MS };
    expect(at('day')).toEqual(day);
    expect(at('day', 'opus')).toEqual(day);
    expect(at('day', 'haiku')).toBe(null);
    const total = { ...refusal, period: 'total', resetsAt: null, retryAfterMs: null };
    expect(at('total')).toEqual(total);
  });

  it('refuses what is all of a budget until it resets, and more than that for ever', () => {
    const at = (limit: number) => {
      const facts = known({ key: { budgets: [{ period: 'day', limitNanos: nanos(limit) }] } });
      use(facts, 0, 1);
      return decideLimits({ ...facts, call: CALL });
    };
    const { needed } = CALL.cost;
    expect(at(needed)).toMatchObject({ kind: 'budget-spent', retryAfterMs: 12 * HOUR_MS });
    expect(at(needed - 1)).toMatchObject({ kind: 'budget-spent', retryAfterMs: null });
  });

  it('says what is needed and left only where something is left', () => {
    const at = (limit: LimitSet, used: number) => {
      const facts = known({ key: limit });
      use(facts, 0, used);
      return decideLimits({ ...facts, call: CALL });
    };
    const budgets = [{ period: 'day' as const, limitNanos: nanos(50) }];
    expect(at({ budgets }, 50)).not.toHaveProperty('leftNanos');
    expect(at({ cost: window(50) }, 41)).toMatchObject({ needed: CALL.cost.needed, left: 9 });
    expect(at({ cost: window(50) }, 50)).not.toHaveProperty('left');
  });

  it('names the budget that resets last of several that are spent', () => {
    const budgets = (['day', 'month', 'week'] as const).map((period) => ({
      period,
      limitNanos: nanos(15),
    }));
    const facts = known({ key: { budgets } });
    use(facts, 0, 6);
    expect(decideLimits({ ...facts, call: CALL })).toMatchObject({ period: 'month' });
  });

  it('promises no wait to a request that is dearer than a whole budget', () => {
    const budgets = [{ period: 'day', limitNanos: nanos(9) }] as const;
    const refusal = decideLimits({ ...known({ key: { budgets } }), call: CALL });
    const resetsAt = Date.UTC(2026, 10, 24);
    expect(refusal).toMatchObject({ kind: 'budget-spent', resetsAt, retryAfterMs: null });
  });

  it('admits exactly the limit of 10,000 calls at once: requests, concurrency, money', () => {
    const call = { ...CALL, tokens: { needed: 7, hold: 7 }, cost: { needed: 3, hold: 3 } };
    for (const limits of [
      { requests: window(137) },
      { concurrency: 137 },
      { tokens: window(137 * 7 + 6) },
      { cost: window(137 * 3 + 2) },
      { budgets: [{ period: 'month', limitNanos: nanos(137 * 3 + 2) }] },
    ] as const) {
      const facts = known({ wallet: limits });
      let admitted = 0;
      for (let request = 0; request < 10_000; request += 1) {
        if (decideLimits({ ...facts, call }) !== null) continue;
        admit(facts);
        hold(facts, 7, 3);
        admitted += 1;
      }
      expect(admitted).toBe(137);
    }
  });

  it('never lets tokens or money pass a limit while each request uses at most its hold', () => {
    const steps = fc.array(
      fc.record({
        passes: fc.nat(30_000),
        ends: fc.boolean(),
        hold: fc.integer({ min: 1, max: 60 }),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(steps, (steps) => {
        const limits: LimitSet = {
          cost: window(100),
          concurrency: 4,
          budgets: [{ period: 'day', limitNanos: nanos(400) }],
        };
        let facts = known({ key: limits });
        const open: { readonly at: number; readonly hold: number; readonly used: number }[] = [];
        const spent: { readonly at: number; readonly used: number }[] = [];
        for (const { passes, ends, hold: asked, part } of steps) {
          facts = { ...facts, now: facts.now + passes };
          const ended = ends ? open.shift() : undefined;
          if (ended !== undefined) {
            const { at, used } = ended;
            all(facts, ({ counters }) => countEnded(counters));
            const when = { at, seenAt: facts.now };
            all(facts, ({ counters }) =>
              countHeld(counters, { tokens: 0, nanos: nanos(-ended.hold) }),
            );
            all(facts, ({ counters }) =>
              countUsed(counters, { tokens: 0, costNanos: nanos(used), ...when }),
            );
            const posting = { holders: ['key'], family: 'opus', at };
            postToBook(facts.book, {
              ...posting,
              spentNanos: nanos(used),
              heldNanos: nanos(-ended.hold),
            });
          }
          const left = moneyLeft({ ...facts, families: ['opus'] }) ?? nanos(0);
          const cost = { needed: Math.ceil(asked / 2), hold: asked };
          if (decideLimits({ ...facts, call: { ...CALL, cost } }) !== null) continue;
          const held = Math.min(asked, left);
          expect(held).toBeGreaterThanOrEqual(cost.needed);
          admit(facts, facts.now);
          hold(facts, 0, held);
          const used = Math.floor(held * part);
          open.push({ at: facts.now, hold: held, used });
          spent.push({ at: facts.now, used });
          expect(open.length).toBeLessThanOrEqual(4);
        }
        for (const { at: end } of spent) {
          const within = spent.filter(({ at }) => at <= end && at > end - MINUTE_MS);
          expect(within.reduce((sum, { used }) => sum + used, 0)).toBeLessThanOrEqual(100);
        }
        expect(spent.reduce((sum, { used }) => sum + used, 0)).toBeLessThanOrEqual(400);
      }),
    );
  });
});

describe('checkScope', () => {
  it.each([
    [{ models: { allow: ['claude-haiku-*'] } }, 'model'],
    [{ clients: ['curl/*'] }, 'client'],
    [{ addresses: ['10.0.0.0/8'] }, 'address'],
    [{ protocols: ['openai' as const] }, 'protocol'],
  ])('refuses by %j', (limits, what) => {
    expect(checkScope(limits, CALL)).toEqual({ kind: 'not-allowed', what });
  });

  it('refuses a request of which one fallback alone is not allowed', () => {
    const models = ['claude-opus-5', 'claude-haiku-5'];
    const limits = { models: { deny: ['*haiku*'] } };
    expect(checkScope(limits, { ...CALL, models })).toEqual({ kind: 'not-allowed', what: 'model' });
    expect(checkScope(limits, CALL)).toBe(null);
  });

  it('asks nothing of the models of a request that names none', () => {
    expect(checkScope({ models: { allow: ['x'] } }, { ...CALL, models: [] })).toBe(null);
  });
});

describe('moneyLeft', () => {
  it('is what the tightest of all windows and budgets leaves beside spent and held', () => {
    const facts = known({
      key: { cost: window(1_000) },
      user: { budgets: [{ period: 'week', limitNanos: nanos(900) }] },
      wallet: { budgets: [{ period: 'total', limitNanos: nanos(500), family: 'opus' }] },
    });
    use(facts, 0, 100);
    hold(facts, 0, 50);
    expect(moneyLeft({ ...facts, families: ['opus'] })).toBe(350);
    expect(moneyLeft({ ...facts, families: ['haiku'] })).toBe(750);
    const windowed = known({ user: { cost: window(600) } });
    use(windowed, 0, 100);
    hold(windowed, 0, 50);
    expect(moneyLeft({ ...windowed, families: [] })).toBe(450);
    use(windowed, 0, 700);
    expect(moneyLeft({ ...windowed, families: [] })).toBe(-250);
  });

  it('asks the budgets of the day in which a running request was admitted', () => {
    const today = known({ key: { budgets: [{ period: 'day', limitNanos: nanos(100) }] } });
    use(today, 0, 70);
    const tomorrow = { ...today, now: NOW + 24 * HOUR_MS, families: [] };
    expect(moneyLeft(tomorrow)).toBe(100);
    expect(moneyLeft({ ...tomorrow, admittedAt: NOW })).toBe(30);
  });
});
