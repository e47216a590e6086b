import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CalendarPeriod } from './calendar';
import { isTimeZone, periodAt } from './calendar';

const HOUR_MS = 3_600_000;
const PERIODS = ['day', 'week', 'month'] as const;

function hours(period: CalendarPeriod, at: string, timeZone: string): number {
  const { startsAt, endsAt } = periodAt(period, Date.parse(at), timeZone);
  return (endsAt - startsAt) / HOUR_MS;
}

function span(period: CalendarPeriod, at: string, timeZone: string): readonly string[] {
  const { startsAt, endsAt } = periodAt(period, Date.parse(at), timeZone);
  return [startsAt, endsAt].map((instant) => new Date(instant).toISOString().slice(0, 16));
}

describe('periodAt', () => {
  it.each([
    ['2026-03-29T12:00Z', 'Europe/Berlin', 23],
    ['2026-10-25T12:00Z', 'Europe/Berlin', 25],
    ['2026-11-23T12:00Z', 'Europe/Berlin', 24],
    ['2026-03-08T18:00Z', 'America/New_York', 23],
    ['2026-11-01T18:00Z', 'America/New_York', 25],
    // The clocks of Lord Howe move by half an hour.
    ['2026-10-03T20:00Z', 'Australia/Lord_Howe', 23.5],
    ['2026-04-05T02:00Z', 'Australia/Lord_Howe', 24.5],
  ])('gives the day at %s in %s its %d hours', (at, timeZone, expected) => {
    expect(hours('day', at, timeZone)).toBe(expected);
  });

  it.each([
    // There was no midnight: the clocks jumped from 23:59 to 01:00.
    ['2018-11-04T12:00Z', 'America/Sao_Paulo', ['2018-11-04T03:00', '2018-11-05T02:00']],
    ['2024-04-26T12:00Z', 'Africa/Cairo', ['2024-04-25T22:00', '2024-04-26T21:00']],
    // Midnight fell back to 23:00 of the day before, which so lasted 25 hours.
    ['2018-02-17T12:00Z', 'America/Sao_Paulo', ['2018-02-17T02:00', '2018-02-18T03:00']],
    // The date was left again a minute after midnight; it had begun.
    ['2006-10-29T02:50Z', 'America/St_Johns', ['2006-10-29T02:30', '2006-10-30T03:30']],
    // Samoa had no 30 December 2011.
    ['2011-12-30T09:59Z', 'Pacific/Apia', ['2011-12-29T10:00', '2011-12-30T10:00']],
    ['2011-12-30T10:00Z', 'Pacific/Apia', ['2011-12-30T10:00', '2011-12-31T10:00']],
    ['2026-11-23T18:29Z', 'Asia/Kolkata', ['2026-11-22T18:30', '2026-11-23T18:30']],
    ['2026-11-23T18:30Z', 'Asia/Kathmandu', ['2026-11-23T18:15', '2026-11-24T18:15']],
    ['2026-11-23T00:00Z', 'UTC', ['2026-11-23T00:00', '2026-11-24T00:00']],
  ])('finds the day at %s in %s', (at, timeZone, expected) => {
    expect(span('day', at, timeZone)).toEqual(expected);
  });

  it.each([
    // 2026-11-23 is a Monday.
    ['2026-11-22T23:59Z', 'UTC', ['2026-11-16T00:00', '2026-11-23T00:00']],
    ['2026-11-23T00:00Z', 'UTC', ['2026-11-23T00:00', '2026-11-30T00:00']],
    ['2026-11-22T23:30Z', 'Europe/Berlin', ['2026-11-22T23:00', '2026-11-29T23:00']],
    ['2026-10-25T12:00Z', 'Europe/Berlin', ['2026-10-18T22:00', '2026-10-25T23:00']],
    ['2027-01-01T12:00Z', 'UTC', ['2026-12-28T00:00', '2027-01-04T00:00']],
  ])('begins the week at %s in %s on Monday', (at, timeZone, expected) => {
    expect(span('week', at, timeZone)).toEqual(expected);
  });

  it.each([
    ['2028-02-29T12:00Z', 'UTC', ['2028-02-01T00:00', '2028-03-01T00:00']],
    ['2026-12-31T23:30Z', 'Europe/Berlin', ['2026-12-31T23:00', '2027-01-31T23:00']],
    ['2026-03-31T12:00Z', 'Europe/Berlin', ['2026-02-28T23:00', '2026-03-31T22:00']],
  ])('finds the month at %s in %s', (at, timeZone, expected) => {
    expect(span('month', at, timeZone)).toEqual(expected);
  });

  it('holds its moment and leads to the next without a gap, in every zone that there is', () => {
    const zones = fc.constantFrom('UTC', ...Intl.supportedValuesOf('timeZone'));
    const instants = fc.integer({ min: 0, max: Date.UTC(2040, 0) });
    fc.assert(
      fc.property(fc.constantFrom(...PERIODS), instants, zones, (period, now, timeZone) => {
        const here = periodAt(period, now, timeZone);
        expect(here.startsAt).toBeLessThanOrEqual(now);
        expect(here.endsAt).toBeGreaterThan(now);
        expect(periodAt(period, here.startsAt, timeZone)).toEqual(here);
        expect(periodAt(period, here.endsAt - 1, timeZone)).toEqual(here);
        expect(periodAt(period, here.endsAt, timeZone).startsAt).toBe(here.endsAt);
        expect(periodAt(period, here.startsAt - 1, timeZone).endsAt).toBe(here.startsAt);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['America/Sao_Paulo', 2018],
    ['Africa/Cairo', 2024],
    ['America/St_Johns', 2006],
    ['America/Havana', 2025],
    ['Asia/Beirut', 2025],
    ['Pacific/Apia', 2011],
    ['America/Scoresbysund', 2024],
    ['Africa/Casablanca', 2026],
  ])('tiles a whole year of %s in order', (timeZone, year) => {
    const end = Date.UTC(year + 1, 1);
    let now = Date.UTC(year, 0);
    let days = 0;
    while (now < end) {
      const day = periodAt('day', now, timeZone);
      expect(day.startsAt <= now && now < day.endsAt).toBe(true);
      expect(day.endsAt - day.startsAt).toBeGreaterThanOrEqual(22 * HOUR_MS);
      expect(day.endsAt - day.startsAt).toBeLessThanOrEqual(26 * HOUR_MS);
      expect(periodAt('day', day.endsAt - 1, timeZone)).toEqual(day);
      now = day.endsAt;
      days += 1;
    }
    expect(days).toBeGreaterThanOrEqual(395);
  });
});

describe('isTimeZone', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/Argentina/Ushuaia', 'Etc/GMT+5', 'Asia/Kathmandu'])(
    'knows %s',
    (name) => {
      expect(isTimeZone(name)).toBe(true);
    },
  );

  it.each(['', 'Mars/Olympus', '+02:00', 'Europe/Berlin ', 'Europe/Bérlin', 'a'.repeat(65)])(
    'does not know "%s"',
    (name) => {
      expect(isTimeZone(name)).toBe(false);
    },
  );

  it('keeps on answering after more zones than it remembers', () => {
    for (const zone of Intl.supportedValuesOf('timeZone').slice(0, 150)) {
      expect(isTimeZone(zone)).toBe(true);
    }
    expect(periodAt('day', 0, 'UTC')).toEqual({ startsAt: 0, endsAt: 24 * HOUR_MS });
  });
});
