// The columns that sums of requests have in every table that keeps them, and how one row is added
// to another. It names no table.

/** Tokens by class and money. */
export const COUNTS = [
  'input_tokens',
  'cache_write_5m_tokens',
  'cache_write_1h_tokens',
  'cache_read_tokens',
  'output_tokens',
  'web_searches',
  'cost_nanos',
] as const;

export const SUMS = ['requests', ...COUNTS] as const;

export const HISTOGRAMS = ['total_histogram', 'first_byte_histogram'] as const;

/**
 * How histograms are stored: of rollups all buckets as a JSON array, of what is made of rollups a
 * JSON object of those that count something.
 */
export type Form = 'array' | 'object';

/** The end of an insert into `table`: what has the same `key` is added to. */
export function addingTo(
  table: string,
  key: readonly string[],
  { sums = SUMS, form }: { readonly sums?: readonly string[]; readonly form: Form },
): string {
  const added = [
    ...sums.map((name) => `${name} = ${table}.${name} + excluded.${name}`),
    ...HISTOGRAMS.map((name) => `${name} = ${ADD[form](`${table}.${name}`, `excluded.${name}`)}`),
  ];
  return `ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${added.join(', ')}`;
}

const ADD: Readonly<Record<Form, (old: string, more: string) => string>> = {
  array: (old, more) =>
    `(SELECT json_group_array(old.value + (${more} ->> old.key)) FROM json_each(${old}) AS old)`,
  object: (old, more) =>
    objectOf(
      [old, more].map((text) => `SELECT key, value FROM json_each(${text})`).join(' UNION ALL '),
    ),
};

/** The histogram as an object that `buckets`, a query of keys and values, come to. */
export function objectOf(buckets: string): string {
  return (
    '(SELECT json_group_object(bucket, count) FROM (' +
    `SELECT CAST(key AS INTEGER) AS bucket, sum(value) AS count FROM (${buckets}) ` +
    'GROUP BY 1 HAVING sum(value) <> 0))'
  );
}
