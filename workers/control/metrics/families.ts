// What /metrics tells: figures of Pool and D1 as families of gauges. The sums are those of one
// whole quarter of an hour, not counters that rise: a scrape every 15 minutes misses nothing.

import type { Family, Sample } from './text';
import type { Snapshot } from '../../domain/snapshot';
import { NANOS_PER_DOLLAR } from '../../domain/money';
import { MINUTE_MS, SECOND_MS } from '../../domain/time';
import { bucketStartMs, HISTOGRAM_BUCKETS } from '../../domain/usage/histogram';
import type { Buckets, Figures, Waiting, WindowSums } from '../../store/metrics';

const SLOT_MS = 15 * MINUTE_MS;
/** Wallets bring their last rows so much later. */
const SETTLED_MS = 2 * MINUTE_MS;
/** Labels cost the monitoring system; the models with the most requests are named. */
const MODELS_MAX = 50;

/** The quarter of an hour whose sums are told at `now`: the last one that is whole. Unix ms. */
export function slotTold(now: number): number {
  return Math.floor((now - SETTLED_MS) / SLOT_MS) * SLOT_MS - SLOT_MS;
}

/** Whether each part answered: what is missing below was not there to be asked. */
export function partFamilies(parts: Readonly<Record<string, boolean>>): readonly Family[] {
  return [
    family(
      'relay_part_up',
      'Whether this part of the relay answered: 1 or 0.',
      Object.entries(parts).map(([part, isUp]) => ({ labels: { part }, value: isUp ? 1 : 0 })),
    ),
  ];
}

/** From the Pool object. */
export function snapshotFamilies({ version, accounts, catalogue }: Snapshot): readonly Family[] {
  const count = (status: string) => accounts.filter((account) => account.status === status).length;
  return [
    family('relay_snapshot_version', 'Version of accounts and prices that Pool holds.', version),
    family(
      'relay_accounts',
      'Upstream accounts by status.',
      (['active', 'draining', 'disabled'] as const).map((status) => ({
        labels: { status },
        value: count(status),
      })),
    ),
    family('relay_price_rows', 'Dated prices.', catalogue.rows.length),
  ];
}

/** From D1, as it was at `now` (Unix ms). */
export function databaseFamilies(
  figures: Figures,
  { now, version }: { readonly now: number; readonly version: number },
): readonly Family[] {
  const { outbox, lateSettles, users, keys } = figures;
  const waiting = [...outbox].map(([kind, { count }]) => ({ labels: { kind }, value: count }));
  const all: Waiting = {
    count: [...outbox.values()].reduce((sum, { count }) => sum + count, 0),
    oldestAt: least([...outbox.values()].map(({ oldestAt }) => oldestAt)),
  };
  return [
    family('relay_database_snapshot_version', 'Version of accounts and prices in D1.', version),
    family('relay_balances_dollars', 'Sum of all balances.', dollars(figures.balanceNanos)),
    family('relay_balances', 'Wallets whose balance is known.', figures.wallets),
    family('relay_balances_below_zero', 'Of those, below zero.', figures.walletsBelowZero),
    family('relay_ledger_cursors', 'Wallets that have brought a batch.', figures.cursors),
    family('relay_users', 'People by status.', byStatus(users)),
    family('relay_keys', 'API keys by status.', byStatus(keys)),
    family('relay_outbox_rows', 'Changes on their way to objects.', all.count),
    family('relay_outbox_rows_by_kind', 'The same by kind.', waiting),
    family('relay_outbox_oldest_seconds', 'Age of the oldest of them.', age(all, now)),
    family('relay_late_settles_rows', 'Closings that wait for the cron.', lateSettles.count),
    family('relay_late_settles_oldest_seconds', 'Age of the oldest.', age(lateSettles, now)),
  ];
}

/** The quarter of an hour that begins at `slot` (Unix ms). */
export function windowFamilies(figures: Figures, slot: number): readonly Family[] {
  const sums = named(figures.sums);
  const each = (pick: (of: WindowSums) => number): readonly Sample[] =>
    sums.map((of) => ({ labels: { model: of.model, closing: of.closing }, value: pick(of) }));
  const tokens = TOKEN_KINDS.flatMap(([kind, pick]) =>
    perModel(sums, pick).map(([model, value]) => ({ labels: { model, kind }, value })),
  );
  return [
    family('relay_window_start_seconds', 'When the last whole 15 minutes began.', slot / SECOND_MS),
    family(
      'relay_window_requests',
      'Requests in them.',
      each(({ requests }) => requests),
    ),
    family('relay_window_tokens', 'Tokens in them.', tokens),
    family(
      'relay_window_web_searches',
      'Web searches in them.',
      perModel(sums, (of) => of.webSearches).map(([model, value]) => ({
        labels: { model },
        value,
      })),
    ),
    family(
      'relay_window_cost_dollars',
      'What they cost.',
      each(({ costNanos }) => dollars(costNanos)),
    ),
    buckets('relay_window_duration_seconds_bucket', 'Requests by whole duration.', figures.total),
    buckets(
      'relay_window_first_byte_seconds_bucket',
      'Requests by time to the first byte.',
      figures.firstByte,
    ),
  ];
}

const TOKEN_KINDS = [
  ['input', (of: WindowSums) => of.inputTokens],
  ['cache-write', (of: WindowSums) => of.cacheWriteTokens],
  ['cache-read', (of: WindowSums) => of.cacheReadTokens],
  ['output', (of: WindowSums) => of.outputTokens],
] as const;

function family(name: string, help: string, value: number | readonly Sample[]): Family {
  return { name, help, samples: typeof value === 'number' ? [{ value }] : value };
}

/** Cumulative, as `histogram_quantile` reads them. */
function buckets(name: string, help: string, counts: Buckets): Family {
  let below = 0;
  const samples: Sample[] = [];
  for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket += 1) {
    below += counts.get(bucket) ?? 0;
    const le = String(bucketStartMs(bucket + 1) / SECOND_MS);
    samples.push({ labels: { le }, value: below });
  }
  return { name, help, samples: [...samples, { labels: { le: '+Inf' }, value: below }] };
}

/** The models with the most requests by name, all others as one. */
function named(sums: readonly WindowSums[]): readonly WindowSums[] {
  const busiest = perModel(sums, ({ requests }) => requests).toSorted(([, a], [, b]) => b - a);
  const names = new Set(busiest.slice(0, MODELS_MAX).map(([model]) => model));
  const merged = new Map<string, WindowSums>();
  for (const of of sums) {
    const model = names.has(of.model) ? of.model : 'other';
    const key = `${of.closing} ${model}`;
    const known = merged.get(key);
    merged.set(key, known === undefined ? { ...of, model } : added(known, of));
  }
  return [...merged.values()];
}

function added(a: WindowSums, b: WindowSums): WindowSums {
  return {
    model: a.model,
    closing: a.closing,
    requests: a.requests + b.requests,
    inputTokens: a.inputTokens + b.inputTokens,
    cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    webSearches: a.webSearches + b.webSearches,
    costNanos: a.costNanos + b.costNanos,
  };
}

function perModel(
  sums: readonly WindowSums[],
  pick: (of: WindowSums) => number,
): (readonly [string, number])[] {
  const found = new Map<string, number>();
  for (const of of sums) found.set(of.model, (found.get(of.model) ?? 0) + pick(of));
  return [...found];
}

function byStatus(counts: ReadonlyMap<string, number>): readonly Sample[] {
  return [...counts].map(([status, value]) => ({ labels: { status }, value }));
}

function age({ oldestAt }: Waiting, now: number): number {
  return oldestAt === null ? 0 : Math.max(0, now - oldestAt) / SECOND_MS;
}

function least(dates: readonly (number | null)[]): number | null {
  const known = dates.filter((date) => date !== null);
  return known.length === 0 ? null : Math.min(...known);
}

function dollars(costNanos: number): number {
  return costNanos / NANOS_PER_DOLLAR;
}
