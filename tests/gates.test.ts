// Proves that the gates bite: each forbidden thing is written into a temporary project, and the
// gate must name it. What the gates allow is proved by the project itself, which passes them.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const BIN = join(ROOT, 'node_modules', '.bin');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloud-relay-gates-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the layer gate', () => {
  // Written out once more on purpose: the table in layers.mjs must not be able to agree with
  // itself. `O` is allowed to import, everything else is forbidden.
  const FOLDERS =
    'domain protocols platform observe objects store upstreams notify relay control jobs';
  const ALLOWED: Readonly<Record<string, string>> = {
    domain: '',
    protocols: 'domain',
    platform: 'domain',
    observe: 'domain platform',
    objects: 'domain platform observe store',
    store: 'domain platform',
    upstreams: 'domain protocols platform',
    notify: 'domain platform store',
    relay: 'domain protocols platform observe upstreams',
    control: 'domain platform observe store notify upstreams',
    jobs: 'domain platform observe store notify upstreams',
  };
  const folders = FOLDERS.split(' ');
  const mayImport = (from: string, to: string): boolean =>
    from === to || (ALLOWED[from] ?? '').split(' ').includes(to);

  it('names every forbidden import between two folders, and no allowed one', () => {
    const base = join(folder, 'layers');
    for (const to of folders) write(base, `workers/${to}/a.ts`, 'export const a = 1;\n');
    const edges = folders.flatMap((from) => folders.map((to) => ({ from, to })));
    for (const { from, to } of edges)
      importing(base, `workers/${from}/uses-${to}.ts`, `../${to}/a`);
    write(base, 'workers/store/late-settles.ts', 'export const a = 1;\n');
    importing(base, 'workers/relay/settle.ts', '../store/late-settles');
    importing(base, 'workers/index.ts', './objects/a');
    importing(base, 'workers/app.ts', './relay/a');
    importing(base, 'workers/control/door.ts', '../index');
    importing(base, 'workers/unheard-of/a.ts', '../domain/a');

    const expected = edges
      .filter(({ from, to }) => !mayImport(from, to))
      .map(({ from, to }) => `workers/${from}/uses-${to}.ts -> workers/${to}/a.ts`);
    expected.push('workers/control/door.ts -> workers/index.ts');
    expected.push('workers/unheard-of/a.ts -> workers/domain/a.ts');
    const { output, status } = layers(base);
    const named = output.split('\n').filter((line) => line.includes(' -> '));
    expect([...new Set(named)].toSorted()).toEqual(expected.toSorted());
    expect(status).toBe(1);
  });

  it('keeps packages out of pure code and the database library in the store', () => {
    const base = join(folder, 'packages');
    importing(base, 'workers/domain/a.ts', 'zod/mini');
    importing(base, 'workers/protocols/a.ts', 'node:fs');
    importing(base, 'workers/control/a.ts', 'drizzle-orm');
    importing(base, 'workers/store/a.ts', 'drizzle-orm');
    const { output } = layers(base);
    expect(output).toMatch(/domain\/a\.ts -> .*zod/);
    expect(output).toMatch(/protocols\/a\.ts -> (node:)?fs/);
    expect(output).toMatch(/control\/a\.ts -> .*drizzle-orm/);
    expect(output).not.toMatch(/store\/a\.ts -> /);
  });

  it('fails when it has read hardly any module', () => {
    const base = join(folder, 'few');
    write(base, 'workers/domain/a.ts', 'export const a = 1;\n');
    const { output, status } = layers(base);
    expect(output).toContain('Only 1 modules were read');
    expect(status).toBe(1);
  });

  function layers(base: string): { output: string; status: number | null } {
    symlinkSync(join(ROOT, 'node_modules'), join(base, 'node_modules'));
    return run(base, process.execPath, [join(ROOT, 'scripts', 'layers.mjs'), base]);
  }
});

describe('the linter', () => {
  const LONG = `${'// a line\n'.repeat(401)}export const a = 1;\n`;
  const TALL = `export function a(): number {\n${'  void 0;\n'.repeat(71)}  return 1;\n}\n`;
  const CASES = [
    ['workers/domain/random.ts', 'export const a = Math.random();', 'no-restricted-properties'],
    ['workers/domain/now.ts', 'export const a = Date.now();', 'no-restricted-properties'],
    ['workers/domain/id.ts', 'export const a = crypto.randomUUID();', 'no-restricted-globals'],
    ['workers/domain/net.ts', "export const a = fetch('http://a');", 'no-restricted-globals'],
    ['workers/protocols/t.ts', 'setTimeout(() => {}, 1);', 'no-restricted-globals'],
    ['workers/relay/net.ts', "export const a = fetch('http://a');", 'no-restricted-globals'],
    ['workers/relay/all.ts', "export const a = globalThis.fetch('b');", 'no-restricted-properties'],
    ['workers/relay/log.ts', "console.log('a');", 'no-console'],
    ['workers/relay/any.ts', 'export const a: any = 1;', 'no-explicit-any'],
    ['workers/relay/sure.ts', 'export const a = (b?: number) => b!;', 'no-non-null-assertion'],
    ['workers/relay/default.ts', 'export default 1;', 'no-default-export'],
    ['workers/relay/barrel.ts', "export * from './any';", 'no-barrel-file'],
    ['workers/relay/sql.ts', "export { eq } from 'drizzle-orm';", 'no-restricted-imports'],
    ['workers/relay/zod.ts', "export { z } from 'zod';", 'no-restricted-imports'],
    ['workers/relay/round.ts', "import { b } from './trip';\nexport const a = b;", 'no-cycle'],
    ['workers/relay/trip.ts', "import { a } from './round';\nexport const b = a;", 'no-cycle'],
    [
      'workers/relay/many.ts',
      'export const a = (b: 1, c: 1, d: 1, e: 1) => [b, c, d, e];',
      'max-params',
    ],
    ['workers/relay/long.ts', LONG, 'max-lines'],
    ['workers/relay/tall.ts', TALL, 'max-lines-per-function'],
    ['tests/long.test.ts', LONG, 'max-lines'],
  ] as const;
  const TYPED = [
    ['workers/relay/float.ts', 'Promise.resolve(1);', 'no-floating-promises'],
    [
      'workers/relay/switch.ts',
      "export function a(b: 'c' | 'd') {\n  switch (b) {\n    case 'c':\n      return 1;\n  }\n}",
      'switch-exhaustiveness-check',
    ],
  ] as const;
  let found = '';

  beforeAll(() => {
    const base = join(folder, 'lint');
    for (const [path, text] of [...CASES, ...TYPED]) write(base, path, `${text}\n`);
    copyFileSync(join(ROOT, '.oxlintrc.json'), join(base, '.oxlintrc.json'));
    write(base, 'tsconfig.json', '{"compilerOptions":{"strict":true,"lib":["ES2024","DOM"]}}');
    symlinkSync(join(ROOT, 'node_modules'), join(base, 'node_modules'));
    const flags = ['--type-aware', '-f', 'unix', 'workers', 'tests'];
    found = run(base, join(BIN, 'oxlint'), flags).output;
  });

  it.each([...CASES, ...TYPED])('objects to what %s holds', (path, _text, rule) => {
    const lines = found.split('\n').filter((line) => line.startsWith(path));
    expect(lines.join('\n')).toContain(`(${rule})`);
  });
});

describe('the types of pure code', () => {
  it.each(['domain', 'protocols'])('have no platform in %s', (name) => {
    const base = join(folder, `types-${name}`);
    const things = ['fetch', 'Request', 'Response', 'crypto', 'setTimeout', 'process', 'console'];
    const text = things.map((thing, index) => `export const a${index} = ${thing};\n`).join('');
    copyFileSync(join(ROOT, 'tsconfig.json'), join(mkdir(base), 'tsconfig.json'));
    for (const part of ['domain', 'protocols']) {
      const config = `workers/${part}/tsconfig.json`;
      mkdir(join(base, dirname(config)));
      copyFileSync(join(ROOT, config), join(base, config));
    }
    copyFileSync(
      join(ROOT, 'workers/domain/globals.d.ts'),
      join(base, 'workers/domain/globals.d.ts'),
    );
    write(base, `workers/${name}/a.ts`, text);
    const { output, status } = run(base, join(BIN, 'tsc'), ['-p', `workers/${name}`]);
    for (const thing of things) expect(output).toContain(`Cannot find name '${thing}'`);
    expect(status).not.toBe(0);
  });
});

function run(base: string, program: string, flags: readonly string[]) {
  const { stdout, stderr, status } = spawnSync(program, flags, {
    cwd: base,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', PATH: `${BIN}:${process.env['PATH'] ?? ''}` },
  });
  return { output: `${stdout}${stderr}`, status };
}

function importing(base: string, path: string, target: string): void {
  write(base, path, `import * as b from '${target}';\nexport const a = b;\n`);
}

function write(base: string, path: string, text: string): void {
  mkdir(join(base, dirname(path)));
  writeFileSync(join(base, path), text);
}

function mkdir(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}
