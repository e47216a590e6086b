// The layer gate: dependency-cruiser over workers/ with the rules of layers.mjs, and a floor for
// the number of modules it has read. With an unsuitable TypeScript that tool reads no module and
// reports success.
//
//   node scripts/layers.mjs [folder with a workers/ in it]

import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import { resolve } from 'node:path';
import config from '../.dependency-cruiser.mjs';
import { MODULES_MIN } from '../layers.mjs';
import { ROOT } from './lib/places.mjs';

const base = resolve(process.argv[2] ?? ROOT);
process.chdir(base);

const { tsConfig, ...options } = config.options;
const tsConfigFile = resolve(ROOT, tsConfig.fileName);
const { output } = await cruise(
  ['workers'],
  { ...options, ruleSet: { forbidden: config.forbidden }, validate: true, baseDir: base },
  undefined,
  { tsConfig: extractTSConfig(tsConfigFile) },
);
if (typeof output === 'string') throw new Error(output);

const violations = output.summary.violations.filter(({ rule }) => rule.severity === 'error');
const ours = output.modules.filter(({ source }) => source.startsWith('workers/'));
for (const { from, to, rule, comment } of violations) {
  const why = config.forbidden.find(({ name }) => name === rule.name)?.comment ?? comment ?? '';
  console.error(`${from} -> ${to}\n  ${rule.name}: ${why}`);
}
if (ours.length < MODULES_MIN) {
  console.error(`Only ${ours.length} modules were read; ${MODULES_MIN} or more were expected.`);
}
console.log(`${ours.length} modules, ${violations.length} forbidden imports`);
process.exitCode = violations.length > 0 || ours.length < MODULES_MIN ? 1 : 0;
