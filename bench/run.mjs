// `npm run bench`: the relay (production bundle), a bare workerd pass-through and the fake upstream
// itself, interleaved in one run on this machine; medians over the rounds, ratios to the
// pass-through, targets met or missed. Nothing here says how fast Cloudflare is.
//
//   --quick        shorter scenarios, under a minute: for looking, not for quoting
//   --rounds <n>   3 at least
//   --json         also writes bench/results/<date>.json
//   --baseline     writes the medians to bench/baseline.json, which later runs are compared with
//   --only <ids>   some scenarios, comma-separated
//   --accounts N   so many accounts behind the relay (1)
//   --storage <folder>  where the objects write (default: the temporary folder's disk)
//   --profile <id> no figures: a JavaScript profile of the relay in one scenario

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './figures.mjs';
import { measureLedger, measureMemory, measureScenario } from './measure.mjs';
import { countOperations } from './operations.mjs';
import { startClient, startUpstream, stop } from './processes.mjs';
import { profileRelay } from './profile.mjs';
import { printReport } from './report.mjs';
import { scenariosOf, someStreams } from './scenarios.mjs';
import {
  buildRelay,
  relayPlan,
  setUpRelay,
  startFloor,
  startPassThrough,
  startRelay,
} from './servers.mjs';

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const BASELINE = here('baseline.json');

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    baseline: { type: 'boolean', default: false },
    only: { type: 'string' },
    storage: { type: 'string', default: tmpdir() },
    profile: { type: 'string' },
    accounts: { type: 'string', default: '1' },
  },
});

const dir = mkdtempSync(join(tmpdir(), 'relay-bench-'));
const storage = mkdtempSync(join(options.storage, 'relay-bench-storage-'));
try {
  if (process.platform !== 'linux') throw new Error('the bench reads /proc: it runs on Linux only');
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
  rmSync(storage, { recursive: true, force: true });
}
process.exit();

async function main() {
  const rounds = Math.max(3, Number(options.rounds));
  const bench = await open();
  if (options.profile !== undefined) {
    await profileRelay(bench, options.profile);
    return;
  }
  const samples = {};
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    await runRound(bench, round, samples);
  }
  progress('counting billable operations');
  const operations = await countOperations(bench, { withLong: !options.quick });
  progress('the rules of admit and settle alone');
  const ledger = measureLedger({ quick: options.quick });
  const results = {
    date: new Date().toISOString(),
    machine: machine(),
    quick: options.quick,
    rounds,
    titles: Object.fromEntries(bench.scenarios.map(({ id, title }) => [id, title])),
    medians: mediansOf(samples),
    operations,
    ledger,
    samples,
  };
  printReport(results, readBaseline());
  if (options.json)
    save(here(`results/${results.date.slice(0, 19).replaceAll(':', '')}.json`), results);
  if (options.baseline) save(BASELINE, { ...results, samples: undefined });
}

/** The upstream, both Workers and a load generator, warm. */
async function open() {
  const upstream = await startUpstream();
  const bundle = join(dir, 'bundle');
  progress('building the production bundle');
  const modules = buildRelay(bundle);
  const plan = relayPlan({
    dir: join(dir, 'relay'),
    storage: join(storage, 'relay'),
    bundle,
    modules,
    upstreamPort: upstream.port,
    accounts: Number(options.accounts),
  });
  const relay = await startRelay(plan);
  const key = await setUpRelay(relay, plan);
  const bare = await startPassThrough(join(dir, 'bare'), upstream.port);
  const floor = await startFloor(join(dir, 'floor'), upstream.port, join(storage, 'floor'));
  const bench = {
    dir,
    upstream,
    bundle,
    modules,
    plan,
    key,
    client: startClient(),
    scenarios: chosen(scenariosOf({ quick: options.quick, dir })),
    servers: { direct: upstream, bare, floor, relay },
  };
  await warm(bench);
  return bench;
}

function chosen(scenarios) {
  const ids = options.only?.split(',');
  return ids === undefined ? scenarios : scenarios.filter(({ id }) => ids.includes(id));
}

async function warm(bench) {
  for (const server of ['bare', 'floor', 'relay']) {
    for (const { job } of bench.scenarios.filter(({ id }) => id !== 'paced')) {
      await ask(bench, server, { ...job, requests: Math.ceil(job.requests / 8) });
    }
    await ask(bench, server, someStreams({ requests: 64, connections: 64, everyMs: 5 }));
  }
}

function ask(bench, server, job) {
  const { port } = bench.servers[server];
  const headers = {
    'x-api-key': bench.key,
    'anthropic-version': '2023-06-01',
    'anthropic-beta': job.beta,
  };
  return bench.client.ask({ ...job, port, headers });
}

/** Every scenario on every server, in an order that turns with the round; then memory, afresh. */
async function runRound(bench, round, samples) {
  for (const scenario of bench.scenarios) {
    for (const server of turned(scenario.servers, round)) {
      const { child } = bench.servers[server];
      const sample = await measureScenario(scenario, {
        child: server === 'direct' ? null : child,
        ask: (job) => ask(bench, server, job),
      });
      keep(samples, [scenario.id, server], sample);
    }
  }
  if (options.only !== undefined && !options.only.includes('memory')) return;
  if (options.quick && round > 0) return;
  // Memory is told by a process that has not yet held many streams.
  for (const server of turned(['bare', 'relay'], round)) {
    await restart(bench, server);
    const { child } = bench.servers[server];
    const sample = await measureMemory({
      child,
      ask: (job) => ask(bench, server, job),
      streams: options.quick ? 300 : 500,
    });
    keep(samples, ['memory', server], sample);
  }
}

async function restart(bench, server) {
  await stop(bench.servers[server].child);
  bench.servers[server] =
    server === 'relay'
      ? await startRelay(bench.plan)
      : await startPassThrough(join(bench.dir, 'bare'), bench.upstream.port);
}

function turned(list, by) {
  return list.map((_, n) => list[(n + by) % list.length]);
}

function keep(samples, [id, server], sample) {
  ((samples[id] ??= {})[server] ??= []).push(sample);
}

function mediansOf(samples) {
  const ofServer = (list) =>
    Object.fromEntries(
      Object.keys(list[0]).map((field) => [field, median(list.map((one) => one[field]))]),
    );
  return Object.fromEntries(
    Object.entries(samples).map(([id, servers]) => [
      id,
      Object.fromEntries(Object.entries(servers).map(([server, list]) => [server, ofServer(list)])),
    ]),
  );
}

function machine() {
  const version = (name) =>
    JSON.parse(readFileSync(here(`../node_modules/${name}/package.json`), 'utf8')).version;
  const list = cpus();
  return `${list.length} × ${list[0]?.model.trim()}, Node ${process.version}, workerd ${version('workerd')}`;
}

function readBaseline() {
  try {
    return JSON.parse(readFileSync(BASELINE, 'utf8'));
  } catch {
    return null;
  }
}

function save(file, value) {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
  console.log(`written: ${file}`);
}

function progress(text) {
  process.stderr.write(`${text} …\n`);
}
