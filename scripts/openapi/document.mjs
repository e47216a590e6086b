// The description of the whole API as OpenAPI 3.1: the control plane from its contracts, the data
// plane in short (its formats are those of the provider).

import * as z from 'zod/mini';
import { COMPONENTS } from './components.mjs';
import { DATA_PLANE_GROUP, DATA_PLANE_PATHS } from './data-plane.mjs';
import { SHARED_SCHEMAS } from './schemas.mjs';

/**
 * @typedef {Record<string, any>} Json
 *
 * @typedef {{ by: 'anyone' | 'admin' } | { by: 'person', writes: boolean }
 *   | { by: 'staff', area: string, writes: boolean }
 *   | { by: 'secret', secret: string }} Access
 *
 * @typedef {object} Endpoint what workers/control/contract/endpoint.ts says of one
 * @property {string} name
 * @property {string} method
 * @property {string} path
 * @property {Access} access
 * @property {string} summary
 * @property {import('zod/mini').ZodMiniType} [query]
 * @property {import('zod/mini').ZodMiniType} [body]
 * @property {import('zod/mini').ZodMiniType} [answer]
 * @property {number} [status]
 * @property {true} [idempotent]
 * @property {readonly string[]} [produces]
 *
 * @typedef {object} Group
 * @property {string} title
 * @property {string} summary
 * @property {Record<string, Endpoint>} endpoints
 */

/** What is named in a contract by its title and described by hand (schemas.mjs). */
const NAMED = Object.keys(SHARED_SCHEMAS);

/** @param {readonly Group[]} groups @returns {Json} */
export function documentOf(groups) {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cloud Relay',
      version: '1',
      summary: 'An LLM relay at the edge: keys, limits, prepaid credit.',
      description:
        'Money is whole nano-dollars in fields named …Nanos, instants are Unix milliseconds in ' +
        'fields named …At. Lists are paged: send `next` of a page as `cursor` of the following ' +
        'one. Unknown fields are refused. What belongs to somebody else answers 404.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'This relay' }],
    tags: [DATA_PLANE_GROUP, ...groups.map(tagOf)],
    paths: { ...DATA_PLANE_PATHS, ...pathsOf(groups) },
    components: { ...COMPONENTS, responses, schemas: { ...COMPONENTS.schemas, ...SHARED_SCHEMAS } },
  };
}

/** @param {Group} group */
function tagOf({ title, summary }) {
  return { name: title, description: summary };
}

/** @param {readonly Group[]} groups */
function pathsOf(groups) {
  /** @type {Json} */
  const paths = {};
  for (const { title, endpoints } of groups) {
    for (const endpoint of Object.values(endpoints)) {
      const operations = (paths[endpoint.path] ??= {});
      operations[endpoint.method.toLowerCase()] = operationOf(endpoint, title);
    }
  }
  return paths;
}

/** @param {Endpoint} endpoint @param {string} tag */
function operationOf(endpoint, tag) {
  const { name, summary, access, body } = endpoint;
  const parameters = parametersOf(endpoint);
  return {
    operationId: name,
    tags: [tag],
    summary,
    'x-access': access,
    security: securityOf(access),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: bodyOf(body) }),
    responses: responsesOf(endpoint),
  };
}

/** @param {Endpoint['access']} access */
function securityOf(access) {
  switch (access.by) {
    case 'anyone':
      return [];
    case 'secret':
      return [{ [`${access.secret}Secret`]: [] }];
    case 'person':
    case 'admin':
      return [{ cookie: [] }, { bearer: [] }];
    case 'staff':
      return [{ cookie: [] }, { bearer: [] }, { serviceToken: [] }];
  }
}

/** @param {Endpoint} endpoint @returns {Json[]} */
function parametersOf({ path, query, idempotent }) {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const { properties = {}, required = [] } = query === undefined ? {} : schemaOf(query, 'input');
  const inQuery = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
  const inHeader = idempotent ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : [];
  return [...inPath, ...inQuery, ...inHeader];
}

/** @param {import('zod/mini').ZodMiniType} body */
function bodyOf(body) {
  const schema = schemaOf(body, 'input');
  const required = (schema['required'] ?? []).length > 0;
  return { required, content: { 'application/json': { schema } } };
}

/** @param {Endpoint} endpoint @returns {Json} */
function responsesOf(endpoint) {
  const { answer, status = 200, produces = [], access, query, body, path, idempotent } = endpoint;
  /** @type {Json} */
  const content = {};
  if (answer !== undefined) content['application/json'] = { schema: schemaOf(answer, 'output') };
  for (const type of produces) content[type] ??= { schema: { type: 'string' } };
  const hasContent = Object.keys(content).length > 0;
  const refusals = [
    ...(query === undefined && body === undefined ? [] : ['400']),
    ...(access.by === 'anyone' ? [] : ['401', '403']),
    ...(path.includes('{') ? ['404'] : []),
    ...(idempotent ? ['409'] : []),
  ];
  return {
    [status]: { description: 'Done.', ...(hasContent ? { content } : {}) },
    ...Object.fromEntries(
      [...refusals, 'default'].map((code) => [code, { $ref: `#/components/responses/${code}` }]),
    ),
  };
}

const REFUSED = {
  400: 'Not valid: `error.fields` says where.',
  401: 'Nobody is logged in, or the login has ended.',
  403: 'The role, the scope or the origin does not allow it.',
  404: 'There is none, or it is somebody else’s.',
  409: 'The Idempotency-Key was used for another call, or the state does not allow it.',
  default: 'Refused; `error.code` says why.',
};

const ERROR = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };
const responses = Object.fromEntries(
  Object.entries(REFUSED).map(([code, description]) => [code, { description, content: ERROR }]),
);

/** @param {import('zod/mini').ZodMiniType} schema @param {'input' | 'output'} io @returns {Json} */
function schemaOf(schema, io) {
  const { $schema: _, ...made } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return tidied(made);
}

/**
 * Without what says nothing (the largest safe integer), with whole ids, and with references to what
 * has a name.
 * @param {any} schema
 * @returns {any}
 */
function tidied(schema) {
  if (Array.isArray(schema)) return schema.map(tidied);
  if (typeof schema !== 'object' || schema === null) return schema;
  if (NAMED.includes(schema.title)) return { $ref: `#/components/schemas/${schema.title}` };
  const [, prefix] = ID_PATTERN.exec(schema.pattern ?? '') ?? [];
  if (prefix !== undefined) return { ...schema, pattern: `^${prefix}_${BASE58}{22}$` };
  const kept = Object.entries(schema).filter(
    ([name, value]) => !(BOUNDS.includes(name) && Math.abs(value) === Number.MAX_SAFE_INTEGER),
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, tidied(value)]));
}

const BOUNDS = ['minimum', 'maximum'];
/** Of an id zod tells the prefix; what follows is the same of all (workers/domain/ids.ts). */
const ID_PATTERN = /^\^([a-z]+)_\[\\s\\S\]\{0,\}\$$/;
const BASE58 = '[1-9A-HJ-NP-Za-km-z]';
