// From sums by span and by name to what people are shown: totals, a series, groups. It reads
// nothing; sums come from rollups (store/usage.ts) or, for minutes, from requests themselves.

import type { OwnRequest } from '../ledger/reads';
import type { Figures, Times } from './figures';
import { addFigures, FINE_CLOSINGS, mapFigures, NO_FIGURES, sumTimes } from './figures';
import type { Histogram } from './histogram';
import { histogramOf } from './histogram';
import type { Span } from './timeline';
import { isWithin } from './timeline';

/** Figures of one span and one name; '' where nothing is grouped. Several of both add up. */
export interface Cell extends Figures {
  /** Index of the span. */
  readonly span: number;
  readonly name: string;
  /** null: nobody asked. */
  readonly times: Times | null;
}

export type Sums = readonly Cell[];

export interface Told extends Figures {
  readonly times: Times;
}

export interface Point extends Told {
  readonly span: number;
}

/** Something that figures are told of, and its spans in which there was something, oldest first. */
export interface Part extends Told {
  readonly points: readonly Point[];
}

export interface Group extends Part {
  readonly name: string;
}

export interface Report {
  readonly totals: Told;
  /** One a span, in their order. */
  readonly series: readonly Told[];
  /** The dearest first; of those alike, by name. */
  readonly groups: readonly Group[];
  /** What is in none of the groups; null: nothing is. */
  readonly others: Part | null;
}

/** The report of `sums` over so many spans. */
export function reportOf(sums: Sums, spanCount: number): Report {
  const spans = Map.groupBy(sums, ({ span }) => span);
  const series = Array.from({ length: spanCount }, (_, span) => toldOf(spans.get(span) ?? []));
  return { totals: toldOf(series), series, groups: groupsOf(sums), others: null };
}

/**
 * The report of `whole`, of which `named` are the groups that are told by name: others is what is
 * left, so that groups and others come to the same totals as the series.
 */
export function reportOfSome(whole: Sums, named: Sums, spanCount: number): Report {
  const report = reportOf(whole, spanCount);
  const taken = reportOf(named, spanCount);
  const points = report.series
    .map((told, span) => ({ span, ...without(told, taken.series[span] ?? toldOf([])) }))
    .filter(isSomething);
  const others = points.length === 0 ? null : { ...toldOf(points), points };
  return { ...report, groups: taken.groups, others };
}

function groupsOf(sums: Sums): readonly Group[] {
  return [...Map.groupBy(sums, ({ name }) => name)]
    .map(([name, cells]) => {
      const points = [...Map.groupBy(cells, ({ span }) => span)]
        .map(([span, some]) => ({ span, ...toldOf(some) }))
        .filter(isSomething)
        .sort((a, b) => a.span - b.span);
      return { name, ...toldOf(points), points };
    })
    .sort(byCost);
}

/** What a correction has left of an old closing is nothing. */
function isSomething({ requests, costNanos }: Figures): boolean {
  return requests !== 0 || costNanos !== 0;
}

function toldOf(parts: readonly (Figures & { readonly times: Times | null })[]): Told {
  const [only] = parts;
  if (only !== undefined && only.times !== null && parts.length === 1) {
    const { requests, errors, counts, costNanos, times } = only;
    return { requests, errors, counts, costNanos, times };
  }
  const figures = parts.reduce<Figures>(addFigures, NO_FIGURES);
  return { ...figures, times: sumTimes(parts.map(({ times }) => times)) };
}

function without(told: Told, part: Told): Told {
  const minus = (counts: Histogram) => counts.map((count) => -count);
  const times = { total: minus(part.times.total), firstByte: minus(part.times.firstByte) };
  return toldOf([told, { ...mapFigures(part, (figure) => -figure), times }]);
}

function byCost(a: Group, b: Group): number {
  return b.costNanos - a.costNanos || (a.name < b.name ? -1 : 1);
}

/** Sums of requests that are over; those that run, or lie in no span, count nowhere. */
export function sumsOfRequests(
  requests: readonly OwnRequest[],
  spans: readonly Span[],
  nameOf: (request: OwnRequest) => string,
): Sums {
  const cells = new Map<string, Cell>();
  for (const request of requests) {
    const { admittedAt, timings } = request;
    const span = spans.findIndex((one) => admittedAt >= one.startsAt && admittedAt < one.endsAt);
    if (span < 0 || request.closing === null) continue;
    const name = nameOf(request);
    const key = `${span} ${name}`;
    const before = cells.get(key);
    const figures = addFigures(before ?? NO_FIGURES, figuresOf(request));
    const times = {
      total: histogramOf(timings?.totalMs ?? null),
      firstByte: histogramOf(timings?.firstByteMs ?? null),
    };
    cells.set(key, { span, name, ...figures, times: sumTimes([before?.times ?? null, times]) });
  }
  return [...cells.values()];
}

/**
 * The same sums with spans in the place of names, each called as `nameOf` says: for groups that are
 * times themselves, such as days.
 */
export function namedBySpan(sums: Sums, nameOf: (span: number) => string): Sums {
  return sums.map((cell) => ({ ...cell, name: nameOf(cell.span) }));
}

/** Sums by `pieces` as sums by `spans`, each of them whole pieces; what is in none is left out. */
export function regrouped(sums: Sums, pieces: readonly Span[], spans: readonly Span[]): Sums {
  const places = pieces.map((piece) => spans.findIndex((span) => isWithin(piece, span)));
  return sums
    .map((cell) => ({ ...cell, span: places[cell.span] ?? -1 }))
    .filter(({ span }) => span >= 0);
}

function figuresOf({ closing, counts, costNanos }: OwnRequest): Figures {
  const isFine = closing !== null && FINE_CLOSINGS.includes(closing);
  return { requests: 1, errors: isFine ? 0 : 1, counts, costNanos };
}
