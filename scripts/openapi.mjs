// `npm run openapi`: builds workers/control/openapi.json from the contracts of the control plane
// and the addresses of the data plane. With `--check` it only says whether the file is of today:
// that is the gate `openapi`. With `--roles` it prints who may call what.

import { readFileSync, writeFileSync } from 'node:fs';
import { runnerImport } from 'vite';
import { inProject } from './lib/places.mjs';
import { Stop, explain, say } from './lib/say.mjs';
import { documentOf } from './openapi/document.mjs';
import { rolesTable } from './openapi/roles.mjs';

const FILE = inProject('workers', 'control', 'openapi.json');
const CONTRACT = inProject('workers', 'control', 'contract', 'all.ts');

try {
  const document = documentOf(await groups());
  const text = `${JSON.stringify(document, null, 1)}\n`;
  if (process.argv.includes('--roles')) say(rolesTable(document.paths));
  else if (process.argv.includes('--check')) check(text);
  else write(text);
} catch (problem) {
  explain(problem);
  process.exitCode = 1;
}

/** The contracts themselves: their schemas are values, so they are run, not read. */
async function groups() {
  const options = /** @type {const} */ ({ root: inProject(), configFile: false });
  const { module } = await runnerImport(CONTRACT, { ...options, logLevel: 'error' });
  return /** @type {{ GROUPS: readonly import('./openapi/document.mjs').Group[] }} */ (module)
    .GROUPS;
}

/** @param {string} text */
function check(text) {
  if (readFileSync(FILE, 'utf8') === text) return;
  throw new Stop('workers/control/openapi.json is not of these contracts: `npm run openapi`.');
}

/** @param {string} text */
function write(text) {
  writeFileSync(FILE, text);
  const { paths } = JSON.parse(text);
  say(`workers/control/openapi.json: ${Object.keys(paths).length} paths, ${text.length} bytes`);
}
