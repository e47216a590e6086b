// Everybody's usage, as admins, viewers and tokens with the scope may see it.

import { planOf } from './plan';
import { summaryOf } from './summary';
import { answerOf } from './told';
import { adminUsage, GROUPS_MAX } from '../contract/usage';
import type { Actor, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import { ok } from '../../domain/result';
import { namedBySpan, reportOf, reportOfSome } from '../../domain/usage/report';
import { datesIn } from '../../domain/usage/timeline';
import { labelsOf, readUsages } from '../../store/usage';

export const ADMIN_USAGE_ROUTES: readonly Route[] = [
  on(adminUsage.usage, show),
  on(adminUsage.summary, async (visit) => {
    const { range = 'week', timeZone = zoneOf(visit.actor) } = visit.query;
    return ok({ body: await summaryOf(visit.env, { range, timeZone, now: visit.now }) });
  }),
];

async function show(
  visit: Visit<typeof adminUsage.usage>,
): Promise<Outcome<typeof adminUsage.usage>> {
  const { env, query, now, actor } = visit;
  const plan = planOf(query, { now, timeZone: zoneOf(actor) });
  if (!plan.ok) return plan;
  const { spans, timeZone } = plan.value;
  const { group = 'none', userId, keyId, model, accountId, closing } = query;
  const by = group === 'day' ? 'none' : group;
  const filter = { userId, keyId, model, accountId, closing };
  const question = { spans, group: by, filter } as const;
  const isMany = userId === undefined && (by === 'user' || by === 'key');
  const [sums = [], named = []] = await readUsages(
    env.DB,
    isMany
      ? [
          { ...question, group: 'none' },
          { ...question, top: GROUPS_MAX },
        ]
      : [question],
  );
  const dateOf = datesIn(timeZone);
  const report = isMany
    ? reportOfSome(sums, named, spans.length)
    : reportOf(
        group === 'day' ? namedBySpan(sums, (span) => dateOf(spans[span]?.startsAt ?? 0)) : sums,
        spans.length,
      );
  const names = report.groups.map(({ name }) => name);
  const labels = await labelsOf(env.DB, by, names);
  return ok({ body: answerOf(plan.value, report, { labels, isComplete: true }) });
}

/** A program's days are those of UTC. */
function zoneOf(actor: Actor): string {
  return actor.kind === 'person' ? actor.timeZone : 'UTC';
}
