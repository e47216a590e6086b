import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '../time';
import { lastSeenAtWaking, readClock } from './clock';

const NOON = 1_800_000_000_000;
const times = fc.integer({ min: NOON - 3 * HOUR_MS, max: NOON + 3 * HOUR_MS });

describe('readClock', () => {
  it('never shows an earlier time than the one it remembers, nor forgets it', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(times, fc.nat(3))), (readings) => {
        let lastSeenAt = 0;
        for (const [wallClock, openRequests] of readings) {
          const reading = readClock({ wallClock, lastSeenAt, openRequests });
          expect(reading.now).toBeGreaterThanOrEqual(lastSeenAt);
          expect(reading.now).toBeGreaterThanOrEqual(wallClock);
          expect(reading.lastSeenAt).toBeGreaterThanOrEqual(lastSeenAt);
          ({ lastSeenAt } = reading);
        }
      }),
    );
  });

  it('uses a leap of more than an hour while something is open, without remembering it', () => {
    const wallClock = NOON + HOUR_MS + 1;
    const reading = readClock({ wallClock, lastSeenAt: NOON, openRequests: 1 });
    expect(reading).toEqual({ now: wallClock, lastSeenAt: NOON, leapt: true });
    const after = readClock({ wallClock: NOON + 5, lastSeenAt: NOON, openRequests: 1 });
    expect(after).toEqual({ now: NOON + 5, lastSeenAt: NOON + 5, leapt: false });
  });

  it('remembers a rest of hours when nothing is open, an exact hour, and the first reading', () => {
    const rest = { wallClock: NOON + 9 * HOUR_MS, lastSeenAt: NOON, openRequests: 0 };
    const hour = { wallClock: NOON + HOUR_MS, lastSeenAt: NOON, openRequests: 1 };
    const first = { wallClock: NOON, lastSeenAt: 0, openRequests: 1 };
    for (const state of [rest, hour, first]) {
      const { wallClock: now } = state;
      expect(readClock(state)).toEqual({ now, lastSeenAt: now, leapt: false });
    }
  });
});

describe('lastSeenAtWaking', () => {
  it('is the latest of the wall clock and what is stored, up to an hour ahead of it', () => {
    fc.assert(
      fc.property(times, fc.array(times), (wallClock, stored) => {
        const seen = lastSeenAtWaking(wallClock, stored);
        const believed = stored.filter((time) => time <= wallClock + HOUR_MS);
        expect(seen).toBe(Math.max(wallClock, ...believed));
      }),
    );
  });

  it('believes a stored time of exactly an hour ahead and none beyond', () => {
    expect(lastSeenAtWaking(NOON, [NOON + HOUR_MS, NOON + HOUR_MS + 1])).toBe(NOON + HOUR_MS);
  });

  it('does not believe again what a bad reading has left behind', () => {
    expect(lastSeenAtWaking(NOON, [NOON + 500 * HOUR_MS, NOON + MINUTE_MS, 0])).toBe(
      NOON + MINUTE_MS,
    );
  });
});
