// What admit and settle cost as rules alone: no object, no SQLite, no call between them. Runs the
// pure folder as it is (Node strips its types) the way objects/ledger.ts does, and counts the CPU
// of this process, garbage collection included. `npm run bench` starts it and prints its table; by
// itself, `node bench/ledger.mjs` prints JSON.

import { registerHooks } from 'node:module';
import { cpuUsage } from 'node:process';
import { fileURLToPath } from 'node:url';
import { median } from './figures.mjs';

// Sources name each other without `.ts`.
registerHooks({
  resolve: (specifier, context, next) =>
    next(/^\..*\/[a-z-]+$/.test(specifier) ? `${specifier}.ts` : specifier, context),
});

const domain = (file) => import(`../workers/domain/${file}`);
const { decideAdmit } = await domain('ledger/admission');
const { readClock } = await domain('ledger/clock');
const { alignTo } = await domain('ledger/counting');
const { decideSettle } = await domain('ledger/decide');
const { answerOf, closedOf, leaseOf, openedOf, openRow } = await domain('ledger/lease');
const { limitFactsOf, limitsInForce, noticeOf } = await domain('ledger/limited');
const state = await domain('ledger/state');
const { nanos, nanosFromDollars } = await domain('money');
const { LIST_ALIASES, LIST_PRICES } = await domain('pricing/list-prices');
const make = await import('../tests/support/ledger');

/** As the object does it. */
const CHECKPOINT_EVERY = 500;
const DAY_MS = 86_400_000;
const CATALOGUE = { version: 1, rows: LIST_PRICES, aliases: LIST_ALIASES };
const START = Date.UTC(2026, 10, 23);
/** Requests that come and go together. */
const BLOCK = 50;

const MONEY = {
  requests: [window(1e9, 60_000), window(1e9, DAY_MS)],
  tokens: [window(1e12, 60_000), window(1e12, DAY_MS)],
  cost: [window(1e15, 60_000), window(1e15, DAY_MS)],
  concurrency: 10_000,
  budgets: [
    { period: 'day', limitNanos: 1e15 },
    { period: 'week', limitNanos: 1e15 },
    { period: 'month', limitNanos: 1e15 },
    { period: 'total', limitNanos: 1e15 },
    { period: 'month', limitNanos: 1e15, family: 'opus' },
  ],
};
const EVERY_KIND = {
  ...MONEY,
  models: { allow: ['claude-*'], deny: ['claude-fable-*'] },
  protocols: ['anthropic'],
  clients: ['claude-cli/*'],
  addresses: ['10.0.0.0/8', '2001:db8::/32'],
};

/** `open`: requests under way the whole time. `most`: µs that both calls should stay in. */
const CASES = [
  { what: 'no limits', most: 25 },
  { what: 'limits of every kind', key: EVERY_KIND, shared: MONEY, most: 45 },
  { what: '200 open requests', open: 200 },
  { what: '200 open, every kind', open: 200, key: EVERY_KIND, shared: MONEY },
  { what: 'a wallet of 500 keys', keys: 500 },
  { what: '500 keys, every kind', keys: 500, key: EVERY_KIND, shared: MONEY },
];

function window(limit, spanMs) {
  return { limit, spanMs };
}

/** A wallet in memory, with the calls that reach it. */
function walletOf({ keys = 1, key, shared }) {
  const owner = make.ownerOf(1);
  const limits = (set) => (set === undefined ? {} : { limits: set });
  const user = make.userCopy(owner, { timeZone: 'Europe/Berlin', ...limits(shared) });
  const wallet = make.walletCopy(owner, limits(shared));
  const all = Array.from({ length: keys }, (_, n) => {
    const own = { ...owner, keyId: make.idOf('key', n + 1) };
    return { key: make.keyCopy(own, limits(key)), user, wallet };
  });
  const memory = state.emptyState('Europe/Berlin');
  memory.balanceNanos = nanosFromDollars(1_000_000);
  return { copies: all, memory, asked: 0, wallClock: START };
}

/** The next request, `everyMs` after the last one. */
function nextCall(wallet, everyMs) {
  const n = (wallet.asked += 1);
  wallet.wallClock += everyMs;
  const copies = wallet.copies[n % wallet.copies.length];
  const sizes = {
    stream: n % 4 !== 0,
    maxTokens: 32_000,
    textBytes: 55_000,
    media: { small: 0, medium: 0, large: 0 },
    cacheTtl: '5m',
    serverToolUses: 0,
  };
  const call = make.admitCall(copies.key.id, make.idOf('request', n), {
    sizes,
    conversation: `conversation-${n % 40}`,
    pricesVersion: 1,
    asked: { speed: null, geo: null, tier: null },
    tags: { session: `session-${n % 40}` },
    userAgent: 'claude-cli/3.1.0 (external, cli)',
    address: '10.1.2.3',
  });
  return { call, copies };
}

function clock({ memory, wallClock }) {
  const { lastSeenAt, open } = memory;
  const reading = readClock({ wallClock, lastSeenAt, openRequests: open.size });
  memory.lastSeenAt = reading.lastSeenAt;
  return reading.now;
}

function align({ memory }, copies, now) {
  const { timeZone } = copies.user;
  alignTo(memory, { limits: limitsInForce(copies), timeZone, now, rowsSince: () => [] });
}

/** Row and lease, as the object makes them. */
function admit(wallet, { call, copies }) {
  const { memory } = wallet;
  state.openRowOf(memory, call.requestId);
  const now = clock(wallet);
  align(wallet, copies, now);
  const facts = { copies, catalogue: CATALOGUE, now };
  const decision = decideAdmit(call, { ...facts, state: memory });
  if (!decision.ok) throw new Error(`refused: ${JSON.stringify(decision.error)}`);
  const opened = openedOf(call, { ...facts, admission: decision.value });
  const row = openRow(opened, { seq: memory.lastSeq + 1, now, hold: decision.value.hold });
  state.foldOpened(memory, row);
  const lease = leaseOf(row, opened, copies.wallet.id);
  align(wallet, copies, now);
  const families = [lease.price.family];
  const notice = noticeOf({ ...limitFactsOf(copies, memory, now), families });
  return { row, lease: notice === null ? lease : { ...lease, notice } };
}

/** What the Worker would send after that request. */
function settleCallOf({ row, lease }) {
  const counts = {
    input: 12,
    cacheWrite5m: 900,
    cacheWrite1h: 0,
    cacheRead: 15_000,
    output: 640,
    webSearches: 0,
  };
  const terms = { speed: null, geo: null, tier: 'standard' };
  return make.settleCall(row, {
    usage: { entries: [{ model: lease.model, counts, terms }], flags: [] },
    model: lease.model,
    accountId: make.idOf('account', 1),
    heldIds: [`msg_${row.requestId}`],
    messageId: `msg_${row.requestId}`,
    costNanos: nanos(20_000_000),
    admittedAt: row.admittedAt,
  });
}

/** What the row keeps of it. */
function settle(wallet, call) {
  const { memory } = wallet;
  const now = clock(wallet);
  const row = state.openRowOf(memory, call.requestId);
  const { outcome } = decideSettle(row, call, now);
  const { certainty, costNanos } = outcome;
  const closed = { ...row, outcome, known: { certainty, costNanos }, closed: closedOf(call, row) };
  state.foldClosed(memory, closed);
  answerOf(closed);
  return closed.closed;
}

/** CPU of the process, in µs. */
function cpu() {
  const { user, system } = cpuUsage();
  return user + system;
}

/** One block of requests; answers the CPU of each part in µs, and the characters written. */
function runBlock(wallet, everyMs, running) {
  const calls = Array.from({ length: BLOCK }, () => nextCall(wallet, everyMs));
  const began = cpu();
  const admitted = calls.map((each) => admit(wallet, each));
  const atAdmitted = cpu();
  running.push(...admitted);
  const settles = running.splice(0, BLOCK).map(settleCallOf);
  const beforeSettle = cpu();
  const settled = settles.map((call) => settle(wallet, call));
  const atSettled = cpu();
  const rows = [...admitted.flatMap(({ row }) => [row.opened, row.hold]), ...settled];
  const rowCharacters = rows.reduce((sum, part) => sum + JSON.stringify(part).length, 0);
  const atWritten = cpu();
  const checkpointCharacters = keepCheckpoint(wallet);
  return {
    admit: atAdmitted - began,
    settle: atSettled - beforeSettle,
    rows: atWritten - atSettled,
    checkpoint: cpu() - atWritten,
    rowCharacters,
    checkpointCharacters,
  };
}

/** Every so many closed rows, as the object does it; answers how long its text is, mostly 0. */
function keepCheckpoint({ memory }) {
  if (memory.closedSinceCheckpoint < CHECKPOINT_EVERY) return 0;
  memory.closedSinceCheckpoint = 0;
  return JSON.stringify(state.checkpointOf(memory)).length;
}

/** All of it a request, after a day in which every bucket of every window was filled. */
function measure(one, requests) {
  const wallet = walletOf(one);
  const running = Array.from({ length: one.open ?? 0 }, () => admit(wallet, nextCall(wallet, 1)));
  for (let done = 0; done < 6_000; done += BLOCK) runBlock(wallet, DAY_MS / 6_000, running);
  const sums = {};
  for (let done = 0; done < requests; done += BLOCK) {
    for (const [part, amount] of Object.entries(runBlock(wallet, 50, running))) {
      sums[part] = (sums[part] ?? 0) + amount;
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([part, sum]) => [part, sum / requests]));
}

/** Medians over `rounds`, the cases in turns. */
function measureAll({ rounds, requests }) {
  const samples = CASES.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    CASES.forEach((one, n) => samples[n].push(measure(one, requests)));
  }
  return CASES.map(({ what, most = null }, n) => {
    const names = Object.keys(samples[n][0]);
    const medians = names.map((name) => [name, median(samples[n].map((one) => one[name]))]);
    return { what, most, ...Object.fromEntries(medians) };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const quick = process.argv.includes('--quick');
  const measured = measureAll({ rounds: quick ? 3 : 5, requests: quick ? 5_000 : 20_000 });
  console.log(JSON.stringify(measured, null, 2));
}
