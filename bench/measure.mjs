// One scenario against one server, and what it cost that server's process; the ledger's rules, in a
// process of their own.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { cpuSeconds, pause, restingCpuSeconds, rssKib } from './processes.mjs';
import { heldStreams, someStreams } from './scenarios.mjs';

/** Figures of one job; an answer that is not whole fails the run: half answers are cheap. */
export async function measureScenario({ id, job }, { child, ask }) {
  const before = child === null ? 0 : cpuSeconds(child);
  const figures = await ask(job);
  const after = child === null ? 0 : await restingCpuSeconds(child);
  if (figures.errors > 0 || figures.requests === 0) {
    throw new Error(`${id}: ${figures.errors} bad answers, first: ${figures.firstError}`);
  }
  const cpu = child === null ? null : after - before;
  return {
    perSecond: figures.requests / figures.seconds,
    latencyP50: figures.latencyMs.p50,
    latencyP99: figures.latencyMs.p99,
    firstByteP50: figures.firstByteMs.p50,
    firstByteP99: figures.firstByteMs.p99,
    delayP50: figures.delayMs?.p50 ?? null,
    delayP99: figures.delayMs?.p99 ?? null,
    cpuMs: cpu === null ? null : (cpu / figures.requests) * 1_000,
    cpuPer100k: cpu === null || figures.events === 0 ? null : (cpu / figures.events) * 1e5,
    rssMib: child === null ? null : rssKib(child) / 1_024,
  };
}

/** What an open stream holds of memory: the difference that `streams` make, divided by them. */
export async function measureMemory({ child, ask, streams }) {
  const warm = await ask(someStreams({ requests: 2 * streams, connections: 64 }));
  if (warm.errors > 0) throw new Error(`memory: ${warm.firstError}`);
  await pause(300);
  const before = rssKib(child);
  const { open } = await ask(heldStreams(streams));
  await pause(2_000);
  const held = rssKib(child);
  await ask({ release: true });
  return { kibPerStream: (held - before) / open, idleMib: before / 1_024 };
}

/** What admit and settle cost as rules alone (ledger.mjs). */
export function measureLedger({ quick }) {
  const file = fileURLToPath(new URL('ledger.mjs', import.meta.url));
  const given = quick ? ['--quick'] : [];
  return JSON.parse(execFileSync(process.execPath, [file, ...given], { encoding: 'utf8' }));
}
