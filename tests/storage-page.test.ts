// docs/storage.md names every table there is, and no other.

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const page = readFileSync(join(ROOT, 'docs/storage.md'), 'utf8');

/** Names of the tables that the files below `folder` make. */
function tablesIn(folder: string, isMeant: (name: string) => boolean): string[] {
  const text = readdirSync(join(ROOT, folder))
    .filter(isMeant)
    .map((name) => readFileSync(join(ROOT, folder, name), 'utf8'))
    .join('\n');
  const made = text.matchAll(/CREATE TABLE (?:IF NOT EXISTS )?[`"]?([a-z_]+)/g);
  return [...new Set([...made].map(([, name = '']) => name))].toSorted((a, b) =>
    a.localeCompare(b),
  );
}

/** Names in the first column of the tables below the heading that begins with `title`. */
function named(title: string): string[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(title)) ?? '';
  return [...section.matchAll(/^\| `([a-z_]+)` \|/gm)]
    .map(([, name = '']) => name)
    .toSorted((a, b) => a.localeCompare(b));
}

describe('the page about storage', () => {
  it('names every table of D1', () => {
    const tables = tablesIn('migrations', (name) => name.endsWith('.sql'));
    expect(tables.length).toBeGreaterThan(10);
    expect(named('D1')).toEqual(tables);
  });

  it.each([
    { title: 'Ledger object', files: ['ledger-storage.ts'] },
    { title: 'Pool object', files: ['pool.ts', 'pool-health.ts'] },
    { title: 'Throttle objects', files: ['throttle.ts'] },
  ])('names every table of the $title', ({ title, files }) => {
    const isMeant = (name: string) => [...files, 'migrate.ts'].includes(name);
    const tables = tablesIn('workers/objects', isMeant);
    expect(tables).toContain('migrations');
    expect(named(title)).toEqual(tables);
  });
});
