// Money: whole nano-dollars in a branded safe integer. Prices are whole pico-dollars a token.
// It holds no price and knows no model; it only makes a wrong number impossible to carry on with.

declare const nanosBrand: unique symbol;

/** A signed amount of money in whole nano-dollars (10^-9 USD). */
export type Nanos = number & { readonly [nanosBrand]: true };

export const NANOS_PER_DOLLAR = 1_000_000_000;
export const PICOS_PER_NANO = 1_000n;

/** Marks `value` as nano-dollars. Throws RangeError unless it is a safe integer: that is a bug. */
export function nanos(value: number): Nanos {
  if (!Number.isSafeInteger(value))
    throw new RangeError(`not a whole nano-dollar amount: ${value}`);
  // -0 and 0 are one amount.
  return (value === 0 ? 0 : value) as Nanos;
}

export const ZERO_NANOS = nanos(0);

/** Sum of nano-dollar amounts; throws RangeError when it leaves the safe integers. */
export function addNanos(...amounts: readonly Nanos[]): Nanos {
  let sum = 0;
  for (const amount of amounts) sum = nanos(sum + amount);
  return nanos(sum);
}

/** `a - b` in nano-dollars; throws RangeError when it leaves the safe integers. */
export function subtractNanos(a: Nanos, b: Nanos): Nanos {
  return nanos(a - b);
}

/** Smallest whole number that is not below `dividend / divisor`; divisor must be positive. */
export function divideUp(dividend: bigint, divisor: bigint): bigint {
  if (divisor <= 0n) throw new RangeError('divisor must be positive');
  const quotient = dividend / divisor;
  return dividend > 0n && dividend % divisor !== 0n ? quotient + 1n : quotient;
}

/** Pico-dollars to nano-dollars, rounded up. Throws RangeError beyond the safe integers. */
export function nanosFromPicosUp(picos: bigint): Nanos {
  return nanos(Number(divideUp(picos, PICOS_PER_NANO)));
}

/** Whole dollars to nano-dollars. */
export function nanosFromDollars(dollars: number): Nanos {
  return nanos(dollars * NANOS_PER_DOLLAR);
}

/** For people: `$0.031888`, at least two and at most nine decimals, exact. */
export function formatDollars(amount: Nanos): string {
  const sign = amount < 0 ? '-' : '';
  const digits = String(Math.abs(amount)).padStart(10, '0');
  const whole = digits.slice(0, -9);
  const fraction = digits.slice(-9).replace(/0+$/, '').padEnd(2, '0');
  return `${sign}$${whole}.${fraction}`;
}
