import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OwnRequest } from '../ledger/reads';
import { CLOSINGS } from '../ledger/calls';
import { nanos, ZERO_NANOS } from '../money';
import { histogramOf, percentileMs } from './histogram';
import { namedBySpan, regrouped, reportOf, sumsOfRequests } from './report';
import type { Span } from './timeline';
import { NO_TOKENS } from './tokens';

const KEYS = ['key_1', 'key_2'] as const;
const SPANS: readonly Span[] = [0, 10, 20, 30].map((at) => ({ startsAt: at, endsAt: at + 10 }));

const requests: fc.Arbitrary<OwnRequest[]> = fc.array(
  fc
    .record({
      admittedAt: fc.integer({ min: -5, max: 45 }),
      keyId: fc.constantFrom(...KEYS),
      closing: fc.constantFrom(null, ...CLOSINGS),
      cost: fc.nat(1_000),
      totalMs: fc.constantFrom(null, 5, 100),
    })
    .map(({ cost, totalMs, ...given }) => ({
      ...given,
      requestId: 'req_1',
      userId: null,
      closedAt: null,
      model: 'm',
      certainty: null,
      status: null,
      costNanos: nanos(cost),
      heldNanos: ZERO_NANOS,
      counts: { ...NO_TOKENS, output: cost },
      flags: [],
      accountId: null,
      timings: totalMs === null ? null : { admitMs: 1, firstByteMs: null, totalMs },
      tags: {},
    })),
);

describe('a report of requests', () => {
  it('counts each that is over and in the range once, by span and by name alike', () => {
    fc.assert(
      fc.property(requests, (list) => {
        const sums = sumsOfRequests(list, SPANS, ({ keyId }) => keyId);
        const { totals, series, groups } = reportOf(sums, SPANS.length);
        const counted = list.filter(
          ({ admittedAt: at, closing }) => closing !== null && at >= 0 && at < 40,
        );
        const cost = counted.reduce((sum, { costNanos }) => sum + costNanos, 0);
        const fine = counted.filter(({ closing }) =>
          ['completed', 'client-left'].includes(closing ?? ''),
        );
        expect(totals).toMatchObject({
          requests: counted.length,
          errors: counted.length - fine.length,
          costNanos: cost,
        });
        for (const parts of [series, groups]) {
          expect(parts.reduce((sum, part) => sum + part.costNanos, 0)).toBe(cost);
          expect(parts.reduce((sum, part) => sum + part.requests, 0)).toBe(counted.length);
        }
        const timed = counted.filter(({ timings }) => timings !== null);
        expect(totals.times.total.reduce((sum, count) => sum + count, 0)).toBe(timed.length);
        expect(groups.map(({ costNanos }) => costNanos)).toEqual(
          groups.map(({ costNanos }) => costNanos).toSorted((a, b) => b - a),
        );
      }),
    );
  });

  it('says the same of spans that are put together, and of what lies outside nothing', () => {
    const halves = [
      { startsAt: 0, endsAt: 20 },
      { startsAt: 20, endsAt: 40 },
    ];
    fc.assert(
      fc.property(requests, (list) => {
        const nameOf = () => '';
        const [fine, coarse] = [SPANS, halves].map((spans) => sumsOfRequests(list, spans, nameOf));
        if (fine === undefined || coarse === undefined) throw new Error('two were made');
        expect(reportOf(regrouped(fine, SPANS, halves), 2).series).toEqual(
          reportOf(coarse, 2).series,
        );
        const first = reportOf(regrouped(fine, SPANS, halves.slice(0, 1)), 1).totals;
        expect(first).toEqual(reportOf(coarse, 2).series[0]);
      }),
    );
  });

  it('names spans where groups are times, and takes times by name where there are no others', () => {
    const figures = { requests: 1, errors: 0, counts: NO_TOKENS, costNanos: nanos(1) };
    const times = { total: histogramOf(5), firstByte: histogramOf(3) };
    const cells = [0, 1, 2].map((span) => ({ span, name: '', figures }));
    const spanTimes = new Map([0, 1, 2].map((span) => [span, times]));
    const named = namedBySpan({ cells, spanTimes, nameTimes: new Map() }, (span) =>
      span < 2 ? 'first' : 'second',
    );
    const { groups, totals } = reportOf(named, 3);
    expect(groups.map(({ name, requests }) => [name, requests])).toEqual([
      ['first', 2],
      ['second', 1],
    ]);
    const byName = reportOf({ ...named, spanTimes: new Map() }, 3);
    expect(byName.totals).toEqual(totals);
    expect(percentileMs(byName.totals.times.firstByte, 99)).toBe(3);
  });
});
