// Somebody's statement: pages as JSON, or one file with as many lines as a download may have. The
// wallet's object tells it (domain/ledger/statement.ts); here it is only filled up and laid out.

import { askLedger } from './balance';
import type { credits, Line } from '../contract/credits';
import type { Columns } from '../csv';
import { csvAnswer, csvOf } from '../csv';
import type { Call, Visit } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { StatementFilter, StatementLine } from '../../domain/ledger/reads';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import type { Payer } from '../../store/credits';

const PAGE_LINES = 50;
/** The object gives at most so many at a time. */
const ASK_LINES = 500;
/** Of one file; the header `x-next-cursor` says where the following one begins. */
const FILE_LINES = 10_000;
/** How often the object is asked for one page: with a filter it may find little at a time. */
const ASKS_MAX = 4;
const FILE_ASKS_MAX = 40;

type StatementQuery = Visit<typeof credits.statement>['query'];

interface Lines {
  readonly items: Line[];
  readonly next: string | null;
}

/** The page, or the file, that `query` asks for. `withActors`: also who made the entries. */
export async function statementOf(
  call: Pick<Call, 'env' | 'requestId'>,
  payer: Payer,
  { query, withActors }: { readonly query: StatementQuery; readonly withActors: boolean },
): Promise<Result<{ readonly body: Lines } | Response, RelayError>> {
  const isFile = query.format === 'csv';
  const most = isFile
    ? { lines: query.limit ?? FILE_LINES, asks: FILE_ASKS_MAX }
    : { lines: query.limit ?? PAGE_LINES, asks: ASKS_MAX };
  const told = await linesOf(call, payer, { query, most });
  if (!told.ok) return told;
  const { lines, next } = told.value;
  const items = lines.map((line) => shown(line, withActors));
  if (!isFile) return ok({ body: { items, next } });
  const file = csvAnswer('statement', csvOf(COLUMNS, items));
  if (next !== null) file.value.headers.set('x-next-cursor', next);
  return file;
}

interface Told {
  readonly lines: readonly StatementLine[];
  readonly next: string | null;
}

async function linesOf(
  call: Pick<Call, 'env' | 'requestId'>,
  payer: Payer,
  asked: {
    readonly query: StatementQuery;
    readonly most: { readonly lines: number; readonly asks: number };
  },
): Promise<Result<Told, RelayError>> {
  const { query, most } = asked;
  const filter = filterOf(query);
  const lines: StatementLine[] = [];
  let next: string | null = query.cursor ?? null;
  for (let asks = 0; asks < most.asks && lines.length < most.lines; asks += 1) {
    const before = next === null ? {} : { before: next };
    const limit = Math.min(ASK_LINES, most.lines - lines.length);
    const page = await askLedger(call, payer, (ledger) =>
      ledger.statement({ ...filter, ...before, limit }),
    );
    if (!page.ok) return page;
    if (!page.value.ok) return page.value;
    lines.push(...page.value.value.lines);
    next = page.value.value.next;
    if (next === null) break;
  }
  return ok({ lines, next });
}

function filterOf({ kind, keyId, since, until }: StatementQuery): StatementFilter {
  return {
    ...(kind === undefined ? {} : { kinds: [kind] }),
    ...(keyId === undefined ? {} : { keyId }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
}

function shown(told: StatementLine, withActors: boolean): Line {
  const { kind, at, amountNanos, balanceNanos, request, entry, keyId = null } = told;
  return {
    kind,
    at,
    amountNanos,
    balanceNanos,
    keyId,
    requestId: request?.requestId ?? null,
    model: request?.model ?? null,
    closing: request?.closing ?? null,
    certainty: request?.certainty ?? null,
    entryId: entry?.entryId ?? null,
    reason: entry?.reason ?? null,
    actor: withActors ? (entry?.actor ?? null) : null,
  };
}

const COLUMNS: Columns<Line> = {
  at: ({ at }) => new Date(at).toISOString(),
  kind: ({ kind }) => kind,
  amount_nanos: ({ amountNanos }) => amountNanos,
  balance_nanos: ({ balanceNanos }) => balanceNanos,
  key: ({ keyId }) => keyId,
  request: ({ requestId }) => requestId,
  model: ({ model }) => model,
  closing: ({ closing }) => closing,
  certainty: ({ certainty }) => certainty,
  entry: ({ entryId }) => entryId,
  reason: ({ reason }) => reason,
  actor: ({ actor }) => actor,
};
