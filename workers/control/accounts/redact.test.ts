import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redacted } from './redact';

const SECRET = 'sk-ant-api03-Zk3Vd9QmT7wX';

describe('redacted', () => {
  it.each([
    [`bad key ${SECRET}!`, 'bad key [sealed]!'],
    [`bad key ${SECRET.toUpperCase()}!`, 'bad key [sealed]!'],
    [`it begins ${SECRET.slice(0, 12)} it says`, 'it begins [sealed] it says'],
    [`it ends ${SECRET.slice(-9)} it says`, 'it ends [sealed] it says'],
    [`as ${btoa(SECRET)} in base64`, 'as [sealed] in base64'],
    ['nothing of it', 'nothing of it'],
    ['lines\r\nand\u0000nulls', 'lines and nulls'],
    ['', ''],
  ])('of %j shows %j', (text, shown) => {
    expect(redacted(text, SECRET, 500)).toBe(shown);
  });

  it('cuts after it has looked, so that no half of a secret stands at the end', () => {
    expect(redacted(`key: ${SECRET}`, SECRET, 12)).toBe('key: [sealed');
  });

  it('finds a text that must be encoded in an address', () => {
    expect(redacted('?key=a%2Fb%2Bc%2Fd%2Be', 'a/b+c/d+e', 500)).toBe('?key=[sealed]');
  });

  it('never shows eight characters of the secret, wherever it stands', () => {
    const texts = fc.string({ maxLength: 30 });
    const cuts = fc.tuple(fc.nat(SECRET.length), fc.nat(SECRET.length));
    fc.assert(
      fc.property(texts, texts, cuts, (before, after, [one, other]) => {
        const piece = SECRET.slice(Math.min(one, other), Math.max(one, other));
        const shown = redacted(`${before}${piece}${after}`, SECRET, 500);
        for (let at = 0; at + 8 <= SECRET.length; at += 1) {
          expect(shown).not.toContain(SECRET.slice(at, at + 8));
        }
      }),
    );
  });
});
