// A JavaScript CPU profile of the relay's process in one scenario, through V8's inspector: which
// functions the relay's own time goes to. What workerd does natively shows as `(program)`.

import { startRelay } from './servers.mjs';
import { stop } from './processes.mjs';

const SHOWN = 40;

/** Prints the functions with the most self time. */
export async function profileRelay(bench, id) {
  const scenario = bench.scenarios.find((one) => one.id === id);
  if (scenario === undefined) throw new Error(`no scenario is named ${id}`);
  await stop(bench.servers.relay.child);
  const relay = await startRelay(bench.plan, ['--inspector-addr=127.0.0.1:0']);
  const headers = {
    'x-api-key': bench.key,
    'anthropic-version': '2023-06-01',
    'anthropic-beta': scenario.job.beta,
  };
  const job = { ...scenario.job, port: relay.port, headers };
  await bench.client.ask({ ...job, requests: Math.ceil(job.requests / 8) });
  const inspector = await inspectorOf(relay.ports['listen-inspector']);
  await inspector.call('Profiler.enable');
  await inspector.call('Profiler.setSamplingInterval', { interval: 200 });
  await inspector.call('Profiler.start');
  const figures = await bench.client.ask(job);
  const { profile } = await inspector.call('Profiler.stop');
  print(profile, figures);
}

async function inspectorOf(port) {
  const targets = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
  const target = targets.find(({ id, title }) => `${id} ${title}`.includes('main')) ?? targets[0];
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', reject, { once: true });
  });
  let last = 0;
  const waiting = new Map();
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(data);
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  const call = (method, params = {}) =>
    new Promise((resolve) => {
      last += 1;
      waiting.set(last, resolve);
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  return { call };
}

function print(profile, figures) {
  const self = new Map();
  profile.samples.forEach((node, n) => {
    self.set(node, (self.get(node) ?? 0) + (profile.timeDeltas[n] ?? 0));
  });
  const byFunction = new Map();
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame;
    const place = url === '' ? '' : ` ${url.split('/').at(-1)}:${lineNumber + 1}`;
    const name = `${functionName || '(anonymous)'}${place}`;
    byFunction.set(name, (byFunction.get(name) ?? 0) + (self.get(id) ?? 0));
  }
  console.log(
    `${figures.requests} requests in ${figures.seconds.toFixed(1)} s; self time a request:`,
  );
  const dearest = [...byFunction].sort((a, b) => b[1] - a[1]).slice(0, SHOWN);
  for (const [name, us] of dearest) {
    console.log(`${(us / figures.requests).toFixed(1).padStart(9)} µs  ${name}`);
  }
}
