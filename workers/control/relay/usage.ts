// What somebody has used: from the sums in D1, which are at most about a minute behind, and by the
// minute from the wallet's own requests.

import { askLedger } from '../credits/balance';
import { ownPayer } from '../credits/own';
import type { relay } from '../contract/relay';
import type { Plan } from '../usage/plan';
import { planOf } from '../usage/plan';
import { answerOf } from '../usage/told';
import type { Outcome, Visit } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { OwnRequest, RequestsCall } from '../../domain/ledger/reads';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import type { Sums } from '../../domain/usage/report';
import { namedBySpan, reportOf, sumsOfRequests } from '../../domain/usage/report';
import { datesIn } from '../../domain/usage/timeline';
import { labelsOf, readUsage } from '../../store/usage';

type Usage = typeof relay.usage;

/** The object gives at most so many requests at a time. */
const ASK_REQUESTS = 500;
/** Two hours of ten requests a second are 72,000: minutes are for looking closely at less. */
const ASKS_MAX = 40;

export async function ownUsage(visit: Visit<Usage>): Promise<Outcome<Usage>> {
  const { env, query, now, actor } = visit;
  const plan = planOf(query, { now, timeZone: actor.timeZone });
  if (!plan.ok) return plan;
  const read = await sumsFor(visit, plan.value);
  if (!read.ok) return read;
  const { group = 'none' } = query;
  const { spans, timeZone } = plan.value;
  const dateOf = datesIn(timeZone);
  const { isComplete } = read.value;
  const sums =
    group === 'day'
      ? namedBySpan(read.value.sums, (span) => dateOf(spans[span]?.startsAt ?? 0))
      : read.value.sums;
  const report = reportOf(sums, spans.length);
  const names = report.groups.map(({ name }) => name);
  const labels = group === 'key' ? await labelsOf(env.DB, 'key', names) : new Map();
  return ok({ body: answerOf(plan.value, report, { labels, isComplete }) });
}

interface Read {
  readonly sums: Sums;
  readonly isComplete: boolean;
}

async function sumsFor(visit: Visit<Usage>, plan: Plan): Promise<Result<Read, RelayError>> {
  if (plan.granularity === 'minute') return byMinutes(visit, plan);
  const { group = 'none', keyId, model, closing } = visit.query;
  const filter = { userId: visit.actor.id, keyId, model, closing };
  const by = group === 'day' ? 'none' : group;
  const sums = await readUsage(visit.env.DB, { spans: plan.spans, group: by, filter });
  return ok({ sums, isComplete: true });
}

async function byMinutes(
  visit: Visit<Usage>,
  { range, spans }: Plan,
): Promise<Result<Read, RelayError>> {
  const { keyId, model, closing, group } = visit.query;
  const found: OwnRequest[] = [];
  let before: string | null = null;
  for (let asks = 0; asks < ASKS_MAX; asks += 1) {
    const call: RequestsCall = {
      limit: ASK_REQUESTS,
      since: range.startsAt,
      until: range.endsAt,
      ...(before === null ? {} : { before }),
      ...(keyId === undefined ? {} : { keyId }),
      ...(closing === undefined ? {} : { closing }),
    };
    const page = await askLedger(visit, ownPayer(visit.actor), (ledger) => ledger.requests(call));
    if (!page.ok) return page;
    if (!page.value.ok) return page.value;
    found.push(...page.value.value.requests);
    before = page.value.value.next;
    if (before === null) break;
  }
  // The sums know a model as it was served: so here, too.
  const asked = found.filter((request) => model === undefined || request.model === model);
  const sums = sumsOfRequests(asked, spans, nameBy(group));
  return ok({ sums, isComplete: before === null });
}

function nameBy(group: Visit<Usage>['query']['group']): (request: OwnRequest) => string {
  switch (group) {
    case 'key':
      return ({ keyId }) => keyId;
    case 'model':
      return ({ model }) => model;
    case 'closing':
      return ({ closing }) => closing ?? '';
    case 'day':
    case 'none':
    case undefined:
      return () => '';
  }
}
