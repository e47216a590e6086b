// Which seeded histories a simulation runs, and the count of what it did. SEED=<n> replays one
// history, SEEDS=<count> runs so many, both together so many from that one on. It knows nothing of
// what a history is.

import { env } from 'node:process';

export interface Block {
  readonly first: number;
  readonly seeds: readonly number[];
}

/** The seeds to run, a test each block: `seedsByDefault` of them unless the environment says. */
export function blocksOf(seedsByDefault: number, seedsPerTest: number): readonly Block[] {
  const { SEED: seed, SEEDS: seeds } = env;
  const from = whole(seed ?? '0', 'SEED');
  const count = whole(seeds ?? (seed === undefined ? `${seedsByDefault}` : '1'), 'SEEDS');
  return Array.from({ length: Math.ceil(count / seedsPerTest) }, (_, block) => {
    const first = from + block * seedsPerTest;
    const length = Math.min(seedsPerTest, from + count - first);
    return { first, seeds: Array.from({ length }, (_, index) => first + index) };
  });
}

/** What was done in all histories of one file. */
export class Tally {
  #seeds = 0;
  #steps = 0;
  #crashPoints = 0;

  /** `crashPoints`: how often memory was lost and how often a call was made again. */
  add(history: { readonly steps: number; readonly crashPoints: number }): void {
    this.#seeds += 1;
    this.#steps += history.steps;
    this.#crashPoints += history.crashPoints;
  }

  /** Prints one line, which `npm run simulate` adds up. */
  print(): void {
    const [seeds, steps, crashPoints] = [this.#seeds, this.#steps, this.#crashPoints].map((count) =>
      count.toLocaleString('en-US'),
    );
    process.stdout.write(`simulated ${seeds} seeds, ${steps} steps, ${crashPoints} crash points\n`);
  }
}

/** The error of a history that failed, saying how it is replayed. */
export function failed(seed: number, step: number, cause: unknown): Error {
  return new Error(`step ${step} of seed ${seed}; replay it with SEED=${seed}`, { cause });
}

function whole(text: string, name: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name} must be a whole number: ${text}`);
  return Number(text);
}
