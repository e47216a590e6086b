// Ranges of time and the spans that a chart cuts them into: minutes, and hours, days, weeks and
// months as a time zone has them. Sums are kept by quarters of an hour (UTC), which every zone's
// days are made of. It counts nothing.

import { periodAt } from '../limits/calendar';
import { HOUR_MS, MINUTE_MS } from '../time';

/** What sums are kept by. */
export const SLOT_MS = 15 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Unix ms; `endsAt` is not in it. */
export interface Span {
  readonly startsAt: number;
  readonly endsAt: number;
}

export const GRANULARITIES = ['minute', 'hour', 'day', 'week', 'month'] as const;
export type Granularity = (typeof GRANULARITIES)[number];

export const RANGE_WORDS = ['day', 'week', 'month', '90d'] as const;
export type RangeWord = (typeof RANGE_WORDS)[number];

const DAYS = { day: 1, week: 7, month: 30, '90d': 90 } as const satisfies Record<RangeWord, number>;

/** The longest range that can be asked for in spans of each size. */
export const RANGE_MS_MAX: Readonly<Record<Granularity, number>> = {
  minute: 2 * HOUR_MS,
  hour: 92 * DAY_MS,
  day: 400 * DAY_MS,
  week: 400 * DAY_MS,
  month: 400 * DAY_MS,
};

/** Today as far as it has come, and as many days before it as `word` says: 1, 7, 30, 90 in all. */
export function rangeOf(word: RangeWord, now: number, timeZone: string): Span {
  const today = periodAt('day', now, timeZone).startsAt;
  return { startsAt: daysBefore(today, DAYS[word] - 1, timeZone), endsAt: now };
}

/** As many days before `rangeOf`'s, up to the same time of day: what it is fairly compared with. */
export function rangeBefore(word: RangeWord, now: number, timeZone: string): Span {
  const range = rangeOf(word, now, timeZone);
  const startsAt = daysBefore(range.startsAt, DAYS[word], timeZone);
  return { startsAt, endsAt: Math.min(range.startsAt, startsAt + (now - range.startsAt)) };
}

/** The whole slots (for minutes: the whole minutes) that hold the range. */
export function alignedRange({ startsAt, endsAt }: Span, granularity: Granularity): Span {
  const step = granularity === 'minute' ? MINUTE_MS : SLOT_MS;
  return {
    startsAt: Math.floor(startsAt / step) * step,
    endsAt: Math.ceil(endsAt / step) * step,
  };
}

/**
 * Cuts the range into spans that follow each other without gap; the first and the last may be
 * shorter. Hours are counted from the zone's midnight. Throws RangeError for a zone that is none.
 */
export function spansOf(
  { startsAt, endsAt }: Span,
  { granularity, timeZone }: { readonly granularity: Granularity; readonly timeZone: string },
): readonly Span[] {
  const spans: Span[] = [];
  const days = lastOf((at: number) => periodAt('day', at, timeZone));
  const endOf = (at: number) => {
    if (granularity === 'minute') return at - (at % MINUTE_MS) + MINUTE_MS;
    if (granularity !== 'hour') return periodAt(granularity, at, timeZone).endsAt;
    const day = days(at);
    const hours = Math.floor((at - day.startsAt) / HOUR_MS) + 1;
    return Math.min(day.endsAt, day.startsAt + hours * HOUR_MS);
  };
  let at = startsAt;
  while (at < endsAt) {
    const end = Math.min(endsAt, endOf(at));
    spans.push({ startsAt: at, endsAt: end });
    at = end;
  }
  return spans;
}

/**
 * The pieces that all of `spans` are made of, oldest first: each span is whole pieces, however
 * spans lie over each other.
 */
export function piecesOf(spans: readonly Span[]): readonly Span[] {
  const marks = [...new Set(spans.flatMap(({ startsAt, endsAt }) => [startsAt, endsAt]))].sort(
    (a, b) => a - b,
  );
  return marks.slice(1).flatMap((endsAt, index) => {
    const piece = { startsAt: marks[index] ?? endsAt, endsAt };
    return spans.some((span) => isWithin(piece, span)) ? [piece] : [];
  });
}

/** Whether all of `piece` is in `span`. */
export function isWithin(piece: Span, span: Span): boolean {
  return piece.startsAt >= span.startsAt && piece.endsAt <= span.endsAt;
}

/** Finding a day takes far longer than seeing that it is still the same. */
function lastOf(find: (at: number) => Span): (at: number) => Span {
  let last: Span | null = null;
  return (at) => {
    if (last === null || at < last.startsAt || at >= last.endsAt) last = find(at);
    return last;
  };
}

function daysBefore(start: number, count: number, timeZone: string): number {
  let at = start;
  for (let day = 0; day < count; day += 1) at = periodAt('day', at - 1, timeZone).startsAt;
  return at;
}

/** Names instants (Unix ms) by their date in the zone: `2026-11-23`. */
export function datesIn(timeZone: string): (at: number) => string {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  return (at) => format.format(at);
}
