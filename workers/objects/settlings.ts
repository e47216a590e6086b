// Requests of a wallet that wait for another one of it to be settled: what that one made is not
// known before. They wait for the next settle, for a bounded time, and so many at a time; the
// object serves others meanwhile. It knows no request and decides nothing.

import { withinMs } from '../platform/clock';

/** More wait at once only where somebody asks for what there is not. */
const WAITING_MAX = 64;

export class Settlings {
  readonly #waiting = new Set<() => void>();

  /** Wakes all that wait. */
  tell(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  isFull(): boolean {
    return this.#waiting.size >= WAITING_MAX;
  }

  /** Until something was settled, or for `limitMs`; then `late`. */
  async next(limitMs: number): Promise<'settled' | 'late'> {
    const told = Promise.withResolvers<'settled'>();
    const wake = (): void => told.resolve('settled');
    this.#waiting.add(wake);
    const how = await withinMs(told.promise, limitMs);
    this.#waiting.delete(wake);
    return how;
  }
}
