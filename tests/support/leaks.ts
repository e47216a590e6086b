// Looks for secrets where none may be: in everything that a relay has stored (D1, the objects, what
// its runtime keeps) and written (its log). Files are read as bytes, so that nothing hides in a
// page that a table no longer shows; databases also row by row, where a long text is in one piece.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const BASE58 = '[1-9A-HJ-NP-Za-km-z]';
/** Secrets by their form, whoever made them. */
const FORMS: Readonly<Record<string, RegExp>> = {
  'an API key': new RegExp(`cr_[1-9]\\d?[a-z]{3,4}(?:_${BASE58}{22}){4}`),
  'a service token': new RegExp(`svc_${BASE58}{22}_[\\w-]{40,}`),
  // In a row the id stands right before the hash, which has no dot.
  'an invitation': new RegExp(`inv_${BASE58}{22}\\.[\\w-]{40,}`),
  'a refresh token': new RegExp(`rt_[1-9]\\d?_${BASE58}{22}_[\\w-]{43}_[\\w-]{43}`),
  'an access token': /eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{40,}/,
  'a code': /CR(?:-[0-9A-HJKMNP-TV-Z]{4}){4}/,
  'a key of a provider': /sk-(?:ant|upstream)-[\w-]{8,}/,
};

/** A text and where it stands. */
export interface Place {
  readonly name: string;
  readonly text: string;
}

/** Every file below `folder`, and every row of every database there. */
export function placesBelow(folder: string): Place[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap(({ parentPath, name }) => {
      const path = join(parentPath, name);
      const file = { name: path, text: readFileSync(path).toString('latin1') };
      return name.endsWith('.sqlite') ? [file, ...rowsOf(path)] : [file];
    });
}

/** What of `secrets` (name → text), or of a secret's form, stands in `places`, and where. */
export function leaksIn(
  places: readonly Place[],
  secrets: Readonly<Record<string, string>>,
): string[] {
  const written = Object.entries(secrets).flatMap(([name, secret]) =>
    spellings(secret).map((text) => ({ name, text })),
  );
  return places.flatMap(({ name: place, text }) => [
    ...written.filter((one) => text.includes(one.text)).map(({ name }) => `${name} in ${place}`),
    ...Object.entries(FORMS)
      .filter(([, form]) => form.test(text))
      .map(([name]) => `${name} in ${place}`),
  ]);
}

/** As it is, and as it might have been written down without a second thought. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  // The first and last characters of base64 depend on what stands beside.
  const encoded = [0, 1, 2].map((before) => {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    return shifted.slice(4, -4);
  });
  const all = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)];
  return [...new Set([...all, bytes.toString('hex'), ...encoded])];
}

function rowsOf(path: string): Place[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    return tables.map((table) => {
      const name = String(table['name']);
      const statement = database.prepare(`SELECT * FROM "${name}"`);
      statement.setReadBigInts(true);
      const rows = statement.all();
      const cells = rows.map((row) => Object.values(row).map(textOf).join('\t'));
      return { name: `${path}, table ${name}`, text: cells.join('\n') };
    });
  } finally {
    database.close();
  }
}

function textOf(cell: unknown): string {
  return cell instanceof Uint8Array ? Buffer.from(cell).toString('latin1') : String(cell);
}
