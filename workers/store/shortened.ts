// Histograms on their way out of D1: one after the other as one text, runs of zeros in those that
// are arrays shortened, to be added up here. Bucket by bucket in SQL takes several times as long.

import type { Histogram } from '../domain/usage/histogram';
import { emptyHistogram } from '../domain/usage/histogram';

/** Eight zeros after a number: histograms are mostly these. */
const ZEROS = ',0'.repeat(8);
const SHORT = 'z';

/** SQL of one histogram, shortened; texts of several are put together without anything between. */
export function shortenedIn(column: string): string {
  return `replace(${column}, '${ZEROS}', '${SHORT}')`;
}

const [COMMA, MINUS, DIGIT_0, SHORTENED, COLON] = [',', '-', '0', SHORT, ':'].map((character) =>
  character.charCodeAt(0),
) as [number, number, number, number, number];
const [ARRAY_ENDS, OBJECT_BEGINS, OBJECT_ENDS] = [']', '{', '}'].map((character) =>
  character.charCodeAt(0),
) as [number, number, number];

/** The sum of all histograms in a text such as `[0z,3,1][2z]{"4":1}`. */
export function sumOfShortened(text: string): Histogram {
  const sum = [...emptyHistogram()];
  let [bucket, value, sign, isObject] = [0, 0, 1, false];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code >= DIGIT_0 && code <= DIGIT_0 + 9) {
      value = value * 10 + code - DIGIT_0;
    } else if (code === MINUS) {
      sign = -1;
    } else if (code === COLON) {
      [bucket, value] = [value, 0];
    } else if (code === OBJECT_BEGINS) {
      isObject = true;
    } else if (
      code === COMMA ||
      code === SHORTENED ||
      code === ARRAY_ENDS ||
      code === OBJECT_ENDS
    ) {
      if (value !== 0) sum[bucket] = (sum[bucket] ?? 0) + sign * value;
      [value, sign] = [0, 1];
      if (!isObject) bucket += code === SHORTENED ? 8 : 1;
      if (code === ARRAY_ENDS || code === OBJECT_ENDS) [bucket, isObject] = [0, false];
    }
  }
  return sum;
}
