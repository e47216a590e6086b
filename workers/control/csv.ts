// Comma-separated values for downloads (RFC 4180). A cell that a spreadsheet would take for a
// formula is made text: a name that somebody chose must not run on an admin's machine.

type Cell = string | number | boolean | null;

/** Columns by name, in this order. */
export type Columns<T> = Readonly<Record<string, (item: T) => Cell>>;

/** The text of `items`, a header line first. */
export function csvOf<T>(columns: Columns<T>, items: readonly T[]): string {
  const lines = [
    Object.keys(columns),
    ...items.map((item) => Object.values(columns).map((column) => column(item))),
  ];
  return lines.map((cells) => `${cells.map(cellOf).join(',')}\r\n`).join('');
}

/** The answer of an endpoint that can give a file. */
export function csvAnswer(
  name: string,
  text: string,
): { readonly ok: true; readonly value: Response } {
  const headers = {
    'content-type': 'text/csv; charset=utf-8; header=present',
    'content-disposition': `attachment; filename="${name}.csv"`,
  };
  return { ok: true, value: new Response(text, { headers }) };
}

function cellOf(value: Cell): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
