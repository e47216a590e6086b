import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IdKind } from './ids';
import {
  bareId,
  base58,
  ID_PREFIXES,
  ID_RANDOM_BYTES,
  isId,
  madeBefore,
  newId,
  prefixedId,
} from './ids';

const KINDS = Object.keys(ID_PREFIXES) as IdKind[];
const kinds = fc.constantFrom(...KINDS);
const chance = fc.uint8Array({ minLength: ID_RANDOM_BYTES, maxLength: ID_RANDOM_BYTES });
const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });

describe('newId', () => {
  it('makes an id of its kind, and of no other', () => {
    fc.assert(
      fc.property(kinds, time, chance, (kind, now, random) => {
        const id = newId(kind, now, random);
        expect(KINDS.filter((other) => isId(other, id))).toEqual([kind]);
      }),
    );
  });

  it('tells of a request whether it was made before a time', () => {
    fc.assert(
      fc.property(time, time, chance, (made, asked, random) => {
        expect(madeBefore(newId('request', made, random), asked)).toBe(made < asked);
      }),
    );
    expect(madeBefore(newId('request', 0, new Uint8Array(ID_RANDOM_BYTES)), -1)).toBe(false);
  });

  it('sorts by the time it was made, whatever the chance was', () => {
    fc.assert(
      fc.property(fc.tuple(time, chance), fc.tuple(time, chance), (a, b) => {
        fc.pre(a[0] !== b[0]);
        const [earlier, later] = a[0] < b[0] ? [a, b] : [b, a];
        expect(newId('request', ...earlier) < newId('request', ...later)).toBe(true);
      }),
    );
  });

  it('tells ids of the same millisecond apart by every random byte', () => {
    const base = new Uint8Array(ID_RANDOM_BYTES);
    const ids = new Set([newId('key', 1, base)]);
    for (let index = 0; index < ID_RANDOM_BYTES; index += 1) {
      ids.add(newId('key', 1, base.with(index, 1)));
    }
    expect(ids.size).toBe(ID_RANDOM_BYTES + 1);
  });

  it('refuses fewer or more random bytes', () => {
    expect(() => newId('key', 1, new Uint8Array(9))).toThrow(RangeError);
    expect(() => newId('key', 1, new Uint8Array(16))).toThrow(RangeError);
  });
});

describe('bareId', () => {
  it('is undone by prefixedId', () => {
    fc.assert(
      fc.property(kinds, time, chance, (kind, now, random) => {
        const id = newId(kind, now, random);
        expect(bareId(id)).toHaveLength(22);
        expect(prefixedId(kind, bareId(id))).toBe(id);
      }),
    );
  });
});

describe('prefixedId', () => {
  it('refuses what is not 22 characters of base58', () => {
    const bare = '1'.repeat(22);
    expect(prefixedId('wallet', bare)).toBe(`wal_${bare}`);
    for (const wrong of ['', bare.slice(1), `${bare}1`, `${bare.slice(1)}0`, `${bare.slice(1)}l`]) {
      expect(() => prefixedId('wallet', wrong)).toThrow(RangeError);
    }
  });
});

describe('base58', () => {
  const hex = (bytes: Uint8Array): string =>
    Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

  it('keeps the order of the bytes', () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        const left = base58(a, 22);
        const right = base58(b, 22);
        expect(left < right).toBe(hex(a) < hex(b));
        expect(left === right).toBe(hex(a) === hex(b));
      }),
    );
  });

  it('fits 16 bytes of ones into 22 characters', () => {
    expect(base58(new Uint8Array(16).fill(255), 22)).toHaveLength(22);
    expect(base58(new Uint8Array(16), 22)).toBe('1'.repeat(22));
  });
});

describe('isId', () => {
  it('refuses another prefix, another length, and what surrounds an id', () => {
    const bare = 'z'.repeat(22);
    expect(isId('user', `usr_${bare}`)).toBe(true);
    const wrong = [`wal_${bare}`, `usr_${bare}z`, ` usr_${bare}`, `usr_${bare}\n`, bare, ''];
    for (const text of wrong) expect(isId('user', text)).toBe(false);
  });
});
