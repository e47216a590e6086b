// From sums by span and by name to what people are shown: totals, a series, groups. It reads
// nothing; sums come from rollups (store/usage.ts) or, for minutes, from requests themselves.

import type { OwnRequest } from '../ledger/reads';
import type { Figures, Times } from './figures';
import { addFigures, addTimes, FINE_CLOSINGS, NO_FIGURES, noTimes } from './figures';
import { histogramOf } from './histogram';
import type { Span } from './timeline';
import { isWithin } from './timeline';

/** Figures of one span and one name; '' where nothing is grouped. */
export interface Cell {
  /** Index of the span. */
  readonly span: number;
  readonly name: string;
  readonly figures: Figures;
}

/**
 * Times by span, by name, or both: either comes to the same whole. Where many rows are read, one of
 * them is left empty.
 */
export interface Sums {
  readonly cells: readonly Cell[];
  readonly spanTimes: ReadonlyMap<number, Times>;
  readonly nameTimes: ReadonlyMap<string, Times>;
}

export interface Told extends Figures {
  readonly times: Times;
}

export interface Group extends Told {
  readonly name: string;
  /** Spans in which there was something, oldest first. */
  readonly points: readonly { readonly span: number; readonly figures: Figures }[];
}

export interface Report {
  readonly totals: Told;
  /** One a span, in their order. */
  readonly series: readonly Told[];
  /** The dearest first; of those alike, by name. */
  readonly groups: readonly Group[];
}

/** The report of `sums` over so many spans. */
export function reportOf(sums: Sums, spanCount: number): Report {
  const series = Array.from({ length: spanCount }, (_, span) => ({
    ...NO_FIGURES,
    times: sums.spanTimes.get(span) ?? noTimes(),
  }));
  const groups = new Map<string, Group>();
  let figures = NO_FIGURES;
  for (const cell of sums.cells.toSorted((a, b) => a.span - b.span)) {
    figures = addFigures(figures, cell.figures);
    const point = series[cell.span];
    if (point !== undefined) series[cell.span] = { ...point, ...addFigures(point, cell.figures) };
    groups.set(cell.name, withCell(groups.get(cell.name), cell, sums.nameTimes));
  }
  const known = sums.spanTimes.size > 0 ? sums.spanTimes : sums.nameTimes;
  const times = [...known.values()].reduce(addTimes, noTimes());
  return { totals: { ...figures, times }, series, groups: [...groups.values()].sort(byCost) };
}

function withCell(
  group: Group | undefined,
  { span, name, figures }: Cell,
  nameTimes: Sums['nameTimes'],
): Group {
  const point = { span, figures };
  if (group === undefined) {
    return { ...figures, name, times: nameTimes.get(name) ?? noTimes(), points: [point] };
  }
  return { ...group, ...addFigures(group, figures), points: [...group.points, point] };
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
  const spanTimes = new Map<number, Times>();
  const nameTimes = new Map<string, Times>();
  for (const request of requests) {
    const { admittedAt, timings } = request;
    const span = spans.findIndex((one) => admittedAt >= one.startsAt && admittedAt < one.endsAt);
    if (span < 0 || request.closing === null) continue;
    const name = nameOf(request);
    const key = `${span} ${name}`;
    const figures = addFigures(cells.get(key)?.figures ?? NO_FIGURES, figuresOf(request));
    cells.set(key, { span, name, figures });
    const times = {
      total: histogramOf(timings?.totalMs ?? null),
      firstByte: histogramOf(timings?.firstByteMs ?? null),
    };
    spanTimes.set(span, addTimes(spanTimes.get(span) ?? noTimes(), times));
    nameTimes.set(name, addTimes(nameTimes.get(name) ?? noTimes(), times));
  }
  return { cells: [...cells.values()], spanTimes, nameTimes };
}

/**
 * The same sums with spans in the place of names, each called as `nameOf` says: for groups that are
 * times themselves, such as days.
 */
export function namedBySpan(sums: Sums, nameOf: (span: number) => string): Sums {
  const nameTimes = new Map<string, Times>();
  for (const [span, times] of sums.spanTimes) {
    const name = nameOf(span);
    nameTimes.set(name, addTimes(nameTimes.get(name) ?? noTimes(), times));
  }
  return {
    ...sums,
    cells: sums.cells.map((cell) => ({ ...cell, name: nameOf(cell.span) })),
    nameTimes,
  };
}

/**
 * Sums by `pieces` as sums by `spans`, each of them whole pieces; what is in none is left out.
 * Times by name do not say in which piece they were: they go.
 */
export function regrouped(sums: Sums, pieces: readonly Span[], spans: readonly Span[]): Sums {
  const places = pieces.map((piece) => spans.findIndex((span) => isWithin(piece, span)));
  const placeOf = (piece: number) => places[piece] ?? -1;
  const spanTimes = new Map<number, Times>();
  for (const [piece, times] of sums.spanTimes) {
    const span = placeOf(piece);
    if (span >= 0) spanTimes.set(span, addTimes(spanTimes.get(span) ?? noTimes(), times));
  }
  const cells = sums.cells
    .map((cell) => ({ ...cell, span: placeOf(cell.span) }))
    .filter(({ span }) => span >= 0);
  return { cells, spanTimes, nameTimes: new Map() };
}

function figuresOf({ closing, counts, costNanos }: OwnRequest): Figures {
  const isFine = closing !== null && FINE_CLOSINGS.includes(closing);
  return { requests: 1, errors: isFine ? 0 : 1, counts, costNanos };
}
