// Days, weeks and months as people in a time zone live them: days of 23 and 25 hours, days whose
// midnight does not exist, days that a zone skipped. It counts nothing; budget.ts does.

import { HOUR_MS } from '../time';

export type CalendarPeriod = 'day' | 'week' | 'month';

/** Unix ms; `endsAt` is the first instant of the next period. */
export interface Period {
  readonly startsAt: number;
  readonly endsAt: number;
}

const DAY_MS = 24 * HOUR_MS;
/** No zone was ever further from UTC than this, its changes included. */
const OFFSET_MAX_MS = 26 * HOUR_MS;
const ZONES_MAX = 64;
const LATEST_MAX = 3 * ZONES_MAX;
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/;

/**
 * The period that holds `now` (Unix ms) in the IANA zone. A period begins where its first date
 * begins for the first time, so the periods of a zone follow each other without gap or overlap.
 * Throws RangeError when there is no such zone: check with `isTimeZone` first.
 */
export function periodAt(period: CalendarPeriod, now: number, timeZone: string): Period {
  const name = `${period}|${timeZone}`;
  const known = latest.get(name);
  if (known !== undefined && known.startsAt <= now && now < known.endsAt) return known;
  const found = findPeriod(period, now, timeZone);
  if (latest.size >= LATEST_MAX) latest.clear();
  latest.set(name, found);
  return found;
}

/** A wallet that wakes asks for the same few again, and finding one takes far longer than a sum. */
const latest = new Map<string, Period>();

function findPeriod(period: CalendarPeriod, now: number, timeZone: string): Period {
  const today = Math.floor((now + offsetAt(now, timeZone)) / DAY_MS) * DAY_MS;
  let from = firstDate(period, today);
  let startsAt = startOf(from, timeZone);
  // Where clocks go back over midnight, a date is shown, left and shown again: `startOf` may then
  // have found the second time.
  while (startsAt > now) {
    from = firstDate(period, from - DAY_MS);
    startsAt = startOf(from, timeZone);
  }
  for (;;) {
    const next = firstDateAfter(period, from);
    const endsAt = startOf(next, timeZone);
    if (endsAt > now) return { startsAt, endsAt };
    from = next;
    startsAt = endsAt;
  }
}

/** Whether `text` is a time zone's name that `periodAt` takes. */
export function isTimeZone(text: string): boolean {
  if (!ZONE_NAME.test(text)) return false;
  try {
    formatOf(text);
    return true;
  } catch {
    return false;
  }
}

/** A date is written as the Unix ms of its midnight in UTC. */
function firstDate(period: CalendarPeriod, date: number): number {
  const day = new Date(date);
  switch (period) {
    case 'day':
      return date;
    case 'week':
      // Monday is the first day.
      return date - ((day.getUTCDay() + 6) % 7) * DAY_MS;
    case 'month':
      return Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), 1);
  }
}

function firstDateAfter(period: CalendarPeriod, date: number): number {
  const day = new Date(date);
  switch (period) {
    case 'day':
      return date + DAY_MS;
    case 'week':
      return date + 7 * DAY_MS;
    case 'month':
      return Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 1);
  }
}

/** The instant (Unix ms) at which the zone's clocks reach the date's midnight, or jump over it. */
function startOf(date: number, timeZone: string): number {
  let before = date - OFFSET_MAX_MS;
  let after = date + OFFSET_MAX_MS;
  const plain = date - offsetAt(before, timeZone);
  // Nearly always the clocks pass midnight as they did the day before.
  if (reached(plain) && !reached(plain - 1)) return plain;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (reached(middle)) after = middle;
    else before = middle;
  }
  return after;

  function reached(instant: number): boolean {
    return instant + offsetAt(instant, timeZone) >= date;
  }
}

/** How far (ms) the zone's clocks are ahead of UTC at `instant` (Unix ms). */
function offsetAt(instant: number, timeZone: string): number {
  const second = Math.floor(instant / 1_000) * 1_000;
  const shown: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(second)) {
    shown[type] = Number(value);
  }
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second: seconds = 0 } = shown;
  return Date.UTC(year, month - 1, day, hour, minute, seconds) - second;
}

/** Making a formatter takes far longer than using it; a zone's data do not change while we run. */
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  if (formats.size >= ZONES_MAX) formats.clear();
  formats.set(timeZone, format);
  return format;
}
