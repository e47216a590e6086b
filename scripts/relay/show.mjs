// How answers look to people: tables for lists, lines for one thing, dollars and dates for numbers.
// Names are other people's words: what would move a terminal's cursor is shown as a sign.

/** @typedef {Record<string, any>} Thing */

const NANOS_A_DOLLAR = 1_000_000_000;
const GAP = '  ';

/**
 * @param {readonly string[]} columns paths such as `wallet.balanceNanos`
 * @param {readonly Thing[]} items
 */
export function table(columns, items) {
  const rows = [
    columns.map(titleOf),
    ...items.map((item) => columns.map((column) => cellOf(column, at(item, column)))),
  ];
  const widths = columns.map((_, index) =>
    Math.max(...rows.map((row) => [...(row[index] ?? '')].length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, index) =>
        padded(cell, { column: columns[index] ?? '', width: widths[index] ?? 0 }),
      )
      .join(GAP)
      .trimEnd(),
  );
  return lines.join('\n');
}

/** @param {Thing} thing @param {string} [indent] @returns {string} */
export function lines(thing, indent = '') {
  const entries = Object.entries(thing);
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries
    .map(([name, value]) => {
      const isList = Array.isArray(value) && value.some(isThing);
      if (isList) return `${indent}${name}\n${listed(value, `${indent}${GAP}`)}`;
      if (!isThing(value)) return `${indent}${name.padEnd(width)}${GAP}${cellOf(name, value)}`;
      if (Object.keys(value).length === 0) return `${indent}${name.padEnd(width)}${GAP}-`;
      return `${indent}${name}\n${lines(value, `${indent}${GAP}`)}`;
    })
    .join('\n');
}

/** @param {readonly unknown[]} items @param {string} indent */
function listed(items, indent) {
  const things = items.filter(isThing);
  const [first] = things;
  const columns = Object.keys(first ?? {}).filter((name) => !isThing(first?.[name]));
  return table(columns, things)
    .split('\n')
    .map((line) => `${indent}${line}`)
    .join('\n');
}

/** @param {unknown} value @returns {value is Thing} */
function isThing(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {Thing} item @param {string} path */
function at(item, path) {
  return path.split('.').reduce((/** @type {any} */ value, name) => value?.[name], item);
}

/** @param {string} column */
function titleOf(column) {
  const name = column.split('.').at(-1) ?? '';
  const short = name.replace(/(?<=.)(Nanos|At)$/, '');
  return short.replaceAll(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase();
}

/** @param {string} cell @param {{ column: string, width: number }} place */
function padded(cell, { column, width }) {
  const space = ' '.repeat(Math.max(0, width - [...cell].length));
  return column.endsWith('Nanos') ? `${space}${cell}` : `${cell}${space}`;
}

/** @param {string} column @param {unknown} value @returns {string} */
function cellOf(column, value) {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'number') return numberOf(column, value);
  if (typeof value === 'string') return safe(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) {
    return value.length === 0 ? '-' : safe(value.join(', '));
  }
  return safe(JSON.stringify(value));
}

/** @param {string} column @param {number} value */
function numberOf(column, value) {
  if (column.endsWith('Nanos')) return dollars(value);
  if (/(At|^at|\.at|^asOf|^effectiveFrom|^previousUntil|^from|^to|^since|until)$/.test(column)) {
    const date = new Date(value);
    if (Number.isNaN(date.getTime())) return String(value);
    return date.toISOString().replace('T', ' ').slice(0, 19);
  }
  return String(value);
}

/** Exact: at least cents, at most nano-dollars. @param {number} nanos */
export function dollars(nanos) {
  const size = Math.abs(nanos);
  const part = String(size % NANOS_A_DOLLAR).padStart(9, '0');
  const digits = part.replace(/0{1,7}$/, '');
  return `${nanos < 0 ? '-' : ''}$${Math.floor(size / NANOS_A_DOLLAR)}.${digits}`;
}

/** Nothing in it moves the cursor, rings or hides. @param {string} text */
export function safe(text) {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\uFFFD');
}
