// The gates in the order in which they run, cheapest first; docs and package.json follow this
// table. A gate is a command that ends with 0.

import { inProject } from './places.mjs';

/** Folders and files that are linted; named, because a run over everything reads the packages. */
const LINTED = ['workers', 'scripts', 'tests', 'bench', 'layers.mjs', 'vitest.config.ts'];

/**
 * @typedef {object} Gate
 * @property {string} name
 * @property {string} asks what a failure means
 * @property {readonly (readonly string[])[]} commands a program of node_modules/.bin or `node`,
 *   and its arguments
 */

/** @type {readonly Gate[]} */
export const GATES = [
  { name: 'lint', asks: 'house rules (.oxlintrc.json)', commands: [['oxlint', ...LINTED]] },
  {
    name: 'lint-types',
    asks: 'house rules that need types (.oxlintrc.json)',
    commands: [['oxlint', '--type-aware', ...LINTED]],
  },
  {
    name: 'types',
    asks: 'types; the pure folders first, without any platform type',
    commands: ['workers/domain', 'workers/protocols', '.', 'tests', 'scripts'].map((folder) => [
      'tsc',
      '-p',
      folder,
    ]),
  },
  {
    name: 'layers',
    asks: 'who may import whom (layers.mjs)',
    commands: [['node', inProject('scripts', 'layers.mjs')]],
  },
  { name: 'unused', asks: 'files, exports and packages nobody uses', commands: [['knip']] },
  {
    name: 'format',
    asks: 'layout (mend it with `npm run format`)',
    commands: [['oxfmt', '--check']],
  },
  {
    name: 'worker-types',
    asks: 'worker-configuration.d.ts is of this wrangler.toml (make it with `npm run types`)',
    commands: [['wrangler', 'types', '--check', '--strict-vars=false']],
  },
  {
    name: 'openapi',
    asks: 'workers/control/openapi.json is of these contracts (make it with `npm run openapi`)',
    commands: [['node', inProject('scripts', 'openapi.mjs'), '--check']],
  },
  { name: 'tests', asks: 'the tests', commands: [['vitest', 'run']] },
  {
    name: 'deploy',
    asks: 'the deploy would build and knows its steps',
    commands: [['node', inProject('scripts', 'deploy.mjs'), '--dry-run']],
  },
];
