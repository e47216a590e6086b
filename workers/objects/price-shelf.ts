// The Ledger object's copy of prices and aliases: the higher version stays. A request whose isolate
// knows a newer one has it read from Pool inside its admit.

import type { RelayError } from '../domain/errors';
import type { Catalogue } from '../domain/pricing/catalogue';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { causeOf, log } from '../observe/log';
import { poolOf } from '../platform/objects';
import { noteUnknownModel } from '../store/unknown-models';
import type { LedgerStorage } from './ledger-storage';

const POOL_BUSY: RelayError = { kind: 'busy', what: 'pool', retryAfterMs: SECOND_MS };

type Behind = Pick<DurableObjectState, 'waitUntil'>;

export class PriceShelf {
  readonly #storage: LedgerStorage;
  readonly #env: Env;
  #catalogue: Catalogue | null;
  /** Unix ms at which a model without a price was noted last. */
  #notedAt = 0;

  constructor(storage: LedgerStorage, env: Env) {
    this.#storage = storage;
    this.#env = env;
    this.#catalogue = storage.catalogue();
  }

  /** The one held, if its version is at least this. */
  held(atLeast: number): Catalogue | null {
    const held = this.#catalogue;
    return held !== null && held.version >= atLeast ? held : null;
  }

  /** One of at least this version, from Pool if need be; Pool down: the one held, else 503. */
  async fresh(atLeast: number): Promise<Result<Catalogue, RelayError>> {
    const enough = this.held(atLeast);
    if (enough !== null) return ok(enough);
    const held = this.#catalogue;
    const answer = await poolOf(this.#env)
      .snapshot(held?.version ?? null)
      .catch((): Result<never, RelayError> => fail(POOL_BUSY));
    if (!answer.ok) return held === null ? answer : ok(held);
    if (answer.value === 'unchanged') return held === null ? fail(POOL_BUSY) : ok(held);
    return ok(answer.value.catalogue);
  }

  /**
   * Notes a model that nobody has a price for, behind the answer: at most one a minute, and what
   * goes wrong is nobody's trouble.
   */
  noteUnknown(answer: Result<unknown, RelayError>, now: number, ctx: Behind): void {
    if (answer.ok || answer.error.kind !== 'unknown-model') return;
    if (now - this.#notedAt < MINUTE_MS) return;
    this.#notedAt = now;
    ctx.waitUntil(
      noteUnknownModel(this.#env.DB, answer.error.model, now).catch((error: unknown) => {
        log('unknown-model-lost', { error: causeOf(error) });
      }),
    );
  }

  /** The higher version stays, and is answered; a lower one is a late answer. */
  keep(fresh: Catalogue): Catalogue {
    const held = this.held(fresh.version);
    if (held !== null) return held;
    this.#storage.keepCatalogue(fresh);
    this.#catalogue = fresh;
    return fresh;
  }
}
