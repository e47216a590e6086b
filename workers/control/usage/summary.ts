// Everything that an admin's dashboard opens with, in one call. The spans that are compared are cut
// into pieces that are read once. Percentiles are those of the range that was asked for.

import { answerOf, figuresOf, groupsOf } from './told';
import { readStandings, standingIn } from '../accounts/state';
import type { Summary } from '../contract/usage';
import { HOUR_MS } from '../../domain/time';
import type { Sums } from '../../domain/usage/report';
import { regrouped, reportOf } from '../../domain/usage/report';
import type { Span } from '../../domain/usage/timeline';
import { alignedRange, piecesOf, rangeBefore, rangeOf, spansOf } from '../../domain/usage/timeline';
import { readOverview } from '../../store/overview';
import type { UsageGroup } from '../../store/usage';
import { countActive, labelsOf, readUsages } from '../../store/usage';

const TOP_USERS = 10;
const BY_HOURS_MS = 48 * HOUR_MS;
const NO_LABELS = new Map<string, string>();

export interface SummaryAsked {
  /** Of the series and the breakdowns. */
  readonly range: 'day' | 'week' | 'month';
  readonly timeZone: string;
  /** Unix ms. */
  readonly now: number;
}

/** Throws as D1 does. */
export async function summaryOf(env: Env, asked: SummaryAsked): Promise<Summary> {
  const { range: word, timeZone, now } = asked;
  const changes = changesOf(asked);
  const range = changes[word].now;
  const granularity = range.endsAt - range.startsAt <= BY_HOURS_MS ? 'hour' : 'day';
  const spans = spansOf(range, { granularity, timeZone });
  const pieces = piecesOf(Object.values(changes).flatMap(({ now, before }) => [now, before]));
  const by = (group: UsageGroup) =>
    ({ spans: [range], group, filter: {}, isTimeless: true }) as const;
  const [read, active, overview, standings] = await Promise.all([
    readUsages(env.DB, [
      { spans: pieces, group: 'none', filter: {}, isTimeless: true },
      { spans, group: 'none', filter: {} },
      by('model'),
      by('account'),
      by('closing'),
      { ...by('user'), top: TOP_USERS },
    ]),
    countActive(env.DB, range),
    readOverview(env.DB),
    readStandings(env),
  ]);
  const [whole = NO_SUMS, series = NO_SUMS, models = NO_SUMS, accounts = NO_SUMS] = read;
  const [, , , , closings = NO_SUMS, users = NO_SUMS] = read;
  const inSpan = (span: Span) => figuresOf(reportOf(regrouped(whole, pieces, [span]), 1).totals);
  const change = ({ now, before }: Change) => ({ now: inSpan(now), before: inSpan(before) });
  const groups = (sums: Sums, labels = NO_LABELS) =>
    groupsOf(reportOf(sums, 1).groups, [range], labels);
  const report = reportOf(series, spans.length);
  const emails = await labelsOf(
    env.DB,
    'user',
    users.map(({ name }) => name),
  );
  const accountNames = new Map(overview.accounts.map(({ id, name }) => [id, name]));
  const { accounts: states, ...people } = overview;
  const plan = { range, spans, granularity, timeZone } as const;
  return {
    asOf: now,
    timeZone,
    spans: { day: change(changes.day), week: change(changes.week), month: change(changes.month) },
    usage: answerOf(plan, report, { labels: NO_LABELS, isComplete: true }),
    models: groups(models),
    users: groups(users, new Map(emails)),
    accounts: groups(accounts, new Map<string, string>(accountNames)),
    closings: groups(closings),
    counts: { ...people, usedKeys: active.keys, usingUsers: active.users },
    accountStates: states.map((one) => ({ ...one, ...standingIn(standings, one.id) })),
  };
}

const NO_SUMS: Sums = [];

interface Change {
  readonly now: Span;
  readonly before: Span;
}

function changesOf({
  now,
  timeZone,
}: SummaryAsked): Readonly<Record<SummaryAsked['range'], Change>> {
  const change = (word: SummaryAsked['range']): Change => ({
    now: alignedRange(rangeOf(word, now, timeZone), 'day'),
    before: alignedRange(rangeBefore(word, now, timeZone), 'day'),
  });
  return { day: change('day'), week: change('week'), month: change('month') };
}
