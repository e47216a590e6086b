// What the CLI knows of the API: the operations of workers/control/openapi.json, each with the
// fields that it takes. Flags and help follow from them, so a new field needs no line here.

import { readFileSync } from 'node:fs';
import { inProject } from '../lib/places.mjs';
import { Stop } from '../lib/say.mjs';

/**
 * @typedef {Record<string, any>} Schema
 *
 * @typedef {object} Field
 * @property {string} name as the API calls it
 * @property {string} flag as it is typed: `--amount` for `amountNanos`
 * @property {'path' | 'query' | 'body'} place
 * @property {Schema} schema
 * @property {boolean} required
 *
 * @typedef {object} Operation
 * @property {string} name
 * @property {string} method
 * @property {string} path
 * @property {string} summary
 * @property {readonly Field[]} fields
 * @property {boolean} takesBody
 * @property {boolean} isIdempotent
 * @property {boolean} givesCsv
 * @property {boolean} givesPages
 * @property {{ by: string, writes?: boolean } | null} access null: of the data plane
 */

const FILE = inProject('workers', 'control', 'openapi.json');

/** Fields that are typed under a shorter name. @type {Readonly<Record<string, string>>} */
const FLAGS = { activeHours: 'hours', modelNames: 'modelName' };

/** @type {Map<string, Operation> | null} */
let known = null;

/** Every operation, by name. */
export function operations() {
  known ??= read(JSON.parse(readFileSync(FILE, 'utf8')));
  return known;
}

/** @param {string} name */
export function operationOf(name) {
  const operation = operations().get(name);
  if (operation === undefined) throw new Stop(`The API has no operation "${name}".`);
  return operation;
}

/** @param {Schema} document @returns {Map<string, Operation>} */
function read({ paths, components }) {
  const found = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) =>
      shaped({ path, method, operation, components }),
    ),
  );
  return new Map(found.map((operation) => [operation.name, operation]));
}

/**
 * @param {{ path: string, method: string, operation: Schema, components: Schema }} given
 * @returns {Operation}
 */
function shaped({ path, method, operation, components }) {
  const parameters = operation['parameters'] ?? [];
  const body = operation['requestBody']?.content['application/json'].schema ?? {};
  const answers = Object.values(operation['responses'])[0]?.content ?? {};
  const placed = parameters.filter((/** @type {Schema} */ one) => one['in'] !== undefined);
  const fields = [
    ...placed.map((/** @type {Schema} */ one) =>
      fieldOf(one['name'], one['in'], { schema: one['schema'], required: one['required'] }),
    ),
    ...bodyFields(body, components),
  ];
  return {
    name: operation['operationId'],
    method: method.toUpperCase(),
    path,
    summary: operation['summary'],
    fields,
    takesBody: operation['requestBody'] !== undefined,
    isIdempotent: parameters.some((/** @type {Schema} */ one) => one['$ref'] !== undefined),
    givesCsv: answers['text/csv'] !== undefined,
    givesPages: answers['application/json']?.schema.properties?.next !== undefined,
    access: operation['x-access'] ?? null,
  };
}

/** The fields of a body; those of an object in it also one by one: `--usage.input`. */
function bodyFields(/** @type {Schema} */ body, /** @type {Schema} */ components) {
  const { properties = {}, required = [] } = body;
  return Object.entries(properties).flatMap(([name, given]) => {
    const schema = resolved(given, components);
    const own = fieldOf(name, 'body', { schema, required: required.includes(name) });
    const inner = schema['type'] === 'object' ? Object.entries(schema['properties'] ?? {}) : [];
    const parts = inner.map(([part, inside]) =>
      fieldOf(`${name}.${part}`, 'body', { schema: resolved(inside, components), required: false }),
    );
    return [own, ...parts];
  });
}

/** @param {Schema} schema @param {Schema} components @returns {Schema} */
function resolved(schema, components) {
  const name = /^#\/components\/schemas\/(\w+)$/.exec(schema['$ref'] ?? '')?.[1];
  return name === undefined ? schema : components['schemas'][name];
}

/**
 * @param {string} name
 * @param {Field['place']} place
 * @param {{ schema: Schema, required: boolean }} more
 * @returns {Field}
 */
function fieldOf(name, place, more) {
  const short = (FLAGS[name] ?? name)
    .replace(/(?<=.)(Nanos|Ms|At)$/, '')
    .replace(/^is([A-Z])/, (_, first) => first.toLowerCase());
  const flag = short.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return { name, flag, place, ...more };
}
