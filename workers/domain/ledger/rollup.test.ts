import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idOf, NOW, ownerOf, PRICE } from '../../../tests/support/ledger';
import { nanos } from '../money';
import { MINUTE_MS } from '../time';
import { addHistograms, emptyHistogram, HISTOGRAM_BUCKETS, histogramOf } from '../usage/histogram';
import type { TokenCounts } from '../usage/tokens';
import type { Closing } from './calls';
import { rollupDeltas, sumByKey } from './rollup';
import type { Correction, RequestRow } from './row';

const OWNER = ownerOf(1);
const STANDARD = { speed: null, geo: null, tier: null };

interface Ended {
  readonly seq: number;
  readonly minute: number;
  readonly key: number;
  readonly account: number;
  readonly closing: Closing;
  readonly cost: number;
  readonly counts: TokenCounts;
  readonly totalMs: number;
  readonly firstByteMs: number | null;
}

const count = fc.nat(200_000);
const counts: fc.Arbitrary<TokenCounts> = fc.record({
  input: count,
  cacheWrite5m: count,
  cacheWrite1h: count,
  cacheRead: count,
  output: count,
  webSearches: fc.nat(3),
});
const closings = fc.constantFrom<Closing>('completed', 'client-left', 'upstream-failed');
const endings = {
  account: fc.nat(2),
  closing: closings,
  cost: fc.nat(1e9),
  counts,
  totalMs: fc.nat(600_000),
  firstByteMs: fc.option(fc.nat(20_000)),
};
const ended: fc.Arbitrary<Ended> = fc.record({
  seq: fc.nat(1e6),
  minute: fc.nat(40),
  key: fc.nat(1),
  ...endings,
});
/** A request and what later settles made of it. */
const histories = fc.array(
  fc.record({ first: ended, later: fc.array(fc.record(endings), { maxLength: 2 }) }),
  { maxLength: 12 },
);

function rowOf(end: Ended): RequestRow {
  const { seq, closing } = end;
  const [requestId, keyId] = [idOf('request', seq), idOf('key', end.key)];
  const costNanos = nanos(end.cost);
  return {
    seq,
    requestId,
    keyId,
    admittedAt: NOW + end.minute * MINUTE_MS,
    leaseUntil: NOW,
    opened: null,
    progress: null,
    outcome: { closing, certainty: 'reported', costNanos, closedAt: NOW },
    known: { certainty: 'reported', costNanos },
    closed: {
      closing,
      usage: {
        entries: [{ model: PRICE.model, counts: end.counts, terms: STANDARD }],
        flags: [],
      },
      model: PRICE.model,
      accountId: end.account === 0 ? null : idOf('account', end.account),
      status: 200,
      attempts: [],
      timings: { admitMs: 1, firstByteMs: end.firstByteMs, totalMs: end.totalMs },
    },
  };
}

/** Rows as first closed, their corrections in order, and what they are in the end. */
function happenedIn(history: readonly { first: Ended; later: readonly Omit<Ended, never>[] }[]) {
  const rows: RequestRow[] = [];
  const corrections: Correction[] = [];
  const final: RequestRow[] = [];
  for (const [index, { first, later }] of history.entries()) {
    let row = rowOf({ ...first, seq: index + 1 });
    rows.push(row);
    for (const end of later) {
      const { known, closed } = rowOf({ ...first, ...end, seq: index + 1 });
      const after = { ...row, known, closed };
      corrections.push({ before: row, after });
      row = after;
    }
    final.push(row);
  }
  return { rows, corrections, final };
}

function bySums(deltas: ReturnType<typeof rollupDeltas>) {
  const text = (delta: (typeof deltas)[number]) => JSON.stringify(delta);
  return deltas.toSorted((a, b) => (text(a) < text(b) ? -1 : 1));
}

describe('rollups', () => {
  const ownerId = OWNER.userId;

  it('of rows and corrections are those of the rows as they are in the end', () => {
    fc.assert(
      fc.property(histories as fc.Arbitrary<{ first: Ended; later: Ended[] }[]>, (history) => {
        const { rows, corrections, final } = happenedIn(history);
        const deltas = rollupDeltas({ rows, corrections, ownerId });
        expect(bySums(deltas)).toEqual(
          bySums(rollupDeltas({ rows: final, corrections: [], ownerId })),
        );
      }),
    );
  });

  it('are the same in one batch and in any two', () => {
    const cuts = fc.tuple(fc.nat(30), fc.nat(30));
    const both = fc.tuple(histories as fc.Arbitrary<{ first: Ended; later: Ended[] }[]>, cuts);
    fc.assert(
      fc.property(both, ([history, [a, b]]) => {
        const { rows, corrections } = happenedIn(history);
        const whole = rollupDeltas({ rows, corrections, ownerId });
        const parts = [
          { rows: rows.slice(0, a), corrections: corrections.slice(0, b), ownerId },
          { rows: rows.slice(a), corrections: corrections.slice(b), ownerId },
        ].flatMap(rollupDeltas);
        const summed = sumByKey(parts).filter(({ requests, costNanos, counts: tokens, total }) =>
          [requests, costNanos, ...Object.values(tokens), ...total].some((figure) => figure !== 0),
        );
        expect(bySums(summed)).toEqual(bySums(whole));
      }),
    );
  });

  it('count every request, token and nano-dollar once', () => {
    fc.assert(
      fc.property(fc.array(ended, { maxLength: 20 }), (list) => {
        const rows = list.map(rowOf);
        const deltas = rollupDeltas({ rows, corrections: [], ownerId });
        const sum = (of: (delta: (typeof deltas)[number]) => number) =>
          deltas.reduce((total, delta) => total + of(delta), 0);
        expect(sum(({ requests }) => requests)).toBe(list.length);
        expect(sum(({ costNanos }) => costNanos)).toBe(
          list.reduce((total, { cost }) => total + cost, 0),
        );
        expect(sum((delta) => delta.counts.output)).toBe(
          list.reduce((total, { counts: tokens }) => total + tokens.output, 0),
        );
        expect(sum(({ total }) => total.reduce((all, n) => all + n, 0))).toBe(list.length);
      }),
    );
  });

  it('count each first byte that came in the bucket of its time', () => {
    fc.assert(
      fc.property(fc.array(ended, { maxLength: 20 }), (list) => {
        const deltas = rollupDeltas({ rows: list.map(rowOf), corrections: [], ownerId });
        const sum = deltas
          .map(({ firstByte }) => firstByte)
          .reduce(addHistograms, emptyHistogram());
        const each = list.map(({ firstByteMs }) => histogramOf(firstByteMs));
        expect(sum).toEqual(each.reduce(addHistograms, emptyHistogram()));
      }),
    );
  });

  it('follow the closing that the best-known settle named', () => {
    const [end] = fc.sample(ended, { numRuns: 1, seed: 1 });
    if (end === undefined) throw new Error('no sample');
    const before = rowOf({ ...end, closing: 'client-left' });
    const { closed } = rowOf({ ...end, closing: 'completed' });
    const corrections = [{ before, after: { ...before, closed } }];
    const deltas = rollupDeltas({ rows: [before], corrections, ownerId });
    expect(deltas).toMatchObject([{ closing: 'completed', requests: 1 }]);
  });

  it('begin at whole quarters of an hour and are dated by admit', () => {
    const end: Ended = {
      seq: 1,
      key: 1,
      account: 1,
      closing: 'completed',
      cost: 5,
      counts: {
        input: 1,
        cacheWrite5m: 2,
        cacheWrite1h: 3,
        cacheRead: 4,
        output: 5,
        webSearches: 6,
      },
      totalMs: 100,
      firstByteMs: null,
      minute: 44,
    };
    const [delta] = rollupDeltas({ rows: [rowOf(end)], corrections: [], ownerId });
    expect(delta).toMatchObject({
      slot: NOW + 30 * MINUTE_MS,
      userId: ownerId,
      model: PRICE.model,
      accountId: idOf('account', 1),
      closing: 'completed',
      counts: end.counts,
    });
    expect(delta?.firstByte).toEqual(Array.from({ length: HISTOGRAM_BUCKETS }, () => 0));
  });

  it('of a row that the alarm closed have a cost and nothing else, and no open row has any', () => {
    const row = rowOf({
      seq: 1,
      key: 1,
      account: 1,
      closing: 'recovered',
      cost: 5,
      minute: 0,
      counts: {
        input: 1,
        cacheWrite5m: 0,
        cacheWrite1h: 0,
        cacheRead: 0,
        output: 0,
        webSearches: 0,
      },
      totalMs: 100,
      firstByteMs: null,
    });
    const recovered = { ...row, closed: null };
    const [delta] = rollupDeltas({ rows: [recovered], corrections: [], ownerId });
    expect(delta).toMatchObject({ requests: 1, costNanos: 5, model: '', accountId: '' });
    expect(Object.values(delta?.counts ?? {}).every((tokens) => tokens === 0)).toBe(true);
    const open = { ...recovered, outcome: null, known: null };
    expect(() => rollupDeltas({ rows: [open], corrections: [], ownerId })).toThrow('is open');
  });
});
