import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JSON_DEPTH_MAX, JsonCursor, knownKeys } from './json-cursor';

const encoder = new TextEncoder();
const KNOWN = knownKeys(['model', 'file_id', 'a', 'b']);

function cursorOver(text: string): JsonCursor {
  return new JsonCursor(encoder.encode(text), KNOWN);
}

/** Whether the whole is accepted when it is skipped at once. */
function acceptsBySkipping(text: string): boolean {
  const cursor = cursorOver(text);
  cursor.skip();
  return cursor.finish();
}

/** Whether the whole is accepted when every value is walked through the public calls. */
function acceptsByWalking(text: string): boolean {
  const cursor = cursorOver(text);
  walk(cursor);
  return cursor.finish();
}

function walk(cursor: JsonCursor): void {
  if (cursor.enterObject()) {
    while (cursor.nextKey() !== null) walk(cursor);
  } else if (cursor.enterArray()) {
    while (cursor.nextElement()) walk(cursor);
  } else if (cursor.kind() === 'number') {
    cursor.readNumber();
  } else {
    cursor.readString(1e9);
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Rebuilds a value through the cursor alone, keys included when they are known. */
function rebuild(cursor: JsonCursor, keys: ReadonlySet<string>): unknown {
  if (cursor.enterObject()) {
    const found: Record<string, unknown> = {};
    for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
      const value = rebuild(cursor, keys);
      if (keys.has(key)) found[key] = value;
    }
    return found;
  }
  if (cursor.enterArray()) {
    const found: unknown[] = [];
    while (cursor.nextElement()) found.push(rebuild(cursor, keys));
    return found;
  }
  const kind = cursor.kind();
  if (kind === 'string') return cursor.readString(1e9);
  if (kind === 'number') return cursor.readNumber();
  cursor.skip();
  return kind === 'null' ? null : kind === 'true';
}

/** JSON of the value with random white space between its tokens. */
const spaced = fc
  .tuple(fc.jsonValue(), fc.array(fc.constantFrom(' ', '\n', '\t', '\r', ''), { minLength: 1 }))
  .map(([value, spaces]) => {
    let turn = 0;
    const tokens = JSON.stringify(value).match(/"(?:\\.|[^"\\])*"|[[\]{}:,]|[^"[\]{}:,]+/gu) ?? [];
    const space = (): string => spaces[turn++ % spaces.length] ?? '';
    return space() + tokens.map((token) => token + space()).join('');
  });

/** A document whose strings hold letters only: whatever breaks it breaks its structure. */
const plainDocument = fc
  .letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 80 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.constantFrom(true, false, null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'model', 'other'), tie('value'), { maxKeys: 4 }),
    ),
  }))
  .value.map((value) => JSON.stringify(value));

/** One change that can only touch structure: no backslash and no control character comes in. */
const corruption = fc.record({
  at: fc.nat(),
  remove: fc.nat({ max: 3 }),
  insert: fc.string({
    unit: fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '0',
      '1',
      '-',
      '+',
      '.',
      'e',
      ' ',
      't',
    ),
    maxLength: 3,
  }),
});

describe('JsonCursor against JSON.parse', () => {
  it('accepts every document that JSON.parse accepts, walked or skipped', () => {
    fc.assert(
      fc.property(spaced, (text) => {
        expect(parses(text)).toBe(true);
        expect(acceptsBySkipping(text)).toBe(true);
        expect(acceptsByWalking(text)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('judges structurally corrupted documents exactly as JSON.parse does', () => {
    fc.assert(
      fc.property(plainDocument, corruption, (text, { at, remove, insert }) => {
        const from = at % (text.length + 1);
        const broken = text.slice(0, from) + insert + text.slice(from + remove);
        const judged = parses(broken);
        expect(acceptsBySkipping(broken)).toBe(judged);
        expect(acceptsByWalking(broken)).toBe(judged);
      }),
      { numRuns: 3_000 },
    );
  });

  it('refuses every true prefix of a document with brackets', () => {
    const text = '{"a":[1,-2.5e+3,{"b":"x\\"y"},true,false,null],"model":{}}';
    for (let end = 0; end < text.length; end += 1) {
      expect(acceptsBySkipping(text.slice(0, end))).toBe(false);
      expect(acceptsByWalking(text.slice(0, end))).toBe(false);
    }
    expect(acceptsBySkipping(text)).toBe(true);
  });

  it('reads strings, numbers and known keys as JSON.parse does', () => {
    const names = ['model', 'file_id', 'a', 'b'];
    const document = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'binary' }),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
        fc.constantFrom(true, false, null),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie('value'), {
          maxKeys: 4,
          noNullPrototype: true,
        }),
      ),
    })).value;
    fc.assert(
      fc.property(document, (value) => {
        const text = JSON.stringify(value);
        const cursor = cursorOver(text);
        expect(rebuild(cursor, new Set(names))).toEqual(JSON.parse(encoded(text)));
        expect(cursor.finish()).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

/** Lone surrogates become U+FFFD in UTF-8 (JSON.stringify escapes them, so they stay). */
function encoded(text: string): string {
  return new TextDecoder().decode(encoder.encode(text));
}

describe('JsonCursor on strings', () => {
  it('finds the end of strings wherever backslashes and quotes lie', () => {
    for (let length = 0; length < 150; length += 1) {
      for (const tail of ['\\"', '\\\\', '\\\\\\"', '\\\\\\\\', 'é', '\\u0022']) {
        const text = `["${'x'.repeat(length)}${tail}${'y'.repeat(70)}${tail}",1]`;
        expect(parses(text)).toBe(true);
        expect(acceptsBySkipping(text)).toBe(true);
        expect(acceptsBySkipping(text.slice(0, -3))).toBe(false);
      }
    }
  });

  it('gives byte ranges of the inside, counted in bytes and not in characters', () => {
    const cursor = cursorOver('["日本","a\\"b"]');
    expect(cursor.enterArray()).toBe(true);
    expect(cursor.nextElement()).toBe(true);
    expect(cursor.readRange()).toEqual([2, 8]);
    expect(cursor.nextElement()).toBe(true);
    const range = cursor.readRange();
    expect(range).toEqual([11, 15]);
    expect(cursor.textOf(range ?? [1, 1])).toBe('a"b');
  });

  it('knows a key that is written with escapes', () => {
    const cursor = cursorOver('{"file\\u005fid":1,"fil\\u0065_ix":2}');
    expect(cursor.enterObject()).toBe(true);
    expect(cursor.nextKey()).toBe('file_id');
    expect(cursor.readNumber()).toBe(1);
    expect(cursor.nextKey()).toBe('');
  });

  it('answers null for a string over the bound and goes on behind it', () => {
    const cursor = cursorOver('["abcdef",7]');
    cursor.enterArray();
    cursor.nextElement();
    expect(cursor.readString(5)).toBeNull();
    expect(cursor.nextElement()).toBe(true);
    expect(cursor.readNumber()).toBe(7);
  });

  it('leaves the inside of skipped strings alone and refuses a broken one that is read', () => {
    expect(acceptsBySkipping('"\\x"')).toBe(true);
    const cursor = cursorOver('"\\x"');
    expect(cursor.readString(10)).toBeNull();
    expect(cursor.problem).toEqual({ message: 'string is not valid', position: 1 });
  });
});

describe('JsonCursor on hostile documents', () => {
  it('accepts nesting up to the bound and refuses one level more', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(acceptsBySkipping(nested(JSON_DEPTH_MAX))).toBe(true);
    expect(acceptsBySkipping(nested(JSON_DEPTH_MAX + 1))).toBe(false);
    expect(acceptsBySkipping('['.repeat(100_000))).toBe(false);
    expect(acceptsBySkipping('{"a":'.repeat(100_000))).toBe(false);
  });

  it('names the byte where the first problem showed and stays stopped', () => {
    const cursor = cursorOver('{"a":1,}');
    cursor.skip();
    expect(cursor.problem).toEqual({ message: 'expected a key in quotes', position: 7 });
    expect(cursor.kind()).toBe('none');
    expect(cursor.nextKey()).toBeNull();
    expect(cursor.nextElement()).toBe(false);
    expect(cursor.finish()).toBe(false);
  });

  it('refuses a byte order mark, an empty body and anything after the document', () => {
    expect(acceptsBySkipping('\ufeff{}')).toBe(false);
    expect(acceptsBySkipping('')).toBe(false);
    expect(acceptsBySkipping('  ')).toBe(false);
    expect(acceptsBySkipping('{} {}')).toBe(false);
    expect(acceptsBySkipping('{}\u0000')).toBe(false);
  });
});

describe('JsonCursor over part of a buffer', () => {
  it('finds the same strings wherever the bytes begin in memory', () => {
    const text = String.raw`{"a":"x\"yz\\","bb":"\\\"ends here","ccc":"${'plain '.repeat(9)}"}`;
    for (let offset = 0; offset < 8; offset += 1) {
      const whole = new TextEncoder().encode(' '.repeat(offset) + text);
      const cursor = new JsonCursor(whole.subarray(offset), knownKeys(['bb']));
      cursor.enterObject();
      expect(cursor.nextKey()).toBe('');
      cursor.skip();
      expect(cursor.nextKey()).toBe('bb');
      expect(cursor.readString(100)).toBe(String.raw`\"ends here`);
      expect(cursor.nextKey()).toBe('');
      cursor.skip();
      expect(cursor.nextKey()).toBe(null);
      expect(cursor.finish()).toBe(true);
    }
  });
});
