// What a question for usage asks for: which range, cut into which spans, grouped by what.

import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import { HOUR_MS } from '../../domain/time';
import type { Granularity, RangeWord, Span } from '../../domain/usage/timeline';
import { alignedRange, RANGE_MS_MAX, rangeOf, spansOf } from '../../domain/usage/timeline';

interface Asked {
  readonly range?: RangeWord | undefined;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly timeZone?: string | undefined;
  readonly granularity?: Granularity | undefined;
  readonly group?: string | undefined;
}

export interface Plan {
  readonly range: Span;
  readonly spans: readonly Span[];
  readonly granularity: Granularity;
  readonly timeZone: string;
}

const BY_HOURS_MS = 48 * HOUR_MS;

/** `now` in Unix ms; `timeZone` of whoever asks. */
export function planOf(
  asked: Asked,
  { now, timeZone: ownZone }: { readonly now: number; readonly timeZone: string },
): Result<Plan, Refused> {
  const timeZone = asked.timeZone ?? ownZone;
  const range = rangeAsked(asked, now, timeZone);
  if (!range.ok) return range;
  const lengthMs = range.value.endsAt - range.value.startsAt;
  const granularity = asked.granularity ?? (lengthMs <= BY_HOURS_MS ? 'hour' : 'day');
  if (lengthMs > RANGE_MS_MAX[granularity]) {
    const hours = RANGE_MS_MAX[granularity] / HOUR_MS;
    return wrong('granularity', `takes a range of at most ${hours} hours`);
  }
  if (asked.group === 'day' && (granularity === 'week' || granularity === 'month')) {
    return wrong('group', 'days are not made of weeks or months');
  }
  const aligned = alignedRange(range.value, granularity);
  const spans = spansOf(aligned, { granularity, timeZone });
  return ok({ range: aligned, spans, granularity, timeZone });
}

function rangeAsked(
  { range, from, to, granularity }: Asked,
  now: number,
  timeZone: string,
): Result<Span, Refused> {
  if (from === undefined && to !== undefined) return wrong('from', 'is missing beside `to`');
  if (from === undefined) {
    const isMinutes = granularity === 'minute' && range === undefined;
    if (isMinutes) return ok({ startsAt: now - HOUR_MS, endsAt: now });
    return ok(rangeOf(range ?? 'week', now, timeZone));
  }
  if (range !== undefined) return wrong('range', 'excludes `from` and `to`');
  const span = { startsAt: from, endsAt: to ?? now };
  return span.startsAt < span.endsAt ? ok(span) : wrong('to', 'is not after `from`');
}

function wrong(field: string, why: string): { readonly ok: false; readonly error: Refused } {
  return refused('not-valid', { fields: { [field]: why } });
}
