// Sums of rollups by hours and days. They hold exactly the rollups before a mark, which the cron
// moves on behind the present: it adds an hour and moves the mark in one transaction, and a batch
// that brings rollups from before the mark adds them here too (ledger-batches.ts). So all of it can
// be deleted and made again, with the mark at 0. What reads them is usage.ts.

import { HOUR_MS, MINUTE_MS } from '../domain/time';
import { BLOCK_HOURS } from '../domain/usage/blocks';
import { FINE_CLOSINGS } from '../domain/usage/figures';
import { addingTo, HISTOGRAMS, objectOf, SUMS } from './sum-columns';

/** By then nearly every batch of an hour is there: what comes later costs more rows. */
const BEHIND_MS = 15 * MINUTE_MS;
/** Hours with requests that one run adds: 90 days of them take 22 runs. */
const HOURS_MAX = 100;

const MARK_NAME = "'usage_summed_until'";
const MARK = `(SELECT coalesce(max(version), 0) FROM settings WHERE name = ${MARK_NAME})`;
/** ?1 is where the mark was: of two runs at once the second one writes nothing. */
const IS_MARK = `${MARK} = CAST(?1 AS INTEGER)`;

const FINE = FINE_CLOSINGS.map((closing) => `'${closing}'`).join(', ');
/** How many of the requests of a row with a closing ended in an error. */
export const ERRORS = `CASE WHEN closing IN (${FINE}) THEN 0 ELSE requests END`;

const OF_ALL = ['model', 'account_id', 'closing'] as const;
const TOTALS_KEY = ['hours', 'starts_at', ...OF_ALL] as const;
const ADD_TOTALS = insertInto('usage_totals', [...TOTALS_KEY, ...SUMS]);
const TO_TOTALS = addingTo('usage_totals', TOTALS_KEY, { form: 'object' });

const OF_ONE = ['user_id', 'key_id'] as const;
const DAYS_KEY = ['day', ...OF_ONE] as const;
const DAYS_SUMS = ['errors', ...SUMS] as const;
const ADD_DAYS = insertInto('usage_days', [...DAYS_KEY, ...DAYS_SUMS]);
const TO_DAYS = addingTo('usage_days', DAYS_KEY, { sums: DAYS_SUMS, form: 'object' });

const PLAIN = [...SUMS, ...HISTOGRAMS].join(', ');
/** Of rollups, with histograms as they are kept here. */
const CHANGED = [
  ...SUMS,
  ...HISTOGRAMS.map((name) => objectOf(`SELECT key, value FROM json_each(${name})`)),
].join(', ');
const SUMMED = SUMS.map((name) => `sum(${name}) AS ${name}`).join(', ');

/** Statements that add those of `rows` (a query of rollups) that are before the mark. */
export function lateAdditions(rows: string): readonly string[] {
  return [
    `${ADD_TOTALS} SELECT block.value, ${startOf('slot', 'block.value')}, ${OF_ALL.join(', ')}, ` +
      `${CHANGED} FROM (${rows}) CROSS JOIN json_each('${JSON.stringify(BLOCK_HOURS)}') AS block ` +
      `WHERE slot < ${MARK} ${TO_TOTALS}`,
    `${ADD_DAYS} SELECT ${startOf('slot', '24')}, ${OF_ONE.join(', ')}, ${ERRORS}, ${CHANGED} ` +
      `FROM (${rows}) WHERE slot < ${MARK} ${TO_DAYS}`,
  ];
}

/** Everybody's by the hour, of the rollups from the mark (?1) to ?2. */
const SUM_HOURS =
  `${ADD_TOTALS} SELECT 1, hour, ${OF_ALL.join(', ')}, ${SUMS.join(', ')}, ` +
  `${histogramsOf('rollups', OF_ALL)} FROM (` +
  `SELECT ${startOf('slot', '1')} AS hour, ${OF_ALL.join(', ')}, ${SUMMED} FROM rollups ` +
  `WHERE slot >= ?1 AND slot < ?2 AND ${IS_MARK} GROUP BY 1, 2, 3, 4` +
  `) AS whole WHERE true ${TO_TOTALS}`;

/** Those hours, in the longer blocks that they are in. */
const LONGER = JSON.stringify(BLOCK_HOURS.filter((hours) => hours > 1));
const SUM_BLOCKS =
  `${ADD_TOTALS} SELECT block.value, ${startOf('starts_at', 'block.value')}, ` +
  `${OF_ALL.join(', ')}, ${PLAIN} FROM usage_totals CROSS JOIN json_each('${LONGER}') AS block ` +
  `WHERE hours = 1 AND starts_at >= ?1 AND starts_at < ?2 AND ${IS_MARK} ${TO_TOTALS}`;

/** Each key's, in its day. */
const SUM_DAYS =
  `${ADD_DAYS} SELECT ${startOf('hour', '24')}, ${OF_ONE.join(', ')}, ${DAYS_SUMS.join(', ')}, ` +
  `${histogramsOf('rollups INDEXED BY rollups_user', OF_ONE)} FROM (` +
  `SELECT ${startOf('slot', '1')} AS hour, ${OF_ONE.join(', ')}, sum(${ERRORS}) AS errors, ` +
  `${SUMMED} FROM rollups WHERE slot >= ?1 AND slot < ?2 AND ${IS_MARK} GROUP BY 1, 2, 3` +
  `) AS whole WHERE true ${TO_DAYS}`;

const MOVE_MARK =
  'UPDATE settings SET version = CAST(?2 AS INTEGER) ' +
  `WHERE name = ${MARK_NAME} AND version = CAST(?1 AS INTEGER)`;

/** From when on sums may be made, the mark, and the first rollup that is not in them. */
const READ =
  'SELECT CAST(value AS INTEGER) AS beginAt, version AS mark, ' +
  '(SELECT min(slot) FROM rollups WHERE slot >= settings.version) AS slot ' +
  `FROM settings WHERE name = ${MARK_NAME}`;

/** Unix ms: every rollup before it is in the sums. Throws as D1 does. */
export async function summedUntil(session: D1DatabaseSession): Promise<number> {
  return (await session.prepare(`SELECT ${MARK} AS mark`).first<number>('mark')) ?? 0;
}

/**
 * Adds what is over, as of `now` (Unix ms), hour by hour, a bounded number of hours. Answers how
 * many were added. Throws as D1 does; what was added stays.
 */
export async function sumUsage(d1: D1Database, now: number): Promise<number> {
  const session = d1.withSession('first-primary');
  const end = hourOf(now - BEHIND_MS);
  for (let added = 0; added < HOURS_MAX; added += 1) {
    const state = await session
      .prepare(READ)
      .first<{ readonly beginAt: number; readonly mark: number; readonly slot: number | null }>();
    if (state === null || now < state.beginAt || state.mark >= end) return added;
    const until = state.slot === null ? end : Math.min(end, hourOf(state.slot) + HOUR_MS);
    await session.batch(
      [SUM_HOURS, SUM_BLOCKS, SUM_DAYS, MOVE_MARK].map((statement) =>
        session.prepare(statement).bind(state.mark, until),
      ),
    );
  }
  return HOURS_MAX;
}

function hourOf(at: number): number {
  return Math.floor(at / HOUR_MS) * HOUR_MS;
}

function insertInto(table: string, columns: readonly string[]): string {
  return `INSERT INTO ${table} (${[...columns, ...HISTOGRAMS].join(', ')})`;
}

/** When the block of so many hours begins that the time in `column` is in. */
function startOf(column: string, hours: string): string {
  return `${column} - ${column} % (${hours} * ${HOUR_MS})`;
}

/** Both histograms of an hour of `whole`, bucket by bucket, of rows that are alike in `key`. */
function histogramsOf(table: string, key: readonly string[]): string {
  const alike = [
    ...key.map((name) => `part.${name} = whole.${name}`),
    'part.slot >= whole.hour',
    `part.slot < whole.hour + ${HOUR_MS}`,
  ].join(' AND ');
  const [name, ...how] = table.split(' ');
  const from = [name, 'AS part', ...how].join(' ');
  return HISTOGRAMS.map((histogram) =>
    objectOf(
      'SELECT bucket.key AS key, bucket.value AS value ' +
        `FROM ${from}, json_each(part.${histogram}) AS bucket WHERE ${alike}`,
    ),
  ).join(', ');
}
