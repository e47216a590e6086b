// A small input that fits a tool's JSON schema: its required properties, with a plain value each.

const DEPTH_MAX = 5;

/**
 * @param {unknown} schema
 * @param {number} [depth]
 * @returns {Record<string, unknown>}
 */
export function sampleInput(schema, depth = 0) {
  const { properties, required } = fields(schema);
  const names = Array.isArray(required) ? required.map(String) : [];
  return Object.fromEntries(names.map((name) => [name, value(fields(properties)[name], depth)]));
}

/** @param {unknown} schema @param {number} depth @returns {unknown} */
function value(schema, depth) {
  const { type, enum: choices, default: otherwise } = fields(schema);
  if (otherwise !== undefined) return otherwise;
  if (Array.isArray(choices)) return choices[0];
  switch (Array.isArray(type) ? type[0] : type) {
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return true;
    case 'array':
      return [];
    case 'object':
      return depth < DEPTH_MAX ? sampleInput(schema, depth + 1) : {};
    case 'null':
      return null;
    default:
      return 'sandbox';
  }
}

/** @param {unknown} thing @returns {Record<string, unknown>} */
function fields(thing) {
  return typeof thing === 'object' && thing !== null ? { ...thing } : {};
}
