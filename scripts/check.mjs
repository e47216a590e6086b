// `npm run check`: all gates in order, each with its time; stops at the first that fails. With
// names, only those: `npm run check -- lint layers`. Needs installed packages (`npm test` sees to
// them).

import { delimiter } from 'node:path';
import { inProject } from './lib/places.mjs';
import { GATES } from './lib/gates.mjs';
import { endAll, killAll, start } from './lib/programs.mjs';
import { Stop, explain, say } from './lib/say.mjs';
import { SIGNALS, watchParent } from './lib/toolchain.mjs';

const BIN = inProject('node_modules', '.bin');

process.env['PATH'] = `${BIN}${delimiter}${process.env['PATH'] ?? ''}`;
process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
process.env['WRANGLER_SEND_METRICS'] = 'false';
process.env['WRANGLER_HIDE_BANNER'] = 'true';

let isLeaving = false;
for (const signal of SIGNALS) process.on(signal, leave);
watchParent(leave);

try {
  for (const gate of chosen(process.argv.slice(2))) await pass(gate);
  say('All gates passed.');
} catch (problem) {
  if (!isLeaving) explain(problem);
  process.exitCode = 1;
}

/** @param {readonly string[]} names */
function chosen(names) {
  const known = GATES.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new Stop(`There is no gate "${unknown}"; there are: ${known.join(', ')}.`);
  }
  return GATES.filter(({ name }) => names.length === 0 || names.includes(name));
}

/** @param {import('./lib/gates.mjs').Gate} gate */
async function pass({ name, asks, commands }) {
  say(`\n== ${name}: ${asks}`);
  const startedAtMs = Date.now();
  for (const [program = '', ...programArguments] of commands) {
    const started = start({ name, program, arguments: programArguments, isShown: true });
    const code = await started.ended;
    await endAll();
    if (code !== 0) throw new Stop(`Gate "${name}" failed: ${asks}.`);
  }
  say(`== ${name} passed in ${((Date.now() - startedAtMs) / 1000).toFixed(1)} s`);
}

function leave() {
  if (isLeaving) {
    killAll();
    process.exit(130);
  }
  isLeaving = true;
  void endAll().then(() => process.exit(130));
}
