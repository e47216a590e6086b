// Everybody's requests: a search of the log in D1, always over a range of time; one of them, and
// stopping it, through the Ledger of whose it is.

import { readOne, requestIn, stopOne } from './one';
import { LOGGED_COLUMNS, loggedShown } from './shown';
import { adminRequests } from '../contract/requests';
import { csvAnswer, csvOf } from '../csv';
import { refused } from '../refusals';
import type { Call, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { RequestId, UserId, WalletId } from '../../domain/ids';
import { isId } from '../../domain/ids';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { HOUR_MS } from '../../domain/time';
import type { Payer } from '../../store/credits';
import { findPayer, findPayerFor, findPayerOf } from '../../store/credits';
import type { LogLine, LogSearch } from '../../store/request-log';
import { searchLog } from '../../store/request-log';

const DAY_MS = 24 * HOUR_MS;
/** The log is kept for 30 days. */
const RANGE_MS_MAX = 31 * DAY_MS;
const PAGE_LINES = 50;
/** Of one file; the header `x-next-cursor` says where the following one begins. */
const FILE_LINES = 10_000;
const ASK_LINES = 1_000;
/** How often the log is asked for one file: with a filter it may find little at a time. */
const FILE_ASKS_MAX = 20;

export const ADMIN_REQUEST_ROUTES: readonly Route[] = [
  on(adminRequests.list, list),
  on(adminRequests.read, async (visit) => {
    const id = requestIn(visit);
    if (!id.ok) return id;
    const payer = await payerOf(visit, id.value, visit.query);
    if (!payer.ok) return payer;
    const read = await readOne(visit, payer.value, { id: id.value, as: 'staff' });
    return read.ok ? ok({ body: read.value }) : read;
  }),
  on(adminRequests.stop, async (visit) => {
    const id = requestIn(visit);
    if (!id.ok) return id;
    const payer = await payerOf(visit, id.value, visit.body);
    return payer.ok ? stopOne(visit, payer.value, id.value) : payer;
  }),
];

type List = typeof adminRequests.list;

async function list(visit: Visit<List>): Promise<Outcome<List>> {
  const { format, limit, cursor, from, to, ...filter } = visit.query;
  if (cursor !== undefined && !isId('request', cursor)) {
    return refused('not-valid', { fields: { cursor: 'is not one of this list' } });
  }
  const end = to ?? visit.now + 1;
  const start = from ?? Math.max(0, end - DAY_MS);
  if (start >= end) return refused('not-valid', { fields: { to: 'is not after `from`' } });
  if (end - start > RANGE_MS_MAX) {
    return refused('not-valid', { fields: { from: 'is more than 31 days before `to`' } });
  }
  const search = { from: start, to: end, filter, before: cursor };
  if (format === 'csv') return file(visit, search, limit ?? FILE_LINES);
  const page = await searchLog(visit.env.DB, { ...search, limit: limit ?? PAGE_LINES });
  return ok({ body: { items: page.lines.map(loggedShown), next: page.next } });
}

async function file(
  { env }: Pick<Call, 'env'>,
  search: Omit<LogSearch, 'limit'>,
  linesMax: number,
): Promise<Result<Response, RelayError>> {
  const lines: LogLine[] = [];
  let before = search.before;
  let next: RequestId | null = null;
  for (let asks = 0; asks < FILE_ASKS_MAX && lines.length < linesMax; asks += 1) {
    const limit = Math.min(ASK_LINES, linesMax - lines.length);
    const page = await searchLog(env.DB, { ...search, before, limit });
    lines.push(...page.lines);
    next = page.next;
    if (next === null) break;
    before = next;
  }
  const answer = csvAnswer('requests', csvOf(LOGGED_COLUMNS, lines.map(loggedShown)));
  if (next !== null) answer.value.headers.set('x-next-cursor', next);
  return answer;
}

/** Whose request it is: as the admin says, else by the log. */
async function payerOf(
  { env }: Pick<Call, 'env'>,
  id: RequestId,
  {
    userId,
    walletId,
  }: { readonly userId?: UserId | undefined; readonly walletId?: WalletId | undefined },
): Promise<Result<Payer, RelayError>> {
  const payer = await findNamed();
  const isOther = userId !== undefined && payer?.userId !== userId;
  return payer === null || isOther ? fail({ kind: 'not-found', what: id }) : ok(payer);

  async function findNamed(): Promise<Payer | null> {
    if (walletId !== undefined) return findPayerOf(env.DB, walletId);
    return userId === undefined ? findPayerFor(env.DB, id) : findPayer(env.DB, userId);
  }
}
