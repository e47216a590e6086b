import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Breaker } from './breaker';
import {
  CLOSED,
  isIdle,
  mayProbe,
  OPEN_MS,
  phaseOf,
  PROBES,
  reopened,
  VOLUME_MIN,
  withCalls,
  withProbe,
  withProbeEnd,
} from './breaker';

const NOW = Date.UTC(2026, 10, 25, 12);

function withBad(breaker: Breaker, bad: number, now = NOW): Breaker {
  return withCalls(breaker, { good: 0, bad }, now);
}

const OPEN = withBad(CLOSED, VOLUME_MIN);
const HALF_OPEN_AT = NOW + OPEN_MS;

function openingOf({ opening }: Breaker): NonNullable<Breaker['opening']> {
  if (opening === null) throw new Error('the breaker is closed');
  return opening;
}

/** One probe from its beginning to its end, at one instant. */
function probed(breaker: Breaker, isGood: boolean | null, now = HALF_OPEN_AT): Breaker {
  const { at } = openingOf(breaker);
  return withProbeEnd(withProbe(breaker), { at, isGood }, now);
}

describe('a closed breaker', () => {
  it('opens when half of its calls fail, and not when fewer do', () => {
    const good = withCalls(CLOSED, { good: 5, bad: 0 }, NOW);
    expect(phaseOf(withBad(good, 4), NOW)).toBe('closed');
    expect(phaseOf(withBad(good, 5), NOW)).toBe('open');
  });

  it('says nothing below its minimum volume', () => {
    expect(phaseOf(withBad(CLOSED, VOLUME_MIN - 1), NOW)).toBe('closed');
    expect(phaseOf(OPEN, NOW)).toBe('open');
  });

  it('forgets what is older than thirty seconds, second by second', () => {
    const before = withBad(CLOSED, VOLUME_MIN - 1);
    expect(phaseOf(withBad(before, 1, NOW + 29_999), NOW + 29_999)).toBe('open');
    expect(phaseOf(withBad(before, 1, NOW + 30_000), NOW + 30_000)).toBe('closed');
    expect(isIdle(before, NOW + 29_999)).toBe(false);
    expect(isIdle(before, NOW + 30_000)).toBe(true);
  });

  it('adds to its latest second when the clock goes back', () => {
    const back = withBad(withBad(CLOSED, VOLUME_MIN - 1), 1, NOW - 5_000);
    expect(phaseOf(back, NOW)).toBe('open');
  });

  it('holds a second’s sum a second, thirty at most, however many calls end', () => {
    let breaker = CLOSED;
    for (let ms = 0; ms < 120_000; ms += 250) {
      breaker = withCalls(breaker, { good: 3, bad: 1 }, NOW + ms);
    }
    expect(breaker.buckets).toHaveLength(30);
    expect(breaker.buckets.at(-1)).toMatchObject({ good: 12, bad: 4 });
  });
});

describe('an open breaker', () => {
  it('lets nothing through until its last millisecond, then probes', () => {
    expect(mayProbe(OPEN, HALF_OPEN_AT - 1, false)).toBe(false);
    expect(phaseOf(OPEN, HALF_OPEN_AT - 1)).toBe('open');
    expect(mayProbe(OPEN, HALF_OPEN_AT, false)).toBe(true);
    expect(phaseOf(OPEN, HALF_OPEN_AT)).toBe('half-open');
  });

  it('counts no call that is not a probe', () => {
    expect(withCalls(OPEN, { good: 100, bad: 0 }, HALF_OPEN_AT + 1)).toBe(OPEN);
    expect(withBad(OPEN, 100, NOW + 1)).toBe(OPEN);
  });

  it('begins its probes at once when a last resort was good, and not for a bad one', () => {
    const now = NOW + 1_000;
    expect(mayProbe(OPEN, now, true)).toBe(true);
    expect(phaseOf(probed(OPEN, true, now), now)).toBe('half-open');
    expect(probed(OPEN, false, now)).toEqual(OPEN);
  });
});

describe('a half-open breaker', () => {
  it('closes when all its probes were good, and not before', () => {
    let breaker = OPEN;
    for (let n = 1; n < PROBES; n += 1) breaker = probed(breaker, true);
    expect(phaseOf(breaker, HALF_OPEN_AT)).toBe('half-open');
    expect(probed(breaker, true)).toEqual(CLOSED);
  });

  it('opens anew for as long as the first time when one probe is bad', () => {
    const again = probed(probed(OPEN, true), false, HALF_OPEN_AT + 7);
    expect(openingOf(again)).toEqual({
      since: NOW,
      at: HALF_OPEN_AT + 7,
      until: HALF_OPEN_AT + 7 + OPEN_MS,
      running: 0,
      good: 0,
    });
  });

  it('gives the place of a probe that told nothing to another', () => {
    let breaker = OPEN;
    for (let n = 0; n < PROBES; n += 1) breaker = withProbe(breaker);
    expect(mayProbe(breaker, HALF_OPEN_AT, false)).toBe(false);
    const { at } = openingOf(breaker);
    const freed = withProbeEnd(breaker, { at, isGood: null }, HALF_OPEN_AT);
    expect(mayProbe(freed, HALF_OPEN_AT, false)).toBe(true);
  });

  it('is not decided by the probes of an earlier opening', () => {
    const two = withProbe(withProbe(OPEN));
    const { at } = openingOf(two);
    const again = withProbeEnd(two, { at, isGood: false }, HALF_OPEN_AT);
    for (const isGood of [true, false, null]) {
      expect(withProbeEnd(again, { at, isGood }, HALF_OPEN_AT + OPEN_MS)).toBe(again);
    }
  });

  it('comes back from what was kept with all its probes before it', () => {
    const { since, at, until } = openingOf(probed(OPEN, true));
    const kept = reopened({ since, at, until });
    expect(openingOf(kept)).toMatchObject({ since, at, until, running: 0, good: 0 });
  });
});

type Step =
  | { readonly do: 'calls'; readonly good: number; readonly bad: number }
  | { readonly do: 'ask'; readonly isEarly: boolean }
  | { readonly do: 'end'; readonly isGood: boolean | null; readonly which: number };

const steps = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 20_000 }),
    step: fc.oneof(
      fc.record({ do: fc.constant('calls' as const), good: fc.nat(4), bad: fc.nat(4) }),
      fc.record({ do: fc.constant('ask' as const), isEarly: fc.boolean() }),
      fc.record({
        do: fc.constant('end' as const),
        isGood: fc.constantFrom(true, false, null),
        which: fc.nat(9),
      }),
    ),
  }),
  { maxLength: 60 },
);

/** What a history has shown at each of its steps. */
function play(history: readonly { readonly afterMs: number; readonly step: Step }[]) {
  let [breaker, now] = [CLOSED, NOW];
  const running: number[] = [];
  const seen: { readonly breaker: Breaker; readonly running: number; readonly now: number }[] = [];
  for (const { afterMs, step } of history) {
    now += afterMs;
    if (step.do === 'calls') breaker = withCalls(breaker, step, now);
    if (step.do === 'ask' && mayProbe(breaker, now, step.isEarly)) {
      running.push(openingOf(breaker).at);
      breaker = withProbe(breaker);
    }
    if (step.do === 'end' && running.length > 0) {
      const [at = 0] = running.splice(step.which % running.length, 1);
      breaker = withProbeEnd(breaker, { at, isGood: step.isGood }, now);
    }
    const { at } = breaker.opening ?? {};
    seen.push({ breaker, running: running.filter((one) => one === at).length, now });
  }
  return seen;
}

describe('in any history', () => {
  it('there are never more probes under way and good together than close it', () => {
    fc.assert(
      fc.property(steps, (history) => {
        for (const { breaker, running } of play(history)) {
          const { opening } = breaker;
          if (opening === null) continue;
          expect(opening.running).toBe(running);
          expect(opening.running + opening.good).toBeLessThanOrEqual(PROBES);
        }
      }),
    );
  });

  it('a breaker whose probes are all good from now on is closed within one time of being open', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const last = play(history).at(-1);
        let breaker = last?.breaker ?? CLOSED;
        const now = (last?.now ?? NOW) + OPEN_MS;
        // Those under way are given up as lost.
        const { at = 0, running = 0 } = breaker.opening ?? {};
        for (let n = 0; n < running; n += 1) {
          breaker = withProbeEnd(breaker, { at, isGood: null }, now);
        }
        for (let n = 0; n < PROBES && breaker.opening !== null; n += 1) {
          expect(mayProbe(breaker, now, false)).toBe(true);
          breaker = probed(breaker, true, now);
        }
        expect(breaker.opening).toBeNull();
      }),
    );
  });
});
