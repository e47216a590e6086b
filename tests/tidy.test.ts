// The house rules that no linter has. Looks at the files as they lie on disk, whatever version
// control says of them; formatting, imports and dead code are the gates' business, not this one's.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const CODE_FOLDERS = ['workers', 'scripts', 'tests', 'bench'];
const LINES_MAX = 400;
const LINE_CHARACTERS_MAX = 100;
/** Long because of one thing that cannot be cut, or a test's sentence, which oxfmt keeps whole. */
const UNBREAKABLE = /\S{60,}|(['"`])(?:(?!\1).){60,}\1|^\s*(?:it|test|describe)(?:\.each\(.*\))?\(/;
const MODULES_MIN = 60;
/** Generated, installed or local: not written by hand. */
const NOT_OURS =
  /^(node_modules|\.git|\.state|\.wrangler|\.deploy|dist|bench\/results|migrations\/meta)$/;

const files = filesBelow(ROOT);
const code = files.filter(
  (file) => CODE_FOLDERS.includes(file.split('/')[0] ?? '') && /\.(ts|mjs)$/.test(file),
);

describe('every file of code', () => {
  it('is found by this test', () => {
    expect(code.length).toBeGreaterThan(MODULES_MIN);
    expect(code).toContain('workers/index.ts');
    expect(code).toContain('tests/tidy.test.ts');
  });

  it(`has at most ${LINES_MAX} lines`, () => {
    const long = code.filter((file) => linesOf(file).length > LINES_MAX);
    expect(long).toEqual([]);
  });

  it(`has lines of at most ${LINE_CHARACTERS_MAX} characters`, () => {
    const wide = code.flatMap((file) =>
      linesOf(file).flatMap((line, index) =>
        [...line].length > LINE_CHARACTERS_MAX && !UNBREAKABLE.test(line)
          ? `${file}:${index + 1}`
          : [],
      ),
    );
    expect(wide).toEqual([]);
  });

  it('opens with a comment of what it is, tests excepted: their names say it', () => {
    const silent = code.filter(
      (file) => !file.includes('.test.') && !/^(\/\/|\/\*|#!)/.test(read(file)),
    );
    expect(silent).toEqual([]);
  });

  it('is named in kebab-case', () => {
    const odd = code.filter(
      (file) => !/^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(file.split('/').at(-1) ?? ''),
    );
    expect(odd).toEqual([]);
  });
});

describe('pure code', () => {
  it('makes no date of the present moment', () => {
    const pure = code.filter((file) => /^workers\/(domain|protocols)\//.test(file));
    expect(pure.length).toBeGreaterThan(10);
    const clocks = pure.filter(
      (file) => !file.endsWith('.test.ts') && /\bnew Date\(\s*\)|[^.\w]Date\(\)/.test(read(file)),
    );
    expect(clocks).toEqual([]);
  });
});

describe('the migrations', () => {
  const names = readdirSync(join(ROOT, 'migrations')).filter((name) => name.endsWith('.sql'));

  it('are numbered without a gap and named after what they do', () => {
    expect(names.length).toBeGreaterThan(0);
    const numbers = names.toSorted().map((name) => /^(\d{4})_[a-z0-9-]+\.sql$/.exec(name)?.[1]);
    expect(numbers).toEqual(names.map((_, index) => String(index + 1).padStart(4, '0')));
  });

  it('are those that the journal of drizzle-kit names, in its order', () => {
    const { entries } = JSON.parse(read('migrations/meta/_journal.json')) as {
      entries: { tag: string }[];
    };
    expect(entries.map(({ tag }) => `${tag}.sql`)).toEqual(names.toSorted());
  });

  it('make every table STRICT', () => {
    const text = names.map((name) => read(`migrations/${name}`)).join('\n');
    const tables = text.match(/CREATE TABLE[\s\S]*?;/gi) ?? [];
    expect(tables.length).toBeGreaterThan(0);
    expect(tables.filter((table) => !/\)\s*STRICT\b|,\s*STRICT\b/i.test(table))).toEqual([]);
  });
});

describe('the pages', () => {
  it('name only folders and files that exist', () => {
    const page = read('docs/ARCHITECTURE.md');
    const named = [...page.matchAll(/`((?:[\w.-]+\/)+[\w.-]*|\w[\w-]*\.(?:mjs|ts|md))`/g)].map(
      ([, path = '']) => path,
    );
    expect(named.length).toBeGreaterThan(10);
    const missing = named.filter((path) => !placesOf(path).some((place) => existsSync(place)));
    expect(missing).toEqual([]);
  });

  it('show every folder of the Worker in the table of the tour', () => {
    const page = read('docs/ARCHITECTURE.md');
    const folders = readdirSync(join(ROOT, 'workers'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && files.some(isBelow(`workers/${entry.name}/`)))
      .map(({ name }) => name);
    expect(folders.filter((name) => !page.includes(`| \`workers/${name}\` |`))).toEqual([]);
  });

  it('name no npm command that package.json does not have', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const pages = files.filter((file) => file.endsWith('.md'));
    const unknown = pages.flatMap((page) =>
      [...read(page).matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)].flatMap(
        ([, run, short]) => (scripts[run ?? short ?? ''] ? [] : `${page}: npm run ${run ?? short}`),
      ),
    );
    expect(scripts).toMatchObject({ start: expect.any(String), test: expect.any(String) });
    expect(unknown).toEqual([]);
  });

  it('lead to each other: no relative link is broken', () => {
    const pages = files.filter((file) => file.endsWith('.md'));
    const broken = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)]
        .map(([, target = '']) => resolve(ROOT, page, '..', target))
        .filter((target) => !existsSync(target))
        .map((target) => `${page}: ${relative(ROOT, target)}`),
    );
    expect(broken).toEqual([]);
  });

  it('keep the form of the changelog: dated versions, newest first, known headings', () => {
    const page = read('CHANGELOG.md');
    const versions = [...page.matchAll(/^## (.+)$/gm)].map(([, title = '']) => title);
    expect(page).toMatch(/^# Changelog\n/);
    expect(versions.length).toBeGreaterThan(0);
    expect(versions[0]).toMatch(/^(Unreleased|\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2})$/);
    for (const title of versions.slice(1))
      expect(title).toMatch(/^\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d$/);
    const dates = versions.flatMap((title) => /\d{4}-\d\d-\d\d$/.exec(title) ?? []);
    expect(dates).toEqual(dates.toSorted().toReversed());
    const headings = [...page.matchAll(/^### (.+)$/gm)].map(([, title]) => title);
    const known = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'];
    expect(headings.filter((title) => !known.includes(title ?? ''))).toEqual([]);
  });

  it('hold decisions named by their date', () => {
    const names = readdirSync(join(ROOT, 'docs/decisions'));
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !/^20\d\d-\d\d-\d\d-[a-z0-9-]+\.md$/.test(name))).toEqual([]);
  });
});

describe('the project', () => {
  it('speaks of no machine on which it was written', () => {
    // Spelled so that this file does not hold what it looks for.
    const machine = /\/(?:work|root|home\/\w+|Users\/\w+)\//;
    const text = files.filter((file) => /\.(ts|mjs|md|json|toml|sql|txt|yml)$/.test(file));
    expect(text.filter((file) => machine.test(read(file)))).toEqual([]);
  });

  it('pins every package to one version', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
    const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'];
    const loose = kinds
      .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
      .filter(([, version]) => !/^(npm:@?[\w./-]+@)?\d+\.\d+\.\d+$/.test(version));
    expect(loose).toEqual([]);
  });

  it('takes its packages from no registry of its own', () => {
    const addresses = read('package-lock.json').match(/"resolved": "https?:\/\/[^/"]+/g) ?? [];
    const strange = addresses.filter((address) => !address.endsWith('//registry.npmjs.org'));
    expect(strange).toEqual([]);
  });

  it('has a CI script that calls npm test and does nothing else', () => {
    const lines = linesOf('.ci/run').filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines).toEqual([
      'set -euo pipefail',
      'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
      'npm test',
    ]);
  });
});

/** Where a page's `path` may lie: it may leave out `workers/`, or be a file of the root or docs. */
function placesOf(path: string): string[] {
  return ['.', 'workers', 'docs', 'scripts'].flatMap((base) => [
    join(ROOT, base, path),
    join(ROOT, base, `${path}.ts`),
  ]);
}

function isBelow(folder: string): (file: string) => boolean {
  return (file) => file.startsWith(folder);
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

function linesOf(file: string): string[] {
  return read(file).trimEnd().split('\n');
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    const name = relative(ROOT, path);
    if (NOT_OURS.test(name) || entry.name === 'node_modules') return [];
    return entry.isDirectory() ? filesBelow(path) : [name];
  });
}
