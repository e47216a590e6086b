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
import type { PermitCall } from './calls';
import type { KeptHealth } from './kept';
import { healthFromJson, healthToJson } from './kept';
import { permit } from './permits';
import { takeReport } from './report';
import type { HealthState } from './state';
import { emptyHealth, knowAccounts, PERMIT_LOST_MS } from './state';
import { versionAt, viewOf } from './view';

const ACCOUNT = accountFor(ONE, { isHard: true, maxConcurrency: 5, dailyCapNanos: nanos(1_000) });

let state: HealthState;

beforeEach(() => {
  state = emptyHealth(1);
  knowAccounts(state, [ACCOUNT], NOW);
});

function ask(of: HealthState, kind: PermitCall['kind'], now: number): boolean {
  const subjects = kind === 'probe' ? [SUBJECTS.family] : [];
  const call = { isolate: 'isolate-1', kind, accountId: ONE, subjects };
  return permit(of, call, { now, id: `permit-${of.permits.size}` }).granted;
}

/** As after an eviction. */
function woken(now: number): HealthState {
  const kept: unknown = JSON.parse(JSON.stringify(healthToJson(state)));
  const fresh = healthFromJson(kept as KeptHealth, now);
  knowAccounts(fresh, [ACCOUNT], now);
  return fresh;
}

describe('what is kept', () => {
  it('holds back what was held back, and counts what was spent', () => {
    const tallies = [tallyOf({ failures: 5, overloads: 5, costNanos: nanos(7) })];
    takeReport(state, reportOf(1, { tallies, marks: [markOf()] }), NOW);
    const { marks, loads } = viewOf(state, NOW);
    expect(marks).toHaveLength(3);
    expect(viewOf(woken(NOW + 1_000), NOW + 1_000)).toMatchObject({ marks, loads });
  });

  it('leaves out what is over meanwhile', () => {
    const mark = markOf({ state: 'cooling', until: NOW + 1_000 });
    takeReport(state, reportOf(1, { marks: [mark] }), NOW);
    expect(viewOf(woken(NOW + 1_000), NOW + 1_000).marks).toEqual([]);
  });

  it('gives its probes anew, and the ends of those before it count for nothing', () => {
    takeReport(state, reportOf(1, { tallies: [tallyOf({ failures: 5 })] }), NOW);
    const now = NOW + OPEN_MS;
    for (let probe = 0; probe < PROBES; probe += 1) expect(ask(state, 'probe', now)).toBe(true);
    state.permits.clear();
    const fresh = woken(now);
    const probes = [{ permit: 'permit-0', isGood: false }];
    takeReport(fresh, reportOf(2, { probes }), now);
    expect(viewOf(fresh, now).marks[0]?.until).toBe(now);
    for (let probe = 0; probe < PROBES; probe += 1) expect(ask(fresh, 'probe', now)).toBe(true);
    expect(ask(fresh, 'probe', now)).toBe(false);
  });

  it('keeps the places of exact limits for a minute more, and longer if their isolate lives', () => {
    for (let slot = 0; slot < 5; slot += 1) expect(ask(state, 'slot', NOW)).toBe(true);
    const later = NOW + 30 * PERMIT_LOST_MS;
    const fresh = woken(later);
    expect(ask(fresh, 'slot', later)).toBe(false);
    takeReport(fresh, reportOf(1), later + PERMIT_LOST_MS);
    expect(ask(fresh, 'slot', later + PERMIT_LOST_MS + 2_000)).toBe(false);
    expect(ask(fresh, 'slot', later + 2 * PERMIT_LOST_MS + 3_000)).toBe(true);
  });

  it('goes on with versions that nobody was told before', () => {
    takeReport(state, reportOf(1, { marks: [markOf()] }), NOW);
    const told = versionAt(state, NOW);
    expect(versionAt(woken(NOW), NOW)).toBeGreaterThan(told);
    expect(versionAt(woken(NOW - 60_000), NOW)).toBeGreaterThan(told);
  });
});

describe('loads', () => {
  const at = (now: number) => versionAt(state, now);

  it('make the version rise every five seconds at most, and only for a limit’s sake', () => {
    const begin = at(NOW);
    takeReport(state, reportOf(1, { inFlight: { [ONE]: 1 } }), NOW + 1);
    expect(at(NOW + 4_999)).toBe(begin);
    const first = at(NOW + 5_000);
    expect(first).toBeGreaterThan(begin);
    takeReport(state, reportOf(2, { inFlight: { [ONE]: 2 } }), NOW + 5_001);
    expect(at(NOW + 9_999)).toBe(first);
    const second = at(NOW + 10_000);
    expect(second).toBeGreaterThan(first);
    takeReport(state, reportOf(3, { inFlight: { [ONE]: 2 } }), NOW + 10_001);
    expect(at(NOW + 15_000)).toBe(second);
  });

  it('begin anew at midnight (UTC) without a report', () => {
    takeReport(state, reportOf(1, { tallies: [tallyOf({ costNanos: nanos(7) })] }), NOW);
    const before = viewOf(state, NOW + 5_000);
    expect(before.loads[ONE]).toMatchObject({ dayNanos: 7, monthNanos: 7 });
    const after = viewOf(state, NOW + 12 * 3_600_000);
    expect(after.loads[ONE]).toMatchObject({ dayNanos: 0, monthNanos: 7 });
    expect(after.version).toBeGreaterThan(before.version);
  });
});
