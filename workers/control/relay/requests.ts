// Somebody's own requests, from the wallet's Ledger: nobody else's are there.

import type { relay } from '../contract/relay';
import type { OwnRequestTold } from '../contract/requests';
import { askLedger } from '../credits/balance';
import { ownPayer } from '../credits/own';
import { csvAnswer, csvOf } from '../csv';
import { OWN_COLUMNS, ownShown } from '../requests/shown';
import type { Outcome, Visit } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { RequestsCall } from '../../domain/ledger/reads';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';

const PAGE_ITEMS = 50;
/** The object gives at most so many at a time. */
const ASK_ITEMS = 500;
/** Of one file; the header `x-next-cursor` says where the following one begins. */
const FILE_ITEMS = 10_000;
/** How often the object is asked for one page: with a filter it may find little at a time. */
const ASKS_MAX = 4;
const FILE_ASKS_MAX = 40;

type List = typeof relay.requests;

/** The page, or the file, that is asked for. */
export async function ownRequests(visit: Visit<List>): Promise<Outcome<List>> {
  const { format, limit } = visit.query;
  if (format !== 'csv') {
    const page = await found(visit, { items: limit ?? PAGE_ITEMS, asks: ASKS_MAX });
    return page.ok ? ok({ body: page.value }) : page;
  }
  const all = await found(visit, { items: limit ?? FILE_ITEMS, asks: FILE_ASKS_MAX });
  if (!all.ok) return all;
  const { items, next } = all.value;
  const file = csvAnswer('requests', csvOf(OWN_COLUMNS, items));
  if (next !== null) file.value.headers.set('x-next-cursor', next);
  return file;
}

interface Found {
  readonly items: OwnRequestTold[];
  readonly next: string | null;
}

async function found(
  visit: Visit<List>,
  most: { readonly items: number; readonly asks: number },
): Promise<Result<Found, RelayError>> {
  const filter = filterOf(visit.query);
  const items: OwnRequestTold[] = [];
  let next: string | null = visit.query.cursor ?? null;
  for (let asks = 0; asks < most.asks && items.length < most.items; asks += 1) {
    const limit = Math.min(ASK_ITEMS, most.items - items.length);
    const call: RequestsCall = { ...filter, limit, ...(next === null ? {} : { before: next }) };
    const page = await askLedger(visit, ownPayer(visit.actor), (ledger) => ledger.requests(call));
    if (!page.ok) return page;
    if (!page.value.ok) return page.value;
    items.push(...page.value.value.requests.map(ownShown));
    next = page.value.value.next;
    if (next === null) break;
  }
  return ok({ items, next });
}

function filterOf({
  keyId,
  model,
  closing,
  from,
  to,
}: Visit<List>['query']): Omit<RequestsCall, 'limit' | 'before'> {
  return {
    ...(keyId === undefined ? {} : { keyId }),
    ...(model === undefined ? {} : { model }),
    ...(closing === undefined ? {} : { closing }),
    ...(from === undefined ? {} : { since: from }),
    ...(to === undefined ? {} : { until: to }),
  };
}
