import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addNanos,
  divideUp,
  formatDollars,
  nanos,
  nanosFromDollars,
  nanosFromPicosUp,
  subtractNanos,
} from './money';

describe('nanos', () => {
  it('refuses whatever is not a safe integer', () => {
    for (const value of [0.5, Number.NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53)]) {
      expect(() => nanos(value)).toThrow(RangeError);
    }
  });

  it('knows only one zero', () => {
    expect(Object.is(nanos(-0), 0)).toBe(true);
  });

  it('refuses a sum or a difference that leaves the safe integers', () => {
    const most = nanos(Number.MAX_SAFE_INTEGER);
    expect(() => addNanos(most, nanos(1))).toThrow(RangeError);
    expect(subtractNanos(nanos(0), most)).toBe(Number.MIN_SAFE_INTEGER);
    expect(() => subtractNanos(nanos(-1), most)).toThrow(RangeError);
  });

  it('adds nothing up to zero', () => {
    expect(addNanos()).toBe(0);
  });

  it('takes back by subtracting what it added', () => {
    const amount = fc.integer({ min: -1e15, max: 1e15 });
    fc.assert(
      fc.property(amount, amount, (a, b) => {
        expect(subtractNanos(addNanos(nanos(a), nanos(b)), nanos(b))).toBe(a);
      }),
    );
  });
});

describe('divideUp', () => {
  it('gives the smallest whole number that is not below the quotient', () => {
    fc.assert(
      fc.property(
        fc.bigInt(-(10n ** 30n), 10n ** 30n),
        fc.bigInt(1n, 10n ** 15n),
        (over, under) => {
          const up = divideUp(over, under);
          expect(up * under >= over).toBe(true);
          expect((up - 1n) * under < over).toBe(true);
        },
      ),
    );
  });

  it('refuses a divisor that is not positive', () => {
    expect(() => divideUp(1n, 0n)).toThrow(RangeError);
    expect(() => divideUp(1n, -1n)).toThrow(RangeError);
  });
});

describe('nanosFromPicosUp', () => {
  it('rounds up to the next nano-dollar', () => {
    expect(nanosFromPicosUp(0n)).toBe(0);
    expect(nanosFromPicosUp(1n)).toBe(1);
    expect(nanosFromPicosUp(1_000n)).toBe(1);
    expect(nanosFromPicosUp(1_001n)).toBe(2);
  });

  it('refuses what does not fit a safe integer', () => {
    expect(() => nanosFromPicosUp(10n ** 20n)).toThrow(RangeError);
  });
});

describe('dollars', () => {
  it('become nano-dollars', () => {
    expect(nanosFromDollars(10)).toBe(10_000_000_000);
  });

  it('are shown exactly, with two to nine decimals', () => {
    expect(formatDollars(nanos(31_888_000))).toBe('$0.031888');
    expect(formatDollars(nanos(0))).toBe('$0.00');
    expect(formatDollars(nanos(1))).toBe('$0.000000001');
    expect(formatDollars(nanos(12_340_000_000))).toBe('$12.34');
    expect(formatDollars(nanos(-1_500_000_000))).toBe('-$1.50');
    expect(formatDollars(nanos(1_000_000_000_000))).toBe('$1000.00');
  });

  it('can be read back to the same amount', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (amount) => {
        const text = formatDollars(nanos(amount));
        const [whole = '', fraction = ''] = text.replace('$', '').split('.');
        expect(BigInt(`${whole}${fraction.padEnd(9, '0')}`)).toBe(BigInt(amount));
      }),
    );
  });
});
