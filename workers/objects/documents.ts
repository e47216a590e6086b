// JSON documents by name in an object's `documents` table. A row of an object takes 2 MB: what is
// larger lies in several rows, written and read together.

import type { LedgerStorage } from './ledger-storage';

/** At most 1.5 MB as UTF-8, whatever the characters. */
const PART_CHARACTERS_MAX = 500_000;

type Run = LedgerStorage['run'];

/** The document, as it was kept; null: none. */
export function readDocument<T>(run: Run, name: string): T | null {
  const parts = run<{ document: string }>(
    'SELECT document FROM documents WHERE name = ? OR (name > ? AND name < ?) ORDER BY name',
    name,
    `${name}#`,
    `${name}$`,
  );
  const text = parts.map(({ document }) => document).join('');
  // Written by this file alone, as JSON of the same type.
  return text === '' ? null : (JSON.parse(text) as T);
}

/** Keeps the document in the place of the one with this name. No await: all of it or nothing. */
export function keepDocument(run: Run, name: string, value: unknown): void {
  const parts = partsOf(JSON.stringify(value));
  for (const [index, part] of parts.entries()) {
    run(
      'INSERT INTO documents (name, document) VALUES (?, ?) ' +
        'ON CONFLICT (name) DO UPDATE SET document = excluded.document',
      partName(name, index),
      part,
    );
  }
  run(
    'DELETE FROM documents WHERE name >= ? AND name < ?',
    partName(name, parts.length),
    `${name}$`,
  );
}

/** Never cut within a pair: half of one is no text. */
function partsOf(text: string): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  do {
    const to = from + PART_CHARACTERS_MAX;
    const isPair = /[\ud800-\udbff]/.test(text.charAt(to - 1));
    parts.push(text.slice(from, isPair ? to - 1 : to));
    from = isPair ? to - 1 : to;
  } while (from < text.length);
  return parts;
}

/** `checkpoint`, `checkpoint#0001`, ...: in the order of names. `$` comes after `#`. */
function partName(name: string, index: number): string {
  return index === 0 ? name : `${name}#${String(index).padStart(4, '0')}`;
}
