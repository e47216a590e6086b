// Makes a bare clone able to run: installs the packages when the lock file changed, and hands the
// script over to the Node that the packages bring. Everything here uses only what Node 18 has.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inProject } from './places.mjs';
import { endAll, killAll, run } from './programs.mjs';
import { Stop, explain, say, tail, wordsOf } from './say.mjs';

const NODE_NEEDED = [22, 12];
const BIN = inProject('node_modules', '.bin');
const BUNDLED_NODE = inProject('node_modules', '.bin', 'node');
const HASH_FILE = inProject('node_modules', '.cloud-relay-lock-hash');
const WATCH_MS = 1000;
/** Names, by its parent's pid, the script that already runs under the bundled Node. */
const HANDED_OVER = 'CLOUD_RELAY_HANDED_OVER';
const handedOver = process.env[HANDED_OVER] === String(process.ppid);
delete process.env[HANDED_OVER];

/**
 * Runs `main` once packages are installed and the Node is new enough.
 * @param {string} script the calling script, `import.meta.url`
 * @param {() => Promise<number>} main gives the exit code
 */
export async function withToolchain(script, main) {
  try {
    if (!handedOver) {
      requireKnownSystem();
      await install();
      if (bundledNodeIsAnother()) {
        process.exitCode = await handOver(fileURLToPath(script));
        return;
      }
      requireNode();
    }
    process.env['PATH'] = `${BIN}${delimiter}${pathWithoutBin()}`;
    process.exitCode = await main();
  } catch (problem) {
    explain(problem);
    process.exitCode = 1;
  }
}

/** On systems without a bundled Node an old one is told before anything is downloaded. */
function requireKnownSystem() {
  const bundled = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
  if (!bundled) requireNode();
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [neededMajor = 0, neededMinor = 0] = NODE_NEEDED;
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return;
  throw new Stop(
    `This needs Node ${NODE_NEEDED.join('.')} or newer, and you have ${process.versions.node}: ` +
      'install a newer one from https://nodejs.org and try again.',
  );
}

async function install() {
  const hash = createHash('sha256').update(readLock()).digest('hex');
  if (existsSync(HASH_FILE) && readFileSync(HASH_FILE, 'utf8').trim() === hash) return;
  say('Installing packages (first start, or the lock file changed) ...');
  const stopListening = endOnSignal();
  await requireRegistry();
  let { code, output } = await npm(['ci', ...INSTALL_FLAGS]);
  if (code !== 0 && lacksOnlyOptional(output)) {
    ({ code, output } = await npm(['install', '--no-save', ...INSTALL_FLAGS]));
  }
  stopListening();
  if (code !== 0) throw installProblem(output);
  writeFileSync(HASH_FILE, `${hash}\n`);
}

const INSTALL_FLAGS = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
/** A small package of ours: whether it can be asked for says whether the registry is there. */
const PROBE = ['view', 'argon2id', 'version', '--fetch-retries=1', '--fetch-retry-mintimeout=1000'];
const PROBE_MS = 15_000;
const NO_NETWORK = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH/;

/** Asked first: without a network `npm ci` tries for minutes and then blames the lock file. */
async function requireRegistry() {
  const { code, output } = await npm([...PROBE, `--fetch-timeout=${PROBE_MS}`]);
  if (code !== 0 && NO_NETWORK.test(output)) throw noNetwork(output);
}

/**
 * Lock files written where a registry lacks the packages of other systems miss those; `npm ci`
 * then refuses wherever they exist. What the lock file does hold is installed as it says.
 * @param {string} output
 */
function lacksOnlyOptional(output) {
  return /Missing: \S+ from lock file/.test(output) && !/Invalid: /.test(output);
}

function readLock() {
  try {
    return readFileSync(inProject('package-lock.json'));
  } catch (problem) {
    throw new Stop(`package-lock.json cannot be read (${wordsOf(problem)}): clone again.`);
  }
}

/**
 * Runs the npm that runs this script, else the one on PATH; never with the packages' own Node,
 * which it may be about to replace.
 * @param {readonly string[]} npmArguments
 */
function npm(npmArguments) {
  const path = process.env['npm_execpath'] ?? '';
  const node = process.env['npm_node_execpath'] ?? process.execPath;
  const isKnown = basename(path) === 'npm-cli.js' && existsSync(path);
  const onPath = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  return run({
    name: 'npm',
    program: isKnown ? node : onPath,
    arguments: [...(isKnown ? [path] : []), ...npmArguments],
    environment: { ...process.env, PATH: pathWithoutBin() },
  });
}

/** @param {string} output */
function noNetwork(output) {
  return new Stop(
    'The packages could not be downloaded: the package registry cannot be reached. ' +
      'Check the network (or the proxy that npm uses) and try again.',
    tail(output, 5),
  );
}

/** @param {string} output */
function installProblem(output) {
  if (NO_NETWORK.test(output)) return noNetwork(output);
  if (/EUSAGE|in sync/.test(output)) {
    return new Stop(
      'The packages were not installed: package.json and package-lock.json do not match.',
      tail(output),
    );
  }
  return new Stop('The packages could not be installed; npm says why above.', tail(output));
}

/** Whether there is a bundled Node that works here (not with musl) and is not the one running. */
function bundledNodeIsAnother() {
  if (!existsSync(BUNDLED_NODE)) return false;
  if (realpathSync(process.execPath) === realpathSync(BUNDLED_NODE)) return false;
  return spawnSync(BUNDLED_NODE, ['--version']).status === 0;
}

/**
 * Runs the same script under the bundled Node; gives its exit code.
 * @param {string} script
 * @returns {Promise<number>}
 */
function handOver(script) {
  return new Promise((resolve, reject) => {
    const child = spawn(BUNDLED_NODE, [script, ...process.argv.slice(2)], {
      stdio: 'inherit',
      env: { ...process.env, [HANDED_OVER]: String(process.pid) },
    });
    for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
    const watch = watchParent(() => child.kill('SIGTERM'));
    child.on('error', (problem) => {
      reject(new Stop(`The bundled Node cannot run here (${problem.message}).`));
    });
    child.on('exit', (code, signal) => {
      clearInterval(watch);
      resolve(code ?? (signal === null ? 1 : 128));
    });
  });
}

/** @type {readonly NodeJS.Signals[]} */
export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** While packages are installed, a signal ends that and the script. */
function endOnSignal() {
  const leave = () => {
    void endAll().then(() => process.exit(130));
  };
  for (const signal of SIGNALS) process.on(signal, leave);
  const watch = watchParent(() => {
    killAll();
    process.exit(130);
  });
  return () => {
    clearInterval(watch);
    for (const signal of SIGNALS) process.off(signal, leave);
  };
}

/**
 * Calls `gone` when npm, or the script that handed over, is gone, even killed. Not for a plain
 * `node scripts/start.mjs &` from a shell that ends: that is meant to go on.
 * @param {() => void} gone
 */
export function watchParent(gone) {
  const isWatched = handedOver || Boolean(process.env['npm_lifecycle_event']);
  const before = ancestry();
  const timer = setInterval(() => {
    if (!isWatched || ancestry() === before) return;
    clearInterval(timer);
    gone();
  }, WATCH_MS);
  timer.unref();
  return timer;
}

/** The parent; where npm's shell stands between, also the shell's parent. An orphan's changes. */
function ancestry() {
  if (handedOver || process.platform === 'win32') return String(process.ppid);
  const { parent, command } = processFacts(process.ppid);
  return /^\S*\b(sh|bash|dash|zsh) -c /.test(command)
    ? `${process.ppid} ${parent}`
    : `${process.ppid}`;
}

/** @param {number} pid */
function processFacts(pid) {
  if (process.platform !== 'linux') return factsByPs(pid);
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything; state and parent follow it.
    return { command, parent: status.slice(status.lastIndexOf(')') + 2).split(' ')[1] ?? '' };
  } catch {
    return { command: '', parent: '' };
  }
}

/** @param {number} pid */
function factsByPs(pid) {
  const { stdout } = spawnSync('ps', ['-o', 'ppid=,args=', '-p', String(pid)], {
    encoding: 'utf8',
  });
  const [, parent = '', command = ''] = /^\s*(\d+)\s+(.*)/.exec(stdout ?? '') ?? [];
  return { command, parent };
}

function pathWithoutBin() {
  const parts = (process.env['PATH'] ?? '').split(delimiter);
  return parts.filter((part) => part !== BIN).join(delimiter);
}
