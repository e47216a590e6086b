// The day, week or month that an instant is in, asked of the platform's calendar and named like
// one. Nothing of workers/domain/limits/calendar.ts is in it.

import type { CalendarPeriod } from '../../workers/domain/limits/calendar';

/** Of an instant (Unix ms) in a zone (IANA name). */
export function periodNameOf(period: CalendarPeriod, at: number, timeZone: string): string {
  return nameOf(period, formatOf(timeZone).format(at));
}

/** A week is named by its Monday; `day` as in 2035-11-04. */
function nameOf(period: CalendarPeriod, day: string): string {
  if (period === 'day') return day;
  if (period === 'month') return day.slice(0, 7);
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  return date.toISOString().slice(0, 10);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-CA', { timeZone });
  formats.set(timeZone, format);
  return format;
}
