// One at a time: a short line of an isolate for work that takes the processor for itself. Between
// two turns whatever else is due comes first, so that running streams lose one piece of work's time
// and not the whole line's. It orders nothing across isolates.

import { SECOND_MS } from '../domain/time';

/** How many may wait while one has its turn. */
export const WAITING_MAX = 8;
const LOOK_EVERY_MS = 2;
/**
 * Before every turn, the first as well: who comes while another works is not in the line yet. A
 * chunk of a stream needs several rounds of the event loop (docs/performance.md has the figures).
 */
const BREATH_MS = 20;
/** Who has not looked for this long has left: a request that ended takes its timers with it. */
const GONE_AFTER_MS = 5 * SECOND_MS;

interface Place {
  /** Unix ms. */
  seenAt: number;
}

const line: Place[] = [];

/**
 * What `work` gives, when its turn has come; null: too many wait already. Rejects as it does. Each
 * who waits looks by a timer of its own: nothing here hangs on another request's life.
 */
export async function inTurn<T>(work: () => Promise<T>): Promise<T | null> {
  forgetGone();
  if (line.length > WAITING_MAX) return null;
  const mine: Place = { seenAt: Date.now() };
  line.push(mine);
  try {
    while (line[0] !== mine) {
      if (!(await stillThere(mine, LOOK_EVERY_MS))) return null;
    }
    return (await stillThere(mine, BREATH_MS)) ? await work() : null;
  } finally {
    forget(mine);
  }
}

/** Waits; false: was taken for gone, because nothing of this request ran for so long. */
async function stillThere(place: Place, waitMs: number): Promise<boolean> {
  await scheduler.wait(waitMs);
  place.seenAt = Date.now();
  forgetGone();
  return line.includes(place);
}

function forgetGone(): void {
  const now = Date.now();
  for (const place of line.filter(({ seenAt }) => now - seenAt > GONE_AFTER_MS)) forget(place);
}

function forget(place: Place): void {
  const at = line.indexOf(place);
  if (at !== -1) line.splice(at, 1);
}
