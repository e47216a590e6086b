// `node bench/logins.mjs`: how late the chunks of a running stream are while eight people log in at
// once, in one isolate. Hashes share the isolate with streams; this shows what they cost them.
// Prints the figures; asserts nothing.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from './figures.mjs';
import { pause, startClient, startUpstream } from './processes.mjs';
import { someStreams } from './scenarios.mjs';
import { buildRelay, relayPlan, setUpRelay, startRelay } from './servers.mjs';

const ROUNDS = 5;
const LOGINS = 8;
const PASSWORD = 'measured-again-and-again';
/** Two seconds of chunks, and one in which the stream has begun before anybody logs in. */
const EVENTS = 150;
const EVERY_MS = 20;
const BEGUN_MS = 500;

const dir = mkdtempSync(join(tmpdir(), 'relay-bench-'));
try {
  await main();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

async function main() {
  const upstream = await startUpstream();
  const bundle = join(dir, 'bundle');
  const place = { dir: join(dir, 'relay'), storage: join(dir, 'storage'), bundle };
  const modules = buildRelay(bundle);
  const plan = relayPlan({ ...place, modules, upstreamPort: upstream.port });
  const relay = await startRelay(plan);
  const key = await setUpRelay(relay, plan);
  await openRegistration(relay);
  for (let number = 0; number < LOGINS; number += 1) {
    await post(relay, 'register', { number, name: 'Bench' });
  }
  const client = startClient();
  const stream = () => client.ask(jobOf(relay, key));
  await stream();
  const rows = { alone: [], beside: [] };
  const logins = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rows.alone.push((await stream()).delayMs);
    const streaming = stream();
    await pause(BEGUN_MS);
    logins.push(await allAtOnce(relay));
    rows.beside.push((await streaming).delayMs);
  }
  print(rows, logins);
}

/** Nobody has an invitation yet. */
async function openRegistration(relay) {
  const body = `INSERT INTO settings VALUES ('registration', '"open"', 1)`;
  const address = `http://127.0.0.1:${relay.ports.platform}/script`;
  const response = await fetch(address, { method: 'POST', body });
  if (!response.ok) throw new Error(await response.text());
}

function jobOf(relay, key) {
  const job = someStreams({ requests: 1, connections: 1, everyMs: EVERY_MS, count: EVENTS });
  const { beta } = job;
  const headers = { 'x-api-key': key, 'anthropic-version': '2023-06-01', 'anthropic-beta': beta };
  return { ...job, port: relay.port, headers };
}

/** Each from an address of its own: eight from one would have to wait. Ms from first to last. */
async function allAtOnce(relay) {
  const from = performance.now();
  await Promise.all(
    Array.from({ length: LOGINS }, (_, number) => post(relay, 'login', { number })),
  );
  return performance.now() - from;
}

async function post(relay, path, { number, ...more }) {
  const response = await fetch(`http://127.0.0.1:${relay.port}/api/auth/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'cf-connecting-ip': `192.0.2.${number}` },
    body: JSON.stringify({ email: `bench-${number}@bench.example`, password: PASSWORD, ...more }),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

function print({ alone, beside }, logins) {
  const middle = (rows, name) => median(rows.map((row) => row[name])).toFixed(1);
  for (const [title, rows] of Object.entries({ alone, beside })) {
    const figures = ['p50', 'p90', 'p99', 'max'].map((name) => `${name} ${middle(rows, name)}`);
    console.log(`chunk delay in ms, ${title}: ${figures.join(', ')}`);
  }
  console.log(`${LOGINS} logins at once took ${median(logins).toFixed(0)} ms`);
}
