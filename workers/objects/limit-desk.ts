// Limits beside the Ledger object's other work: fits what is counted to the limits in force, which
// may need stored rows, and keeps class `free` in memory. The rules are domain/ledger/limited.ts,
// counting.ts and free.ts.

import type { RelayError } from '../domain/errors';
import type { AdmitCall, Lease, SettleCall } from '../domain/ledger/calls';
import type { LimitsInForce } from '../domain/ledger/counting';
import { alignTo } from '../domain/ledger/counting';
import type { Copies, Owner } from '../domain/ledger/decide';
import type { FreeBook } from '../domain/ledger/free';
import { giveBackFree, takeFree } from '../domain/ledger/free';
import { placesOf } from '../domain/ledger/lease';
import type { LeftForOutput } from '../domain/ledger/limited';
import {
  leftForOutput,
  limitFactsOf,
  limitsInForce,
  noticeOf,
  ownerLimits,
} from '../domain/ledger/limited';
import type { RequestRow } from '../domain/ledger/row';
import type { WalletState } from '../domain/ledger/state';
import type { CopyShelf } from './copy-shelf';
import type { LedgerStorage } from './ledger-storage';

interface LimitSource {
  readonly storage: LedgerStorage;
  readonly state: WalletState;
  readonly copies: CopyShelf;
}

export class LimitDesk {
  readonly #source: LimitSource;
  readonly #free: FreeBook = new Map();

  constructor(source: LimitSource) {
    this.#source = source;
  }

  /** Before limits of these three are decided on or told: counts what they name from now on. */
  align(copies: Copies, now: number): void {
    this.#align(limitsInForce(copies), now);
  }

  /** The same for the wallet and its owner alone. */
  alignOwner(owner: Owner, now: number): void {
    this.#align(ownerLimits(owner), now);
  }

  #align(limits: LimitsInForce['limits'], now: number): void {
    const { storage, state } = this.#source;
    const timeZone = this.#source.copies.timeZone();
    const rowsSince = storage.rowsSince.bind(storage);
    alignTo(state, { limits, timeZone, now, rowsSince });
  }

  /** What balance and limits leave for an open request, in the budgets of its own date. */
  leftFor(copies: Copies | null, row: RequestRow, now: number): LeftForOutput {
    const { state } = this.#source;
    if (copies === null) return leftForOutput(state, null);
    this.align(copies, now);
    const families = row.opened === null ? [] : [row.opened.price.family];
    const facts = limitFactsOf(copies, state, now);
    return leftForOutput(state, { ...facts, families, admittedAt: row.admittedAt });
  }

  /**
   * The lease with what its key asks for and its user is told of the limits; `now` in Unix ms.
   */
  withTerms(lease: Lease, now: number): Lease {
    const { state } = this.#source;
    const copies = this.#source.copies.of(lease.keyId);
    if (copies === null) return lease;
    this.align(copies, now);
    const families = lease.price === null ? [] : [lease.price.family];
    const notice = noticeOf({ ...limitFactsOf(copies, state, now), families });
    return {
      ...lease,
      ...(notice === null ? {} : { notice }),
      ...(copies.key.whenClientLeaves === 'drain' ? { whenClientLeaves: 'drain' as const } : {}),
      ...placesOf(copies),
    };
  }

  takeFree(call: AdmitCall, now: number): RelayError | null {
    return takeFree(this.#free, call, now);
  }

  giveBackFree(call: SettleCall): void {
    giveBackFree(this.#free, call);
  }
}
