// Histograms on their way out of D1: their arrays one after the other as one text, runs of zeros
// shortened, to be added up here. Bucket by bucket in SQL takes several times as long.

import type { Histogram } from '../domain/usage/histogram';
import { emptyHistogram } from '../domain/usage/histogram';

/** Eight zeros after a number: histograms are mostly these. */
const ZEROS = ',0'.repeat(8);
const SHORT = 'z';

/** SQL of one histogram, shortened; texts of several are put together without anything between. */
export function shortenedIn(column: string): string {
  return `replace(${column}, '${ZEROS}', '${SHORT}')`;
}

const [COMMA, MINUS, CLOSING, DIGIT_0, SHORTENED] = [',', '-', ']', '0', SHORT].map((character) =>
  character.charCodeAt(0),
) as [number, number, number, number, number];

/** The sum of all arrays in a text such as `[0z,3,1][2z]`. */
export function sumOfShortened(text: string): Histogram {
  const sum = [...emptyHistogram()];
  let bucket = 0;
  let value = 0;
  let sign = 1;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code >= DIGIT_0 && code <= DIGIT_0 + 9) {
      value = value * 10 + code - DIGIT_0;
    } else if (code === MINUS) {
      sign = -1;
    } else if (code === COMMA || code === SHORTENED || code === CLOSING) {
      if (value !== 0) sum[bucket] = (sum[bucket] ?? 0) + sign * value;
      [value, sign] = [0, 1];
      bucket = code === CLOSING ? 0 : bucket + (code === COMMA ? 1 : 8);
    }
  }
  return sum;
}
