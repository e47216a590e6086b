// What closed requests and corrections add to the sums per quarter of an hour. A request is dated
// by its admit, however late it closes. It knows no table: store/ledger-batches.ts does.

import type { AccountId, KeyId, UserId } from '../ids';
import type { Nanos } from '../money';
import { addNanos, nanos, ZERO_NANOS } from '../money';
import { MINUTE_MS } from '../time';
import type { Histogram } from '../usage/histogram';
import { addHistograms, histogramOf } from '../usage/histogram';
import type { TokenCounts } from '../usage/tokens';
import { mapCounts, NO_TOKENS, totalCounts } from '../usage/tokens';
import type { Closing } from './calls';
import type { Correction, RequestRow } from './row';

const SLOT_MS = 15 * MINUTE_MS;

/** What a sum is kept by; '' where there is none. */
export interface RollupKey {
  /** Unix ms at which the 15 minutes (UTC) begin. */
  readonly slot: number;
  readonly userId: UserId | '';
  readonly keyId: KeyId;
  /** As served. */
  readonly model: string;
  readonly accountId: AccountId | '';
  readonly closing: Closing;
}

/** To be added to one sum; every figure may be negative, after a correction. */
export interface RollupDelta extends RollupKey {
  readonly requests: number;
  readonly counts: TokenCounts;
  readonly costNanos: Nanos;
  /** Whole durations. */
  readonly total: Histogram;
  /** Times to the first byte. */
  readonly firstByte: Histogram;
}

/** What a batch tells of requests. */
export interface Happened {
  /** Rows as they were first closed. */
  readonly rows: readonly RequestRow[];
  /** In their order. */
  readonly corrections: readonly Correction[];
  /** Whose the rows are that do not say it themselves (settled, but never admitted here). */
  readonly ownerId: UserId;
}

/** The sums' changes, one a key; none that changes nothing. A row that is open throws. */
export function rollupDeltas({ rows, corrections, ownerId }: Happened): readonly RollupDelta[] {
  const parts = [
    ...rows.map((row) => deltaOf(row, ownerId, 1)),
    ...corrections.flatMap(({ before, after }) => [
      deltaOf(before, ownerId, -1),
      deltaOf(after, ownerId, 1),
    ]),
  ];
  return sumByKey(parts).filter(changesSomething);
}

/** How a row ended as its best-known settle named it. A row that is open throws. */
export function closingOf(row: RequestRow): Closing {
  if (row.outcome === null) throw new Error(`row ${row.seq} is open`);
  return row.closed?.closing ?? row.outcome.closing;
}

/** The user of a row; of one that was never admitted, the wallet's owner. */
export function userOf(row: RequestRow, ownerId: UserId): UserId {
  return row.opened?.userId ?? ownerId;
}

/** The model that served; where no answer said so, the one that was asked for; else ''. */
export function modelOf(row: RequestRow): string {
  return row.closed?.model ?? row.opened?.model ?? '';
}

/** Tokens of a row; of one that the alarm closed nothing is known. */
export function countsOf(row: RequestRow): TokenCounts {
  return row.closed === null ? NO_TOKENS : totalCounts(row.closed.usage);
}

/** The sums that `deltas` come to, one a key, in the order in which the keys first appear. */
export function sumByKey(deltas: readonly RollupDelta[]): readonly RollupDelta[] {
  const sums = new Map<string, RollupDelta>();
  for (const delta of deltas) {
    const { slot, userId, keyId, model, accountId, closing } = delta;
    const key = JSON.stringify([slot, userId, keyId, model, accountId, closing]);
    const sum = sums.get(key);
    sums.set(key, sum === undefined ? delta : added(sum, delta));
  }
  return [...sums.values()];
}

function deltaOf(row: RequestRow, ownerId: UserId, times: 1 | -1): RollupDelta {
  const timings = row.closed?.timings ?? null;
  return {
    slot: Math.floor(row.admittedAt / SLOT_MS) * SLOT_MS,
    userId: userOf(row, ownerId),
    keyId: row.keyId,
    model: modelOf(row),
    accountId: row.closed?.accountId ?? '',
    closing: closingOf(row),
    requests: times,
    counts: mapCounts(countsOf(row), (count) => count * times),
    costNanos: nanos((row.known?.costNanos ?? ZERO_NANOS) * times),
    total: histogramOf(timings?.totalMs ?? null, times),
    firstByte: histogramOf(timings?.firstByteMs ?? null, times),
  };
}

function added(a: RollupDelta, b: RollupDelta): RollupDelta {
  return {
    ...a,
    requests: a.requests + b.requests,
    counts: mapCounts(a.counts, (count, name) => count + b.counts[name]),
    costNanos: addNanos(a.costNanos, b.costNanos),
    total: addHistograms(a.total, b.total),
    firstByte: addHistograms(a.firstByte, b.firstByte),
  };
}

function changesSomething({ requests, counts, costNanos, total, firstByte }: RollupDelta): boolean {
  const figures = [requests, costNanos, ...Object.values(counts), ...total, ...firstByte];
  return figures.some((figure) => figure !== 0);
}
