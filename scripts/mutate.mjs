// `npm run mutate`: changes the rules one place at a time (an operator, a bound, a branch) and runs
// the tests that reach it; a change that no test notices is a behaviour that no test holds. Prints
// score and survivors of each file. Works on a copy of this checkout in a temporary folder. Needs
// the package registry once and minutes of a core, so it is no part of `npm test`.
//
//   npm run mutate [-- FOLDER ... --minutes N]   default: ledger, limits, pricing; 30 minutes

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, constants, setPriority, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LINE } from './lib/mutation-reporter.mjs';
import { inProject, ROOT } from './lib/places.mjs';
import { endAll, killAll, run, start } from './lib/programs.mjs';
import { Stop, explain, say, tail } from './lib/say.mjs';
import { SIGNALS, withToolchain } from './lib/toolchain.mjs';

const STRYKER = '10.1.1';
const PACKAGES = ['@stryker-mutator/core', '@stryker-mutator/vitest-runner'];
/** Beside the packages that the lock file names, not among them: few people need it. */
const HOME = inProject('node_modules', '.cache', 'mutate');
const FOLDERS = ['workers/domain/ledger', 'workers/domain/limits', 'workers/domain/pricing'];
/** Only what is pure: its tests are fast, and whatever goes wrong in them is of the rule. */
const PURE = /^workers\/(domain|protocols)(\/|$)/;
const NO_TESTS = '!**/*.test.ts';
/** Thousands of requests a test: right once, too slow for every change. */
const NOT_ASKED = ['workers/domain/ledger/crowd.test.ts'];
const MINUTES = 30;
/** Above one and a half times what the tests of a change usually take: then it hangs. */
const HANGS_MS = 10_000;
const TEXT_CHARACTERS_MAX = 60;
const REPORTER = fileURLToPath(new URL('./lib/mutation-reporter.mjs', import.meta.url));

/** @typedef {import('./lib/mutation-reporter.mjs').Tried} Tried */

await withToolchain(import.meta.url, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloud-relay-mutate-'));
  const clean = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      killAll();
      clean();
      process.exit(130);
    });
  }
  try {
    const wanted = asked();
    await install();
    setPriority(constants.priority.PRIORITY_LOW);
    report(await mutate(wanted, folder), wanted.minutes);
    return 0;
  } catch (problem) {
    explain(problem);
    return 1;
  } finally {
    await endAll();
    clean();
  }
});

/** @typedef {{ folders: readonly string[], minutes: number }} Wanted */

/** @returns {Wanted} */
function asked() {
  const { values, positionals } = words();
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Stop('--minutes wants a number above 0.');
  const named = positionals.map((text) => relative(ROOT, inProject(text)).replaceAll('\\', '/'));
  for (const path of named) {
    if (!existsSync(inProject(path))) throw new Stop(`There is no ${path}.`);
    if (!PURE.test(path)) throw new Stop(`${path} is not in workers/domain or workers/protocols.`);
  }
  return { folders: named.length === 0 ? FOLDERS : named, minutes };
}

function words() {
  try {
    const options = /** @type {const} */ ({
      minutes: { type: 'string', default: String(MINUTES) },
    });
    return parseArgs({ options, allowPositionals: true });
  } catch {
    throw new Stop('Usage: npm run mutate [-- FOLDER ... --minutes N]');
  }
}

async function install() {
  if (installedVersions().every((version) => version === STRYKER)) return;
  say(`Installing Stryker ${STRYKER} ...`);
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // Without its peers: Vitest is found where this checkout has it.
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps'];
  const packages = PACKAGES.map((name) => `${name}@${STRYKER}`);
  mkdirSync(HOME, { recursive: true });
  const { code, output } = await run({
    name: 'install',
    program: npm,
    arguments: ['install', '--prefix', HOME, '--save-exact', ...quiet, ...packages],
    folder: HOME,
  });
  if (code !== 0) throw new Stop(`Stryker could not be installed (${code}).`, tail(output));
}

/** @returns {readonly unknown[]} */
function installedVersions() {
  return PACKAGES.map((name) => {
    const file = join(HOME, 'node_modules', ...name.split('/'), 'package.json');
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : null;
  });
}

/**
 * @typedef {object} Outcome
 * @property {readonly Tried[]} tried
 * @property {number} planned how many changes there are
 *
 * @param {Wanted} wanted
 * @param {string} folder
 * @returns {Promise<Outcome>}
 */
async function mutate({ folders, minutes }, folder) {
  say(`Changing ${folders.join(', ')}, for at most ${minutes} minutes ...`);
  /** @type {Tried[]} */
  const tried = [];
  let planned = 0;
  let output = '';
  const running = start({
    name: 'stryker',
    program: process.execPath,
    arguments: [
      join(HOME, 'node_modules', '@stryker-mutator', 'core', 'bin', 'stryker.js'),
      'run',
      writeSettings(folders, folder),
    ],
    onLine: (line) => {
      if (!line.startsWith(LINE)) {
        output += `${line}\n`;
        return;
      }
      const said = JSON.parse(line.slice(LINE.length));
      if (typeof said.planned === 'number') {
        planned = said.planned;
        return;
      }
      tried.push(said);
      if (tried.length % 100 === 0) say(`${tried.length} of ${planned} ...`);
    },
  });
  const stopping = new AbortController();
  const late = wait(minutes * 60_000, 'late', { signal: stopping.signal }).catch(() => 'late');
  const ended = await Promise.race([running.ended, late]);
  stopping.abort();
  await endAll();
  if (ended !== 'late' && ended !== 0) throw new Stop('Stryker failed.', tail(output));
  return { tried, planned };
}

/**
 * Gives the path of Stryker's settings.
 * @param {readonly string[]} folders
 * @param {string} folder
 */
function writeSettings(folders, folder) {
  // Where fast-check is found: properties get the same values at every run.
  const seed = join(HOME, 'seed.mjs');
  writeFileSync(seed, "import fc from 'fast-check';\nfc.configureGlobal({ seed: 1 });\n");
  const vitest = join(HOME, 'vitest.config.mjs');
  const test = {
    environment: 'node',
    include: ['workers/{domain,protocols}/**/*.test.ts'],
    exclude: NOT_ASKED,
    setupFiles: [seed],
    testTimeout: 30_000,
  };
  writeFileSync(vitest, `export default ${JSON.stringify({ test })};\n`);
  const settings = join(folder, 'stryker.json');
  writeFileSync(settings, JSON.stringify(strykerSettings({ folders, folder, vitest })));
  return settings;
}

/** @param {{ folders: readonly string[], folder: string, vitest: string }} places */
function strykerSettings({ folders, folder, vitest }) {
  return {
    testRunner: 'vitest',
    vitest: { configFile: vitest },
    plugins: ['@stryker-mutator/vitest-runner', REPORTER],
    reporters: ['lines'],
    mutate: [...folders.map((path) => (path.endsWith('.ts') ? path : `${path}/**/*.ts`)), NO_TESTS],
    coverageAnalysis: 'perTest',
    concurrency: Math.max(1, Math.floor(availableParallelism() / 2)),
    timeoutMS: HANGS_MS,
    tempDirName: join(folder, 'sandboxes'),
    // All that pure tests read.
    ignorePatterns: ['/*', '!/workers', '!/tests', '!/package.json', '!/tsconfig.json'],
    allowConsoleColors: false,
    logLevel: 'error',
  };
}

/** @param {Outcome} outcome @param {number} minutes */
function report({ tried, planned }, minutes) {
  const files = [...new Set(tried.map(({ fileName }) => fileName))].toSorted();
  for (const file of files) sayFile(file, tried);
  say('\n    score   killed  hanging survived  no test');
  for (const folder of new Set(files.map((file) => file.replace(/\/[^/]*$/, '')))) {
    const inFolder = files.filter((file) => file.replace(/\/[^/]*$/, '') === folder);
    for (const file of inFolder) say(figures(file, tried));
    say(figures(`${folder}/`, tried));
  }
  if (tried.length >= planned) return;
  say(`\nEnded after ${minutes} minutes: ${tried.length} of ${planned} changes were tried.`);
}

/** Its survivors. @param {string} file @param {readonly Tried[]} tried */
function sayFile(file, tried) {
  const survivors = tried
    .filter(({ fileName, status }) => fileName === file && isSurvivor(status))
    .toSorted((a, b) => a.location.start.line - b.location.start.line);
  if (survivors.length === 0) return;
  const lines = readFileSync(file, 'utf8').split('\n');
  say(`\n${shown(file)}`);
  for (const { location, mutatorName, replacement = '' } of survivors) {
    const { start: from, end } = location;
    const line = lines[from.line - 1] ?? '';
    const isOne = from.line === end.line;
    const was = isOne ? line.slice(from.column - 1, end.column - 1) : line.slice(from.column - 1);
    const place = `${from.line}:${from.column}`.padEnd(8);
    say(`  ${place}${mutatorName}: ${short(was)}  ->  ${short(replacement)}`);
  }
}

/** A file's or folder's line of the table. @param {string} path @param {readonly Tried[]} tried */
function figures(path, tried) {
  const count = (/** @type {string} */ wanted) =>
    tried.filter(({ fileName, status }) => fileName.startsWith(path) && status === wanted).length;
  const counts = ['Killed', 'Timeout', 'Survived', 'NoCoverage'].map(count);
  const [killed = 0, hanging = 0] = counts;
  const all = counts.reduce((sum, each) => sum + each, 0);
  const score = all === 0 ? '-' : `${((100 * (killed + hanging)) / all).toFixed(1)} %`;
  const columns = [score, ...counts].map((each) => String(each).padStart(8)).join(' ');
  return `${columns}  ${shown(path)}`;
}

/** @param {string} status */
function isSurvivor(status) {
  return status === 'Survived' || status === 'NoCoverage';
}

/** @param {string} path */
function shown(path) {
  return path.startsWith(ROOT) ? path.slice(ROOT.length + 1).replaceAll('\\', '/') : path;
}

/** On one line. @param {string} text */
function short(text) {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= TEXT_CHARACTERS_MAX ? line : `${line.slice(0, TEXT_CHARACTERS_MAX)} ...`;
}
