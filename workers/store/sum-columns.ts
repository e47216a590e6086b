// The columns that sums of requests have in every table that keeps them, and how one row is added to
// another. It names no table.

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

/** The end of an insert into `table`: what has the same `key` is added to. */
export function addingTo(
  table: string,
  key: readonly string[],
  sums: readonly string[] = SUMS,
): string {
  const added = [
    ...sums.map((name) => `${name} = ${table}.${name} + excluded.${name}`),
    ...HISTOGRAMS.map(
      (name) =>
        `${name} = (SELECT json_group_array(old.value + (excluded.${name} ->> old.key)) ` +
        `FROM json_each(${table}.${name}) AS old)`,
    ),
  ];
  return `ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${added.join(', ')}`;
}
