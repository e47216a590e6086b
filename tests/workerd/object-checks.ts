// What must hold of a wallet’s object after every step of a simulation: rows and entries against
// the book that the test keeps, memory against the rows, limits and credit against both.

import { runInDurableObject } from 'cloudflare:test';
import type { KeyId } from '../../workers/domain/ids';
import type { Copy } from '../../workers/domain/ledger/copies';
import { alignTo } from '../../workers/domain/ledger/counting';
import { limitFactsOf, limitsInForce, standingsOf } from '../../workers/domain/ledger/limited';
import { heldBy } from '../../workers/domain/ledger/held';
import { postingsOfEntry, postingsOfRow, sumOf } from '../../workers/domain/ledger/posting';
import type { Entry, RequestRow, RowHold } from '../../workers/domain/ledger/row';
import type { Checkpoint, Stored, WalletState } from '../../workers/domain/ledger/state';
import type { LimitSet } from '../../workers/domain/limits/limit-set';
import { SECOND_MS } from '../../workers/domain/time';
import { LedgerStorage } from '../../workers/objects/ledger-storage';
import { essenceOf } from '../support/paper-ledger';
import { factsOf, rank, same } from './object-book';
import type { World } from './object-world';
import { stubOf } from './object-world';

/** What lies in the object's storage. */
interface Seen {
  readonly rows: readonly RequestRow[];
  readonly entries: readonly Entry[];
  readonly copies: readonly Copy[];
  readonly checkpoint: Checkpoint | null;
  readonly tail: readonly RequestRow[];
  readonly tailEntries: readonly Entry[];
  readonly alarmAt: number | null;
  /** Rows and entries that are in a batch, and whether D1 is known to have all batches. */
  readonly batched: number;
  readonly isDelivered: boolean;
}

export async function look(world: World): Promise<Seen> {
  return runInDurableObject(stubOf(world), async (_object, { storage }) => {
    const stored = new LedgerStorage(storage.sql);
    const checkpoint = stored.checkpoint();
    const [batches] = stored.run<{ items: number; last: number }>(
      `SELECT coalesce(sum(json_array_length(document, '$.seqs') +
        json_array_length(document, '$.entries')), 0) AS items, coalesce(max(n), 0) AS last
        FROM batches`,
    );
    const [delivered] = stored.run<{ n: number }>(
      "SELECT CAST(document AS INTEGER) AS n FROM documents WHERE name = 'delivered'",
    );
    return {
      rows: stored.tail(null),
      entries: stored.entriesAfter(0),
      copies: stored
        .run<{ document: string }>('SELECT document FROM copies')
        .map(({ document }) => JSON.parse(document) as Copy),
      checkpoint,
      tail: stored.tail(checkpoint),
      tailEntries: stored.entriesAfter(checkpoint?.entry ?? 0),
      alarmAt: await storage.getAlarm(),
      batched: batches?.items ?? 0,
      isDelivered: (delivered?.n ?? 0) >= (batches?.last ?? 0),
    };
  });
}

export type Rebuild = (stored: Stored) => WalletState;

/** Throws at the first thing that does not hold. */
export async function check(world: World, rebuild: Rebuild): Promise<Seen> {
  const seen = await look(world);
  const fresh = checkRows(world, seen);
  checkEntries(world, seen);
  checkCopies(world, seen);
  checkAlarm(world, seen);
  const state = checkMemory(world, seen, rebuild);
  checkMoney(world, seen, state);
  checkLimits(world, seen, fresh);
  return seen;
}

function must(holds: boolean, what: string, ...facts: readonly unknown[]): asserts holds {
  if (!holds) throw new Error(`${what}: ${facts.map((fact) => JSON.stringify(fact)).join(' / ')}`);
}

/** One row a request, as the book has it; answers the rows that are new. */
function checkRows({ lines }: World, { rows }: Seen): readonly RequestRow[] {
  const byId = new Map(rows.map((row) => [row.requestId, row]));
  must(byId.size === rows.length, 'two rows of one request', rows.length);
  const fresh: RequestRow[] = [];
  let found = 0;
  for (const line of lines) {
    const { row: before } = line;
    const row = byId.get(line.call.requestId) ?? null;
    const facts = factsOf(row);
    must(
      line.could.some((each) => same(each, facts)),
      'not in the book',
      facts,
      line.could,
    );
    line.could = [facts];
    line.row = row;
    if (row === null) continue;
    found += 1;
    must(sumOf(postingsOfRow(row)) === 0, 'postings of a row', row.seq);
    if (before === null) {
      if (row.opened !== null) fresh.push(row);
      continue;
    }
    must(row.seq === before.seq && row.admittedAt === before.admittedAt, 'another row', row.seq);
    if (before.outcome === null) continue;
    must(row.outcome !== null && same(row.outcome, before.outcome), 'closed twice', row.seq);
    const surer = rank(row.known?.certainty ?? 'recovered');
    must(surer >= rank(before.known?.certainty ?? 'recovered'), 'less sure', row.seq);
  }
  must(found === rows.length, 'rows of no request', found, rows.length);
  return fresh;
}

function checkEntries({ credits, unsure }: World, { entries }: Seen): void {
  for (const entry of entries) {
    must(sumOf(postingsOfEntry(entry)) === 0, 'postings of an entry', entry.entryId);
    if (entry.kind === 'correction') continue;
    const amount = unsure.get(entry.entryId);
    if (amount !== undefined) credits.set(entry.entryId, amount);
    must(credits.get(entry.entryId) === entry.amountNanos, 'credit', entry);
  }
  unsure.clear();
  const written = entries.filter(({ kind }) => kind !== 'correction').length;
  must(written === credits.size, 'credits', written, credits.size);
}

/** Copies are what the database had, none goes back, and none is older than it was told. */
function checkCopies({ history, versions }: World, { copies }: Seen): void {
  for (const copy of copies) {
    const document = history.get(copy.id)?.get(copy.version);
    must(document !== undefined && same(JSON.parse(document), copy), 'copy', copy);
    must(
      copy.version >= (versions.get(copy.id) ?? 0),
      'an older copy',
      copy,
      versions.get(copy.id),
    );
    versions.set(copy.id, copy.version);
  }
  for (const id of versions.keys())
    must(
      copies.some((copy) => copy.id === id),
      'no copy',
      id,
    );
}

/** Whatever is left to do, an alarm will come for it. */
function checkAlarm({ isAlarmOwed }: World, seen: Seen): void {
  const { alarmAt, rows, entries } = seen;
  if (isAlarmOwed) return;
  const open = rows.filter(({ outcome }) => outcome === null);
  const pending = rows.length - open.length + entries.length - seen.batched;
  if (open.length === 0 && pending === 0 && seen.isDelivered) return;
  must(alarmAt !== null, 'no alarm', open.length, pending, seen.isDelivered);
  const latest = Math.min(...open.map(({ leaseUntil }) => leaseUntil)) + 5 * SECOND_MS;
  must(alarmAt <= latest, 'a late alarm', alarmAt, latest);
}

/** What is in memory is what waking would find. */
function checkMemory({ live, history }: World, seen: Seen, rebuild: Rebuild): WalletState {
  const { checkpoint, tail: rows, tailEntries: entries, copies } = seen;
  const { state } = live;
  if (state === null) throw new Error('no object has woken');
  const rebuilt = rebuild({ checkpoint, rows, entries, wallClock: Date.now(), timeZone: 'UTC' });
  const [one, other] = [essenceOf(state), essenceOf(rebuilt)].map((each) => JSON.stringify(each));
  must(one === other, 'memory', one, other);
  const sets = setsOf(copies);
  // Times that lie ahead of a clock that leapt are believed at waking: for both it is then.
  const now = Math.max(state.lastSeenAt, rebuilt.lastSeenAt, Date.now());
  const counted = [structuredClone(state), rebuilt].map((each) => {
    each.lastSeenAt = now;
    const rowsSince = (since: number) => seen.rows.filter((row) => row.admittedAt > since);
    alignTo(each, { limits: [...sets.limits], timeZone: 'UTC', now, rowsSince });
    return sets.all.map((three) => standingsOf(limitFactsOf(three, each, now)));
  });
  must(same(counted[0] ?? [], counted[1] ?? []), 'limits in memory', ...counted);
  must(history.size > 0, 'nothing is known');
  return state;
}

type Three = Parameters<typeof limitFactsOf>[0];

/** Each key that is known, with its user and wallet. */
function setsOf(copies: readonly Copy[]): {
  readonly all: readonly Three[];
  readonly limits: ReadonlyMap<string, LimitSet>;
} {
  const user = copies.find((copy) => copy.kind === 'user');
  const wallet = copies.find((copy) => copy.kind === 'wallet');
  if (user === undefined || wallet === undefined) return { all: [], limits: new Map() };
  const all = copies.flatMap((key) => (key.kind === 'key' ? [{ key, user, wallet }] : []));
  return { all, limits: new Map(all.flatMap((three) => limitsInForce(three))) };
}

/** Credit is neither made nor lost, and what passes it is no more than what passed the holds. */
function checkMoney({ lines, credits, isTame }: World, seen: Seen, state: WalletState): void {
  const { rows, entries } = seen;
  const came = sum([...credits.values()]);
  const spent = sum(lines.map(({ could: [facts] }) => facts?.best?.costNanos ?? 0));
  must(state.balanceNanos === came - spent, 'balance', state.balanceNanos, came, spent);
  const folded =
    sum(entries.map((entry) => entry.amountNanos)) -
    sum(rows.map(({ outcome }) => outcome?.costNanos ?? 0));
  must(state.balanceNanos === folded, 'the fold', state.balanceNanos, folded);
  const open = rows.filter(({ outcome }) => outcome === null);
  must(state.open.size === open.length, 'open', state.open.size, open.length);
  must(state.heldNanos === sum(open.map(heldBy)), 'held', state.heldNanos);
  for (const [keyId, totals] of state.keys) {
    const own = rows.filter((row) => row.keyId === keyId && row.known !== null);
    const used = sum(own.map(({ known }) => known?.costNanos ?? 0));
    must(totals.usedNanos === used && totals.requests === own.length, 'totals', keyId, totals);
    must(totals.overrunNanos === sum(own.map(overrun)), 'overrun', keyId, totals);
    must(!isTame || totals.overrunNanos === 0, 'overrun in a tame world', keyId, totals);
  }
  const taken = sum([...credits.values()].map((amount) => Math.max(0, -amount)));
  const passed = sum(rows.map(beyondHold));
  must(state.balanceNanos >= -(passed + taken), 'overspent', state.balanceNanos, passed, taken);
}

/** What of a row's cost is above what was set aside for it. */
function overrun({ hold, known }: RequestRow): number {
  return hold === undefined ? 0 : Math.max(0, (known?.costNanos ?? 0) - setAside(hold));
}

/** At its admit, less what a report of its input gave back, and by its extensions. */
function setAside({ setAsideNanos, parts }: RowHold): number {
  return Math.min(setAsideNanos, parts.inputNanos + parts.toolsNanos) + parts.outputNanos;
}

/** What of a row's cost nothing was held for when it closed, or came later: all its overrun too. */
function beyondHold(row: RequestRow): number {
  const { hold, outcome, known } = row;
  if (outcome === null || known === null) return 0;
  const granted = hold === undefined ? 0 : setAside(hold);
  return Math.max(0, known.costNanos - Math.min(heldBy(row), granted, outcome.costNanos));
}

/** `fresh`: rows admitted in this step. */
function checkLimits(world: World, { rows, copies }: Seen, fresh: readonly RequestRow[]): void {
  const { before } = world;
  for (const row of fresh) {
    for (const kind of ['key', 'user', 'wallet'] as const) {
      const own = (copy: Copy) => copy.kind === kind && (kind !== 'key' || copy.id === row.keyId);
      const known = [...before, ...copies].filter(own);
      const counted = kind === 'key' ? rows.filter(({ keyId }) => keyId === row.keyId) : rows;
      must(
        known.some(({ status }) => status === 'active'),
        'admitted for a dead',
        kind,
        row.seq,
      );
      const sets = known.map(({ limits = {} }) => limits);
      must(
        sets.some((set) => isWithin(set, row, counted)),
        'beyond a limit',
        kind,
        row.seq,
        sets,
      );
    }
  }
  world.before = copies;
  for (const { counted, limits } of fixed(world, rows)) checkFixed(limits, counted);
}

/** Whether no window of the set that holds the row has more than its limit. */
function isWithin(set: LimitSet, row: RequestRow, counted: readonly RequestRow[]): boolean {
  const admitted = counted.filter(({ opened }) => opened !== null);
  const open = admitted.filter(({ outcome }) => outcome === null).length;
  if (set.concurrency !== undefined && open > set.concurrency) return false;
  return (set.requests ?? []).every(({ limit, spanMs }) =>
    admitted
      .map(({ admittedAt }) => admittedAt)
      .filter((end) => end >= row.admittedAt && end < row.admittedAt + spanMs)
      .every((end) => within(admitted, end, spanMs).length <= limit),
  );
}

function within(rows: readonly RequestRow[], end: number, spanMs: number) {
  return rows.filter(({ admittedAt }) => admittedAt > end - spanMs && admittedAt <= end);
}

/** Holders whose limits were the same from the beginning, with the rows that count for them. */
function fixed({ limits, keys }: World, rows: readonly RequestRow[]) {
  const [ofUser = {}, ofWallet = {}, , ofSecond = {}] = limits;
  const [, second] = keys;
  const ofKey = (id: KeyId | undefined) => rows.filter(({ keyId }) => keyId === id);
  return [
    { limits: ofUser, counted: rows.filter(({ opened }) => opened !== null) },
    { limits: ofWallet, counted: rows },
    { limits: ofSecond, counted: ofKey(second) },
  ];
}

/** Money in a window or a budget passes its limit by no more than what passed the holds. */
function checkFixed({ cost = [], budgets = [] }: LimitSet, counted: readonly RequestRow[]): void {
  const spent = (rows: readonly RequestRow[]) =>
    sum(rows.map(({ known }) => known?.costNanos ?? 0));
  for (const { limit, spanMs } of cost) {
    for (const { admittedAt } of counted) {
      const rows = within(counted, admittedAt, spanMs);
      must(
        spent(rows) <= limit + sum(rows.map(beyondHold)),
        'cost in a window',
        limit,
        spent(rows),
      );
    }
  }
  for (const { period, limitNanos } of budgets) {
    must(period === 'total', 'a budget that is not checked', period);
    const most = limitNanos + sum(counted.map(beyondHold));
    must(spent(counted) <= most, 'a budget', limitNanos, spent(counted));
  }
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}

/** Nothing is left: no request runs, nothing is held, no alarm stands. */
export async function checkAtEnd(world: World): Promise<void> {
  const { rows, alarmAt, isDelivered, copies } = await look(world);
  const { state } = world.live;
  must(
    rows.every(({ outcome }) => outcome !== null),
    'still open',
  );
  must(state !== null && state.heldNanos === 0 && state.open.size === 0, 'still held');
  must(state.conversations.open.size === 0, 'a conversation is still open');
  for (const [holder, { open, heldTokens, heldNanos }] of state.counters) {
    must(open === 0 && heldTokens === 0 && heldNanos === 0, 'still held by', holder);
  }
  must(alarmAt === null && isDelivered, 'not drained', alarmAt, isDelivered);
  for (const copy of copies) {
    const newest = Math.max(...(world.history.get(copy.id)?.keys() ?? []));
    must(copy.version === newest, 'not the newest copy', copy, newest);
  }
}
