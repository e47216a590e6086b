// The servers outside, from inside workerd: where they are, and what they have noted.

import { inject } from 'vitest';
import type { FarPlace, Kept } from '../support/far-place';

export const far: FarPlace = inject('far');

/** What each word is told with. `came` and `left` answer when it has happened. */
interface Told {
  readonly evil: number;
  readonly kept: readonly Kept[];
  readonly came: true;
  readonly left: true;
  readonly 'held-back': number;
}

/** What was noted of the requests with `mark`. */
export async function told<W extends keyof Told>(word: W, mark = ''): Promise<Told[W]> {
  const response = await fetch(`${far.url}/told/${word}?mark=${mark}`);
  return response.json<Told[W]>();
}
