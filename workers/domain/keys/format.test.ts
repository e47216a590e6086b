import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newId } from '../ids';
import { REGIONS } from '../region';
import { parseKey, redactKey, SECRET_BYTES, signedKey, tagText, unsignedKey } from './format';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const parts = fc.record({
  tagVersion: fc.integer({ min: 1, max: 99 }).map(String),
  region: fc.constantFrom(...REGIONS),
  walletId: bytes(10).map((random) => newId('wallet', 1_780_000_000_000, random)),
  keyId: bytes(10).map((random) => newId('key', 1_790_000_000_000, random)),
  secretBytes: bytes(SECRET_BYTES),
});
const EXAMPLE_PARTS = {
  tagVersion: '1',
  region: 'weur',
  walletId: newId('wallet', 1_780_000_000_000, new Uint8Array(10).fill(7)),
  keyId: newId('key', 1_790_000_000_000, new Uint8Array(10).fill(8)),
  secretBytes: new Uint8Array(SECRET_BYTES).fill(9),
} as const;
const EXAMPLE = signedKey(unsignedKey(EXAMPLE_PARTS), new Uint8Array(16).fill(200));

describe('a key', () => {
  it('is read back as it was written, for all parts', () => {
    fc.assert(
      fc.property(parts, bytes(32), (given, mac) => {
        const unsigned = unsignedKey(given);
        expect(parseKey(signedKey(unsigned, mac))).toEqual({
          tagVersion: given.tagVersion,
          region: given.region,
          walletId: given.walletId,
          keyId: given.keyId,
          signed: unsigned,
          tag: tagText(mac),
        });
      }),
    );
  });

  it('is all of version, region, wallet, key, secret and tag', () => {
    expect(EXAMPLE).toMatch(/^cr_1weur(_[1-9A-HJ-NP-Za-km-z]{22}){4}$/);
  });

  it('covers everything but the tag by the HMAC', () => {
    const key = parseKey(EXAMPLE);
    expect(`${key?.signed}_${key?.tag}`).toBe(EXAMPLE);
  });

  it('differs in what is signed or in its tag after any change that keeps the shape', () => {
    const position = fc.nat({ max: EXAMPLE.length - 1 });
    const letter = fc.constantFrom(...'123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz');
    fc.assert(
      fc.property(position, letter, (at, other) => {
        fc.pre(EXAMPLE[at] !== other);
        const changed = parseKey(EXAMPLE.slice(0, at) + other + EXAMPLE.slice(at + 1));
        const original = parseKey(EXAMPLE);
        const same = changed?.signed === original?.signed && changed?.tag === original?.tag;
        expect(same).toBe(false);
      }),
    );
  });

  it('is refused with any one character taken out', () => {
    for (let at = 0; at < EXAMPLE.length; at += 1) {
      expect(parseKey(EXAMPLE.slice(0, at) + EXAMPLE.slice(at + 1))).toBe(null);
    }
  });

  it('is refused with a character at any place that belongs to no key', () => {
    for (const foreign of ['0', 'O', 'I', 'l', '-', ' ', '\n', '\0', '+', 'é', '１', '']) {
      if (foreign === '') continue;
      for (let at = 0; at <= EXAMPLE.length; at += 1) {
        const replaced = EXAMPLE.slice(0, at) + foreign + EXAMPLE.slice(at + 1);
        const inserted = EXAMPLE.slice(0, at) + foreign + EXAMPLE.slice(at);
        expect(parseKey(replaced)).toBe(null);
        // "10" is the one place where a zero belongs: behind the version's first digit.
        if (!(foreign === '0' && at === 4)) expect(parseKey(inserted)).toBe(null);
      }
    }
  });

  it('is refused with a base58 character too many, the second digit of the version apart', () => {
    for (let at = 0; at <= EXAMPLE.length; at += 1) {
      if (at === 3 || at === 4) continue;
      expect(parseKey(`${EXAMPLE.slice(0, at)}1${EXAMPLE.slice(at)}`)).toBe(null);
    }
  });

  it('is refused under another name, version or region', () => {
    const rest = EXAMPLE.slice('cr_1weur'.length);
    for (const start of ['', 'sk_1weur', 'CR_1weur', 'cr_0weur', 'cr_weur', 'cr_100weur', 'cr_1']) {
      expect(parseKey(start + rest)).toBe(null);
    }
    for (const region of ['WEUR', 'xx', 'weu', 'weurr', 'eu']) {
      expect(parseKey(`cr_1${region}${rest}`)).toBe(null);
    }
  });

  it('is refused at any length that no key has', () => {
    for (const text of ['', 'cr_', EXAMPLE + EXAMPLE, 'cr_1weur_'.repeat(120_000)]) {
      expect(parseKey(text)).toBe(null);
    }
  });

  it('cannot be made with a version or a secret that the grammar has no room for', () => {
    for (const tagVersion of ['', '0', '01', '100', '1a', '-1']) {
      expect(() => unsignedKey({ ...EXAMPLE_PARTS, tagVersion })).toThrow(RangeError);
    }
    for (const length of [0, 15, 17]) {
      const secretBytes = new Uint8Array(length);
      expect(() => unsignedKey({ ...EXAMPLE_PARTS, secretBytes })).toThrow(RangeError);
    }
  });
});

describe('tagText', () => {
  it('is made of the first 16 bytes', () => {
    const mac = Uint8Array.from({ length: 32 }, (_, index) => index);
    expect(tagText(mac)).toBe(tagText(mac.slice(0, 16)));
    expect(tagText(mac)).not.toBe(tagText(mac.with(15, 99)));
    expect(tagText(mac)).toBe(tagText(mac.with(16, 99)));
  });

  it('refuses a tag that is too short to prove anything', () => {
    expect(() => tagText(new Uint8Array(15))).toThrow(RangeError);
  });
});

describe('redactKey', () => {
  it('shows where a key belongs and how it ends, no more', () => {
    expect(redactKey(EXAMPLE)).toBe(`cr_1weur_…${EXAMPLE.slice(-4)}`);
  });

  it('shows nothing of what is not a key', () => {
    for (const text of ['', 'sk-ant-api03-secret', `${EXAMPLE} `, EXAMPLE.slice(1)]) {
      expect(redactKey(text)).toBe('…');
    }
  });
});
