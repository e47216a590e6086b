// Sums of the rollups, for any spans of time and any grouping. Each question is one range of slots;
// a user's own are found slot by slot, so that nobody else's rows are read. It adds up in SQL and
// decides nothing: which spans there are is domain/usage/timeline.ts's.

import type { AccountId, KeyId, UserId } from '../domain/ids';
import type { Closing } from '../domain/ledger/calls';
import { nanos } from '../domain/money';
import { HOUR_MS } from '../domain/time';
import type { Figures, Times } from '../domain/usage/figures';
import { addTimes, FINE_CLOSINGS, noTimes } from '../domain/usage/figures';
import { emptyHistogram } from '../domain/usage/histogram';
import type { Cell, Sums } from '../domain/usage/report';
import type { Span } from '../domain/usage/timeline';
import { SLOT_MS } from '../domain/usage/timeline';

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
  /** Only so many names, the dearest, and no times: for one span. */
  readonly top?: number;
  /** No times are asked for. */
  readonly isTimeless?: true;
}

const NAMES = {
  none: "''",
  user: 'rollups.user_id',
  key: 'rollups.key_id',
  model: 'rollups.model',
  account: 'rollups.account_id',
  closing: 'rollups.closing',
} as const satisfies Record<UsageGroup, string>;

const FINE = FINE_CLOSINGS.map((closing) => `'${closing}'`).join(', ');

const SUMS = [
  'sum(requests) AS requests',
  `sum(CASE WHEN closing IN (${FINE}) THEN 0 ELSE requests END) AS errors`,
  ...[
    'input_tokens',
    'cache_write_5m_tokens',
    'cache_write_1h_tokens',
    'cache_read_tokens',
    'output_tokens',
    'web_searches',
    'cost_nanos',
  ].map((column) => `sum(${column}) AS ${column}`),
].join(', ');

/** Every span's range of the primary key: ?1 holds the spans. */
const OF_ALL =
  'FROM json_each(?1) AS span CROSS JOIN rollups ' +
  'ON rollups.slot >= span.value ->> 0 AND rollups.slot < span.value ->> 1';
/** Every slot of every span, and in it the rows of one user: ?2. */
const SLOTS =
  'WITH RECURSIVE slots(key, slot, ends) AS (' +
  'SELECT key, value ->> 0, value ->> 1 FROM json_each(?1) ' +
  `UNION ALL SELECT key, slot + ${SLOT_MS}, ends FROM slots WHERE slot + ${SLOT_MS} < ends) `;
const OF_ONE =
  'FROM slots AS span CROSS JOIN rollups ON rollups.slot = span.slot AND rollups.user_id = ?2';
const MATCHES =
  'WHERE (?3 IS NULL OR rollups.key_id = ?3) AND (?4 IS NULL OR rollups.model = ?4) ' +
  'AND (?5 IS NULL OR rollups.account_id = ?5) AND (?6 IS NULL OR rollups.closing = ?6)';

/** Sums by span and by name. Throws as D1 does. */
export async function readUsage(d1: D1Database, question: UsageQuestion): Promise<Sums> {
  const [sums] = await readUsages(d1, [question]);
  return sums ?? { cells: [], spanTimes: new Map(), nameTimes: new Map() };
}

/** Several questions at one instant. */
export async function readUsages(
  d1: D1Database,
  questions: readonly UsageQuestion[],
): Promise<readonly Sums[]> {
  const session = d1.withSession('first-primary');
  const statements = questions.map((question) =>
    statementsOf(question).map((query) => session.prepare(query).bind(...valuesOf(question))),
  );
  const results = await session.batch<SumRecord & TimesRecord>(statements.flat());
  let at = 0;
  return statements.map(({ length }, index) => {
    const [cells = [], times = []] = results.slice(at, at + length).map((result) => result.results);
    at += length;
    return sumsOf(cells, { times, group: questions[index]?.group ?? 'none' });
  });
}

/** The sums first, then the times: by name where there are groups, else by span. */
function statementsOf({ group, filter, top, isTimeless }: UsageQuestion): readonly string[] {
  const isOne = filter.userId !== undefined;
  const source = `${isOne ? OF_ONE : OF_ALL} ${MATCHES}`;
  const ask = (columns: string, by: string) =>
    `${isOne ? SLOTS : ''}SELECT ${columns} ${source} GROUP BY ${by}`;
  const name = NAMES[group];
  const sums = ask(`span.key AS span, ${name} AS name, ${SUMS}`, '1, 2');
  if (top !== undefined) return [`${sums} ORDER BY cost_nanos DESC, name LIMIT ${Math.trunc(top)}`];
  if (isTimeless === true) return [sums];
  const by = group === 'none' ? 'span.key' : name;
  // No text becomes longer than D1 takes: all of a slot, or one's own of a day.
  const isOnes = isOne || group === 'user' || group === 'key';
  const part = isOnes ? `rollups.slot / ${DAY_MS}` : 'rollups.slot';
  return [sums, ask(`${by} AS by, ${TIMES}`, `1, ${part}`)];
}

const DAY_MS = 24 * HOUR_MS;

/** Eight zeros after a number: histograms are mostly these. */
const ZEROS = ',0'.repeat(8);
const SHORT = 'z';

/** Histograms one after the other, zeros shortened: they are added up here, not in SQL. */
const TIMES = ['total', 'first_byte']
  .map((name) => `group_concat(replace(${name}_histogram, '${ZEROS}', '${SHORT}'), '') AS ${name}`)
  .join(', ');

function valuesOf({ spans, filter }: UsageQuestion): readonly (string | null)[] {
  const { userId = null, keyId = null, model = null, accountId = null, closing = null } = filter;
  const slotAfter = (at: number) => Math.ceil(at / SLOT_MS) * SLOT_MS;
  const slots = spans.map(({ startsAt, endsAt }) => [slotAfter(startsAt), slotAfter(endsAt)]);
  // A span without a slot would still be looked at once.
  const places = slots.flatMap(([from = 0, to = 0], index) =>
    from < to ? [[String(index), [from, to]] as const] : [],
  );
  return [JSON.stringify(Object.fromEntries(places)), userId, keyId, model, accountId, closing];
}

interface SumRecord {
  readonly span: number | string;
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
}

interface TimesRecord {
  readonly by: number | string;
  readonly total: string;
  readonly first_byte: string;
}

function sumsOf(
  cells: readonly SumRecord[],
  { times, group }: { readonly times: readonly TimesRecord[]; readonly group: UsageGroup },
): Sums {
  const told = timesOf(times);
  if (group !== 'none') return { cells: cells.map(cellOf), spanTimes: new Map(), nameTimes: told };
  const spanTimes = new Map([...told].map(([span, times]) => [Number(span), times]));
  const whole = [...spanTimes.values()].reduce(addTimes, noTimes());
  return { cells: cells.map(cellOf), spanTimes, nameTimes: new Map([['', whole]]) };
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
  return { span: Number(record.span), name: record.name, figures };
}

/** Added up in place: there may be many. */
function timesOf(records: readonly TimesRecord[]): ReadonlyMap<string, Times> {
  const sums = new Map<string, { readonly total: number[]; readonly firstByte: number[] }>();
  for (const { by, total, first_byte: firstByte } of records) {
    const name = String(by);
    const sum = sums.get(name) ?? { total: [...NONE], firstByte: [...NONE] };
    sums.set(name, sum);
    addShortened(sum.total, total);
    addShortened(sum.firstByte, firstByte);
  }
  return sums;
}

const NONE = emptyHistogram();
const [COMMA, MINUS, CLOSING, DIGIT_0, SHORTENED] = [',', '-', ']', '0', SHORT].map((character) =>
  character.charCodeAt(0),
) as [number, number, number, number, number];

/** Adds arrays such as `[0z,3,1]`, one after the other, to `sum`. */
function addShortened(sum: number[], text: string): void {
  let bucket = 0;
  let value = 0;
  let sign = 1;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code >= DIGIT_0 && code <= DIGIT_0 + 9) {
      value = value * 10 + code - DIGIT_0;
    } else if (code === MINUS) {
      sign = -1;
    } else if (code === COMMA || code === SHORTENED || code === CLOSING) {
      if (value !== 0) sum[bucket] = (sum[bucket] ?? 0) + sign * value;
      [value, sign] = [0, 1];
      bucket = code === CLOSING ? 0 : bucket + (code === COMMA ? 1 : 8);
    }
  }
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
  { startsAt, endsAt }: Span,
): Promise<{ readonly keys: number; readonly users: number }> {
  const row = await d1
    .withSession('first-primary')
    .prepare(
      'SELECT count(DISTINCT key_id) AS keys, count(DISTINCT user_id) AS users ' +
        'FROM rollups WHERE slot >= ? AND slot < ? AND requests > 0',
    )
    .bind(startsAt, endsAt)
    .first<{ readonly keys: number; readonly users: number }>();
  return row ?? { keys: 0, users: 0 };
}
