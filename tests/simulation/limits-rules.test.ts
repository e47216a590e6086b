// The limits of three keys, their user and wallet through long, unlucky histories: limits, zones
// and statuses that change, copies that come late, clocks that are wrong, days of 23 and 25 hours,
// evictions, calls that come again and too late. Beside them a naive book (support/limit-book.ts)
// sums every window and every day anew. Money alone is in ledger-rules.test.ts.

import assert from 'node:assert/strict';
import { afterAll, describe, it } from 'vitest';
import type { RelayError } from '../../workers/domain/errors';
import type { KeyId } from '../../workers/domain/ids';
import type { SettleCall } from '../../workers/domain/ledger/calls';
import { CERTAINTIES } from '../../workers/domain/ledger/calls';
import { THE_WALLET } from '../../workers/domain/ledger/counting';
import { nanos } from '../../workers/domain/money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../workers/domain/time';
import { blocksOf, failed, Tally } from '../support/histories';
import {
  creditCall,
  extendCall,
  progressCall,
  seeded,
  settleCall,
  voidCall,
} from '../support/ledger';
import type { Booked, InForce } from '../support/limit-book';
import { LimitBook } from '../support/limit-book';
import { expectDue, expectTold } from '../support/limit-checks';
import { anyOf, between, KEYS, OWNER, Shelf, STARTS } from '../support/limit-sets';
import type { LimitedRequest } from '../support/limited-requests';
import {
  asksOf,
  costOf,
  limitedRequest,
  outputNanosOf,
  TWO_FAMILIES,
  usageOf,
} from '../support/limited-requests';
import { essenceOf, PaperLedger } from '../support/paper-ledger';

const STEPS = 100;
const CLOCK_SKEW_MS = 5 * MINUTE_MS;
const CLOSED: RelayError = { kind: 'already-closed' };

const tally = new Tally();

describe('the limits of a wallet through any history', () => {
  it.each(blocksOf(1_000, 50))('hold in the seeds from $first on', ({ seeds }) => {
    for (const seed of seeds) expectLimitsKept(seed);
  });

  afterAll(() => tally.print());
});

/** A request, and what became of it. */
interface Line extends LimitedRequest {
  n: number;
  seq: number | null;
  /** Rank of the certainty it is closed with; null: open, or not there. */
  rank: number | null;
  booked: Booked | null;
}

interface World {
  readonly random: () => number;
  readonly ledger: PaperLedger;
  readonly shelf: Shelf;
  readonly book: LimitBook;
  readonly lines: Line[];
  /** Calls whose answer was lost: they come again, at any time, in any order. */
  readonly unanswered: (() => void)[];
  /** The usual time (ms) between two steps. */
  readonly paceMs: number;
  /** Unix ms that a true clock shows; the machine's own is off by `skewMs`. */
  trueTime: number;
  skewMs: number;
  /**
   * A machine may show another day altogether, once; not in a history in which zones change: of
   * what was dated wrongly a sum tells the day alone, which in the other zone is two.
   */
  mayMisread: boolean;
  readonly mayRezone: boolean;
  /** Budgets of the period in which the zone changed may count what was spent before. */
  isRezoned: boolean;
  repeats: number;
  credits: number;
}

function expectLimitsKept(seed: number): void {
  const world = newWorld(seed);
  const { random, ledger, book } = world;
  let step = 0;
  try {
    for (; step < STEPS; step += 1) {
      passTime(world);
      act(world);
      if (random() < 0.25) ledger.evict();
      check(world);
    }
    book.checkAll();
  } catch (cause) {
    throw failed(seed, step, cause);
  }
  tally.add({ steps: STEPS, crashPoints: ledger.evictions + world.repeats });
}

function newWorld(seed: number): World {
  const random = seeded(seed);
  const shelf = new Shelf(random);
  const trueTime = anyOf(random, STARTS) + between(random, [0, 12 * HOUR_MS]);
  const start = { wallClock: trueTime, every: between(random, [1, 12]), catalogue: TWO_FAMILIES };
  const { user, wallet } = shelf;
  const ledger = new PaperLedger({ key: shelf.key(OWNER.keyId), user, wallet }, start);
  for (const copy of shelf.all()) ledger.apply(copy);
  const amountNanos = nanos(between(random, [200_000_000, 20_000_000_000]));
  ledger.credit(creditCall('txn_first', { amountNanos }));
  const paceMs = anyOf(random, [100, 2 * SECOND_MS, MINUTE_MS, 20 * MINUTE_MS]);
  const mayRezone = random() < 0.6;
  const flags = { mayMisread: !mayRezone, mayRezone, isRezoned: false };
  const none = { lines: [], unanswered: [], repeats: 0, credits: 1, skewMs: 0 };
  return { random, ledger, shelf, book: new LimitBook(), paceMs, trueTime, ...flags, ...none };
}

/** Seldom a long rest; now and then on another machine, whose clock is another. */
function passTime(world: World): void {
  const { random, ledger, paceMs } = world;
  const isRest = random() < 0.03;
  world.trueTime += Math.floor(random() * (isRest ? 30 * HOUR_MS : 2 * paceMs));
  if (random() < 0.1) world.skewMs = Math.floor((random() * 2 - 1) * CLOCK_SKEW_MS);
  ledger.wallClock = world.trueTime + world.skewMs;
  if (!world.mayMisread || random() > 0.02) return;
  world.mayMisread = false;
  ledger.wallClock += between(random, [2 * HOUR_MS, 60 * HOUR_MS]);
}

function act(world: World): void {
  const { random, ledger, lines, unanswered } = world;
  const line = lines[Math.floor(random() * lines.length)];
  const dice = random();
  if (dice < 0.4 || line === undefined) {
    const fresh = newLine(world);
    again(world, () => admit(world, fresh));
  } else if (dice < 0.44) again(world, () => admit(world, line));
  else if (dice < 0.66) again(world, settlement(world, openOf(world) ?? line));
  else if (dice < 0.73) again(world, sign(world, openOf(world) ?? line));
  else if (dice < 0.8) again(world, extension(world, openOf(world) ?? line));
  else if (dice < 0.82)
    again(world, () => settle(world, line, voidCall(line.keyId, line.requestId)));
  else if (dice < 0.84) alarm(world);
  else if (dice < 0.86) credit(world);
  else if (dice < 0.93) change(world);
  else {
    const [call] = unanswered.splice(Math.floor(random() * unanswered.length), 1);
    if (call === undefined) return;
    world.repeats += 1;
    call();
  }
  if (random() < 0.05) ledger.evict();
}

function again(world: World, call: () => void): void {
  const { random, ledger, unanswered } = world;
  call();
  if (random() < 0.2) unanswered.push(call);
  if (random() < 0.1) ledger.evict();
  if (random() >= 0.1) return;
  world.repeats += 1;
  call();
}

function openOf({ random, lines }: World): Line | undefined {
  const open = lines.filter(({ booked }) => booked !== null && booked.closed === null);
  return open[Math.floor(random() * open.length)];
}

function newLine({ random, lines }: World): Line {
  const request = limitedRequest(random, lines.length + 1);
  const line: Line = { ...request, n: 0, seq: null, rank: null, booked: null };
  lines.push(line);
  return line;
}

function admit(world: World, line: Line): void {
  const { ledger, book } = world;
  const inForce = inForceOf(world, line.keyId);
  const answer = ledger.admit(line.call);
  const now = nowOf(ledger);
  const asks = asksOf(line, now < ledger.state.waryUntil);
  if (line.booked !== null) {
    const isOpen = line.booked.closed === null;
    assert.deepEqual(answer.ok ? answer.lease.seq : answer.error, isOpen ? line.seq : CLOSED);
    return;
  }
  const unusable = refusalByStatus(world, line.keyId);
  if (unusable !== null) assert.deepEqual(answer, { ok: false, error: unusable });
  else if (!answer.ok) {
    const { call, price } = line;
    const standing = { book, inForce, now, isRezoned: world.isRezoned };
    expectDue({ ...standing, ledger, call, asks, family: price.family, error: answer.error });
  } else {
    const { lease } = answer;
    const hold = ledger.rows.get(lease.seq)?.hold;
    if (hold === undefined) throw new Error('nothing is held');
    assert.equal(lease.admittedAt, now);
    line.seq = lease.seq;
    const { inputNanos, heldOutputTokensUpTo: upTo } = hold.parts;
    const { inputTokens } = hold;
    const held = { inputNanos, setAsideNanos: inputNanos, inputTokens, upTo, isReported: false };
    const room = { ...held, nanosPerToken: outputNanosOf(line), soFarNanos: 0 };
    const holders = [line.keyId, OWNER.userId, THE_WALLET];
    const { family } = line.price;
    line.booked = book.admit({ holders, family, at: now, room, inForce }, asks);
  }
}

function refusalByStatus({ shelf }: World, keyId: KeyId): RelayError | null {
  if (shelf.key(keyId).status !== 'active') return { kind: 'unauthenticated', why: 'revoked' };
  if (shelf.user.status !== 'active') return { kind: 'forbidden', why: 'user-suspended' };
  return shelf.wallet.status === 'active' ? null : { kind: 'forbidden', why: 'wallet-suspended' };
}

function inForceOf({ shelf }: World, keyId: KeyId): InForce {
  const { user, wallet } = shelf;
  const sets = [
    [keyId, shelf.key(keyId).limits ?? {}],
    [user.id, user.limits ?? {}],
    [THE_WALLET, wallet.limits ?? {}],
  ] as const;
  return { sets, timeZone: user.timeZone };
}

/** What it is closed with is chosen now; the call may come at any time. */
function settlement(world: World, line: Line): () => void {
  const { random, ledger } = world;
  const { requestId, keyId, seq } = line;
  const isSure = random() < 0.6;
  const share = isSure ? 1 : random();
  const used = { input: line.inputTokens, output: Math.floor(outputOf(world, line) * share) };
  const figures = { costNanos: nanos(costOf(line, used)), usage: usageOf(line, used) };
  const certainty = isSure ? 'reported' : 'estimated';
  const admittedAt = nowOf(ledger) - between(random, [0, HOUR_MS]);
  const named = { seq: random() < 0.8 ? seq : null, requestId, keyId };
  const call = settleCall(named, { ...figures, certainty, admittedAt, model: line.price.model });
  return () => settle(world, line, call);
}

/** Nearly always within what is held for it. */
function outputOf({ random }: World, { booked, wanted }: Line): number {
  const upTo = booked?.room?.upTo ?? Infinity;
  return random() < 0.06 ? wanted : Math.min(wanted, upTo);
}

function settle(world: World, line: Line, call: SettleCall): void {
  const { ledger, book } = world;
  ledger.settle(call);
  const rank = CERTAINTIES.indexOf(call.certainty);
  if (line.rank !== null && rank <= line.rank) return;
  line.rank = rank;
  const { costNanos, usage } = call;
  const tokens = usage.entries.reduce((sum, { counts }) => sum + counts.input + counts.output, 0);
  if (line.booked !== null) {
    book.close(line.booked, { costNanos, tokens });
    return;
  }
  const at = call.admittedAt ?? nowOf(ledger);
  const inForce = { sets: [], timeZone: 'UTC' };
  const holders = [line.keyId, THE_WALLET];
  line.booked = book.addStranger({ holders, at, inForce }, { costNanos, tokens });
}

/** A sign of life, with the input as the upstream has reported it. */
function sign({ random, ledger, book }: World, line: Line): () => void {
  line.n += 1;
  const { n, requestId, inputTokens } = line;
  const isReported = random() < 0.7;
  const inputNanos = nanos(costOf(line, { input: inputTokens, output: 0 }));
  const soFar = random() < 0.5 ? 0 : inputNanos;
  const figures = { n, costNanos: nanos(soFar), ...(isReported ? { inputNanos } : {}) };
  return () => {
    const { booked } = line;
    ledger.progress(progressCall({ seq: line.seq ?? 0, requestId }, figures));
    const row = line.seq === null ? undefined : ledger.rows.get(line.seq);
    // An older sign changes nothing.
    if (booked?.room && booked.closed === null && row?.progress?.n === n) {
      booked.room.soFarNanos = soFar;
      if (isReported) Object.assign(booked.room, { inputNanos, isReported });
      book.check(booked);
    }
  };
}

function extension(world: World, line: Line): () => void {
  const { random, ledger, book } = world;
  const upTo = between(random, [0, 5_000]);
  return () => {
    const { requestId, booked, seq } = line;
    // Nothing streams for days: its lease ends without a sign of life, and three days are kept.
    if (booked !== null && nowOf(ledger) - booked.at > 48 * HOUR_MS) return;
    const inForce = inForceOf(world, line.keyId);
    const answer = ledger.extend(extendCall({ seq: seq ?? 0, requestId }, upTo));
    const at = nowOf(ledger);
    if (booked === null || booked.closed !== null) assert.notEqual(answer.state, 'held');
    else if (refusalByStatus(world, line.keyId) !== null) assert.equal(answer.state, 'stop');
    else if (answer.state === 'held') {
      book.extend(booked, answer.heldOutputTokensUpTo, { at, inForce });
    }
  };
}

/** At any time: what gave no sign for a minute is closed at what was known of it. */
function alarm({ ledger, lines, book }: World): void {
  ledger.alarm();
  for (const line of lines) {
    if (line.booked === null || line.rank !== null || line.seq === null) continue;
    const outcome = ledger.rows.get(line.seq)?.outcome ?? null;
    if (outcome === null) continue;
    assert.equal(outcome.closing, 'recovered');
    line.rank = CERTAINTIES.indexOf('recovered');
    book.close(line.booked, { costNanos: outcome.costNanos, tokens: 0 });
  }
}

function credit(world: World): void {
  const { random, ledger } = world;
  world.credits += 1;
  const amountNanos = nanos(between(random, [0, 500_000_000]));
  ledger.credit(creditCall(`txn_${world.credits}`, { amountNanos }));
}

/** A copy is pushed; now and then the push of an older one comes after it and changes nothing. */
function change(world: World): void {
  const { random, ledger, shelf, unanswered } = world;
  const old = anyOf(random, shelf.all());
  const copy = shelf.change(random);
  if (copy.kind === 'user' && copy.timeZone !== shelf.user.timeZone) {
    if (!world.mayRezone) return;
    world.isRezoned = true;
  }
  shelf.keep(copy);
  ledger.apply(copy);
  if (random() < 0.3) ledger.apply(old);
  if (random() < 0.3) unanswered.push(() => ledger.apply(copy));
}

function check(world: World): void {
  const { random, ledger, book, isRezoned } = world;
  const keyId = anyOf(random, KEYS);
  const info = ledger.keyInfo(keyId);
  const now = nowOf(ledger);
  expectTold(info.limits ?? [], { book, inForce: inForceOf(world, keyId), now, isRezoned });
  assert.equal(info.overrunNanos, book.overrun(keyId));
  if (isRezoned || random() > 0.1) return;
  // What waking would find is what is in memory. After a leap waking believes the clock; what the
  // windows have forgotten by then is compared no more.
  const woken = ledger.rebuilt();
  assert.deepEqual(essenceOf(woken), essenceOf(ledger.state));
  const both = { now: Math.max(woken.lastSeenAt, ledger.state.lastSeenAt) };
  for (const id of KEYS) {
    const at = { ...both, keyId: id };
    assert.deepEqual(ledger.standings(woken, at), ledger.standings(ledger.state, at));
  }
}

/** As the ledger's clock has it, right after a call. */
function nowOf({ wallClock, state }: PaperLedger): number {
  return Math.max(wallClock, state.lastSeenAt);
}
