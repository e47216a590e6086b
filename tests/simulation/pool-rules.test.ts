// Accounts that fail, recover and throttle under many isolates that share one Pool: by the rules
// alone, through seeded histories of five minutes of trouble and five of none. Reports are lost,
// doubled and late, and the object's memory is lost; the world (support/pool-world.ts) checks each
// call as it is made.

import assert from 'node:assert/strict';
import { afterAll, describe, it } from 'vitest';
import type { AccountId } from '../../workers/domain/ids';
import type { SnapshotAccount } from '../../workers/domain/snapshot';
import { MINUTE_MS, SECOND_MS } from '../../workers/domain/time';
import { accountFor } from '../support/health';
import { blocksOf, failed, Tally } from '../support/histories';
import { NOW, seeded } from '../support/ledger';
import type { Journey } from '../support/pool-isolate';
import type { Condition, WorldFacts } from '../support/pool-world';
import { MODELS, PoolWorld } from '../support/pool-world';

const TROUBLE_MS = 5 * MINUTE_MS;
const END_MS = 10 * MINUTE_MS;
/** Nothing of the trouble is left for so long before the end. */
const CALM_MS = MINUTE_MS;
const CONDITIONS: readonly Condition[] = [
  'well',
  'failing',
  'unreachable',
  'unauthenticated',
  'throttled',
];

const tally = new Tally();

/** Of three providers: one with most of the accounts, and two of one account each. */
function accountsOf(count: number): readonly SnapshotAccount[] {
  return Array.from({ length: count }, (_, index) => {
    const id: AccountId = `acc_${index}`;
    if (index % 3 !== 2) return accountFor(id);
    const baseUrl = `https://host-${index}.example`;
    return accountFor(id, { kind: 'anthropic-compatible', baseUrl });
  });
}

/** One request after the other, each from any isolate, for any conversation. */
function withTraffic(world: PoolWorld, everyMs: number, ended: Journey['ended']): void {
  let made = 0;
  world.every(everyMs, 0, () => {
    made += 1;
    const isolate = world.isolates[Math.floor(world.upTo(world.isolates.length))];
    const model = MODELS[Math.floor(world.upTo(MODELS.length))];
    if (model !== undefined) isolate?.request(`conversation-${made}`, model, ended);
  });
}

/** The accounts' luck changes every few seconds; then all are well. */
function withTrouble(world: PoolWorld): void {
  const change = (): void => {
    if (world.now >= NOW + TROUBLE_MS) return;
    const { id } = world.accounts[Math.floor(world.upTo(world.accounts.length))] ?? { id: 'acc_0' };
    const condition = CONDITIONS[Math.floor(world.upTo(CONDITIONS.length))] ?? 'well';
    world.retryAfterMs = Math.ceil(world.upTo(40) + 0.1) * SECOND_MS;
    world.become(id, condition);
    if (world.random() < 0.1) overload(world);
    world.after(world.upTo(20 * SECOND_MS), change);
  };
  change();
  world.after(TROUBLE_MS, () => {
    for (const { id } of world.accounts) world.become(id, 'well');
  });
}

/** A provider's overload is that of all its accounts. */
function overload(world: PoolWorld): void {
  for (const { id, kind } of world.accounts) {
    if (kind === 'anthropic') world.become(id, 'overloaded');
  }
}

function worldOf(seed: number, facts: Partial<WorldFacts> = {}): PoolWorld {
  const random = seeded(seed);
  const accounts = accountsOf(2 + Math.floor(random() * 5));
  const isolates = 1 + Math.floor(random() * 12);
  return new PoolWorld({ random, accounts, isolates, isUnlucky: seed % 2 === 1, ...facts });
}

function expectRulesKept(seed: number): void {
  const world = worldOf(seed);
  try {
    const late: Journey[] = [];
    withTrouble(world);
    // One in five is busy: ten requests a second.
    withTraffic(world, seed % 5 === 0 ? 100 : 500, (how, journey) => {
      // What is out of retry tokens is left alone, whoever may be well.
      if (how === 'given-up') expectNobodyWell(world, journey);
      if (journey.startedAt >= NOW + END_MS - CALM_MS) late.push(journey);
    });
    world.runUntil(END_MS);
    expectRecovered(world, late);
  } catch (error) {
    throw failed(seed, world.events, error);
  }
  tally.add({ steps: world.events, crashPoints: world.crashPoints });
}

/** Among a request's first four: none that was well all the time, and held back by nobody. */
function expectNobodyWell(world: PoolWorld, { choice, last, startedAt, called }: Journey): void {
  const ready = new Set(
    last.candidates.flatMap(({ standing, account }) => (standing === 'ready' ? account.id : [])),
  );
  const well = choice.candidates
    .slice(0, 4)
    .filter(({ account, standing }) => standing === 'ready' && ready.has(account.id))
    .find(({ account }) => world.wasWell(account, startedAt));
  assert.equal(well?.account.id, undefined, `${called.join(' ')} were called instead`);
}

/** Nothing is held back any more, and every conversation is with its own account. */
function expectRecovered(world: PoolWorld, late: readonly Journey[]): void {
  assert.deepEqual(world.view().marks, []);
  assert.ok(late.length > 100);
  for (const { choice, called } of late) {
    assert.deepEqual(called, [choice.candidates[0]?.account.id]);
  }
}

describe('accounts under many isolates, through any trouble', () => {
  it.each(blocksOf(60, 20))(
    'are called as they may be in the seeds from $first on',
    ({ seeds }) => {
      for (const seed of seeds) expectRulesKept(seed);
    },
  );

  afterAll(() => tally.print());
});

describe('when nobody is well', () => {
  it('ten thousand requests make hardly more calls than they are', () => {
    for (const condition of ['failing', 'unreachable', 'overloaded', 'unauthenticated'] as const) {
      const accounts = accountsOf(5);
      const world = worldOf(1, { accounts, isolates: 10, isUnlucky: false });
      for (const { id } of accounts) world.become(id, condition);
      let requests = 0;
      withTraffic(world, 20, (how) => {
        assert.notEqual(how, 'answered');
        requests += 1;
      });
      world.runUntil(10_000 * 20);
      assert.ok(requests > 9_900);
      assert.ok(world.calls.length <= 1.05 * requests, `${condition}: ${world.calls.length} calls`);
    }
  });

  it('service is back within thirty seconds of a recovery, whatever it was', () => {
    const conditions = ['unauthenticated', 'failing', 'unreachable', 'overloaded'] as const;
    for (const [seed, condition] of conditions.entries()) {
      const accounts = accountsOf(3);
      const world = worldOf(seed, { accounts, isolates: 5, isUnlucky: seed % 2 === 1 });
      for (const { id } of accounts) world.become(id, condition);
      const answeredAt: number[] = [];
      withTraffic(world, 200, (how) => {
        if (how === 'answered') answeredAt.push(world.now - NOW);
      });
      world.after(97 * SECOND_MS, () => {
        for (const { id } of accounts) world.become(id, 'well');
      });
      world.runUntil(4 * MINUTE_MS);
      const [first = Number.POSITIVE_INFINITY] = answeredAt;
      assert.ok(first >= 97 * SECOND_MS);
      assert.ok(first <= 127 * SECOND_MS, `${condition}: after ${first} ms`);
    }
  });
});
