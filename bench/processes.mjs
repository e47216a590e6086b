// Starting, measuring and ending the processes of a run. Each is ended by the handle that started
// it; nothing is looked up by name. CPU and memory come from /proc: this bench runs on Linux only.

import { fork, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const WORKERD = here('../node_modules/@cloudflare/workerd-linux-64/bin/workerd');
const TICK_SECONDS = 0.01; // USER_HZ is 100 on every Linux that Node runs on.
const START_MS = 20_000;

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function keep(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

export function stop(child) {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
}

/** The fake upstream; answers once it listens. */
export async function startUpstream() {
  const child = keep(
    spawn(process.execPath, [here('upstream.mjs')], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const [line] = await firstLines(child, child.stdout, 1);
  const { port } = JSON.parse(line);
  return { child, port };
}

/**
 * `workerd serve` (more arguments in `extra`) with the given capnp text in the folder `dir`
 * (where its modules lie). Its own output goes to `dir`/log.
 */
export async function startWorkerd(dir, config, extra = []) {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'config.capnp'), config);
  const log = openSync(join(dir, 'log'), 'w');
  const child = keep(
    spawn(WORKERD, ['serve', '--experimental', '--control-fd=3', ...extra, 'config.capnp'], {
      cwd: dir,
      stdio: ['ignore', log, log, 'pipe'],
    }),
  );
  const sockets = config.match(/address = /g).length + (extra.length > 0 ? 1 : 0);
  const lines = await firstLines(child, child.stdio[3], sockets).catch((error) => {
    throw new Error(`workerd: ${error.message}\n${readFileSync(join(dir, 'log'), 'utf8')}`);
  });
  const ports = Object.fromEntries(
    lines.map((line) => JSON.parse(line)).map(({ event, socket, port }) => [socket ?? event, port]),
  );
  return { child, port: ports.http, ports, dir };
}

function firstLines(child, stream, count) {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error('not ready in time')), START_MS);
    const onData = (data) => {
      text += String(data);
      const lines = text.split('\n').slice(0, -1);
      if (lines.length < count) return;
      clearTimeout(timer);
      stream.off('data', onData).resume();
      resolve(lines);
    };
    stream.on('data', onData);
    child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
  });
}

/** A load generator; `ask` gives it a job and waits for the figures. */
export function startClient() {
  const child = keep(fork(here('client.mjs'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  const ask = (job) =>
    new Promise((resolve, reject) => {
      const onExit = (code) => reject(new Error(`the load generator ended with ${code}`));
      child.once('exit', onExit);
      child.once('message', (answer) => {
        child.off('exit', onExit);
        if (answer.failed !== undefined) reject(new Error(answer.failed));
        else resolve(answer);
      });
      child.send(job);
    });
  return { child, ask };
}

/** Seconds of CPU (user and system, all threads) that a process has used. */
export function cpuSeconds(child) {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_SECONDS;
}

/** Resident memory in KiB; the peak with `peak`. */
export function rssKib(child, field = 'VmRSS') {
  const text = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)[1]);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** CPU seconds once the process rests: late work (a settle after the answer) is counted too. */
export async function restingCpuSeconds(child) {
  let last = cpuSeconds(child);
  let quiet = 0;
  for (let n = 0; n < 40 && quiet < 3; n += 1) {
    await pause(100);
    const now = cpuSeconds(child);
    quiet = now - last < TICK_SECONDS / 2 ? quiet + 1 : 0;
    last = now;
  }
  return last;
}
