// Starts programs, each in a process group of its own under a leash, and ends those groups. What
// was started here never outlives the script, not even one that is killed.

import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ROOT } from './places.mjs';

const LEASH = fileURLToPath(new URL('./leash.mjs', import.meta.url));
const GRACE_MS = 5000;
const OUTPUT_GRACE_MS = 300;
const OUTPUT_CHARACTERS_MAX = 65_536;

/**
 * @typedef {object} Started
 * @property {string} name how the person knows it
 * @property {number} pid leader of the process group
 * @property {Promise<number>} ended exit code; 1 when a signal ended it
 * @property {() => string} output the last part of what it wrote
 *
 * @typedef {object} Wanted
 * @property {string} name
 * @property {string} program
 * @property {readonly string[]} arguments
 * @property {NodeJS.ProcessEnv} [environment]
 * @property {string} [folder] default: the project's root
 * @property {(line: string) => void} [onLine] every line it writes, of both streams
 * @property {boolean} [isShown] it writes to the terminal itself; its output is not kept
 */

/** @type {Map<number, Started>} */
const running = new Map();

/** @param {Wanted} wanted @returns {Started} */
export function start(wanted) {
  const child = spawn(process.execPath, [LEASH, wanted.program, ...wanted.arguments], {
    cwd: wanted.folder ?? ROOT,
    env: wanted.environment ?? process.env,
    stdio: wanted.isShown ? ['pipe', 'inherit', 'inherit'] : ['pipe', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
  child.stdin?.on('error', () => {});
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    eachLine(stream, (line) => {
      output = `${output}${line}\n`.slice(-OUTPUT_CHARACTERS_MAX);
      wanted.onLine?.(line);
    });
  }
  const pid = child.pid ?? -1;
  /** @type {Promise<number>} */
  const ended = new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('close', (code) => resolve(code ?? 1));
    // What the program itself started may hold its output open after it has crashed.
    child.on('exit', (code) => setTimeout(() => resolve(code ?? 1), OUTPUT_GRACE_MS));
  });
  const started = { name: wanted.name, pid, ended, output: () => output };
  if (pid > 0) running.set(pid, started);
  return started;
}

/** Runs a program to its end. @param {Wanted} wanted */
export async function run(wanted) {
  const started = start(wanted);
  const code = await started.ended;
  await end(started);
  return { code, output: started.output() };
}

/** Ends everything that `start` started: politely, then by force. */
export async function endAll() {
  await Promise.all([...running.values()].map(end));
}

/** Ends everything at once, without waiting. */
export function killAll() {
  for (const { pid } of running.values()) signalGroup(pid, 'SIGKILL');
  running.clear();
}

/** @param {Started} started */
async function end({ pid }) {
  const deadline = Date.now() + GRACE_MS;
  signalGroup(pid, 'SIGTERM');
  while (groupLives(pid) && Date.now() < deadline) await pause(50);
  signalGroup(pid, 'SIGKILL');
  running.delete(pid);
}

/** @param {number} milliseconds */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** @param {number} pid @param {NodeJS.Signals} signal */
function signalGroup(pid, signal) {
  if (process.platform === 'win32') {
    if (signal === 'SIGKILL') spawnSync('taskkill', ['/pid', String(pid), '/T', '/F']);
    return;
  }
  try {
    process.kill(-pid, signal);
  } catch {
    // No such group any more.
  }
}

/** @param {number} pid */
function groupLives(pid) {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** @param {NodeJS.ReadableStream} stream @param {(line: string) => void} take */
function eachLine(stream, take) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (/** @type {string} */ text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line.replace(/\r$/, ''));
  });
  stream.on('end', () => {
    if (rest !== '') take(rest);
    rest = '';
  });
}
