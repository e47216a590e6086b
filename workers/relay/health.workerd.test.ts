// How an isolate sees the accounts and what it reports, against a Pool that the test plays, on a
// clock that the test moves.

import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { markOf, ONE, SUBJECTS, TWO } from '../../tests/support/health';
import { NOW } from '../../tests/support/ledger';
import type {
  Health,
  Mark,
  PermitAnswer,
  PermitCall,
  Report,
  ReportAnswer,
} from '../domain/health/calls';
import { nanos } from '../domain/money';
import type * as HealthModule from './health';

type Isolate = typeof HealthModule;

/** What came to Pool, and what it answers. */
let reports: Report[] = [];
let permits: PermitCall[] = [];
let onReport: (report: Report) => Promise<ReportAnswer>;
let onPermit: (call: PermitCall) => Promise<PermitAnswer>;
let isolate: Isolate;
/** What waits is waited for in vain: its request was cut off. */
let hangs = false;
let behind: Promise<unknown>[] = [];
const visit = { env, ctx: { waitUntil: (work: Promise<unknown>) => void behind.push(work) } };

/** As if a new isolate had begun. */
async function newIsolate(): Promise<Isolate> {
  vi.resetModules();
  return import('./health');
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: NOW });
  hangs = false;
  vi.spyOn(scheduler, 'wait').mockImplementation(async (ms) => {
    if (hangs) return never();
    await new Promise((resolve) => {
      setTimeout(resolve, ms);
    });
  });
  reports = [];
  permits = [];
  behind = [];
  onReport = async () => ({ health: 'unchanged' });
  onPermit = async () => ({ granted: false });
  isolate = await newIsolate();
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** The Pool is the test's. */
function playPool(): void {
  const stub = {
    report: async (report: Report) => {
      reports.push(report);
      return onReport(report);
    },
    permit: async (call: PermitCall) => {
      permits.push(call);
      return onPermit(call);
    },
  };
  // The two methods that are called.
  vi.spyOn(env.POOL, 'get').mockReturnValue(stub as unknown as ReturnType<typeof env.POOL.get>);
}

const CALLED = { provider: 'anthropic', family: 'opus', model: 'claude-opus-5-5' } as const;

function note(differs: Partial<HealthModule.OutcomeFact> = {}): void {
  const usual = { accountId: ONE, ...CALLED, counts: 'success', marks: [] } as const;
  isolate.noteOutcome(visit, { ...usual, ...differs });
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

function healthOf(version: number, marks: readonly Mark[]): Health {
  return { version, marks, loads: {} };
}

function markNow(subject = markOf().subject): Mark | null {
  return isolate.healthView(Date.now()).markOf(subject);
}

const never = (): Promise<never> => new Promise(() => undefined);

describe('what an isolate has seen', () => {
  beforeEach(playPool);

  it('is reported in one sum five seconds after the first of it', async () => {
    note();
    note();
    const cost = { costNanos: nanos(7), absorbedNanos: nanos(2) };
    isolate.noteCost(visit, { accountId: ONE, ...CALLED, ...cost });
    note({ accountId: TWO });
    await pass(4_999);
    expect(reports).toEqual([]);
    await pass(1);
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({
      n: 1,
      healthVersion: null,
      tallies: [
        { accountId: ONE, ...CALLED, successes: 2, failures: 0, costNanos: 9, absorbedNanos: 2 },
        { accountId: TWO, successes: 1, costNanos: 0 },
      ],
    });
    await pass(60_000);
    expect(reports).toHaveLength(1);
  });

  it.each([
    ['a failure', { counts: 'failure' }],
    ['an overload', { counts: 'overload' }],
    ['a mark', { counts: 'none', marks: [markOf()] }],
    ['the end of a probe', { probe: { permit: 'p', isGood: true } }],
  ] as const)('is reported at once when it is %s', async (_, differs) => {
    note();
    note(differs);
    await pass(0);
    expect(reports).toHaveLength(1);
  });

  it('is reported no more often than once a second', async () => {
    for (let ms = 0; ms < 10_000; ms += 100) {
      note({ counts: 'failure' });
      await pass(100);
    }
    expect(reports.length).toBeGreaterThanOrEqual(9);
    expect(reports.length).toBeLessThanOrEqual(11);
    const failures = reports.flatMap(({ tallies }) => tallies.map((tally) => tally.failures));
    expect(failures.reduce((sum, count) => sum + count, 0)).toBe(100);
  });

  it('that is a client’s own fault is not reported at all', async () => {
    note({ counts: 'none' });
    await pass(5_000);
    expect(reports.map(({ tallies, marks }) => [tallies, marks])).toEqual([[[], []]]);
  });

  it('is sent again as it was until it is answered, and what came meanwhile after it', async () => {
    onReport = async () => Promise.reject(new Error('Pool is down'));
    note({ counts: 'failure' });
    await pass(0);
    note({ counts: 'overload' });
    await pass(1_000);
    onReport = async () => ({ health: 'unchanged' });
    await pass(2_000);
    expect(reports.map(({ n }) => n)).toEqual([1, 1, 1, 2].slice(0, reports.length));
    const [first, second] = reports;
    expect(second).toEqual(first);
    expect(reports.at(-1)).toMatchObject({ n: 2, tallies: [{ failures: 0, overloads: 1 }] });
  });

  it('waits for the next request when Pool does not answer for long', async () => {
    onReport = never;
    note({ counts: 'failure' });
    await pass(120_000);
    const tries = reports.length;
    expect(tries).toBe(4);
    onReport = async () => ({ health: 'unchanged' });
    note();
    await pass(10_000);
    expect(reports.slice(tries - 1).map(({ n }) => n)).toEqual([1, 1, 2]);
  });

  it('is not lost with the request that was to report it', async () => {
    const cut = { env, ctx: { waitUntil: () => undefined } };
    hangs = true;
    isolate.noteOutcome(cut, { accountId: ONE, ...CALLED, counts: 'success', marks: [] });
    hangs = false;
    await pass(9_999);
    note();
    await pass(5_000);
    expect(reports).toEqual([]);
    await pass(1);
    note();
    await pass(5_000);
    expect(reports).toMatchObject([{ tallies: [{ successes: 3 }] }]);
  });

  it('is told under a name that no other isolate has', async () => {
    note({ counts: 'failure' });
    await pass(0);
    isolate = await newIsolate();
    note({ counts: 'failure' });
    await pass(0);
    expect(new Set(reports.map((report) => report.isolate)).size).toBe(2);
    expect(reports.map(({ n }) => n)).toEqual([1, 1]);
  });

  it('never waits for Pool, and never fails', async () => {
    vi.spyOn(env.POOL, 'get').mockImplementation(() => {
      throw new Error('no such object');
    });
    note({ counts: 'failure', marks: [markOf()] });
    await pass(30_000);
    await Promise.all(behind);
    expect(markNow()).toEqual(markOf());
  });
});

describe('what runs', () => {
  beforeEach(playPool);

  it('is in each report, and in the load at once', async () => {
    isolate.noteCall(ONE);
    isolate.noteCall(ONE);
    isolate.noteCall(TWO);
    isolate.noteEnd(TWO);
    expect(isolate.healthView(NOW).loadOf(ONE).inFlight).toBe(2);
    expect(isolate.healthView(NOW).loadOf(TWO).inFlight).toBe(0);
    note();
    await pass(5_000);
    expect(reports[0]?.inFlight).toEqual({ [ONE]: 2 });
  });

  it('is told of again while long streams give their signs of life', async () => {
    isolate.noteRunning(visit);
    await pass(15_000);
    expect(reports).toEqual([]);
    isolate.noteCall(ONE);
    for (let tick = 0; tick < 4; tick += 1) {
      isolate.noteRunning(visit);
      await pass(15_000);
    }
    expect(reports.map(({ inFlight }) => inFlight[ONE])).toEqual([1, 1, 1, 1]);
  });

  it('gives an exact limit’s place back as soon as its cost is known', async () => {
    isolate.noteCall(ONE);
    isolate.noteEnd(ONE, 'permit-1');
    const cost = { costNanos: nanos(5), absorbedNanos: nanos(0) };
    isolate.noteCost(visit, { accountId: ONE, ...CALLED, ...cost });
    await pass(0);
    expect(reports).toMatchObject([
      { tallies: [{ costNanos: 5 }], probes: [{ permit: 'permit-1', isGood: null }], inFlight: {} },
    ]);
  });
});

describe('a mark', () => {
  beforeEach(playPool);

  it('of the isolate’s own holds at once, until Pool has answered: then Pool’s word holds', async () => {
    onReport = async () => ({ health: healthOf(5, []) });
    note({ counts: 'none', marks: [markOf()] });
    expect(markNow()).toEqual(markOf());
    await pass(0);
    expect(markNow()).toBeNull();
  });

  it('of Pool’s holds beside the isolate’s own, the longer of the two', () => {
    const cooling = (until: number) => markOf({ state: 'cooling', until });
    isolate.takeHealth(healthOf(5, [cooling(NOW + 60_000)]));
    onReport = never;
    note({ marks: [cooling(NOW + 10)] });
    expect(markNow()).toEqual(cooling(NOW + 60_000));
    note({ marks: [cooling(NOW + 60_001)] });
    expect(markNow()).toEqual(cooling(NOW + 60_001));
  });

  it('of a cooldown comes before the breaker of the same family, which stays behind it', async () => {
    const cooling = markOf({ subject: SUBJECTS.family, state: 'cooling', until: NOW + 1_000 });
    const open = markOf({ subject: SUBJECTS.family, state: 'open', until: NOW + 30_000 });
    for (const marks of [
      [cooling, open],
      [open, cooling],
    ]) {
      isolate.takeHealth(healthOf(5, marks));
      expect(markNow(SUBJECTS.family)).toEqual(cooling);
    }
    await pass(1_000);
    expect(markNow(SUBJECTS.family)).toEqual(open);
  });

  it('is over at its last millisecond; a breaker is then half open', async () => {
    const cooling = markOf({ state: 'cooling', until: NOW + 1_000 });
    const open = markOf({ subject: SUBJECTS.family, state: 'open', until: NOW + 1_000 });
    isolate.takeHealth(healthOf(5, [cooling, open]));
    await pass(999);
    expect([markNow(), markNow(SUBJECTS.family)]).toEqual([cooling, open]);
    await pass(1);
    expect([markNow(), markNow(SUBJECTS.family)]).toEqual([null, open]);
  });

  it('is not brought back by an answer that was overtaken', () => {
    isolate.takeHealth(healthOf(7, []));
    isolate.takeHealth(healthOf(6, [markOf()]));
    isolate.takeHealth(undefined);
    expect(markNow()).toBeNull();
    expect(isolate.heldHealthVersion()).toBe(7);
  });
});

describe('a permit', () => {
  const call = { kind: 'probe', accountId: ONE, subjects: [SUBJECTS.family] } as const;
  beforeEach(playPool);

  it('is asked for in the isolate’s name', async () => {
    onPermit = async () => ({ granted: true, permit: 'permit-1' });
    note({ counts: 'failure' });
    await pass(0);
    expect(await isolate.askPermit(visit, call)).toEqual({ granted: true, permit: 'permit-1' });
    expect(permits).toEqual([{ ...call, isolate: reports[0]?.isolate }]);
  });

  it('that is denied is not asked for again within a second, another one is', async () => {
    for (let tries = 0; tries < 5; tries += 1) await isolate.askPermit(visit, call);
    expect(permits).toHaveLength(1);
    await isolate.askPermit(visit, { ...call, kind: 'last-resort' });
    expect(permits).toHaveLength(2);
    await pass(1_000);
    await isolate.askPermit(visit, call);
    expect(permits).toHaveLength(3);
  });

  it('that takes longer than 300 ms is denied, and given back when it comes', async () => {
    let grant: (answer: PermitAnswer) => void = () => undefined;
    onPermit = () =>
      new Promise((resolve) => {
        grant = resolve;
      });
    const asked = isolate.askPermit(visit, call);
    await pass(300);
    expect(await asked).toEqual({ granted: false });
    // The request may be over: what waits for the permit stands behind it.
    expect(behind).toHaveLength(1);
    grant({ granted: true, permit: 'too-late' });
    await pass(0);
    expect(reports[0]?.probes).toEqual([{ permit: 'too-late', isGood: null }]);
  });

  it('is told to be in use from when it came until its call has ended', async () => {
    onPermit = async () => ({ granted: true, permit: 'permit-1' });
    await isolate.askPermit(visit, call);
    note({ counts: 'failure' });
    await pass(0);
    note({ probe: { permit: 'permit-1', isGood: true, isRunning: true } });
    await pass(1_000);
    isolate.noteEnd(ONE, 'permit-1');
    note({ counts: 'failure' });
    await pass(1_000);
    expect(reports.map(({ permits: used }) => used)).toEqual([['permit-1'], ['permit-1'], []]);
  });

  it('is not asked for while what it is for cools down, as only this isolate may know', async () => {
    onPermit = async () => ({ granted: true, permit: 'permit-1' });
    const cooling = { subject: SUBJECTS.family, state: 'cooling', until: NOW + 9_000 } as const;
    note({ counts: 'none', marks: [markOf(cooling)] });
    const subjects = [SUBJECTS.account, SUBJECTS.family];
    const last = { kind: 'last-resort', accountId: ONE, subjects } as const;
    expect(await isolate.askPermit(visit, last)).toEqual({ granted: false });
    expect(permits).toEqual([]);
    vi.setSystemTime(NOW + 9_000);
    expect(await isolate.askPermit(visit, last)).toMatchObject({ granted: true });
  });

  it('is denied while Pool cannot be reached', async () => {
    onPermit = async () => Promise.reject(new Error('Pool is down'));
    expect(await isolate.askPermit(visit, call)).toEqual({ granted: false });
  });
});

describe('an account’s last success', () => {
  it('is when it last answered here, whatever it did since', async () => {
    playPool();
    expect(isolate.lastSuccessAt(ONE)).toBeNull();
    note();
    await pass(1_500);
    note({ counts: 'failure' });
    expect(isolate.lastSuccessAt(ONE)).toBe(NOW);
    expect(isolate.lastSuccessAt(TWO)).toBeNull();
  });
});
