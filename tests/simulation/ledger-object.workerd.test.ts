// The Ledger object through long, unlucky histories, in workerd with its real storage and a real
// D1: calls that are lost, repeated, late and out of order, crashes at every storage call and at
// both ends of every call, evictions, alarms that come late and twice, clocks that are off, a D1
// that is down, loses replies or is taken back, keys that change meanwhile. Each seed is a history
// of its own; OBJECT_SEED=<n> replays one, OBJECT_SEEDS=<count> runs more. The rules alone are in
// ledger-rules.test.ts.

import { env } from 'cloudflare:workers';
import { afterAll, describe, expect, it, vi } from 'vitest';
import * as ledgerState from '../../workers/domain/ledger/state';
import { nanos } from '../../workers/domain/money';
import { SECOND_MS } from '../../workers/domain/time';
import { log } from '../../workers/observe/log';
import { creditCall, idOf, NOW, ownerOf, seeded, voidCall } from '../support/ledger';
import { useFakeDate } from '../workerd/fake-date';
import { seen } from '../workerd/crash-points';
import { expectDrained } from '../workerd/flushing';
import { check, checkAtEnd, look } from '../workerd/object-checks';
import { cron, LIMITS, push, reinstate, settleIn } from '../workerd/object-keys';
import { act, admission } from '../workerd/object-steps';
import type { Live, World } from '../workerd/object-world';
import { alarm, ledgerIn, oneOf, pass, send, stubOf } from '../workerd/object-world';
import { spoilDatabase, database } from '../workerd/unlucky-database';

const STEPS = 80;
const SEEDS_PER_TEST = 5;
const ALARMS_MAX = 60;
/** A busy machine is no failure. */
const TIMEOUT_MS = 300_000;

declare global {
  namespace Cloudflare {
    interface Env {
      /** OBJECT_SEED and OBJECT_SEEDS, passed on by vitest.config.ts. */
      readonly TEST_SEEDS: { readonly one: string | null; readonly count: number };
    }
  }
}

const { one, count } = env.TEST_SEEDS;
const seeds = one === null ? Array.from({ length: count }, (_, seed) => seed) : [Number(one)];
const blocks = seeds.filter((_, index) => index % SEEDS_PER_TEST === 0);
const live: Live = { state: null };
const { rebuild } = ledgerState;
const made = { seeds: 0, steps: 0 };

useFakeDate();

describe('a wallet’s object through any history', () => {
  it.each(blocks)(
    'loses nothing and does nothing twice, in the seeds from %i on',
    async (first) => {
      const start = seeds.indexOf(first);
      for (const seed of seeds.slice(start, start + SEEDS_PER_TEST)) await expectBookKept(seed);
      expect(made.steps).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});

afterAll(() => {
  const places = Object.fromEntries(seen.crashes);
  const crashes = Object.values(places).reduce((sum, count) => sum + count, 0);
  // `npm run simulate` reads these words.
  const said = `${made.seeds} seeds, ${made.steps} steps, ${crashes} crash points`;
  log(`simulated ${said}`, { storageCalls: seen.storageCalls, places });
});

async function expectBookKept(seed: number): Promise<void> {
  vi.spyOn(console, 'log').mockImplementation(() => {});
  // What an object that wakes is given is what it then has in memory.
  vi.spyOn(ledgerState, 'rebuild').mockImplementation((stored) => (live.state = rebuild(stored)));
  vi.setSystemTime(NOW);
  spoilDatabase();
  const world = await newWorld(seed);
  let step = 0;
  try {
    for (; step < STEPS; step += 1) {
      await act(world);
      await check(world, rebuild);
      made.steps += 1;
    }
    await expectAllDone(world);
  } catch (cause) {
    throw new Error(`step ${step} of seed ${seed}; replay it with OBJECT_SEED=${seed}`, { cause });
  }
  made.seeds += 1;
  vi.restoreAllMocks();
}

async function newWorld(seed: number): Promise<World> {
  const random = seeded(seed);
  const owner = ownerOf(1_000 * (seed + 1));
  const keys = [owner.keyId, ...[1, 2, 3].map((n) => idOf('key', 1_000 * (seed + 1) + n))];
  const isTame = random() < 0.5;
  const limits = ['user', 'wallet', ...keys].map((holder) => {
    const isLimited = holder === keys[1] || holder === keys[2] || random() < 0.2;
    return isLimited && holder !== keys[0] ? (oneOf({ random }, LIMITS) ?? {}) : {};
  });
  const world: World = {
    seed,
    random,
    owner,
    keys,
    limits,
    live,
    isTame,
    lines: [],
    credits: new Map(),
    unsure: new Map(),
    waiting: [],
    history: new Map(),
    versions: new Map(),
    late: new Map(),
    earlier: [],
    before: [],
    time: NOW,
    skewMs: 0,
    highest: NOW,
    isAlarmOwed: false,
  };
  await settleIn(world, limits);
  if (random() < 0.8) {
    const amountNanos = nanos(Math.floor(random() * 1e9));
    await send(
      world,
      { do: 'credit', call: creditCall(`txn_first_${seed}`, { amountNanos }) },
      null,
    );
  }
  return world;
}

/** All is well again: what was left behind is made good, and D1 has what the object has. */
async function expectAllDone(world: World): Promise<void> {
  database.luck = 'up';
  world.skewMs = 0;
  pass(world, 10 * SECOND_MS);
  // D1 may have been taken back; the next batch notices.
  const { line, call } = admission(world);
  await send(world, { do: 'settle', line, call: voidCall(call.keyId, call.requestId) }, null);
  await reinstate(world);
  await push(world, null);
  await cron(world, null);
  for (let alarms = 0; ; alarms += 1) {
    if (alarms > ALARMS_MAX) throw new Error('an alarm always stands');
    const { alarmAt } = await look(world);
    if (alarmAt === null && !world.isAlarmOwed) break;
    pass(world, Math.max(SECOND_MS, (alarmAt ?? 0) - Date.now()));
    await alarm(world, null);
    await check(world, rebuild);
  }
  await checkAtEnd(world);
  await expectDrained({ owner: world.owner, stub: stubOf(world), ledger: ledgerIn(world) });
  const waiting = await env.DB.prepare(
    'SELECT (SELECT count(*) FROM outbox WHERE wallet_id = ?1) + ' +
      '(SELECT count(*) FROM late_settles WHERE wallet_id = ?1) AS n',
  )
    .bind(world.owner.walletId)
    .first<number>('n');
  expect(waiting).toBe(0);
}
