// When an account takes new requests, by the clocks of its time zone.

import type { ActiveHours } from '../snapshot';
import { HOUR_MS, MINUTE_MS } from '../time';

const DAY_MINUTES = 24 * 60;

/** Whether `now` (Unix ms) lies in `hours`; null: always. An unknown zone is never active. */
export function isActiveAt(hours: ActiveHours | null, now: number): boolean {
  if (hours === null) return true;
  const local = localMinute(hours.timeZone, now);
  if (local === null) return false;
  const { day, minute } = local;
  const { days, fromMinute, toMinute } = hours;
  if (fromMinute < toMinute) return days.includes(day) && fromMinute <= minute && minute < toMinute;
  // Over midnight: the hours belong to the day on which they begin.
  const yesterday = (day + 6) % 7;
  if (fromMinute <= minute) return days.includes(day);
  return minute < toMinute && days.includes(yesterday);
}

interface LocalMinute {
  /** 0 is Sunday. */
  readonly day: number;
  /** After midnight. */
  readonly minute: number;
}

/** No zone is further from UTC than whole quarters of an hour, nor changes within one. */
const QUARTER_MS = 15 * MINUTE_MS;
const ZONES_MAX = 64;

/** Asking a zone's clock takes far longer than all else in choosing: one answer a quarter. */
const offsets = new Map<string, { readonly quarter: number; readonly offsetMs: number | null }>();

function localMinute(timeZone: string, now: number): LocalMinute | null {
  const quarter = Math.floor(now / QUARTER_MS);
  const known = offsets.get(timeZone);
  const offsetMs = known?.quarter === quarter ? known.offsetMs : offsetAt(timeZone, now);
  if (known?.quarter !== quarter) {
    if (offsets.size >= ZONES_MAX) offsets.clear();
    offsets.set(timeZone, { quarter, offsetMs });
  }
  if (offsetMs === null) return null;
  const minutes = Math.floor((now + offsetMs) / MINUTE_MS);
  // 1 January 1970 was a Thursday.
  const day = (Math.floor(minutes / DAY_MINUTES) + 4) % 7;
  return { day, minute: minutes % DAY_MINUTES };
}

/** How far (ms) the zone's clocks are ahead of UTC; null: there is no such zone. */
function offsetAt(timeZone: string, now: number): number | null {
  try {
    const text = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
      .formatToParts(now)
      .find(({ type }) => type === 'timeZoneName')?.value;
    const [, sign, hours, minutes = '0'] =
      /^GMT(?:([+-])(\d{2}):?(\d{2})?)?/.exec(text ?? '') ?? [];
    if (sign === undefined) return 0;
    const ahead = Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS;
    return sign === '-' ? -ahead : ahead;
  } catch {
    return null;
  }
}
