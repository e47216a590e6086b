// Who is let in, beside the Ledger object's other work: it loads what the decision needs, has it
// decided, stores the row. A request that names what one that still runs may have made waits for
// that one. The rules are domain/ledger/admission.ts.

import type { RelayError } from '../domain/errors';
import { decideAdmit } from '../domain/ledger/admission';
import type { AdmitAnswer, AdmitCall } from '../domain/ledger/calls';
import { freeLease, leaseOf, openedOf, openRow } from '../domain/ledger/lease';
import type { RequestRow } from '../domain/ledger/row';
import type { WalletState } from '../domain/ledger/state';
import { foldOpened, openRowOf } from '../domain/ledger/state';
import { isAnyUnknown } from '../domain/ledger/things';
import { SECOND_MS } from '../domain/time';
import type { CopyShelf } from './copy-shelf';
import type { LedgerStorage } from './ledger-storage';
import type { LimitDesk } from './limit-desk';
import { prepareFor, preparedFor } from './preparation';
import type { PriceShelf } from './price-shelf';
import type { RecentRequests } from './recent-requests';
import type { Settlings } from './settlings';

/** For all settles together; the Worker gives up an admit after 3 s. */
const WAITS_MS = 2 * SECOND_MS;
const FULL: RelayError = { kind: 'busy', what: 'ledger', retryAfterMs: SECOND_MS };

interface AdmitSource {
  readonly storage: LedgerStorage;
  readonly state: WalletState;
  readonly copies: CopyShelf;
  readonly prices: PriceShelf;
  readonly limits: LimitDesk;
  readonly recent: RecentRequests;
  readonly settlings: Settlings;
  readonly behind: Pick<DurableObjectState, 'waitUntil'>;
  /** Unix ms by the object's clock. */
  readonly now: () => number;
  /** A row was opened: an alarm must come for it. */
  readonly opened: (row: RequestRow) => void;
}

export class AdmitDesk {
  readonly #source: AdmitSource;

  constructor(source: AdmitSource) {
    this.#source = source;
  }

  async admit(call: AdmitCall): Promise<AdmitAnswer> {
    const { now, settlings } = this.#source;
    let answer = await this.#answer(call);
    const until = now() + WAITS_MS;
    while (this.#isEarly(call, answer)) {
      if (settlings.isFull()) return { ok: false, error: FULL };
      const leftMs = until - now();
      if (leftMs <= 0 || (await settlings.next(leftMs)) === 'late') break;
      answer = await this.#answer(call);
    }
    return answer;
  }

  /** Whether it names what a request that runs may yet turn out to have made. */
  #isEarly({ heldIds }: AdmitCall, answer: AdmitAnswer): boolean {
    if (answer.ok || answer.error.kind !== 'held-elsewhere') return false;
    const { state, now } = this.#source;
    return state.open.size > 0 && isAnyUnknown(state.things, heldIds, now());
  }

  async #answer(call: AdmitCall): Promise<AdmitAnswer> {
    const { state, limits, behind } = this.#source;
    const repeated = this.#repeated(call);
    if (repeated !== null) return repeated;
    const prepared = preparedFor(call, this.#source) ?? (await prepareFor(call, this.#source));
    if (!prepared.ok) return prepared;
    // Another call may have come in while this one waited for D1 or Pool.
    const meanwhile = this.#repeated(call);
    if (meanwhile !== null) return meanwhile;

    const { copies, catalogue } = prepared.value;
    const now = this.#source.now();
    limits.align(copies, now);
    const decision = decideAdmit(call, { copies, catalogue, state, now });
    this.#source.copies.renewBehind(call.keyId, behind);
    this.#source.prices.noteUnknown(decision, now, behind);
    if (!decision.ok) return { ok: false, error: decision.error };
    const { hold } = decision.value;
    const facts = { admission: decision.value, catalogue, now, copies };
    const opened = openedOf(call, facts);
    if (opened === null || hold === null) {
      const refusal = limits.takeFree(call, now);
      return refusal === null
        ? { ok: true, lease: freeLease(call, facts) }
        : { ok: false, error: refusal };
    }
    const row = openRow(opened, { seq: state.lastSeq + 1, now, hold });
    this.#source.storage.insertRow(row);
    foldOpened(state, row);
    this.#source.opened(row);
    const lease = leaseOf(row, opened, copies.wallet.id);
    return { ok: true, lease: limits.withTerms(lease, now) };
  }

  /** The answer that this id got before, if it is known. */
  #repeated(call: AdmitCall): AdmitAnswer | null {
    const { state, limits, recent, now } = this.#source;
    const open = openRowOf(state, call.requestId);
    const wallet = this.#source.copies.wallet();
    if (open?.opened && wallet !== null) {
      const lease = leaseOf(open, open.opened, wallet.id);
      return { ok: true, lease: limits.withTerms(lease, now()) };
    }
    return recent.has(call.requestId) ? { ok: false, error: { kind: 'already-closed' } } : null;
  }
}
