// The layer gate, generated from layers.mjs. `node scripts/layers.mjs` runs it, because the
// number of modules read has a floor that this tool does not know.

import { DOOR, LAYERS, OWNED_PACKAGES, PURE, ROOTS } from './layers.mjs';

const TEST = '\\.test(-d)?\\.ts$';
/** @param {string} text */
const escaped = (text) => text.replaceAll('.', '\\.');
/** @param {string} place */
const pattern = (place) => `^workers/${escaped(place)}${place.endsWith('.ts') ? '$' : '/'}`;

/** @typedef {import('dependency-cruiser').IForbiddenRuleType} Rule */

/** @type {Rule[]} */
const layerRules = Object.entries(LAYERS).map(([folder, allowed]) => ({
  name: `${folder}-imports-only-what-it-may`,
  comment: `${folder} may import: ${allowed.join(', ') || 'nothing'} (layers.mjs)`,
  severity: 'error',
  from: { path: `^workers/${folder}/`, pathNot: TEST },
  to: { path: '^(workers|scripts|tests|bench)/', pathNot: [folder, ...allowed].map(pattern) },
}));

/** @type {Rule[]} */
const packageRules = Object.entries(OWNED_PACKAGES).map(([name, owner]) => ({
  name: `${name}-is-of-${owner}`,
  comment: `${name} is used in ${owner} alone (layers.mjs)`,
  severity: 'error',
  from: { path: '^workers/', pathNot: [pattern(owner), TEST] },
  to: { path: `(^|/)node_modules/${name}/` },
}));

/** @type {Rule[]} */
const standing = [
  {
    name: 'no-cycle',
    comment: 'two files that need each other are one file, or three (types may)',
    severity: 'error',
    from: { pathNot: TEST },
    to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
  },
  {
    name: 'only-known-folders',
    comment: 'a new folder of workers/ needs its row in layers.mjs',
    severity: 'error',
    from: {
      path: '^workers/',
      pathNot: [...Object.keys(LAYERS), ...ROOTS].map(pattern).concat(TEST),
    },
    to: {},
  },
  {
    name: 'nobody-imports-the-door',
    comment: 'the door imports others',
    severity: 'error',
    from: { pathNot: TEST },
    to: { path: pattern(DOOR) },
  },
  {
    name: 'only-the-door-imports-objects',
    comment: 'an object is reached through its stub in platform/objects.ts',
    severity: 'error',
    from: { path: '^workers/', pathNot: ['^workers/objects/', pattern(DOOR), TEST] },
    to: { path: '^workers/objects/' },
  },
  {
    name: 'pure-code-needs-no-package',
    comment: `${PURE.join(' and ')} are plain functions of their arguments`,
    severity: 'error',
    from: { path: `^workers/(${PURE.join('|')})/`, pathNot: TEST },
    to: { dependencyTypes: ['npm', 'npm-dev', 'npm-no-pkg', 'npm-unknown', 'core', 'unknown'] },
  },
  {
    name: 'nothing-unresolvable',
    comment: 'an import that leads nowhere',
    severity: 'error',
    from: { path: '^workers/' },
    to: { couldNotResolve: true, pathNot: '^cloudflare:' },
  },
];

export default {
  forbidden: [...layerRules, ...packageRules, ...standing],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { conditionNames: ['workerd', 'import', 'types', 'default'] },
  },
};
