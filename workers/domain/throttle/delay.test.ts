import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Failures, SubjectKind } from './delay';
import { delayMs, NO_FAILURES, remembered, waitMs, withAttempt, withoutAttempt } from './delay';

const NOW = 1_795_000_000_000;
const kinds = fc.constantFrom<SubjectKind>('name', 'address');

function failed(count: number, lastAt = NOW): Failures {
  return { count, lastAt };
}

describe('the delay after failures', () => {
  it('is nothing for the first ones, then doubles from a second on', () => {
    const delays = [0, 1, 2, 3, 4, 5, 6].map((count) => delayMs(count, 'address'));
    expect(delays).toEqual([0, 0, 0, 1_000, 2_000, 4_000, 8_000]);
  });

  it('ends at 15 minutes for an address and at 30 seconds for a name', () => {
    for (const count of [13, 20, 100, 5_000]) {
      expect(delayMs(count, 'address')).toBe(900_000);
      expect(delayMs(count, 'name')).toBe(30_000);
    }
    expect(delayMs(12, 'address')).toBe(512_000);
    expect(delayMs(7, 'name')).toBe(16_000);
    expect(delayMs(8, 'name')).toBe(30_000);
  });

  it('never gets shorter with another failure', () => {
    fc.assert(
      fc.property(fc.nat(200), kinds, (count, kind) => {
        expect(delayMs(count + 1, kind)).toBeGreaterThanOrEqual(delayMs(count, kind));
      }),
    );
  });
});

describe('the wait', () => {
  it('is what is left of the delay, to the millisecond', () => {
    expect(waitMs(failed(4), 'name', NOW)).toBe(2_000);
    expect(waitMs(failed(4), 'name', NOW + 1_999)).toBe(1);
    expect(waitMs(failed(4), 'name', NOW + 2_000)).toBe(0);
  });

  it('is over for everybody once it is over: nobody is locked out for good', () => {
    fc.assert(
      fc.property(fc.nat(10_000), kinds, (count, kind) => {
        expect(waitMs(failed(count), kind, NOW + 15 * 60_000)).toBe(0);
      }),
    );
  });

  it('is no longer than the delay when the clock was set back', () => {
    expect(waitMs(failed(3), 'name', NOW - 86_400_000)).toBe(1_000);
  });

  it('begins anew after an hour without a failure', () => {
    expect(remembered(failed(50), NOW + 3_599_999)).toEqual(failed(50));
    expect(remembered(failed(50), NOW + 3_600_000)).toEqual(NO_FAILURES);
    expect(withAttempt(failed(50), NOW + 3_600_000)).toEqual(failed(1, NOW + 3_600_000));
  });
});

describe('an attempt', () => {
  it('that is taken back leaves what was there before it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.nat(3_599_999), (count, later) => {
        const before = failed(count);
        const taken = withAttempt(before, NOW + later);
        expect(taken).toEqual(failed(count + 1, NOW + later));
        expect(withoutAttempt(taken, before.lastAt)).toEqual(before);
      }),
    );
    expect(withoutAttempt(withAttempt(NO_FAILURES, NOW))).toEqual(NO_FAILURES);
  });

  it('with another after it leaves the later one’s time', () => {
    const two = withAttempt(withAttempt(failed(3), NOW + 1), NOW + 2);
    expect(withoutAttempt(two)).toEqual(failed(4, NOW + 2));
  });
});
