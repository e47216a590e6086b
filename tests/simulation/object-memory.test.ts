// What a busy wallet's object keeps in memory, measured around the same code in node: the heap
// before and after. The runtime tells no figure from inside.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { memoryUsage } from 'node:process';
import { describe, expect, it } from 'vitest';
import type { KeyId } from '../../workers/domain/ids';
import { alignTo } from '../../workers/domain/ledger/counting';
import type { RequestRow } from '../../workers/domain/ledger/row';
import { emptyState, foldClosed, foldOpened } from '../../workers/domain/ledger/state';
import { MESSAGES_MAX, THINGS_MAX } from '../../workers/domain/ledger/things';
import type { LimitSet } from '../../workers/domain/limits/limit-set';
import { nanos } from '../../workers/domain/money';
import { HOUR_MS, MINUTE_MS } from '../../workers/domain/time';
import { RecentRequests } from '../../workers/objects/recent-requests';
import { admitCall, HOLD, idOf, keyCopy, MODEL, NOW, ownerOf, PRICE } from '../support/ledger';

const ACCOUNTS = [1, 2, 3].map((n) => idOf('account', n));
const BYTES_MAX = 8_000_000;
const DAY_MS = 24 * HOUR_MS;
const ZONE = 'Europe/Berlin';
const SPANS_MS = [MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS];
const BUCKETS = 1_000;
const OPEN = 200;
const CONVERSATIONS = 300;
/** More than are kept. */
const CLOSED_LATELY = 12_000;

interface Shape {
  readonly keys: number;
  /** Of these, how many have four windows of their own, every bucket of them in use. */
  readonly limited: number;
  readonly families: number;
  readonly days: number;
}

describe('the object of a busy wallet', () => {
  it('keeps at most 8 MB: 200 keys, 22 holders of four full windows each, 200 open requests', () => {
    const shape = { keys: 200, limited: 20, families: 3, days: 40 };
    const { bytes, kept } = measure(shape);
    expect(bytes).toBeLessThan(BYTES_MAX);
    // It is all there, and the measure sees it.
    expect(kept.state.open.size).toBe(OPEN);
    expect(kept.state.conversations.known.size).toBe(256);
    expect(kept.state.warm.size).toBe(256);
    expect(kept.state.things.things.order).toHaveLength(THINGS_MAX);
    expect(kept.state.things.messages.order).toHaveLength(MESSAGES_MAX);
    expect(bucketsOf(kept.state)).toBeGreaterThan(22 * 4 * BUCKETS * 0.98);
    expect(kept.copies.size).toBe(shape.keys);
    expect(bytes).toBeGreaterThan(BYTES_MAX / 4);
  });
});

function measure(shape: Shape) {
  // Code, dates and zones are made at their first use and are nobody's in particular.
  memoryOf({ keys: 2, limited: 1, families: 2, days: 2 });
  const before = heap();
  const kept = memoryOf(shape);
  return { bytes: heap() - before, kept };
}

setFlagsFromString('--expose-gc');
// The flag puts it into contexts that are made after it.
const collect = runInNewContext('gc') as () => void;

function heap(): number {
  collect();
  collect();
  return memoryUsage().heapUsed;
}

/** As it comes over RPC or out of storage: texts in one piece, not as they were put together. */
function flat<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** All that the object keeps beside its code. */
function memoryOf({ keys, limited, families, days }: Shape) {
  const owner = flat(ownerOf(1));
  const keyIds = Array.from({ length: keys }, (_, n) => flat(idOf('key', n)));
  const keyOf = (n: number): KeyId => keyIds[n % keys] ?? owner.keyId;
  const windows = SPANS_MS.map((spanMs) => ({ limit: 1_000_000_000, spanMs }));
  const limits: LimitSet = { requests: windows.slice(0, 2), cost: windows.slice(2) };
  const state = emptyState(ZONE);
  state.lastSeenAt = NOW;
  const sets = [...keyIds.slice(0, limited), owner.userId, 'wallet'].map(
    (holder) => [holder, limits] as const,
  );
  alignTo(state, { limits: sets, timeZone: ZONE, now: NOW, rowsSince: () => [] });
  let seq = 0;
  const close = (at: number, n: number, family: string): void => {
    seq += 1;
    state.lastSeenAt = Math.max(at, state.lastSeenAt);
    foldClosed(state, closedRow(openRow(seq, keyOf(n), at), family));
  };
  // Every family of every key on each day, for the sums of money.
  for (let day = days; day > 0; day -= 1) {
    for (let n = 0; n < keys * families; n += 1) {
      close(NOW - day * DAY_MS + n, n, `family-${Math.floor(n / keys)}`);
    }
  }
  // Every bucket of every window, from the longest to the shortest.
  for (const spanMs of SPANS_MS.toReversed()) {
    for (let n = 0; n < BUCKETS; n += 1) {
      const at = NOW + DAY_MS - spanMs + Math.floor((n * spanMs) / BUCKETS);
      for (let key = 0; key < limited; key += 1) close(at, key, 'family-0');
    }
  }
  for (let n = 0; n < OPEN; n += 1) {
    seq += 1;
    foldOpened(state, flat(openRow(seq, keyOf(n), NOW + DAY_MS)));
  }
  const recent = new RecentRequests(NO_ROWS);
  for (let n = 0; n < CLOSED_LATELY; n += 1) {
    recent.note(openRow(n, owner.keyId, NOW), NOW + n);
    recent.forgetOld(NOW + n, 0);
  }
  const copies = new Map(keyIds.map((id) => [id, flat(keyCopy(owner, { id, limits }))]));
  return { state, recent, copies };
}

const NO_ROWS = { row: () => null, rowOf: () => null, closedBefore: () => [] };

function bucketsOf({ counters }: ReturnType<typeof emptyState>): number {
  const all = [...counters.values()].flatMap(({ windows }) => [...windows.values()]);
  return all.reduce((sum, { buckets }) => sum + buckets.length, 0);
}

function openRow(seq: number, keyId: KeyId, admittedAt: number): RequestRow {
  const requestId = flat(idOf('request', seq));
  const { sizes } = admitCall(keyId, requestId);
  const conversation = `conversation-${seq % CONVERSATIONS}`;
  const tags = { session: `session-${seq}`, agent: `agent-${seq}`, prompt: `prompt-${seq}` };
  const priced = { price: PRICE, pricesVersion: 1, likelyInputNanos: nanos(5_000_000) };
  const { userId } = ownerOf(1);
  const opened = { requestId, keyId, userId, model: MODEL, ...priced, sizes, conversation, tags };
  const open = { opened, progress: null, outcome: null, known: null, closed: null, hold: HOLD };
  return { seq, requestId, keyId, admittedAt, leaseUntil: admittedAt + MINUTE_MS, ...open };
}

function closedRow(row: RequestRow, family: string): RequestRow {
  const { opened, seq, admittedAt } = row;
  const known = { certainty: 'reported', costNanos: nanos(1_000_000 + seq) } as const;
  const counts = { input: 900, cacheWrite5m: 0, cacheWrite1h: 0, cacheRead: 0, output: 90 };
  const terms = { speed: null, geo: null, tier: null };
  const entries = [{ model: MODEL, counts: { ...counts, webSearches: 0 }, terms }];
  const accountId = ACCOUNTS[seq % ACCOUNTS.length] ?? null;
  const messageId = flat(`msg_01Xf5Wg6z7aQ${seq}`);
  const heldIds = [flat(`file_011CNha8iCJcU1${seq}`)];
  const made = { accountId, messageId, heldIds };
  const details = { ...made, status: 200, attempts: [], timings: null };
  return {
    ...row,
    opened: opened === null ? null : { ...opened, price: { ...opened.price, family } },
    outcome: { ...known, closing: 'completed', closedAt: admittedAt },
    known,
    closed: { closing: 'completed', usage: { entries, flags: [] }, model: MODEL, ...details },
  };
}
