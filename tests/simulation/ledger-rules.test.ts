// The ledger's rules through long, unlucky histories: repeats, lost replies, late alarms, crashes,
// corrections. A plain book beside them says what must come out. Each seed is a history of its own;
// support/histories.ts says how one is replayed and how more are run.

// node:assert, because these are some hundred thousand comparisons.
import assert from 'node:assert/strict';
import { afterAll, describe, it } from 'vitest';
import type { AccountId, RequestId } from '../../workers/domain/ids';
import type { AdmitCall, Certainty, SettleCall } from '../../workers/domain/ledger/calls';
import { CERTAINTIES } from '../../workers/domain/ledger/calls';
import { postingsOfEntry, postingsOfRow, sumOf } from '../../workers/domain/ledger/posting';
import { nanos } from '../../workers/domain/money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../workers/domain/time';
import {
  admitCall,
  copiesOf,
  creditCall,
  extendCall,
  HOLD,
  idOf,
  LIKELY_INPUT_NANOS,
  NOW,
  ownerOf,
  progressCall,
  seeded,
  settleCall,
  voidCall,
} from '../support/ledger';
import { blocksOf, failed, Tally } from '../support/histories';
import { essenceOf, PaperLedger } from '../support/paper-ledger';

const SLICE_TOKENS_MIN = 1_024;
/** Of every request here, at PRICE. */
const OUTPUT_TOKENS_MAX = 4_000;
const OUTPUT_NANOS_PER_TOKEN = 20_000;
const STEPS = 120;
const CLOCK_SKEW_MS = 5 * MINUTE_MS;
const OWNER = ownerOf(1);
const KEYS = [OWNER.keyId, idOf('key', 2), idOf('key', 3)] as const;

const tally = new Tally();

describe('a wallet through any history', () => {
  it.each(blocksOf(1_000, 50))('keeps its book in the seeds from $first on', ({ seeds }) => {
    for (const seed of seeds) expectBookKept(seed);
  });

  afterAll(() => tally.print());
});

/** What must be known of a request, kept without any rule of the ledger. */
interface Line {
  readonly requestId: RequestId;
  readonly keyId: (typeof KEYS)[number];
  /** Answers it, whenever that is told. */
  readonly accountId: AccountId;
  /** Ids of what other requests may have made. */
  readonly names: readonly string[];
  /** What its account is known to hold of it. */
  readonly made: Set<string>;
  seq: number | null;
  admitted: boolean;
  /** What the alarm may charge: by the last sign of life that counted. */
  soFar: { n: number; costNanos: number; dispatched: boolean } | null;
  /** What is set aside: for input, and for so many tokens of output. */
  held: { input: number; upTo: number; isReported: boolean } | null;
  leaseUntil: number;
  first: { closing: string; costNanos: number } | null;
  best: { certainty: Certainty; costNanos: number } | null;
}

interface World {
  readonly random: () => number;
  readonly ledger: PaperLedger;
  readonly lines: Line[];
  readonly credits: Map<string, number>;
  /** Calls whose answer was lost: they come again, at any time, in any order. */
  readonly unanswered: (() => void)[];
  /** Unix ms that a true clock shows; the machine's own is up to CLOCK_SKEW_MS off. */
  trueTime: number;
  /** How many calls were made again. */
  repeats: number;
}

function expectBookKept(seed: number): void {
  const random = seeded(seed);
  const every = 1 + Math.floor(random() * 8);
  const ledger = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every });
  const nothing = { lines: [], credits: new Map(), unanswered: [], repeats: 0 };
  const world: World = { random, ledger, ...nothing, trueTime: NOW };
  let step = 0;
  try {
    for (; step < STEPS; step += 1) {
      passTime(world);
      act(world, step);
      if (random() < 0.15) ledger.evict();
      check(world);
    }
  } catch (cause) {
    throw failed(seed, step, cause);
  }
  tally.add({ steps: STEPS, crashPoints: ledger.evictions + world.repeats });
}

/** Some seconds, seldom hours; now and then on another machine, whose clock is another. */
function passTime(world: World): void {
  const { random, ledger } = world;
  const skew = ledger.wallClock - world.trueTime;
  const isRest = random() < 0.03;
  world.trueTime += Math.floor(random() * (isRest ? 3 * HOUR_MS : 8 * SECOND_MS));
  const isElsewhere = random() < 0.1;
  const skewNow = isElsewhere ? Math.floor((random() * 2 - 1) * CLOCK_SKEW_MS) : skew;
  ledger.wallClock = world.trueTime + skewNow;
}

function act(world: World, step: number): void {
  const { random, ledger, lines, unanswered } = world;
  const line = lines[Math.floor(random() * lines.length)];
  const dice = random();
  if (dice < 0.3 || line === undefined) again(world, () => admit(world, newLine(world)));
  else if (dice < 0.36) again(world, () => admit(world, line));
  else if (dice < 0.55) again(world, settlement(world, line));
  else if (dice < 0.64) again(world, sign(world, line, step));
  else if (dice < 0.7) again(world, extension(world, line));
  else if (dice < 0.78) again(world, credit(world));
  else if (dice < 0.84)
    again(world, () => settle(world, line, voidCall(line.keyId, line.requestId)));
  else if (dice < 0.9) alarm(world);
  else {
    // A reply that was lost: the same call once more.
    const [call] = unanswered.splice(Math.floor(random() * unanswered.length), 1);
    if (call !== undefined) world.repeats += 1;
    call?.();
  }
  // A crash before anything was stored: memory is lost, nothing else.
  if (random() < 0.05) ledger.evict();
}

/** Makes the call; sometimes its answer is lost and it is made again, now or much later. */
function again(world: World, call: () => void): void {
  const { random, ledger, unanswered } = world;
  call();
  if (random() < 0.25) unanswered.push(call);
  if (random() < 0.1) ledger.evict();
  if (random() >= 0.1) return;
  world.repeats += 1;
  call();
}

function newLine({ random, lines }: World): Line {
  const requestId = idOf('request', lines.length);
  const keyId = KEYS[Math.floor(random() * KEYS.length)] ?? KEYS[0];
  const accountId = idOf('account', Math.floor(random() * 2));
  const named = [0.2, 0.05].filter((chance) => random() < chance);
  const names = named.map(() => `file_${idOf('request', Math.floor(random() * lines.length))}`);
  const nothing = { seq: null, admitted: false, soFar: null, held: null, first: null, best: null };
  const own = { accountId, names, made: new Set<string>() };
  const line: Line = { requestId, keyId, leaseUntil: 0, ...own, ...nothing };
  lines.push(line);
  return line;
}

function callOf({ keyId, requestId, names }: Line): AdmitCall {
  const call = admitCall(keyId, requestId);
  const heldIds = names.map((id) => ({ field: 'file_id', id }));
  return { ...call, heldIds, sizes: { ...call.sizes, maxTokens: OUTPUT_TOKENS_MAX } };
}

/** The account that holds all that the request names; null: it names nothing; `none`: none does. */
function holderOf({ lines }: World, { names }: Line): AccountId | 'none' | null {
  const holders = names.map((name) => lines.find(({ made }) => made.has(name))?.accountId);
  const [holder = holders.length === 0 ? null : 'none'] = holders;
  return holders.every((other) => other === holder) ? holder : 'none';
}

function admit(world: World, line: Line): void {
  const { ledger } = world;
  const available = ledger.state.balanceNanos - heldBy(world);
  const isAlone = ledger.state.open.size === 0;
  const holder = holderOf(world, line);
  const answer = ledger.admit(callOf(line));
  if (line.first !== null) {
    assert.deepEqual(answer, { ok: false, error: { kind: 'already-closed' } });
  } else if (line.admitted) {
    assert.partialDeepStrictEqual(answer, { ok: true, lease: { seq: line.seq } });
  } else if (holder === 'none') {
    assert.deepEqual(answer, { ok: false, error: { kind: 'held-elsewhere', field: 'file_id' } });
  } else {
    const { boundNanos } = HOLD;
    const eighth = Math.floor((available - boundNanos) / 8 / OUTPUT_NANOS_PER_TOKEN);
    const upTo = Math.min(OUTPUT_TOKENS_MAX, Math.max(SLICE_TOKENS_MIN, eighth));
    const output = upTo * OUTPUT_NANOS_PER_TOKEN;
    const fits = available >= boundNanos + output;
    assert.equal(answer.ok, fits || (isAlone && available >= LIKELY_INPUT_NANOS + output));
    if (!answer.ok) return;
    assert.equal(answer.lease.owner ?? null, holder);
    line.admitted = true;
    line.held = { input: fits ? boundNanos : available - output, upTo, isReported: false };
    // All holds together never pass what is there to be held.
    assert.ok(heldBy(world) <= ledger.state.balanceNanos);
    line.seq = answer.lease.seq;
    line.leaseUntil = answer.lease.admittedAt + MINUTE_MS;
  }
}

/** All that the open requests hold, each at least what it has cost so far. */
function heldBy({ lines }: World): number {
  return lines.reduce((sum, { held, first, soFar }) => {
    if (held === null || first !== null) return sum;
    const parts = held.input + held.upTo * OUTPUT_NANOS_PER_TOKEN;
    return sum + Math.max(parts, soFar?.costNanos ?? 0);
  }, 0);
}

function settlement(world: World, line: Line): () => void {
  const { random } = world;
  const certainty = random() < 0.5 ? 'estimated' : 'reported';
  const costNanos = nanos(Math.floor(random() * 2e9));
  const seq = random() < 0.8 ? line.seq : null;
  const named = { seq, requestId: line.requestId, keyId: line.keyId };
  const made = random() < 0.5 ? {} : { heldIds: [`file_${line.requestId}`] };
  const { accountId } = line;
  const call = settleCall(named, { certainty, costNanos, accountId, ...made });
  return () => settle(world, line, call);
}

function settle({ ledger }: World, line: Line, call: SettleCall): void {
  const { best } = line;
  const answer = ledger.settle(call);
  const isSurer = best === null || rank(call.certainty) > rank(best.certainty);
  if (isSurer) for (const id of call.heldIds ?? []) line.made.add(id);
  close(line, call);
  assert.deepEqual(answer, { closing: line.first?.closing, ...line.best });
}

/** The book's own rule: the first closing stays, the surest figure counts. */
function close(
  line: Line,
  {
    closing,
    certainty,
    costNanos,
  }: {
    readonly closing: string;
    readonly certainty: Certainty;
    readonly costNanos: number;
  },
): void {
  line.first ??= { closing, costNanos };
  const surer = line.best === null || rank(certainty) > rank(line.best.certainty);
  if (surer) line.best = { certainty, costNanos };
}

function rank(certainty: Certainty): number {
  return CERTAINTIES.indexOf(certainty);
}

function sign(world: World, line: Line, step: number): () => void {
  const { random, ledger } = world;
  const n = Math.max(1, step - Math.floor(random() * 30));
  const costNanos = nanos(random() < 0.3 ? 0 : Math.floor(random() * 1e9));
  const dispatched = random() < 0.8;
  const input = random() < 0.5 ? { inputNanos: nanos(Math.floor(random() * 3e7)) } : {};
  return () => {
    const { requestId } = line;
    const figures = { n, costNanos, dispatched, ...input };
    const call = progressCall({ seq: line.seq ?? 0, requestId }, figures);
    const answer = ledger.progress(call);
    if (line.first !== null) {
      assert.deepEqual(answer, { state: 'closed', closing: line.first.closing });
    } else if (!line.admitted) {
      assert.deepEqual(answer, { state: 'unknown' });
    } else {
      assert.deepEqual(answer, { state: 'open' });
      if (line.soFar !== null && line.soFar.n >= n) return;
      line.soFar = { n, costNanos, dispatched };
      if (line.held !== null) report(line.held, input.inputNanos ?? null);
      line.leaseUntil = Math.max(line.leaseUntil, nowOf(ledger) + MINUTE_MS);
    }
  };
}

/** The first figure takes the place of the bound, later ones only raise it. */
function report(held: NonNullable<Line['held']>, inputNanos: number | null): void {
  if (inputNanos === null) return;
  held.input = held.isReported ? Math.max(held.input, inputNanos) : inputNanos;
  held.isReported = true;
}

/** Asks for more output; also again, late, and for less than is held. */
function extension(world: World, line: Line): () => void {
  const { random, ledger } = world;
  const upTo = Math.floor(random() * 6_000);
  return () => {
    const { requestId, held } = line;
    const available = ledger.state.balanceNanos - heldBy(world);
    const answer = ledger.extend(extendCall({ seq: line.seq ?? 0, requestId }, upTo));
    if (line.first !== null) {
      assert.deepEqual(answer, { state: 'closed', closing: line.first.closing });
    } else if (held === null) {
      assert.deepEqual(answer, { state: 'unknown' });
    } else {
      const payable = held.upTo + Math.floor(available / OUTPUT_NANOS_PER_TOKEN);
      const granted = Math.max(held.upTo, Math.min(upTo, OUTPUT_TOKENS_MAX, payable));
      const isRefused = granted === held.upTo && Math.min(upTo, OUTPUT_TOKENS_MAX) > held.upTo;
      const state = isRefused ? 'refused' : 'held';
      assert.equal(answer.state, state);
      if (answer.state === 'held') assert.equal(answer.heldOutputTokensUpTo, granted);
      if (granted > held.upTo) {
        line.leaseUntil = Math.max(line.leaseUntil, nowOf(ledger) + MINUTE_MS);
      }
      held.upTo = granted;
    }
  };
}

function credit({ random, ledger, credits }: World): () => void {
  const entryId = `txn_${Math.floor(random() * 40)}`;
  const amount = nanos(Math.floor((random() - 0.2) * 6e9));
  return () => {
    const answer = ledger.credit(creditCall(entryId, { kind: 'adjust', amountNanos: amount }));
    assert.equal(answer.applied, !credits.has(entryId));
    if (answer.applied) credits.set(entryId, amount);
  };
}

/** As the ledger's clock has it: never behind what it has shown. */
function nowOf({ wallClock, state }: PaperLedger): number {
  return Math.max(wallClock, state.lastSeenAt);
}

/** At any time, also twice: only what gave no sign for a minute is closed. */
function alarm(world: World): void {
  const { random, ledger, lines } = world;
  if (random() < 0.5) {
    world.trueTime += 65 * SECOND_MS;
    ledger.wallClock += 65 * SECOND_MS;
  }
  const open = new Set([...ledger.state.open.values()].map((row) => row.requestId));
  ledger.alarm();
  if (random() < 0.3) ledger.alarm();
  const left = new Set([...ledger.state.open.values()].map((row) => row.requestId));
  for (const line of lines) {
    if (!open.has(line.requestId)) continue;
    const ranOut = line.leaseUntil <= nowOf(ledger);
    assert.equal(left.has(line.requestId), !ranOut);
    if (ranOut) close(line, { closing: 'recovered', certainty: 'recovered', ...chargeOf(line) });
  }
}

function chargeOf({ soFar }: Line): { readonly costNanos: number } {
  if (soFar?.dispatched === false) return { costNanos: 0 };
  return { costNanos: soFar?.costNanos || LIKELY_INPUT_NANOS };
}

function check(world: World): void {
  const { ledger, lines, credits } = world;
  const rows = [...ledger.rows.values()];
  for (const row of rows) assert.equal(sumOf(postingsOfRow(row)), 0);
  for (const entry of ledger.entries) assert.equal(sumOf(postingsOfEntry(entry)), 0);

  // One row a request, closed as the book says: once, at the best that was known.
  const written = lines.filter((line) => line.admitted || line.first !== null);
  assert.equal(rows.length, written.length);
  const byId = new Map(rows.map((row) => [row.requestId, row]));
  for (const line of written) {
    // Field by field: a deep comparison takes fifty times as long.
    const { known = null, outcome = null } = byId.get(line.requestId) ?? {};
    assert.equal(known?.certainty, line.best?.certainty);
    assert.equal(known?.costNanos, line.best?.costNanos);
    assert.equal(outcome?.closing, line.first?.closing);
    assert.equal(outcome?.costNanos, line.first?.costNanos);
  }

  // The balance is what came in less the best that is known of every request.
  const granted = [...credits.values()].reduce((sum, amount) => sum + amount, 0);
  const spent = lines.reduce((sum, line) => sum + (line.best?.costNanos ?? 0), 0);
  assert.equal(ledger.state.balanceNanos, granted - spent);
  for (const keyId of KEYS) {
    const ofKey = lines.filter((line) => line.keyId === keyId && line.best !== null);
    const used = ofKey.reduce((sum, line) => sum + (line.best?.costNanos ?? 0), 0);
    const totals = ledger.state.keys.get(keyId);
    assert.equal(totals?.usedNanos ?? 0, used);
    assert.equal(totals?.requests ?? 0, ofKey.length);
  }
  assert.equal(ledger.state.open.size, written.filter((line) => line.first === null).length);

  assert.equal(ledger.state.heldNanos, heldBy(world));

  // What waking would find is what is in memory; the dearest check, so not at every step.
  if (world.random() < 0.3) assert.deepEqual(essenceOf(ledger.rebuilt()), essenceOf(ledger.state));
}
