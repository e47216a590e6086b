import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATA_PLANE_PATHS } from '../scripts/openapi/data-plane.mjs';
import { rolesTable } from '../scripts/openapi/roles.mjs';
import { SHARED_SCHEMAS } from '../scripts/openapi/schemas.mjs';
import { GROUPS } from '../workers/control/contract/all';
import type { LimitScope } from '../workers/domain/errors';
import { ID_PREFIXES, ID_RANDOM_BYTES, newId } from '../workers/domain/ids';
import { checkLimitSet } from '../workers/domain/limits/limit-set';
import { routeOf, ROUTES } from '../workers/relay/routes';

const CONTROL = resolve(import.meta.dirname, '../workers/control');
/** Parts of contracts and what is made of them: no endpoints of their own. */
const NO_GROUPS = ['all.ts', 'client.ts', 'endpoint.ts', 'fields.ts'];

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly in?: string; readonly name?: string }[];
}

const text = readFileSync(join(CONTROL, 'openapi.json'), 'utf8');
const document = JSON.parse(text) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
};
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.values(item).map((operation) => ({ path, ...operation })),
);

describe('the list of contracts', () => {
  it('names every group of endpoints that a file of the folder exports', async () => {
    const listed = new Set<unknown>(GROUPS.map(({ endpoints }) => endpoints));
    const files = readdirSync(join(CONTROL, 'contract')).filter(
      (name) => !NO_GROUPS.includes(name) && !name.includes('.test.'),
    );
    expect(files.length).toBeGreaterThan(8);
    const forgotten: string[] = [];
    for (const file of files) {
      const exported: unknown = await import(join(CONTROL, 'contract', file));
      for (const [name, value] of Object.entries(exported ?? {})) {
        if (isGroup(value) && !listed.has(value)) forgotten.push(`${file}: ${name}`);
      }
    }
    expect(forgotten).toEqual([]);
  });
});

describe('openapi.json', () => {
  it('refers to nothing that it does not hold', () => {
    const references = [...text.matchAll(/"\$ref": "#\/components\/(\w+)\/(\w+)"/g)];
    expect(references.length).toBeGreaterThan(50);
    const lost = references.filter(
      ([, kind = '', name = '']) => document.components[kind]?.[name] === undefined,
    );
    expect(lost).toEqual([]);
  });

  it('gives every operation its own name, and every parameter of a path its line', () => {
    const names = operations.map(({ operationId }) => operationId);
    expect(new Set(names).size).toBe(names.length);
    for (const { path, parameters = [] } of operations) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const told = parameters.flatMap((one) => (one.in === 'path' ? one.name : []));
      expect([path, told]).toEqual([path, named]);
    }
  });

  it('has no schema that says nothing, but for what is open on purpose', () => {
    const empty = [...text.matchAll(/"(\w+)": \{\}/g)].map(([, name]) => name);
    // Limits as they are told, what a setting holds, and how a thing was and is in the audit.
    const open = ['additionalProperties', 'properties', 'value', 'default', 'before', 'after'];
    expect(empty.filter((name) => !open.includes(name ?? ''))).toEqual([]);
    expect(empty.length).toBeGreaterThan(0);
  });

  it('describes ids as they are made', () => {
    const patterns = [...text.matchAll(/"pattern": "(\^([a-z]+)_[^"]*)"/g)];
    expect(patterns.length).toBeGreaterThan(100);
    const kinds = Object.keys(ID_PREFIXES) as (keyof typeof ID_PREFIXES)[];
    for (const [, pattern = '', prefix] of patterns) {
      const kind = kinds.find((one) => ID_PREFIXES[one] === prefix);
      const made = kind === undefined ? '' : newId(kind, Date.now(), randomBytes(ID_RANDOM_BYTES));
      expect(made).toMatch(new RegExp(pattern));
      expect(`${prefix}_' OR 1=1`).not.toMatch(new RegExp(pattern));
    }
  });

  it('shows every operation of the data plane at an address that the router has', () => {
    const shown = Object.entries(DATA_PLANE_PATHS).flatMap(([path, item]) =>
      Object.keys(item).map((method) => {
        const route = routeOf(path.replace('{model}', 'claude-opus-5-5'));
        expect(route?.methods).toContain(method.toUpperCase());
        return route?.operation;
      }),
    );
    // What says only that somebody is there, or that something is not.
    const hidden = ['hello', 'not-offered'];
    const routed = new Set(ROUTES.map(({ operation }) => operation));
    const told = [...routed].filter((one) => !hidden.includes(one));
    expect(new Set(shown)).toEqual(new Set(told));
    expect(shown).toHaveLength(told.length);
  });
});

describe('the limits as they are described', () => {
  const HOLDERS = [
    ['KeyLimits', 'key'],
    ['HolderLimits', 'user'],
    ['HolderLimits', 'wallet'],
  ] as const satisfies readonly (readonly [string, LimitScope])[];

  it.each(HOLDERS)('are, as %s, what the rule takes for a %s', (name, holder) => {
    const schema = SHARED_SCHEMAS[name];
    fc.assert(
      fc.property(valueOf(schema, 'limits'), (value) => {
        expect(checkLimitSet(value, holder)).toMatchObject({ ok: true });
      }),
    );
    const known = Object.keys(schema.properties);
    const beyond = Object.keys(SHARED_SCHEMAS['KeyLimits'].properties).filter(
      (one) => !known.includes(one),
    );
    for (const one of beyond) {
      expect(checkLimitSet({ [one]: {} }, holder)).toMatchObject({ ok: false });
    }
  });
});

function isGroup(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const [first] = Object.values(value);
  return typeof first === 'object' && first !== null && 'method' in first && 'path' in first;
}

interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

/** Any value that `schema` allows; texts of `addresses` are addresses. */
function valueOf(schema: Schema, name: string): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.type === 'integer') {
    return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 2 ** 31 - 1 });
  }
  if (schema.type === 'array') {
    const item = name === 'addresses' ? fc.ipV4() : valueOf(schema.items ?? {}, name);
    return fc.array(item, { minLength: schema.minItems ?? 0, maxLength: schema.maxItems ?? 3 });
  }
  if (schema.type === 'string') {
    return fc.string({ minLength: schema.minLength ?? 0, maxLength: schema.maxLength ?? 10 });
  }
  const fields = Object.entries(schema.properties ?? {}).map(
    ([key, value]) => [key, valueOf(value, key)] as const,
  );
  const { required } = schema;
  const options =
    name === 'limits' ? { requiredKeys: [] } : { requiredKeys: [...(required ?? [])] };
  return fc.record(Object.fromEntries(fields), options);
}

describe('the table of who may call what', () => {
  const lines = rolesTable(document.paths).split('\n');
  const linesOf = (method: string, path: string) =>
    lines.filter((line) => line.split(/ +/).slice(0, 2).join(' ') === `${method} ${path}`);

  it('has a line of every operation of the control plane, and of nothing else', () => {
    const endpoints = GROUPS.flatMap(({ endpoints: group }) => Object.values(group));
    expect(lines).toHaveLength(endpoints.length + 1);
    for (const { method, path } of endpoints) {
      expect([method, path, linesOf(method, path).length]).toEqual([method, path, 1]);
    }
  });

  it.each([
    ['/api/auth/login', 'POST', ['yes', 'yes', 'yes', 'yes', '-']],
    ['/api/tokens', 'GET', ['-', 'yes', 'yes', 'yes', '-']],
    ['/api/tokens', 'POST', ['-', 'yes', '-', 'yes', '-']],
    ['/admin/users', 'GET', ['-', '-', 'yes', 'yes', 'a token: read:users']],
    ['/admin/users', 'POST', ['-', '-', '-', 'yes', 'a token: write:users']],
    ['/admin/service-tokens', 'POST', ['-', '-', '-', 'yes', '-']],
    ['/metrics', 'GET', ['-', '-', '-', '-', 'the metrics secret']],
  ])('says of %s by %s: %j', (path, method, expected) => {
    expect(linesOf(method, path)[0]?.split(/ {2,}/).slice(2)).toEqual(expected);
  });
});
