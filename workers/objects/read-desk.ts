// What a Ledger object tells to those who may ask: a key's holder. It writes nothing and decides
// nothing but whether the key may be used.

import type { RelayError } from '../domain/errors';
import type { HolderCall, KeyInfo } from '../domain/ledger/calls';
import type { Copies } from '../domain/ledger/decide';
import { checkKey } from '../domain/ledger/decide';
import { keyInfoOf } from '../domain/ledger/key-info';
import { usageOf } from '../domain/ledger/limited';
import type { WalletState } from '../domain/ledger/state';
import type { UsageDocument } from '../domain/limits/notice';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { CopyShelf } from './copy-shelf';
import type { LimitDesk } from './limit-desk';

interface ReadSource {
  readonly state: WalletState;
  readonly copies: CopyShelf;
  readonly limits: LimitDesk;
  /** Unix ms by the object's clock. */
  readonly now: () => number;
}

export class ReadDesk {
  readonly #source: ReadSource;

  constructor(source: ReadSource) {
    this.#source = source;
  }

  async keyInfo(call: HolderCall): Promise<Result<KeyInfo, RelayError>> {
    const holder = await this.#holder(call);
    if (!holder.ok) return holder;
    const { copies, now } = holder.value;
    return ok(keyInfoOf(copies, this.#source.state, now));
  }

  async keyFigures({ keyId }: Pick<HolderCall, 'keyId'>): Promise<Result<KeyInfo, RelayError>> {
    const loaded = await this.#source.copies.load(keyId);
    if (!loaded.ok) return loaded;
    const now = this.#source.now();
    this.#source.limits.align(loaded.value, now);
    return ok(keyInfoOf(loaded.value, this.#source.state, now));
  }

  async usage(call: HolderCall): Promise<Result<UsageDocument, RelayError>> {
    const holder = await this.#holder(call);
    if (!holder.ok) return holder;
    const { copies, now } = holder.value;
    return ok(usageOf(copies, this.#source.state, now));
  }

  /** The rows of a key that may be used, with every limit counted up to now. */
  async #holder(
    call: HolderCall,
  ): Promise<Result<{ readonly copies: Copies; readonly now: number }, RelayError>> {
    const loaded = await this.#source.copies.load(call.keyId);
    if (!loaded.ok) return loaded;
    const now = this.#source.now();
    const refusal = checkKey(loaded.value, call.keyHash, now);
    if (refusal !== null) return fail(refusal);
    this.#source.limits.align(loaded.value, now);
    return ok({ copies: loaded.value, now });
  }
}
