import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  accountFor,
  markOf,
  ONE,
  reportOf,
  SUBJECTS,
  tallyOf,
} from '../../../tests/support/health';
import { NOW } from '../../../tests/support/ledger';
import { OPEN_MS, PROBES } from '../breaker/breaker';
import { nanos } from '../money';
import type { SnapshotAccount } from '../snapshot';
import type { PermitCall, ProbeResult, Report } from './calls';
import { resetAccount } from './marks';
import { LAST_RESORT_EVERY_MS, permit } from './permits';
import { takeReport } from './report';
import type { HealthState } from './state';
import { emptyHealth, knowAccounts, PERMIT_LOST_MS, PERMITS_MAX } from './state';
import { viewOf } from './view';

let state: HealthState;
let made = 0;
let n = 0;

beforeEach(() => {
  state = emptyHealth(1);
  know({});
});

function know(differs: Partial<SnapshotAccount>): void {
  knowAccounts(state, [accountFor(ONE, differs)], NOW);
}

function tell(report: Partial<Report>, now = NOW): void {
  n += 1;
  takeReport(state, reportOf(n, report), now);
}

/** The permit's name; null: denied. */
function ask(call: Partial<PermitCall> = {}, now = NOW): string | null {
  made += 1;
  const usual = { isolate: 'isolate-1', kind: 'probe', accountId: ONE, subjects: [] } as const;
  const answer = permit(state, { ...usual, ...call }, { now, id: `permit-${made}` });
  return answer.granted ? answer.permit : null;
}

function end(permit: string | null, result: Partial<ProbeResult> = {}, now = NOW): void {
  if (permit === null) throw new Error('there was no permit');
  tell({ probes: [{ permit, isGood: null, ...result }] }, now);
}

const FAMILY = { subjects: [SUBJECTS.family] };
const HALF_OPEN_AT = NOW + OPEN_MS;

function openFamily(now = NOW): void {
  tell({ tallies: [tallyOf({ failures: 5 })] }, now);
}

function held(now: number): readonly string[] {
  return viewOf(state, now).marks.map(({ subject }) => subject.of);
}

describe('a probe', () => {
  it('is permitted once the breaker is half open, three at a time', () => {
    openFamily();
    expect(ask(FAMILY, HALF_OPEN_AT - 1)).toBeNull();
    const asked = Array.from({ length: 5 }, () => ask(FAMILY, HALF_OPEN_AT));
    expect(asked.filter((one) => one !== null)).toHaveLength(PROBES);
  });

  it('that is good lets the account in again with the others, a bad one keeps it out', () => {
    openFamily();
    for (let probe = 1; probe <= PROBES; probe += 1) {
      expect(held(HALF_OPEN_AT)).toEqual(['family']);
      end(ask(FAMILY, HALF_OPEN_AT), { isGood: true }, HALF_OPEN_AT);
    }
    expect(held(HALF_OPEN_AT)).toEqual([]);
    openFamily(HALF_OPEN_AT);
    const again = HALF_OPEN_AT + OPEN_MS;
    end(ask(FAMILY, again), { isGood: false }, again + 5);
    expect(viewOf(state, again + 5).marks[0]?.until).toBe(again + 5 + OPEN_MS);
    expect(ask(FAMILY, again + 5)).toBeNull();
  });

  it('must be let through by all that holds the account back, or takes no place of any', () => {
    openFamily();
    tell({ tallies: [tallyOf({ overloads: 5 })] }, NOW + 10);
    const both = { subjects: [SUBJECTS.family, SUBJECTS.provider] };
    for (let tries = 0; tries < 9; tries += 1) expect(ask(both, HALF_OPEN_AT)).toBeNull();
    const asked = Array.from({ length: 5 }, () => ask(both, HALF_OPEN_AT + 10));
    expect(asked.filter((one) => one !== null)).toHaveLength(PROBES);
  });

  it('that nobody tells of for a minute has told nothing, and its place is free', () => {
    openFamily();
    for (let probe = 0; probe < PROBES; probe += 1) ask(FAMILY, HALF_OPEN_AT);
    expect(ask(FAMILY, HALF_OPEN_AT + PERMIT_LOST_MS)).toBeNull();
    expect(ask(FAMILY, HALF_OPEN_AT + PERMIT_LOST_MS + 2_000)).not.toBeNull();
  });

  it('whose end is told twice counts once', () => {
    openFamily();
    const probe = ask(FAMILY, HALF_OPEN_AT);
    for (let told = 0; told < PROBES; told += 1) end(probe, { isGood: true }, HALF_OPEN_AT);
    expect(held(HALF_OPEN_AT)).toEqual(['family']);
  });

  it('of what is no longer held back is permitted to everybody', () => {
    openFamily();
    resetAccount(state, accountFor(ONE), NOW);
    for (let probe = 0; probe < 9; probe += 1) expect(ask(FAMILY)).not.toBeNull();
  });

  it('of an account that is out, or that has gone, is not permitted', () => {
    tell({ marks: [markOf()] });
    expect(ask()).toBeNull();
    expect(ask({ accountId: 'acc_gone' })).toBeNull();
  });
});

describe('a cooldown', () => {
  it.each(['probe', 'last-resort', 'slot'] as const)(
    'is passed by no %s before its end',
    (kind) => {
      know({ isHard: true });
      const until = NOW + 12_345;
      tell({ marks: [markOf({ subject: SUBJECTS.family, state: 'cooling', until })] });
      expect(ask({ ...FAMILY, kind }, until - 1)).toBeNull();
      expect(ask({ ...FAMILY, kind }, until)).not.toBeNull();
    },
  );
});

describe('a last resort', () => {
  const last = { kind: 'last-resort', subjects: [SUBJECTS.account] } as const;

  it('is permitted every five seconds for an account that is out', () => {
    tell({ marks: [markOf()] });
    expect(ask(last)).not.toBeNull();
    expect(ask(last, NOW + LAST_RESORT_EVERY_MS - 1)).toBeNull();
    expect(ask(last, NOW + LAST_RESORT_EVERY_MS)).not.toBeNull();
  });

  it('that is good makes the account ready, a bad one leaves it out', () => {
    tell({ marks: [markOf()] });
    end(ask(last), { isGood: false });
    expect(held(NOW)).toEqual(['account']);
    end(ask(last, NOW + 5_000), { isGood: true }, NOW + 5_100);
    expect(held(NOW + 5_100)).toEqual([]);
  });

  it('that was good is not undone by what was seen before it and is told late', () => {
    tell({ marks: [markOf()] });
    end(ask(last, NOW + 5_000), { isGood: true }, NOW + 5_100);
    tell({ marks: [markOf({ since: NOW + 4_000 })] }, NOW + 5_200);
    expect(held(NOW + 5_200)).toEqual([]);
    tell({ marks: [markOf({ since: NOW + 5_150 })] }, NOW + 5_200);
    expect(held(NOW + 5_200)).toEqual(['account']);
  });

  it('passes a breaker that is open, and when it is good the probes begin', () => {
    openFamily();
    const call = { ...last, subjects: [SUBJECTS.account, SUBJECTS.family] };
    end(ask(call, NOW + 1_000), { isGood: true }, NOW + 1_100);
    expect(ask(FAMILY, NOW + 1_100)).not.toBeNull();
    expect(ask(FAMILY, NOW + 1_100)).not.toBeNull();
    expect(ask(FAMILY, NOW + 1_100)).toBeNull();
  });
});

describe('a slot', () => {
  const slot = { kind: 'slot' } as const;

  it('is given for as many calls as the account takes, exactly', () => {
    know({ isHard: true, maxConcurrency: 2 });
    const [first, second, third] = [ask(slot), ask(slot), ask(slot)];
    expect([first === null, second === null, third]).toEqual([false, false, null]);
    end(first, { isGood: true, isRunning: true });
    expect(ask(slot)).toBeNull();
    end(first);
    expect(ask(slot)).not.toBeNull();
    expect(ask(slot)).toBeNull();
  });

  it('is taken by every permit of such an account, and by none of another', () => {
    know({ isHard: true, maxConcurrency: 1 });
    expect(ask()).not.toBeNull();
    expect(ask(slot)).toBeNull();
    know({ isHard: false, maxConcurrency: 1 });
    expect(ask(slot)).not.toBeNull();
  });

  it('is kept as long as its isolate lives, and a minute longer', () => {
    know({ isHard: true, maxConcurrency: 1 });
    ask(slot);
    let now = NOW;
    for (; now < NOW + 10 * PERMIT_LOST_MS; now += 20_000) tell({}, now);
    expect(ask(slot, now)).toBeNull();
    expect(ask(slot, now + PERMIT_LOST_MS + 2_000)).not.toBeNull();
  });

  it('is not kept by an isolate that lives and does not know of it', () => {
    know({ isHard: true, maxConcurrency: 1 });
    const lost = ask(slot);
    let now = NOW;
    for (; now <= NOW + PERMIT_LOST_MS + 2_000; now += 5_000) tell({ permits: [] }, now);
    const known = ask(slot, now);
    expect([lost === null, known === null]).toEqual([false, false]);
    const permits = known === null ? [] : [known];
    const end = now + 5 * PERMIT_LOST_MS;
    for (; now <= end; now += 5_000) tell({ permits }, now);
    expect(ask(slot, now)).toBeNull();
  });

  it.each(['dailyCapNanos', 'monthlyCapNanos'] as const)(
    'leaves what the calls under way may cost below %s',
    (cap) => {
      know({ isHard: true, [cap]: nanos(100) });
      tell({ tallies: [tallyOf({ costNanos: nanos(40) })] });
      const dear = { ...slot, reserveNanos: nanos(30) };
      const [first, second, third] = [ask(dear), ask(dear), ask(dear)];
      expect([first === null, second === null, third]).toEqual([false, false, null]);
      end(first, {}, NOW);
      tell({ tallies: [tallyOf({ costNanos: nanos(30) })] });
      expect(ask({ ...slot, reserveNanos: nanos(1) })).toBeNull();
      expect(ask(slot)).not.toBeNull();
    },
  );

  it('is not given for what is open or out', () => {
    know({ isHard: true });
    openFamily();
    expect(ask({ ...slot, ...FAMILY }, HALF_OPEN_AT)).toBeNull();
    tell({ marks: [markOf()] });
    expect(ask(slot)).toBeNull();
  });

  it('makes what runs at least as many as were given', () => {
    know({ isHard: true, maxConcurrency: 9 });
    for (let given = 0; given < 3; given += 1) ask(slot);
    expect(viewOf(state, NOW).loads[ONE]?.inFlight).toBe(3);
  });
});

describe('permits', () => {
  it('are so many at most', () => {
    for (let given = 0; given < PERMITS_MAX; given += 1) expect(ask()).not.toBeNull();
    expect(ask()).toBeNull();
  });

  it('let no more through than the rules say, in whatever order things happen', () => {
    const happening = fc.record({
      afterMs: fc.integer({ min: 0, max: 8_000 }),
      what: fc.constantFrom(
        'fail',
        'probe',
        'last-resort',
        'good',
        'bad',
        'nothing',
        'out',
        'cool',
      ),
    });
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 80 }), (history) => {
        state = emptyHealth(1);
        know({});
        let now = NOW;
        let coolUntil = 0;
        let lastResortAt = Number.NEGATIVE_INFINITY;
        const running: string[] = [];
        for (const { afterMs, what } of history) {
          now += afterMs;
          const breaker = state.breakers.get('family acc_one opus')?.breaker;
          if (what === 'fail') openFamily(now);
          if (what === 'out') tell({ marks: [markOf({ since: now })] }, now);
          if (what === 'cool') {
            coolUntil = Math.max(coolUntil, now + 3_000);
            const mark = { state: 'cooling', since: now, until: now + 3_000 } as const;
            tell({ marks: [markOf({ ...mark, subject: SUBJECTS.family })] }, now);
          }
          if (what === 'probe' || what === 'last-resort') {
            const given = ask({ ...FAMILY, kind: what }, now);
            if (given === null) continue;
            running.push(given);
            expect(now).toBeGreaterThanOrEqual(coolUntil);
            if (what === 'last-resort') {
              expect(now - lastResortAt).toBeGreaterThanOrEqual(LAST_RESORT_EVERY_MS);
              lastResortAt = now;
            } else {
              expect(now).toBeGreaterThanOrEqual(breaker?.opening?.until ?? 0);
              expect(viewOf(state, now).marks.map((mark) => mark.state)).not.toContain('out');
            }
          }
          const [permit] = running;
          if (permit !== undefined && ['good', 'bad', 'nothing'].includes(what)) {
            const isGood = what === 'nothing' ? null : what === 'good';
            tell({ probes: [{ permit, isGood }] }, now);
            running.shift();
          }
          const opening = state.breakers.get('family acc_one opus')?.breaker.opening;
          expect((opening?.running ?? 0) + (opening?.good ?? 0)).toBeLessThanOrEqual(PROBES);
        }
      }),
    );
  });
});
