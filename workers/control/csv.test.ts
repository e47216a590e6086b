import { describe, expect, it } from 'vitest';
import { csvOf } from './csv';

const one = { value: (item: { readonly is: string | number | boolean | null }) => item.is };

describe('a file of values', () => {
  it.each([
    ['plain', 'plain'],
    ['a,b', '"a,b"'],
    ['say "x"', '"say ""x"""'],
    ['two\nlines', '"two\nlines"'],
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['=a,"b"', '"\'=a,""b"""'],
    [-1, '-1'],
    [true, 'true'],
    [null, ''],
    ['', ''],
  ])('writes %j as %s', (is, written) => {
    expect(csvOf(one, [{ is }])).toBe(`value\r\n${written}\r\n`);
  });

  it('has a header even with nothing below it', () => {
    expect(csvOf({ a: () => 1, b: () => 2 }, [])).toBe('a,b\r\n');
  });
});
