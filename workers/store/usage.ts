// Sums of what has been used, for any spans of time and any grouping. What is over is read from
// the sums by hours and days (usage-sums.ts) where they know what is asked for, the ends and the
// present from the rollups; one user's own are all rollups, found by an index. It adds up in SQL
// and decides nothing: which spans there are is domain/usage/timeline.ts's.

import type { AccountId, KeyId, UserId } from '../domain/ids';
import type { Closing } from '../domain/ledger/calls';
import { nanos } from '../domain/money';
import { HOUR_MS } from '../domain/time';
import type { Piece } from '../domain/usage/blocks';
import { BLOCK_HOURS, cutIntoBlocks } from '../domain/usage/blocks';
import type { Figures } from '../domain/usage/figures';
import type { Cell, Sums } from '../domain/usage/report';
import type { Span } from '../domain/usage/timeline';
import { shortenedIn, sumOfShortened } from './shortened';
import { COUNTS, HISTOGRAMS } from './sum-columns';
import { ERRORS, summedUntil } from './usage-sums';

export type UsageGroup = 'none' | 'user' | 'key' | 'model' | 'account' | 'closing';

/** What is left out does not filter. */
export interface UsageFilter {
  readonly userId?: UserId | undefined;
  readonly keyId?: KeyId | undefined;
  readonly model?: string | undefined;
  readonly accountId?: AccountId | undefined;
  readonly closing?: Closing | undefined;
}

export interface UsageQuestion {
  /** Cells name them by index; they must not overlap. Slots belong where they begin. */
  readonly spans: readonly Span[];
  readonly group: UsageGroup;
  readonly filter: UsageFilter;
  /** Only so many names: those that are the dearest in all spans together. */
  readonly top?: number;
  /** No times are asked for. */
  readonly isTimeless?: true;
}

const COLUMNS = {
  none: "''",
  user: 'user_id',
  key: 'key_id',
  model: 'model',
  account: 'account_id',
  closing: 'closing',
} as const satisfies Record<UsageGroup, string>;

/** Rows that a question is answered from: where they are, and which columns they are found by. */
interface Source {
  readonly from: string;
  readonly start: string;
  readonly errors: string;
  /** What it can be filtered by, beside time. */
  readonly filters: readonly (keyof typeof FILTERS)[];
}

/** Of the parameters of every statement: ?1 pieces of quarters, ?2 of blocks, then these. */
const FILTERS = { key: '?3', model: '?4', account: '?5', closing: '?6' } as const;
const USER = '?7';

const QUARTERS: Source = {
  from: `json_each(?1) AS piece CROSS JOIN rollups ON ${within('slot')}`,
  start: 'slot',
  errors: ERRORS,
  filters: ['key', 'model', 'account', 'closing'],
};
const OWN: Source = {
  ...QUARTERS,
  from:
    'json_each(?1) AS piece CROSS JOIN rollups INDEXED BY rollups_user ' +
    `ON user_id = ${USER} AND ${within('slot')}`,
};
const TOTALS: Source = {
  from:
    'json_each(?2) AS piece CROSS JOIN usage_totals ' +
    `ON hours = piece.value ->> 3 AND ${within('starts_at')}`,
  start: 'starts_at',
  errors: ERRORS,
  filters: ['model', 'account', 'closing'],
};
const DAYS: Source = {
  from: `json_each(?2) AS piece CROSS JOIN usage_days ON ${within('day')}`,
  start: 'day',
  errors: 'errors',
  filters: ['key'],
};

/** The range of the primary key, or of the index, that a piece is. */
function within(column: string): string {
  return `${column} >= piece.value ->> 1 AND ${column} < piece.value ->> 2`;
}

/** Where an answer comes from, and which blocks of hours are in it. */
interface Way {
  readonly sources: readonly Source[];
  readonly hours: readonly number[];
}

function wayOf({ group, filter }: UsageQuestion): Way {
  const { userId, keyId, model, accountId, closing } = filter;
  if (userId !== undefined) return { sources: [OWN], hours: [] };
  const isOfPeople = group === 'user' || group === 'key' || keyId !== undefined;
  if (!isOfPeople) return { sources: [TOTALS, QUARTERS], hours: BLOCK_HOURS };
  const isOfRequests = group !== 'user' && group !== 'key' && group !== 'none';
  const isPlain = model === undefined && accountId === undefined && closing === undefined;
  if (isPlain && !isOfRequests) return { sources: [DAYS, QUARTERS], hours: [24] };
  return { sources: [QUARTERS], hours: [] };
}

/** Sums by span and by name. Throws as D1 does. */
export async function readUsage(d1: D1Database, question: UsageQuestion): Promise<Sums> {
  const [sums = []] = await readUsages(d1, [question]);
  return sums;
}

/** Several questions at one instant. */
export async function readUsages(
  d1: D1Database,
  questions: readonly UsageQuestion[],
): Promise<readonly Sums[]> {
  const session = d1.withSession('first-primary');
  // The mark only rises: what was before it stays in the sums.
  const until = await summedUntil(session);
  const statements = questions.map((question) => {
    const way = wayOf(question);
    const pieces = cutIntoBlocks(question.spans, { hours: way.hours, until });
    return session
      .prepare(statementOf(question, way.sources))
      .bind(...valuesOf(pieces, question.filter));
  });
  const results = await session.batch<SumRecord>(statements);
  return results.map(({ results: records }) => records.map(cellOf));
}

/** Summed in each source by itself: cells of one span and name add up, here as anywhere. */
function statementOf(question: UsageQuestion, sources: readonly Source[]): string {
  const { group, top, isTimeless } = question;
  const name = COLUMNS[group];
  const times = isTimeless === true ? [] : HISTOGRAMS;
  const figures = ['requests', ...COUNTS].map((column) => `sum(${column}) AS ${column}`);
  const joined = times.map((column) => `group_concat(${shortenedIn(column)}, '') AS ${column}`);
  const found = (columns: string) => sources.map((source) => rowsOf(source, columns));
  const dearest =
    `SELECT name FROM (${found(`${name} AS name, cost_nanos`).join(' UNION ALL ')}) ` +
    `GROUP BY 1 ORDER BY sum(cost_nanos) DESC, name LIMIT ${Math.trunc(top ?? 0)}`;
  const [before, isNamed] =
    top === undefined
      ? ['', '']
      : [
          `WITH dearest AS MATERIALIZED (${dearest}) `,
          `AND ${name} IN (SELECT name FROM dearest) `,
        ];
  const selects = sources
    .map((source) => {
      const errors = `sum(${source.errors}) AS errors`;
      const columns = ['piece.value ->> 0 AS span', `${name} AS name`, errors, ...figures];
      const part = partOf(question, source.start);
      const rows = rowsOf(source, [...columns, ...joined].join(', '));
      return `${rows} ${isNamed}GROUP BY 1, 2, ${part}`;
    })
    .join(' UNION ALL ');
  return `${before}${selects}`;
}

/** No text becomes longer than D1 takes: all of a slot, or one's own of a day. */
function partOf({ group, filter, isTimeless }: UsageQuestion, start: string): string {
  if (isTimeless === true) return 'NULL';
  const isOnes = filter.userId !== undefined || group === 'user' || group === 'key';
  return start === 'slot' && !isOnes ? 'slot' : `${start} / ${24 * HOUR_MS}`;
}

function rowsOf({ from, filters }: Source, columns: string): string {
  const matches = filters.map(
    (filter) => `(${FILTERS[filter]} IS NULL OR ${COLUMNS[filter]} = ${FILTERS[filter]})`,
  );
  return `SELECT ${columns} FROM ${from} WHERE ${matches.join(' AND ')}`;
}

function valuesOf(pieces: readonly Piece[], filter: UsageFilter): readonly (string | null)[] {
  const { userId, keyId = null, model = null, accountId = null, closing = null } = filter;
  const [quarters, blocks] = [0, 1].map((kind) =>
    JSON.stringify(
      pieces
        .filter(({ hours }) => Math.sign(hours) === kind)
        .map(({ span, startsAt, endsAt, hours }) => [span, startsAt, endsAt, hours]),
    ),
  ) as [string, string];
  const values = [quarters, blocks, keyId, model, accountId, closing];
  return userId === undefined ? values : [...values, userId];
}

interface SumRecord {
  readonly span: number;
  readonly name: string;
  readonly requests: number;
  readonly errors: number;
  readonly input_tokens: number;
  readonly cache_write_5m_tokens: number;
  readonly cache_write_1h_tokens: number;
  readonly cache_read_tokens: number;
  readonly output_tokens: number;
  readonly web_searches: number;
  readonly cost_nanos: number;
  readonly total_histogram?: string;
  readonly first_byte_histogram?: string;
}

function cellOf(record: SumRecord): Cell {
  const figures: Figures = {
    requests: record.requests,
    errors: record.errors,
    counts: {
      input: record.input_tokens,
      cacheWrite5m: record.cache_write_5m_tokens,
      cacheWrite1h: record.cache_write_1h_tokens,
      cacheRead: record.cache_read_tokens,
      output: record.output_tokens,
      webSearches: record.web_searches,
    },
    costNanos: nanos(record.cost_nanos),
  };
  const { span, name, total_histogram: total, first_byte_histogram: firstByte } = record;
  const isTimed = total !== undefined && firstByte !== undefined;
  const times = isTimed
    ? { total: sumOfShortened(total), firstByte: sumOfShortened(firstByte) }
    : null;
  return { span, name, ...figures, times };
}

/** What names stand for: a key's name, a user's address, an account's name. Throws as D1 does. */
export async function labelsOf(
  d1: D1Database,
  group: UsageGroup,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const query = LABELS[group];
  if (query === undefined || ids.length === 0) return new Map();
  const { results } = await d1
    .withSession('first-primary')
    .prepare(query)
    .bind(JSON.stringify(ids))
    .all<{ readonly id: string; readonly label: string }>();
  return new Map(results.map(({ id, label }) => [id, label]));
}

const NAMED = 'WHERE id IN (SELECT value FROM json_each(?))';

const LABELS: Partial<Record<UsageGroup, string>> = {
  key: `SELECT id, name AS label FROM keys ${NAMED}`,
  user: `SELECT id, email AS label FROM users ${NAMED}`,
  account: `SELECT id, name AS label FROM accounts ${NAMED}`,
};

/** How many keys and users had requests in the range. Throws as D1 does. */
export async function countActive(
  d1: D1Database,
  range: Span,
): Promise<{ readonly keys: number; readonly users: number }> {
  const session = d1.withSession('first-primary');
  const pieces = cutIntoBlocks([range], { hours: [24], until: await summedUntil(session) });
  const rows = [DAYS, QUARTERS].map((source) => rowsOf(source, 'user_id, key_id, requests'));
  const row = await session
    .prepare(
      'SELECT count(DISTINCT key_id) AS keys, count(DISTINCT user_id) AS users ' +
        `FROM (${rows.join(' UNION ALL ')}) WHERE requests > 0`,
    )
    .bind(...valuesOf(pieces, {}))
    .first<{ readonly keys: number; readonly users: number }>();
  return row ?? { keys: 0, users: 0 };
}
