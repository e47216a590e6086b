import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ActiveHours } from '../snapshot';
import { HOUR_MS, MINUTE_MS } from '../time';
import { isActiveAt } from './active-hours';

const DAY_MS = 24 * HOUR_MS;
const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];
const WORK = { timeZone: 'UTC', days: [1, 2, 3, 4, 5], fromMinute: 540, toMinute: 1_020 };
const NIGHT = { timeZone: 'UTC', days: [5], fromMinute: 1_320, toMinute: 360 };

describe('isActiveAt', () => {
  it('is always so without hours', () => {
    expect(isActiveAt(null, Date.UTC(2026, 10, 24))).toBe(true);
  });

  it.each([
    { at: '2026-11-24T08:59:59.999Z', isActive: false },
    { at: '2026-11-24T09:00:00Z', isActive: true },
    { at: '2026-11-24T16:59:59.999Z', isActive: true },
    { at: '2026-11-24T17:00:00Z', isActive: false },
    { at: '2026-11-22T12:00:00Z', isActive: false },
    { at: '2026-11-28T12:00:00Z', isActive: false },
  ])('from nine to five on weekdays is $isActive at $at', ({ at, isActive }) => {
    expect(isActiveAt(WORK, Date.parse(at))).toBe(isActive);
  });

  it.each([
    { at: '2026-11-27T21:59:00Z', isActive: false },
    { at: '2026-11-27T22:00:00Z', isActive: true },
    { at: '2026-11-28T05:59:00Z', isActive: true },
    { at: '2026-11-28T06:00:00Z', isActive: false },
    { at: '2026-11-28T22:00:00Z', isActive: false },
    { at: '2026-11-27T03:00:00Z', isActive: false },
  ])('Friday night, which is Saturday’s morning too, is $isActive at $at', ({ at, isActive }) => {
    expect(isActiveAt(NIGHT, Date.parse(at))).toBe(isActive);
  });

  it('takes Saturday night over into Sunday', () => {
    const saturday = { ...NIGHT, days: [6] };
    expect(isActiveAt(saturday, Date.parse('2026-11-29T01:00:00Z'))).toBe(true);
    expect(isActiveAt(saturday, Date.parse('2026-11-30T01:00:00Z'))).toBe(false);
  });

  it('lasts a whole day from 0 to 1440, and from any minute to the same', () => {
    fc.assert(
      fc.property(instants(), fc.integer({ min: 0, max: 1_439 }), (at, minute) => {
        const whole = { timeZone: 'Asia/Kolkata', days: EVERY_DAY, fromMinute: 0, toMinute: 1_440 };
        expect(isActiveAt(whole, at)).toBe(true);
        expect(isActiveAt({ ...whole, fromMinute: minute, toMinute: minute }, at)).toBe(true);
      }),
    );
  });

  it.each([
    { what: 'before clocks go forward', at: '2026-03-29T00:59:00Z', isActive: true },
    { what: 'after clocks went forward', at: '2026-03-29T01:00:00Z', isActive: false },
    { what: 'in the hour before clocks go back', at: '2026-10-25T00:30:00Z', isActive: false },
    { what: 'before the first 1:59 of that night', at: '2026-10-24T23:30:00Z', isActive: true },
  ])('follows the clocks of Berlin until two: $what', ({ at, isActive }) => {
    const early = { timeZone: 'Europe/Berlin', days: [0], fromMinute: 0, toMinute: 120 };
    expect(isActiveAt(early, Date.parse(at))).toBe(isActive);
  });

  it('lasts both hours that clocks show twice', () => {
    const twice = { timeZone: 'Europe/Berlin', days: [0], fromMinute: 120, toMinute: 180 };
    const from = Date.parse('2026-10-25T00:00:00Z');
    expect(isActiveAt(twice, from - 1)).toBe(false);
    for (const passedMs of [0, 30, 60, 90, 119].map((n) => n * MINUTE_MS)) {
      expect(isActiveAt(twice, from + passedMs)).toBe(true);
    }
    expect(isActiveAt(twice, from + 2 * HOUR_MS)).toBe(false);
  });

  it('is never active in a zone that there is not', () => {
    const nowhere = { ...WORK, timeZone: 'Mars/Olympus', days: EVERY_DAY, toMinute: 1_440 };
    expect(isActiveAt({ ...nowhere, fromMinute: 0 }, 0)).toBe(false);
  });

  it('reads the clock of every zone as the platform shows it', () => {
    const zones = Intl.supportedValuesOf('timeZone');
    expect(zones.length).toBeGreaterThan(400);
    const year = Date.UTC(2026, 0, 1);
    for (const timeZone of zones) {
      const clock = clockOf(timeZone);
      for (let quarter = 0; quarter < 4; quarter += 1) {
        const at = year + quarter * 91 * DAY_MS + 7 * HOUR_MS + 37 * MINUTE_MS;
        const { day, minute } = shown(clock, at);
        const only = { timeZone, days: [day], fromMinute: minute, toMinute: minute + 1 };
        expect({ timeZone, at, isActive: isActiveAt(only, at) }).toMatchObject({ isActive: true });
        expect(isActiveAt(only, at - MINUTE_MS)).toBe(false);
        expect(isActiveAt(only, at + MINUTE_MS)).toBe(false);
      }
    }
  });

  it.each([
    { timeZone: 'America/New_York', on: '2026-03-08' },
    { timeZone: 'America/New_York', on: '2026-11-01' },
    { timeZone: 'Europe/London', on: '2026-10-25' },
    { timeZone: 'Australia/Lord_Howe', on: '2026-04-05' },
    { timeZone: 'Africa/Casablanca', on: '2026-03-22' },
  ])('sees the clocks of $timeZone change on $on', ({ timeZone, on }) => {
    const hours: ActiveHours = { timeZone, days: EVERY_DAY, fromMinute: 60, toMinute: 150 };
    const clock = clockOf(timeZone);
    const offsets = new Set<number>();
    for (let at = Date.parse(on) - DAY_MS; at < Date.parse(on) + DAY_MS; at += 5 * MINUTE_MS) {
      const { minute } = shown(clock, at);
      offsets.add((minute - at / MINUTE_MS + 1e9 * 1_440) % 1_440);
      expect(isActiveAt(hours, at)).toBe(minute >= 60 && minute < 150);
    }
    expect(offsets.size).toBe(2);
  });
});

function instants() {
  return fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2036, 0, 1) });
}

function clockOf(timeZone: string): Intl.DateTimeFormat {
  const hour = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  return new Intl.DateTimeFormat('en-US', { timeZone, weekday: 'short', ...hour });
}

/** Day of the week and minute of the day, as a person reads them. */
function shown(clock: Intl.DateTimeFormat, at: number) {
  const parts = new Map(clock.formatToParts(at).map(({ type, value }) => [type, value]));
  const day = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].indexOf(parts.get('weekday') ?? '');
  return { day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) };
}
