// Everybody's usage, as admins, viewers and tokens with the scope may see it.

import { planOf } from './plan';
import { summaryOf } from './summary';
import { answerOf } from './told';
import { adminUsage } from '../contract/usage';
import type { Actor, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import { ok } from '../../domain/result';
import { namedBySpan, reportOf } from '../../domain/usage/report';
import { datesIn } from '../../domain/usage/timeline';
import { labelsOf, readUsage } from '../../store/usage';

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
  const read = await readUsage(env.DB, { spans, group: by, filter });
  const dateOf = datesIn(timeZone);
  const sums =
    group === 'day' ? namedBySpan(read, (span) => dateOf(spans[span]?.startsAt ?? 0)) : read;
  const report = reportOf(sums, spans.length);
  const names = report.groups.map(({ name }) => name);
  const labels = await labelsOf(env.DB, by, names);
  return ok({ body: answerOf(plan.value, report, { labels, isComplete: true }) });
}

/** A program's days are those of UTC. */
function zoneOf(actor: Actor): string {
  return actor.kind === 'person' ? actor.timeZone : 'UTC';
}
