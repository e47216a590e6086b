// What a relayed request would be billed for, counted: calls of objects, rows that objects and D1
// wrote. Counted in a run of its own, with the object classes wrapped; nothing is timed here.

import { join } from 'node:path';
import { pause, stop } from './processes.mjs';
import { someJson, someStreams } from './scenarios.mjs';
import { relayPlan, setUpRelay, startRelay } from './servers.mjs';

const REQUESTS = 500;
const LONG = 8;

/** Operations a request, for JSON, short streams and (`withLong`) streams of 20 seconds. */
export async function countOperations(bench, { withLong }) {
  const { bundle, modules, upstream, client } = bench;
  const dir = join(bench.dir, 'counted');
  const plan = relayPlan({
    dir,
    storage: join(dir, 'storage'),
    bundle,
    modules,
    upstreamPort: upstream.port,
    counted: true,
  });
  const relay = await startRelay(plan);
  const key = await setUpRelay(relay, plan);
  const wallet = `wal_${key.split('_')[2]}`;
  const read = async () => {
    await pause(700);
    const answer = await fetch(`http://127.0.0.1:${relay.ports.platform}/counts?wallet=${wallet}`);
    return flat(await answer.json());
  };
  const headers = (job) => ({
    'x-api-key': key,
    'anthropic-version': '2023-06-01',
    'anthropic-beta': job.beta,
  });
  const one = async (job) => {
    const before = await read();
    const figures = await client.ask({ ...job, port: relay.port, headers: headers(job) });
    if (figures.errors > 0) throw new Error(`operations: ${figures.firstError}`);
    const after = await read();
    return Object.fromEntries(
      Object.keys(after).map((name) => [name, (after[name] - before[name]) / figures.requests]),
    );
  };
  await client.ask({
    ...someJson({ requests: 50, connections: 4 }),
    port: relay.port,
    headers: headers({ beta: 'bench-json' }),
  });
  const counted = {
    'a JSON request': await one(someJson({ requests: REQUESTS, connections: 16 })),
    'a short stream': await one(someStreams({ requests: REQUESTS, connections: 16 })),
  };
  if (withLong) {
    const long = { requests: LONG, connections: LONG, everyMs: 100, count: 200 };
    counted['a stream of 20 s'] = await one(someStreams(long));
  }
  await stop(relay.child);
  return counted;
}

/** Counts by what is billed; an alarm that is set is one row written. */
function flat({ ledger, pool, database }) {
  const calls = ({ calls: byName }) => Object.values(byName).reduce((sum, count) => sum + count, 0);
  return {
    ledgerRequests: calls(ledger),
    poolRequests: calls(pool),
    objectRowsWritten: ledger.rowsWritten + ledger.alarmsSet + pool.rowsWritten + pool.alarmsSet,
    objectRowsRead: ledger.rowsRead + pool.rowsRead,
    d1RowsWritten: database.rowsWritten,
    d1RowsRead: database.rowsRead,
  };
}
