// What a relayed request would be billed for, counted: calls of objects, alarms, rows that objects
// and D1 wrote, the batches to D1 included. Counted in a run of its own, with the object classes
// wrapped; nothing is timed here.

import { join } from 'node:path';
import { pause, stop } from './processes.mjs';
import { someJson, someStreams } from './scenarios.mjs';
import { relayPlan, setUpRelay, startRelay } from './servers.mjs';

/** Requests that one batch brings to D1: of an ordinary wallet, and the most there can be. */
const SOME = 20;
const MOST = 500;
const LONG = 8;
/** Work behind the last answer has come to its end. */
const SETTLED_MS = 700;

/**
 * Operations a request with its part of the batch that brings it to D1; `withLong`: of streams of
 * 20 seconds too.
 */
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
    await pause(SETTLED_MS);
    const answer = await fetch(`http://127.0.0.1:${relay.ports.platform}/counts?wallet=${wallet}`);
    return flat(await answer.json());
  };
  const headers = (job) => ({
    'x-api-key': key,
    'anthropic-version': '2023-06-01',
    'anthropic-beta': job.beta,
  });
  const ask = async (job) => {
    const figures = await client.ask({ ...job, port: relay.port, headers: headers(job) });
    if (figures.errors > 0) throw new Error(`operations: ${figures.firstError}`);
    return figures.requests;
  };
  const flush = async () => {
    await pause(SETTLED_MS);
    await fetch(`http://127.0.0.1:${relay.ports.platform}/flush?wallet=${wallet}`);
  };
  const counted = async (work) => {
    const before = await read();
    const requests = await work();
    const after = await read();
    return Object.fromEntries(
      Object.keys(after).map((name) => [name, (after[name] - before[name]) / requests]),
    );
  };
  const inBatches = (job, batches) =>
    counted(async () => {
      let requests = 0;
      for (let n = 0; n < batches; n += 1) {
        requests += await ask(job);
        await flush();
      }
      return requests;
    });
  await ask(someJson({ requests: 50, connections: 4 }));
  await flush();
  const some = { requests: SOME, connections: 4 };
  const operations = {
    [`JSON, ${SOME} in a batch`]: await inBatches(someJson(some), 5),
    'JSON, alone in its batch': await inBatches(someJson({ requests: 1, connections: 1 }), 10),
    [`JSON, ${MOST} in a batch`]: await inBatches(someJson({ requests: MOST, connections: 16 }), 1),
    [`a short stream, ${SOME} in a batch`]: await inBatches(someStreams(some), 5),
  };
  if (withLong) {
    const long = { requests: LONG, connections: LONG, everyMs: 100, count: 200 };
    operations[`a stream of 20 s, ${LONG} in a batch`] = await inBatches(someStreams(long), 1);
  }
  await stop(relay.child);
  return operations;
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
    logLines: database.logLines,
  };
}
