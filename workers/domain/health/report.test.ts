import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  accountFor,
  markOf,
  ONE,
  reportOf,
  SUBJECTS,
  tallyOf,
  TWO,
} from '../../../tests/support/health';
import { NOW } from '../../../tests/support/ledger';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../time';
import { nanos } from '../money';
import type { Mark, Report } from './calls';
import { COLO_MARKS_MAX, MARKS_MAX, MODEL_MARKS_MAX, resetAccount } from './marks';
import { takeReport } from './report';
import type { HealthState } from './state';
import { BREAKERS_MAX, emptyHealth, ISOLATES_MAX, knowAccounts } from './state';
import { statesOf, viewOf } from './view';

const ACCOUNTS = [accountFor(ONE), accountFor(TWO)];

let state: HealthState;
let n = 0;

beforeEach(() => {
  state = emptyHealth(1);
  knowAccounts(state, ACCOUNTS, NOW);
  n = 0;
});

function tell(report: Partial<Report>, now = NOW): void {
  n += 1;
  takeReport(state, reportOf(n, report), now);
}

function marksAt(now: number): readonly Mark[] {
  return viewOf(state, now).marks;
}

describe('a tally', () => {
  it('opens the breaker of its family at its account, and of nothing else', () => {
    tell({ tallies: [tallyOf({ failures: 5 })] });
    expect(marksAt(NOW)).toEqual([
      {
        subject: SUBJECTS.family,
        state: 'open',
        reason: 'failing',
        since: NOW,
        until: NOW + 30_000,
      },
    ]);
  });

  it('of overloads counts against the provider and never against the account', () => {
    tell({ tallies: [tallyOf({ overloads: 500 })] });
    expect(marksAt(NOW).map(({ subject, reason }) => [subject, reason])).toEqual([
      [SUBJECTS.provider, 'overloaded'],
    ]);
  });

  it('adds up over isolates', () => {
    for (const isolate of ['a', 'b', 'c', 'd']) {
      tell({ isolate, tallies: [tallyOf({ failures: 1 })] });
    }
    expect(marksAt(NOW)).toEqual([]);
    tell({ isolate: 'e', tallies: [tallyOf({ failures: 1 })] });
    expect(marksAt(NOW)).toHaveLength(1);
  });

  it('of an account that is not in the snapshot counts nowhere', () => {
    tell({ tallies: [tallyOf({ accountId: 'acc_gone', failures: 5 })] });
    expect(marksAt(NOW)).toEqual([]);
  });

  it('of any number of models is counted within bounds, and no open breaker is lost', () => {
    tell({ tallies: [tallyOf({ failures: 5 })] });
    for (let first = 0; first < 3 * BREAKERS_MAX; first += 1_000) {
      const tallies = Array.from({ length: 1_000 }, (_, index) =>
        tallyOf({ family: 'made-up', model: `made-up-${first + index}`, successes: 1 }),
      );
      tell({ tallies });
    }
    expect(state.breakers.size).toBe(BREAKERS_MAX);
    expect(marksAt(NOW).map(({ subject }) => subject)).toEqual([SUBJECTS.family]);
  });
});

describe('a report', () => {
  it('that comes again, or late, changes nothing', () => {
    const first = reportOf(1, { tallies: [tallyOf({ failures: 3, costNanos: nanos(7) })] });
    takeReport(state, first, NOW);
    takeReport(state, first, NOW + 1);
    takeReport(state, reportOf(3), NOW + 2);
    takeReport(state, reportOf(2, { marks: [markOf()] }), NOW + 3);
    expect(viewOf(state, NOW + 10_000)).toMatchObject({
      marks: [],
      loads: { [ONE]: { dayNanos: 7 } },
    });
  });

  it('of the same number from another isolate is another one', () => {
    takeReport(state, reportOf(1), NOW);
    takeReport(state, reportOf(1, { isolate: 'other', marks: [markOf()] }), NOW);
    expect(marksAt(NOW)).toEqual([markOf()]);
  });

  it('tells what runs, which is forgotten when its isolate is silent', () => {
    tell({ isolate: 'a', inFlight: { [ONE]: 2 } });
    takeReport(state, reportOf(1, { isolate: 'b', inFlight: { [ONE]: 3 } }), NOW + 10_000);
    const running = (at: number) => statesOf(state, ACCOUNTS, at)[0]?.load.inFlight;
    expect([running(NOW + 25_000), running(NOW + 25_001)]).toEqual([5, 3]);
    expect(running(NOW + 35_001)).toBe(0);
  });

  it('is remembered of so many isolates, those that were silent longest go first', () => {
    for (let isolate = 0; isolate <= ISOLATES_MAX; isolate += 1) {
      takeReport(state, reportOf(1, { isolate: `isolate-${isolate}` }), NOW);
    }
    expect(state.isolates.size).toBe(ISOLATES_MAX);
    expect(state.isolates.has('isolate-0')).toBe(false);
  });

  it('makes the version rise when it says something to act upon, else not', () => {
    const before = viewOf(state, NOW).version;
    tell({ tallies: [tallyOf({ successes: 9, costNanos: nanos(5) })], inFlight: { [ONE]: 4 } });
    expect(viewOf(state, NOW + 60_000).version).toBe(before);
    tell({ marks: [markOf()] }, NOW + 60_000);
    expect(viewOf(state, NOW + 60_000).version).toBeGreaterThan(before);
  });
});

describe('a mark', () => {
  const cooling = (until: number) => markOf({ state: 'cooling', reason: 'throttled', until });

  it('holds to its last millisecond', () => {
    tell({ marks: [cooling(NOW + 7_003)] });
    expect(marksAt(NOW + 7_002)).toHaveLength(1);
    expect(marksAt(NOW + 7_003)).toEqual([]);
  });

  it.each([
    ['the later of two instants', [cooling(NOW + 9), cooling(NOW + 5)], cooling(NOW + 9)],
    ['no end, whatever comes after it', [markOf(), cooling(NOW + 5)], markOf()],
    ['no end, whatever came before it', [cooling(NOW + 5), markOf()], markOf()],
  ])('stays until %s', (_, marks, expected) => {
    for (const mark of marks) tell({ marks: [mark] });
    expect(marksAt(NOW)).toEqual([expected]);
  });

  it('keeps its beginning while it is said again', () => {
    const later = { ...cooling(NOW + 9_000), since: NOW + 3_000 };
    tell({ marks: [cooling(NOW + 5_000)] });
    tell({ marks: [later] }, NOW + 3_000);
    expect(marksAt(NOW + 3_000)).toEqual([{ ...later, since: NOW }]);
  });

  it('is as good as any order of the same marks', () => {
    const marks = fc.array(fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 1_000 })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(marks, (ends) => {
        const fresh = emptyHealth(1);
        for (const [index, end] of ends.entries()) {
          const until = end === null ? null : NOW + end;
          takeReport(fresh, reportOf(index + 1, { marks: [markOf({ until })] }), NOW);
        }
        const latest = Math.max(...ends.map((end) => end ?? Number.POSITIVE_INFINITY));
        const until = Number.isFinite(latest) ? NOW + latest : null;
        expect(viewOf(fresh, NOW).marks).toEqual([markOf({ until })]);
      }),
    );
  });

  it('of a breaker or a provider is not an isolate’s to give, nor is one that is over', () => {
    tell({
      marks: [
        markOf({ subject: SUBJECTS.family, state: 'open', until: NOW + 5 }),
        markOf({ subject: SUBJECTS.provider }),
        markOf({ until: NOW }),
        markOf({ subject: { of: 'account', accountId: 'acc_gone' } }),
      ],
    });
    expect(marksAt(NOW)).toEqual([]);
  });

  it('of a place is held for a day at most', () => {
    tell({ marks: [markOf({ subject: SUBJECTS.colo, state: 'elsewhere' })] });
    expect(marksAt(NOW)[0]?.until).toBe(NOW + 24 * HOUR_MS);
  });

  it('of made-up models or places pushes out no other', () => {
    tell({ marks: [markOf(), markOf({ subject: { ...SUBJECTS.model, accountId: TWO } })] });
    for (let made = 0; made < 1_000; made += 1) {
      const model = markOf({ subject: { ...SUBJECTS.model, model: `made-up-${made}` } });
      const colo = markOf({
        subject: { ...SUBJECTS.colo, colo: `C${made}` },
        state: 'elsewhere',
      });
      tell({ marks: [model, colo] });
    }
    const of = marksAt(NOW).map(({ subject }) => subject.of);
    const count = (kind: string) => of.filter((each) => each === kind).length;
    expect([count('account'), count('model')]).toEqual([1, MODEL_MARKS_MAX + 1]);
    expect(count('colo')).toBe(COLO_MARKS_MAX);
  });

  it('is one of so many at most; whole accounts stay longest', () => {
    const ids = Array.from({ length: 400 }, (_, index) => `acc_${index}` as const);
    knowAccounts(
      state,
      ids.map((id) => accountFor(id)),
      NOW,
    );
    for (const accountId of ids) {
      const families = ['a', 'b', 'c', 'd', 'e', 'f'].map((family) =>
        markOf({ subject: { of: 'family', accountId, family } }),
      );
      tell({ marks: [markOf({ subject: { of: 'account', accountId } }), ...families] });
    }
    const marks = marksAt(NOW);
    expect(marks).toHaveLength(MARKS_MAX);
    expect(marks.filter(({ subject }) => subject.of === 'account')).toHaveLength(400);
  });

  it('goes with its account', () => {
    tell({ marks: [markOf()], tallies: [tallyOf({ failures: 5 })] });
    knowAccounts(state, [accountFor(TWO)], NOW);
    expect(marksAt(NOW)).toEqual([]);
  });
});

describe('a reset', () => {
  it('forgets all that holds the account back, and nothing of another', () => {
    const other = markOf({ subject: { of: 'account', accountId: TWO } });
    tell({
      marks: [markOf(), markOf({ subject: SUBJECTS.model }), other],
      tallies: [tallyOf({ failures: 5, overloads: 5 })],
    });
    const before = viewOf(state, NOW).version;
    resetAccount(state, accountFor(ONE), NOW);
    expect(viewOf(state, NOW).marks).toEqual([other]);
    expect(viewOf(state, NOW).version).toBeGreaterThan(before);
  });

  it('is not undone by what was seen before it and is told late', () => {
    resetAccount(state, accountFor(ONE), NOW + SECOND_MS);
    tell({ marks: [markOf(), markOf({ subject: SUBJECTS.model })] }, NOW + 2_000);
    expect(marksAt(NOW + 2_000)).toEqual([]);
    const fresh = markOf({ since: NOW + SECOND_MS + 1 });
    tell({ marks: [fresh] }, NOW + 2_000);
    expect(marksAt(NOW + 2_000)).toEqual([fresh]);
  });
});

describe('what people are told', () => {
  it('is the state of the whole account, with all that holds a part of it back', () => {
    const model = markOf({ subject: SUBJECTS.model, until: NOW + MINUTE_MS });
    tell({ marks: [model], tallies: [tallyOf({ overloads: 5 })] });
    const [one, two] = statesOf(state, ACCOUNTS, NOW);
    expect(one).toMatchObject({ accountId: ONE, state: 'ready' });
    expect(one?.marks.map(({ subject }) => subject.of)).toEqual(['model', 'provider']);
    expect(two?.marks.map(({ subject }) => subject.of)).toEqual(['provider']);
    tell({ marks: [markOf()] });
    expect(statesOf(state, ACCOUNTS, NOW)[0]).toMatchObject({ state: 'out' });
  });
});
