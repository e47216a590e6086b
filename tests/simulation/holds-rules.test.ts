// Spending through long histories in which true usage stays under its bound: whatever is repeated,
// lost or evicted, what runs together is never more than what is there, nothing is left held when
// all is closed, and no wallet spends more than it was given. Usage above its bound, and closings
// that come after the alarm's, are in ledger-rules.test.ts. support/histories.ts says how one
// history is replayed and how more are run.

import assert from 'node:assert/strict';
import { afterAll, describe, it } from 'vitest';
import type { Lease, LeaseHold } from '../../workers/domain/ledger/calls';
import { nanos } from '../../workers/domain/money';
import { SECOND_MS } from '../../workers/domain/time';
import type { Usage } from '../../workers/domain/usage/tokens';
import { NO_TOKENS } from '../../workers/domain/usage/tokens';
import {
  admitCall,
  copiesOf,
  creditCall,
  extendCall,
  idOf,
  MODEL,
  NOW,
  ownerOf,
  progressCall,
  seeded,
  settleCall,
} from '../support/ledger';
import { blocksOf, failed, Tally } from '../support/histories';
import { essenceOf, PaperLedger } from '../support/paper-ledger';

const STEPS = 80;
const OWNER = ownerOf(1);
const INPUT_NANOS_PER_TOKEN = 4_000;
const OUTPUT_NANOS_PER_TOKEN = 20_000;

const tally = new Tally();

describe('a wallet whose requests stay under their bounds', () => {
  it.each(blocksOf(1_000, 100))(
    'never spends more than it has, in the seeds from $first on',
    ({ seeds }) => {
      for (const seed of seeds) expectNothingOverspent(seed);
    },
  );

  afterAll(() => tally.print());
});

interface Running {
  readonly lease: Lease;
  readonly hold: LeaseHold;
  /** What the upstream really counts. */
  readonly inputTokens: number;
  readonly wanted: number;
  output: number;
  upTo: number;
  n: number;
}

interface World {
  readonly random: () => number;
  readonly ledger: PaperLedger;
  readonly running: Running[];
  granted: number;
  spent: number;
  requests: number;
  /** How many calls were made again. */
  repeats: number;
}

function expectNothingOverspent(seed: number): void {
  const random = seeded(seed);
  const every = 1 + Math.floor(random() * 6);
  const ledger = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every });
  const world: World = {
    random,
    ledger,
    running: [],
    granted: 0,
    spent: 0,
    requests: 0,
    repeats: 0,
  };
  let step = 0;
  try {
    for (; step < STEPS; step += 1) {
      ledger.wallClock += Math.floor(random() * SECOND_MS);
      act(world);
      if (random() < 0.1) ledger.evict();
      check(world);
    }
    while (world.running.length > 0) finish(world);
    check(world);
    assert.equal(ledger.state.heldNanos, 0);
    assert.equal(ledger.state.conversations.open.size, 0);
  } catch (cause) {
    throw failed(seed, step, cause);
  }
  tally.add({ steps: STEPS, crashPoints: ledger.evictions + world.repeats });
}

function act(world: World): void {
  const dice = world.random();
  if (dice < 0.35) begin(world);
  else if (dice < 0.55) stream(world);
  else if (dice < 0.7) report(world);
  else if (dice < 0.9) finish(world);
  else grant(world);
}

function grant(world: World): void {
  const { random, ledger } = world;
  const amountNanos = nanos(Math.floor(random() * 1e8));
  world.granted += amountNanos;
  ledger.credit(creditCall(`txn_${world.granted}`, { amountNanos }));
}

function begin(world: World): void {
  const { random, ledger, running } = world;
  world.requests += 1;
  const call = admitCall(OWNER.keyId, idOf('request', world.requests));
  const stream = random() < 0.7;
  const textBytes = Math.floor(random() * 8_000);
  const maxTokens = Math.floor(random() * 6_000);
  const conversation = random() < 0.3 ? null : `talk-${Math.floor(random() * 4)}`;
  const sizes = { ...call.sizes, stream, textBytes, maxTokens };
  const answer = ledger.admit({ ...call, sizes, conversation });
  if (isRepeated(world, 0.1)) {
    assert.deepEqual(ledger.admit({ ...call, sizes, conversation }), answer);
  }
  if (!answer.ok) return;
  const { hold } = answer.lease;
  const parts = ledger.rows.get(answer.lease.seq)?.hold?.parts;
  if (hold === undefined || parts === undefined) throw new Error('nothing is held');
  // At a low balance the bound is more than was set aside: what is true stays under both.
  const affordable = Math.floor(parts.inputNanos / INPUT_NANOS_PER_TOKEN);
  const inputTokens = Math.floor(random() * affordable);
  const wanted = Math.floor(random() * (maxTokens + 1));
  const upTo = hold.heldOutputTokensUpTo;
  running.push({ lease: answer.lease, hold, inputTokens, wanted, output: 0, upTo, n: 0 });
}

/** Some more output, never beyond what is held. */
function stream(world: World): void {
  const one = anyOf(world);
  if (one === undefined) return;
  if (world.random() < 0.6) {
    const answer = world.ledger.extend(extendCall(one.lease, one.upTo + 1_024));
    if (answer.state === 'held') one.upTo = Math.max(one.upTo, answer.heldOutputTokensUpTo);
    if (isRepeated(world, 0.2)) world.ledger.extend(extendCall(one.lease, one.upTo));
  }
  const most = Math.min(one.wanted, one.upTo);
  one.output += Math.floor(world.random() * (most - one.output + 1));
}

function report(world: World): void {
  const one = anyOf(world);
  if (one === undefined) return;
  one.n += 1;
  const inputNanos = nanos(one.inputTokens * INPUT_NANOS_PER_TOKEN);
  const input = world.random() < 0.7 ? { inputNanos } : {};
  const call = progressCall(one.lease, { n: one.n, costNanos: costOf(one), ...input });
  world.ledger.progress(call);
  if (isRepeated(world, 0.2)) world.ledger.progress(call);
}

function finish(world: World): void {
  const one = anyOf(world);
  if (one === undefined) return;
  world.running.splice(world.running.indexOf(one), 1);
  world.spent += costOf(one);
  const call = settleCall(one.lease, { costNanos: costOf(one), usage: usageOf(one) });
  world.ledger.settle(call);
  if (isRepeated(world, 0.2)) world.ledger.settle(call);
}

/** Whether the answer was lost, so that the call comes again. */
function isRepeated(world: World, share: number): boolean {
  const isLost = world.random() < share;
  if (isLost) world.repeats += 1;
  return isLost;
}

function anyOf({ random, running }: World): Running | undefined {
  return running[Math.floor(random() * running.length)];
}

function costOf({ inputTokens, output }: Running) {
  return nanos(inputTokens * INPUT_NANOS_PER_TOKEN + output * OUTPUT_NANOS_PER_TOKEN);
}

function usageOf({ inputTokens, output }: Running): Usage {
  const counts = { ...NO_TOKENS, input: inputTokens, output };
  const terms = { speed: null, geo: null, tier: null };
  return { entries: [{ model: MODEL, counts, terms }], flags: [] };
}

function check({ random, ledger, granted, spent }: World): void {
  const { state } = ledger;
  assert.equal(state.balanceNanos, granted - spent);
  assert.ok(spent <= granted);
  assert.ok(state.heldNanos <= state.balanceNanos);
  assert.equal(state.waryUntil, 0);
  assert.equal(state.keys.get(OWNER.keyId)?.overrunNanos ?? 0, 0);
  // Much of the time that these histories take; often enough over all of them.
  if (random() < 0.25) assert.deepEqual(essenceOf(ledger.rebuilt()), essenceOf(state));
}
