import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODE_BYTES, codeText, readCode } from './format';

const bytes = fc.uint8Array({ minLength: CODE_BYTES, maxLength: CODE_BYTES });

describe('a code', () => {
  it('has one form, without letters that look like others', () => {
    fc.assert(
      fc.property(bytes, (given) => {
        expect(codeText(given)).toMatch(/^CR(-[0-9A-HJKMNP-TV-Z]{4}){4}$/);
      }),
    );
    expect(codeText(new Uint8Array(CODE_BYTES))).toBe('CR-0000-0000-0000-0000');
    expect(codeText(new Uint8Array(CODE_BYTES).fill(255))).toBe('CR-ZZZZ-ZZZZ-ZZZZ-ZZZZ');
  });

  it('differs wherever its bytes differ', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(codeText(a) === codeText(b)).toBe(a.join() === b.join());
      }),
    );
  });

  it('is read however it was typed', () => {
    fc.assert(
      fc.property(bytes, (given) => {
        const code = codeText(given);
        const sloppy = ` ${code.toLowerCase().replaceAll('-', ' ').replaceAll('1', 'l')}\n`;
        expect(readCode(code)).toBe(code);
        expect(readCode(sloppy)).toBe(code);
        expect(readCode(`CR${code.slice(2).replaceAll('0', 'O').replaceAll('1', 'I')}`)).toBe(code);
      }),
    );
  });

  it.each(['', 'CR', 'CR-0000-0000-0000', 'CR-0000-0000-0000-000U', 'XX-0000-0000-0000-0000'])(
    'is not %j',
    (typed) => {
      expect(readCode(typed)).toBeNull();
      expect(readCode(`${typed}-0000-0000-0000-0000-0000`)).toBeNull();
    },
  );
});
