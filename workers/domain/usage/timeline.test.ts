import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Granularity, Span } from './timeline';
import {
  alignedRange,
  datesIn,
  GRANULARITIES,
  isWithin,
  piecesOf,
  RANGE_WORDS,
  rangeBefore,
  rangeOf,
  SLOT_MS,
  spansOf,
} from './timeline';

const HOUR = 3_600_000;
const ZONES = [
  'UTC',
  'America/New_York',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Europe/Berlin',
];
const zones = fc.constantFrom(...ZONES);
const instants = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2030, 0, 1) });

describe('spans', () => {
  it('follow each other without gap over the whole range, in quarters of an hour', () => {
    const granularities = fc.constantFrom<Granularity>('hour', 'day', 'week', 'month');
    fc.assert(
      fc.property(instants, fc.nat(20 * 24 * HOUR), granularities, zones, (at, length, g, zone) => {
        const range = alignedRange({ startsAt: at, endsAt: at + length + 1 }, g);
        const spans = spansOf(range, { granularity: g, timeZone: zone });
        expect(spans[0]?.startsAt).toBe(range.startsAt);
        expect(spans.at(-1)?.endsAt).toBe(range.endsAt);
        for (const [index, span] of spans.entries()) {
          expect(span.endsAt).toBeGreaterThan(span.startsAt);
          expect(span.startsAt % SLOT_MS).toBe(0);
          if (index > 0) expect(span.startsAt).toBe(spans[index - 1]?.endsAt);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('of a day are 23, 24 or 25 hours, and half an hour where a zone shifts by that', () => {
    const hoursOf = (day: number, timeZone: string) => {
      const range = { startsAt: day - 12 * HOUR, endsAt: day + 36 * HOUR };
      const days = spansOf(range, { granularity: 'day', timeZone });
      const [, whole] = days;
      return whole === undefined ? [] : spansOf(whole, { granularity: 'hour', timeZone });
    };
    expect(hoursOf(Date.UTC(2026, 2, 8, 5), 'America/New_York')).toHaveLength(23);
    expect(hoursOf(Date.UTC(2026, 10, 1, 4), 'America/New_York')).toHaveLength(25);
    const howe = hoursOf(Date.UTC(2026, 3, 4, 13), 'Australia/Lord_Howe');
    expect(howe).toHaveLength(25);
    expect(howe.map(({ startsAt, endsAt }) => endsAt - startsAt).at(-1)).toBe(HOUR / 2);
  });

  it('of minutes begin at whole minutes', () => {
    const range = alignedRange({ startsAt: 61_000, endsAt: 200_000 }, 'minute');
    expect(spansOf(range, { granularity: 'minute', timeZone: 'UTC' })).toEqual([
      { startsAt: 60_000, endsAt: 120_000 },
      { startsAt: 120_000, endsAt: 180_000 },
      { startsAt: 180_000, endsAt: 240_000 },
    ]);
    expect(GRANULARITIES).toContain('minute');
  });
});

describe('a range by word', () => {
  it('is today and the days before it, and what it is compared with lies before it', () => {
    const now = Date.UTC(2026, 10, 23, 18, 7);
    const zone = 'Asia/Kathmandu';
    const midnight = Date.UTC(2026, 10, 22, 18, 15);
    expect(rangeOf('day', now, zone)).toEqual({ startsAt: midnight, endsAt: now });
    expect(rangeOf('week', now, zone).startsAt).toBe(midnight - 6 * 24 * HOUR);
    expect(rangeBefore('day', now, zone)).toEqual({
      startsAt: midnight - 24 * HOUR,
      endsAt: now - 24 * HOUR,
    });
    fc.assert(
      fc.property(instants, zones, fc.constantFrom(...RANGE_WORDS), (now, zone, word) => {
        const [range, before] = [rangeOf(word, now, zone), rangeBefore(word, now, zone)];
        expect(range.endsAt).toBe(now);
        expect(before.endsAt).toBeLessThanOrEqual(range.startsAt);
        expect(before.endsAt - before.startsAt).toBeLessThanOrEqual(now - range.startsAt);
      }),
      { numRuns: 30 },
    );
  });
});

describe('pieces', () => {
  it('make up every span whole, without lying over each other', () => {
    const spans: fc.Arbitrary<Span[]> = fc.array(
      fc
        .tuple(fc.nat(50), fc.integer({ min: 1, max: 50 }))
        .map(([startsAt, length]) => ({ startsAt, endsAt: startsAt + length })),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(spans, (given) => {
        const pieces = piecesOf(given);
        for (const [index, piece] of pieces.entries()) {
          expect(piece.startsAt).toBeGreaterThanOrEqual(pieces[index - 1]?.endsAt ?? 0);
        }
        for (const span of given) {
          const own = pieces.filter((piece) => isWithin(piece, span));
          const length = own.reduce((sum, { startsAt, endsAt }) => sum + endsAt - startsAt, 0);
          expect(length).toBe(span.endsAt - span.startsAt);
        }
      }),
    );
  });
});

describe('dates', () => {
  it('are those of the zone', () => {
    const at = Date.UTC(2026, 10, 23, 23, 30);
    expect(datesIn('UTC')(at)).toBe('2026-11-23');
    expect(datesIn('Asia/Kathmandu')(at)).toBe('2026-11-24');
  });
});
