// The models that the sandbox lists. By id it answers for any model: it is none of them.

const IDS = [
  'claude-opus-5-5',
  'claude-sonnet-5-5',
  'claude-haiku-5-5',
  'claude-sonnet-4-5',
  'claude-haiku-4-5',
];

/** The list, in one page. */
export function models() {
  return {
    data: IDS.map(modelById),
    has_more: false,
    first_id: IDS[0],
    last_id: IDS.at(-1),
  };
}

/** @param {string} id */
export function modelById(id) {
  return {
    type: 'model',
    id,
    display_name: `Sandbox in place of ${id}`,
    created_at: '2026-01-01T00:00:00Z',
    max_input_tokens: 200_000,
    max_tokens: 64_000,
  };
}
