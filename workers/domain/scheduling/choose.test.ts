import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Seen } from '../../../tests/support/pool-accounts';
import {
  account,
  accountId,
  asked,
  elsewhereHosted,
  markOn,
  MODEL,
  NOW,
  viewsOf,
} from '../../../tests/support/pool-accounts';
import type { Mark } from '../health/calls';
import { nanos } from '../money';
import type { SnapshotAccount } from '../snapshot';
import type { Asked } from './choose';
import { choose } from './choose';
import { rank } from './rendezvous';

const FIVE = [1, 2, 3, 4, 5].map((n) => account(n));
const HOUR_AHEAD = NOW + 3_600_000;

describe('choose: who may serve', () => {
  it.each([
    { why: 'status', given: { status: 'disabled' } },
    { why: 'status', given: { status: 'draining' } },
    { why: 'status', given: { weight: 0 } },
    { why: 'model', given: { models: ['claude-haiku-5-5'] } },
    { why: 'model', given: { models: [] } },
    { why: 'hours', given: { activeHours: hoursOn([0]) } },
  ] as const)('leaves out an account for its $why: $given', ({ why, given }) => {
    const one = account(1, given);
    expect(choose([one], asked(), viewsOf())).toEqual({
      candidates: [],
      absent: [{ account: one, why }],
    });
  });

  it('asks every account where no model is named', () => {
    const one = account(1, { models: [] });
    expect(idsOf([one], { model: null, family: null })).toEqual([one.id]);
  });

  it('says what an account cannot take', () => {
    const refusals = new Map([[accountId(1), 'no files']]);
    const { candidates, absent } = choose(FIVE, asked(), viewsOf({ refusals }));
    expect(candidates).toHaveLength(4);
    expect(absent).toEqual([{ account: FIVE[0], why: { cannot: 'no files' } }]);
  });

  it('serves a draining account, or one of no weight, only to whom it is warm for', () => {
    for (const given of [{ status: 'draining' }, { weight: 0 }] as const) {
      const leaving = account(9, given);
      const ids = (warm: Asked['warm']) => idsOf([...FIVE, leaving], { warm });
      expect(ids(null)).not.toContain(leaving.id);
      expect(ids(accountId(1))).not.toContain(leaving.id);
      expect(ids(leaving.id)[0]).toBe(leaving.id);
    }
  });

  it('serves a draining account to a request that names what it holds', () => {
    const leaving = account(9, { status: 'draining', weight: 0 });
    expect(idsOf([...FIVE, leaving], { owner: leaving.id })).toEqual([leaving.id]);
  });

  it('never serves a disabled account, warm or owner', () => {
    const gone = account(9, { status: 'disabled' });
    expect(idsOf([...FIVE, gone], { warm: gone.id })).not.toContain(gone.id);
    expect(idsOf([...FIVE, gone], { owner: gone.id })).toEqual([]);
  });
});

describe('choose: bound groups', () => {
  const both = account(1, { groups: ['team', 'eu'] });
  const team = account(2, { groups: ['team'] });
  const none = account(3);
  const all = [both, team, none];

  it.each([
    { groups: [], served: [1, 2, 3] },
    { groups: [['team']], served: [1, 2] },
    { groups: [['team', 'eu']], served: [1, 2] },
    { groups: [['team'], ['eu']], served: [1] },
    { groups: [['other']], served: [] },
    { groups: [[]], served: [] },
  ])('serves a request bound to $groups from accounts $served', ({ groups, served }) => {
    expect(idsOf(all, { groups }).toSorted()).toEqual(served.map(accountId).toSorted());
  });

  it('binds the warm account and the owner as well', () => {
    expect(idsOf(all, { groups: [['eu']], warm: team.id })).toEqual([both.id]);
    expect(idsOf(all, { groups: [['eu']], owner: team.id })).toEqual([]);
  });

  it('does not take the prompt cache group for a label', () => {
    expect(idsOf([account(1, { group: 'team' })], { groups: [['team']] })).toEqual([]);
  });
});

describe('choose: caps', () => {
  const capped = account(1, {
    maxConcurrency: 2,
    dailyCapNanos: nanos(100),
    monthlyCapNanos: nanos(1_000),
  });

  it.each([
    { load: {}, why: null },
    { load: { inFlight: 1, dayNanos: nanos(99), monthNanos: nanos(999) }, why: null },
    { load: { inFlight: 2 }, why: 'concurrency' },
    { load: { dayNanos: nanos(100) }, why: 'cap' },
    { load: { monthNanos: nanos(1_000) }, why: 'cap' },
  ])('holds an account of limits with $load back: $why', ({ load, why }) => {
    const views = viewsOf({ loads: new Map([[capped.id, load]]) });
    const { absent } = choose([capped], asked(), views);
    expect(absent.map((one) => one.why)).toEqual(why === null ? [] : [why]);
  });

  it('asks an exact account for a slot rather than guess, but not beyond a cap', () => {
    const exact = { ...capped, isHard: true };
    const full = viewsOf({ loads: new Map([[exact.id, { inFlight: 9 }]]) });
    expect(choose([exact], asked(), full).candidates).toHaveLength(1);
    const spent = viewsOf({ loads: new Map([[exact.id, { dayNanos: nanos(100) }]]) });
    expect(choose([exact], asked(), spent).candidates).toEqual([]);
  });
});

describe('choose: order', () => {
  it('ranks a tier by the rendezvous choice, and no worse tier before a better', () => {
    const tiers = FIVE.map((one, n) => ({ ...one, priority: n % 2 }));
    const best = tiers.filter(({ priority }) => priority === 0);
    const rest = tiers.filter(({ priority }) => priority === 1);
    for (let n = 0; n < 50; n += 1) {
      const tag = `t${n}`;
      const expected = [...rank(tag, best), ...rank(tag, rest)].map(({ id }) => id);
      expect(idsOf(tiers, { tag })).toEqual(expected);
    }
  });

  it('puts the warm account first', () => {
    for (const { id } of FIVE) {
      const [first, ...others] = idsOf(FIVE, { warm: id });
      expect(first).toBe(id);
      expect(others).toEqual(idsOf(FIVE).filter((other) => other !== id));
    }
  });

  it('puts a warm account of a worse tier first within that tier only', () => {
    const worse = [8, 9].map((n) => account(n, { priority: 5 }));
    for (const { id } of worse) {
      const ids = idsOf([...worse, ...FIVE], { warm: id });
      expect(ids.slice(0, 5)).toEqual(idsOf(FIVE));
      expect(ids[5]).toBe(id);
    }
  });

  it('puts those that share the warm account’s cache next, also when it is not to be had', () => {
    const mates = [6, 7, 8].map((n) => account(n, { group: 'org' }));
    const [gone, ...left] = mates;
    const shared = new Set<string>(left.map(({ id }) => id));
    for (const status of ['active', 'disabled'] as const) {
      const own = { ...account(6, { group: 'org' }), status };
      for (let n = 0; n < 20; n += 1) {
        const ids = idsOf([own, ...left, ...FIVE], { tag: `t${n}`, warm: gone?.id ?? null });
        const next = status === 'active' ? ids.slice(1, 3) : ids.slice(0, 2);
        expect(new Set<string>(next)).toEqual(shared);
      }
    }
  });

  it('takes accounts of no group for strangers to one another', () => {
    const mixed = [...FIVE, ...[6, 7, 8].map((n) => account(n, { group: 'org' }))];
    for (const tag of 'abcdefghijkl') {
      const others = idsOf(mixed, { tag }).filter((id) => id !== accountId(1));
      expect(idsOf(mixed, { tag, warm: accountId(1) }).slice(1)).toEqual(others);
    }
  });

  it('calls nobody but the owner', () => {
    for (const { id } of FIVE) {
      expect(idsOf(FIVE, { owner: id, warm: accountId(3) })).toEqual([id]);
    }
    expect(idsOf(FIVE, { owner: accountId(9) })).toEqual([]);
  });
});

describe('choose: properties', () => {
  const some = fc.uniqueArray(
    fc.record({
      n: fc.integer({ min: 1, max: 40 }),
      weight: fc.integer({ min: 0, max: 4 }),
      priority: fc.integer({ min: 0, max: 2 }),
      group: fc.constantFrom(null, 'x', 'y'),
      status: fc.constantFrom('active', 'active', 'draining', 'disabled'),
      models: fc.constantFrom(null, [MODEL], []),
      groups: fc.subarray(['a', 'b']),
    }),
    { selector: ({ n }) => n, maxLength: 12 },
  );
  const accounts = some.map((all) => all.map(({ n, ...given }) => account(n, given)));
  const whose = fc.option(fc.integer({ min: 1, max: 40 }).map(accountId));
  const request = fc
    .record({ tag: fc.string(), warm: whose, groups: fc.subarray([['a'], ['a', 'b']]) })
    .map(asked);

  it('gives the same list whatever the order of the input', () => {
    fc.assert(
      fc.property(accounts, request, fc.infiniteStream(fc.nat()), (all, one, keys) => {
        const mixed = all
          .map((each) => ({ each, key: keys.next().value }))
          .toSorted((a, b) => a.key - b.key)
          .map(({ each }) => each);
        const { candidates } = choose(mixed, one, viewsOf());
        expect(candidates).toEqual(choose(all, one, viewsOf()).candidates);
      }),
    );
  });

  it('lists each account once, as a candidate or with the reason why not', () => {
    fc.assert(
      fc.property(accounts, request, (all, one) => {
        const { candidates, absent } = choose(all, one, viewsOf());
        const ids = [...candidates, ...absent].map((each) => each.account.id);
        expect(ids.toSorted()).toEqual(all.map(({ id }) => id).toSorted());
      }),
    );
  });

  it('keeps the order of those that stay when one goes away', () => {
    const cold = request.map((one) => ({ ...one, warm: null }));
    const alone = accounts.map((all) => all.map((one) => ({ ...one, group: null })));
    fc.assert(
      fc.property(alone, cold, fc.nat(), (all, one, which) => {
        const gone = all[which % Math.max(1, all.length)];
        const left = all.filter((each) => each !== gone);
        const before = choose(all, one, viewsOf()).candidates;
        const after = choose(left, one, viewsOf()).candidates;
        expect(after).toEqual(before.filter((each) => each.account !== gone));
      }),
    );
  });

  it('never lists another account than the owner', () => {
    fc.assert(
      fc.property(accounts, request, fc.integer({ min: 1, max: 40 }), (all, one, n) => {
        const owner = accountId(n);
        const { candidates } = choose(all, { ...one, owner }, viewsOf());
        expect(candidates.filter((each) => each.account.id !== owner)).toEqual([]);
      }),
    );
  });

  it('chooses alike with and without a view that knows who has marks at all', () => {
    const marks = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.boolean()));
    fc.assert(
      fc.property(accounts, request, marks, (all, one, held) => {
        const views = viewsOf({
          marks: held.map(([n, isOpen]) => markOn(accountId(n), isOpen ? 'open' : 'out', null)),
        });
        const marked = new Set(held.map(([n]) => accountId(n)));
        const quick = { ...views, isMarked: (id: SnapshotAccount['id']) => marked.has(id) };
        expect(choose(all, one, quick)).toEqual(choose(all, one, views));
      }),
    );
  });
});

describe('choose: shares of 100,000 conversations', () => {
  const shares = [
    account(1, { weight: 1, priority: 1 }),
    account(2, { weight: 2, priority: 1, group: 'org' }),
    account(3, { weight: 3, priority: 1, group: 'org' }),
    account(4, { weight: 4, priority: 1 }),
    account(5, { weight: 9, priority: 2 }),
    account(6, { weight: 9, priority: 0, status: 'draining' }),
  ];
  const TOTAL = 100_000;
  let before: readonly string[] = [];

  beforeAll(() => {
    before = firsts(shares);
  });

  it('are as the weights say, within 2 %, with groups and tiers', () => {
    const won = new Map<string, number>();
    for (const first of before) won.set(first, (won.get(first) ?? 0) + 1);
    for (const { id, weight } of shares.slice(0, 4)) {
      expect(Math.abs((won.get(id) ?? 0) / ((TOTAL * weight) / 10) - 1)).toBeLessThan(0.02);
    }
    expect(won.size).toBe(4);
  });

  it('move for one account that goes away only where it was chosen', () => {
    const [, , gone] = shares;
    const after = firsts(shares.filter((one) => one !== gone));
    let movedCount = 0;
    before.forEach((first, n) => {
      if (first === gone?.id) movedCount += 1;
      else if (after[n] !== first) throw new Error(`conversation ${n} moved for nothing`);
    });
    expect(Math.abs(movedCount / (TOTAL * 0.3) - 1)).toBeLessThan(0.02);
    expect(after).not.toContain(gone?.id);
  });

  function firsts(accounts: readonly SnapshotAccount[]): readonly string[] {
    const views = viewsOf();
    return Array.from({ length: TOTAL }, (_, n) => {
      const { candidates } = choose(accounts, asked({ tag: `conversation ${n}` }), views);
      return candidates[0]?.account.id ?? '';
    });
  }
});

describe('choose: how candidates stand', () => {
  const [one = account(1)] = FIVE;
  const { id } = one;

  it.each([
    { state: 'cooling', until: NOW + 1, standing: 'cooling' },
    { state: 'cooling', until: NOW, standing: 'ready' },
    { state: 'cooling', until: null, standing: 'cooling' },
    { state: 'out', until: null, standing: 'shut' },
    { state: 'out', until: NOW + 1, standing: 'shut' },
    { state: 'out', until: NOW, standing: 'ready' },
    { state: 'open', until: NOW + 1, standing: 'shut' },
    { state: 'open', until: null, standing: 'shut' },
    { state: 'open', until: NOW, standing: 'half-open' },
    { state: 'elsewhere', until: null, standing: 'ready' },
  ] as const)('is $standing when $state until $until', ({ state, until, standing }) => {
    const { candidates } = choose([one], asked(), viewsOf({ marks: [markOn(id, state, until)] }));
    const isHeld = standing !== 'ready';
    expect(candidates).toMatchObject([
      { standing, held: isHeld ? [{ of: 'account', accountId: id }] : [] },
    ]);
    expect(candidates[0]?.until).toBe(isHeld ? until : null);
  });

  it('keeps the order: what is held back stays where it is on the list', () => {
    const marks = FIVE.map((each) => markOn(each.id, 'out', null));
    expect(idsOf(FIVE, {}, { marks: marks.slice(2) })).toEqual(idsOf(FIVE));
  });

  it('goes by the heaviest of several marks, the longest of those, and names them all', () => {
    const marks: readonly Mark[] = [
      {
        ...markOn(id, 'cooling', NOW + 5),
        subject: { of: 'family', accountId: id, family: 'opus' },
      },
      { ...markOn(id, 'cooling', NOW + 9), subject: { of: 'model', accountId: id, model: MODEL } },
      markOn(id, 'open', NOW - 1),
    ];
    const [found] = choose([one], asked(), viewsOf({ marks })).candidates;
    expect(found).toMatchObject({ standing: 'cooling', until: NOW + 9 });
    expect(found?.held.map(({ of }) => of).toSorted()).toEqual(['account', 'family', 'model']);
    const overload = { of: 'provider', provider: 'anthropic', model: MODEL } as const;
    const shut = [...marks, { ...markOn(id, 'open', HOUR_AHEAD), subject: overload }];
    const [heavier] = choose([one], asked(), viewsOf({ marks: shut })).candidates;
    expect(heavier).toMatchObject({ standing: 'shut', until: HOUR_AHEAD });
    expect(heavier?.held).toContainEqual(overload);
  });

  it('is not held back by another model, family or provider', () => {
    const held = { state: 'out', reason: 'test', since: NOW, until: null } as const;
    const marks: readonly Mark[] = [
      { ...held, subject: { of: 'family', accountId: id, family: 'haiku' } },
      { ...held, subject: { of: 'model', accountId: id, model: 'claude-haiku-5-5' } },
      { ...held, subject: { of: 'provider', provider: 'compatible:a.example', model: MODEL } },
      { ...held, subject: { of: 'account', accountId: accountId(2) } },
    ];
    const other = elsewhereHosted(6, 'a.example');
    const { candidates } = choose([one, other], asked(), viewsOf({ marks }));
    const standings = new Map(candidates.map((each) => [each.account.id, each.standing]));
    expect(standings.get(id)).toBe('ready');
    expect(standings.get(other.id)).toBe('shut');
  });

  it('leaves through another region only from where it was refused, and while that lasts', () => {
    const subject = { of: 'colo', accountId: id, colo: 'HKG' } as const;
    const views = viewsOf({ marks: [{ ...markOn(id, 'elsewhere', HOUR_AHEAD), subject }] });
    const isElsewhere = (given: Partial<Asked>) =>
      choose([one], asked(given), views).candidates[0]?.isElsewhere;
    expect(isElsewhere({ colo: 'HKG' })).toBe(true);
    expect(isElsewhere({ colo: 'FRA' })).toBe(false);
    expect(isElsewhere({ colo: null })).toBe(false);
    expect(isElsewhere({ colo: 'HKG', now: HOUR_AHEAD })).toBe(false);
  });
});

function idsOf(
  accounts: readonly SnapshotAccount[],
  given: Partial<Asked> = {},
  seen: Seen = {},
): readonly string[] {
  return choose(accounts, asked(given), viewsOf(seen)).candidates.map((one) => one.account.id);
}

function hoursOn(days: readonly number[]) {
  return { timeZone: 'UTC', days, fromMinute: 0, toMinute: 1_440 };
}
