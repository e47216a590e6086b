// `npm run simulate`: the seeded simulations with more seeds than `npm test` runs, block by block.
// Prints what was done, adds it up at the end, and ends with 1 at the first block with a seed that
// fails; that one is replayed with `--seed N --only rules` (or `object`).
//
//   npm run simulate -- [--seeds N] [--seed FIRST] [--only rules|object]

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { endAll, killAll, run } from './lib/programs.mjs';
import { Stop, explain, say, tail } from './lib/say.mjs';
import { SIGNALS, withToolchain } from './lib/toolchain.mjs';

/**
 * @typedef {object} Simulation
 * @property {string} name
 * @property {string} project of vitest.config.ts
 * @property {number} blockSeeds how many seeds one run takes
 * @property {(from: number, count: number) => Record<string, string>} variables
 */

/** @type {readonly Simulation[]} */
const SIMULATIONS = [
  {
    name: 'rules',
    project: 'node',
    blockSeeds: 5_000,
    variables: (from, count) => ({ SEED: `${from}`, SEEDS: `${count}` }),
  },
  {
    name: 'object',
    project: 'workers',
    blockSeeds: Infinity,
    variables: objectVariables,
  },
];
/** Of one test, which is a block of seeds of its own. */
const TIMEOUT_MS = 60 * 60_000;
const FILES = 'tests/simulation/';
/** `simulated 1,000 seeds, 120,000 steps, 31,000 crash points`: a file's last word. */
const DONE = /([\d,]+) seeds, ([\d,]+) steps, ([\d,]+) crash(?: point)?e?s/;
const FAILED = /replay it with \w+=\d+/;

await withToolchain(import.meta.url, async () => {
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      killAll();
      process.exit(130);
    });
  }
  try {
    const { seeds, first, simulations } = wanted(process.argv.slice(2));
    for (const simulation of simulations) await simulate(simulation, seeds, first);
    return 0;
  } catch (problem) {
    explain(problem);
    return 1;
  } finally {
    await endAll();
  }
});

/** @param {string[]} words */
function wanted(words) {
  const { values } = parseArgs({
    args: words,
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string' },
    },
  });
  const names = SIMULATIONS.map(({ name }) => name);
  if (values.only !== undefined && !names.includes(values.only)) {
    throw new Stop(`There is no simulation "${values.only}"; there are: ${names.join(', ')}.`);
  }
  const simulations = SIMULATIONS.filter(({ name }) => (values.only ?? name) === name);
  const seeds = values.seeds ?? (values.seed === undefined ? '1000' : '1');
  return { seeds: whole(seeds, 'seeds'), first: whole(values.seed ?? '0', 'seed'), simulations };
}

/**
 * The object's simulation begins with seed 0, or replays one.
 * @param {number} from @param {number} count
 * @returns {Record<string, string>}
 */
function objectVariables(from, count) {
  if (count === 1) return { OBJECT_SEED: `${from}` };
  if (from === 0) return { OBJECT_SEEDS: `${count}` };
  throw new Stop(
    'The simulation of the object runs the seeds from 0 on, or one: leave out --seeds.',
  );
}

/** @param {string} text @param {string} name */
function whole(text, name) {
  if (/^\d{1,8}$/.test(text)) return Number(text);
  throw new Stop(`--${name} must be a whole number, and is "${text}".`);
}

/** @param {Simulation} simulation @param {number} seeds @param {number} first */
async function simulate(simulation, seeds, first) {
  const startedAtMs = Date.now();
  const total = { seeds: 0, steps: 0, crashPoints: 0 };
  for (let from = first; from < first + seeds; from += simulation.blockSeeds) {
    const count = Math.min(simulation.blockSeeds, first + seeds - from);
    const done = await block(simulation, from, count);
    total.seeds += count;
    total.steps += done.steps;
    total.crashPoints += done.crashPoints;
    const seconds = Math.round((Date.now() - startedAtMs) / 1_000);
    say(`${simulation.name}: seeds ${from} to ${from + count - 1} hold (${seconds} s)`);
  }
  const [done, steps, crashPoints] = [total.seeds, total.steps, total.crashPoints].map((number) =>
    number.toLocaleString('en-US'),
  );
  say(`${simulation.name}: ${done} seeds, ${steps} steps, ${crashPoints} crash points`);
}

/**
 * One run of the test runner; every file of the simulation takes the same seeds.
 * @param {Simulation} simulation @param {number} from @param {number} count
 */
async function block({ name, project, variables }, from, count) {
  const done = { steps: 0, crashPoints: 0 };
  let finished = 0;
  const { code, output } = await run({
    name,
    program: 'vitest',
    arguments: ['run', '--project', project, '--testTimeout', `${TIMEOUT_MS}`, FILES],
    environment: {
      ...process.env,
      ...variables(from, count),
      VITEST_MAX_WORKERS: `${availableParallelism()}`,
      NO_COLOR: '1',
    },
    onLine: (line) => {
      if (FAILED.test(line)) say(line);
      const [, , steps, crashPoints] = DONE.exec(line) ?? [];
      if (steps === undefined || crashPoints === undefined) return;
      finished += 1;
      done.steps += numberOf(steps);
      done.crashPoints += numberOf(crashPoints);
    },
  });
  if (code !== 0)
    throw new Stop(`A seed of ${from} to ${from + count - 1} fails.`, tail(output, 60));
  if (finished === 0) throw new Stop(`No simulation of ${name} has said what it did.`);
  return done;
}

/** @param {string} text */
function numberOf(text) {
  return Number(text.replaceAll(',', ''));
}
