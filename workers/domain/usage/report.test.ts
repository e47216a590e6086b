import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OwnRequest } from '../ledger/reads';
import { CLOSINGS } from '../ledger/calls';
import { nanos, ZERO_NANOS } from '../money';
import { histogramOf, percentilesMs } from './histogram';
import { namedBySpan, regrouped, reportOf, reportOfSome, sumsOfRequests } from './report';
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

  it('names spans where groups are times', () => {
    const figures = { requests: 1, errors: 0, counts: NO_TOKENS, costNanos: nanos(1) };
    const times = { total: histogramOf(5), firstByte: histogramOf(3) };
    const sums = [0, 1, 2].map((span) => ({ span, name: '', ...figures, times }));
    const { groups } = reportOf(
      namedBySpan(sums, (span) => (span < 2 ? 'first' : 'second')),
      3,
    );
    expect(groups.map(({ name, requests }) => [name, requests])).toEqual([
      ['first', 2],
      ['second', 1],
    ]);
    expect(percentilesMs(groups[0]?.times.firstByte ?? [], [99])).toEqual([3]);
  });

  it('knows times of every span of every name, which come to those of both', () => {
    const counts = (times: readonly { readonly total: readonly number[] }[]) =>
      times.flatMap(({ total }) => total).reduce((sum, count) => sum + count, 0);
    fc.assert(
      fc.property(requests, (list) => {
        const sums = sumsOfRequests(list, SPANS, ({ keyId }) => keyId);
        const { totals, series, groups } = reportOf(sums, SPANS.length);
        const whole = counts([totals.times]);
        expect(counts(series.map(({ times }) => times))).toBe(whole);
        expect(counts(groups.map(({ times }) => times))).toBe(whole);
        expect(counts(groups.flatMap(({ points }) => points.map(({ times }) => times)))).toBe(
          whole,
        );
      }),
    );
  });

  it('of some names has the others as one, and none where there are no others', () => {
    fc.assert(
      fc.property(requests, (list) => {
        const sums = sumsOfRequests(list, SPANS, ({ keyId }) => keyId);
        const named = sums.filter(({ name }) => name === 'key_1');
        const rest = reportOf(
          sums.filter(({ name }) => name !== 'key_1'),
          SPANS.length,
        );
        const whole = reportOf(sums, SPANS.length);
        const some = reportOfSome(sums, named, SPANS.length);
        expect(some).toMatchObject({ totals: whole.totals, series: whole.series });
        expect(some.groups).toEqual(whole.groups.filter(({ name }) => name === 'key_1'));
        const [other = null] = rest.groups;
        if (other === null) expect(some.others).toBeNull();
        else expect({ name: other.name, ...some.others }).toEqual(other);
        expect(reportOfSome(sums, sums, SPANS.length).others).toBeNull();
      }),
    );
  });
});
