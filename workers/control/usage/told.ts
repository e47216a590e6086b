// Sums as the contract has them: percentiles in the place of histograms, names beside ids.

import type { GroupTold, PartTold, Totals, UsageAnswer } from '../contract/usage';
import type { Plan } from './plan';
import type { Figures } from '../../domain/usage/figures';
import type { Histogram } from '../../domain/usage/histogram';
import { percentilesMs } from '../../domain/usage/histogram';
import type { Group, Part, Report, Told } from '../../domain/usage/report';
import type { Span } from '../../domain/usage/timeline';

/** Names of groups by id; what is not among them has none. */
export type Labels = ReadonlyMap<string, string>;

/** The answer to a question for usage. */
export function answerOf(
  { range, spans, granularity, timeZone }: Plan,
  report: Report,
  { labels, isComplete }: { readonly labels: Labels; readonly isComplete: boolean },
): UsageAnswer {
  return {
    from: range.startsAt,
    to: range.endsAt,
    granularity,
    timeZone,
    isComplete,
    totals: totalsOf(report.totals),
    series: spans.flatMap((span, index) => {
      const told = report.series[index];
      return told === undefined ? [] : [{ ...span, ...totalsOf(told) }];
    }),
    groups: groupsOf(report.groups, spans, labels),
    others: report.others === null ? null : partOf(report.others, spans),
  };
}

/** Groups with their names, in their order. */
export function groupsOf(
  groups: readonly Group[],
  spans: readonly Span[],
  labels: Labels,
): GroupTold[] {
  return groups.map((group) => ({
    name: group.name,
    label: labels.get(group.name) ?? null,
    ...partOf(group, spans),
  }));
}

function partOf(part: Part, spans: readonly Span[]): PartTold {
  const points = part.points.map((point) => {
    return { startsAt: spans[point.span]?.startsAt ?? 0, ...totalsOf(point) };
  });
  return { ...totalsOf(part), points };
}

/** Figures and percentiles. */
export function totalsOf(told: Told): Totals {
  const { times } = told;
  return {
    ...figuresOf(told),
    latencyMs: percentilesOf(times.total),
    firstByteMs: percentilesOf(times.firstByte),
  };
}

/** Figures alone. */
export function figuresOf({ requests, errors, counts, costNanos }: Figures) {
  return { requests, errors, tokens: { ...counts }, costNanos };
}

function percentilesOf(histogram: Histogram): Totals['latencyMs'] {
  const [p50 = null, p95 = null, p99 = null] = percentilesMs(histogram, [50, 95, 99]);
  return { p50, p95, p99 };
}
