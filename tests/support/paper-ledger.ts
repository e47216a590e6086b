// A ledger on paper: the rules of domain/ledger around plain lists instead of an object's storage.
// It keeps what the object keeps and loses at `evict` what the object loses.

import type { RelayError } from '../../workers/domain/errors';
import type { KeyId, RequestId } from '../../workers/domain/ids';
import { decideAdmit } from '../../workers/domain/ledger/admission';
import type {
  AdmitAnswer,
  AdmitCall,
  CreditAnswer,
  CreditCall,
  ExtendAnswer,
  ExtendCall,
  KeyInfo,
  ProgressAnswer,
  ProgressCall,
  SettleAnswer,
  SettleCall,
} from '../../workers/domain/ledger/calls';
import { readClock } from '../../workers/domain/ledger/clock';
import type { Copy, KeyCopy } from '../../workers/domain/ledger/copies';
import type { Copies } from '../../workers/domain/ledger/decide';
import {
  correctionOf,
  decideProgress,
  decideSettle,
  recover,
} from '../../workers/domain/ledger/decide';
import { toJson } from '../../workers/domain/ledger/conversation';
import { alignTo } from '../../workers/domain/ledger/counting';
import { decideExtend, rowAfterProgress } from '../../workers/domain/ledger/held';
import { keyInfoOf } from '../../workers/domain/ledger/key-info';
import {
  answerOf,
  closedOf,
  closedUnheard,
  leaseOf,
  openedOf,
  openRow,
  strangerRow,
} from '../../workers/domain/ledger/lease';
import type { LimitStanding } from '../../workers/domain/ledger/limited';
import {
  leftForOutput,
  limitFactsOf,
  limitsInForce,
  standingsOf,
} from '../../workers/domain/ledger/limited';
import type { Entry, Outcome, RequestRow } from '../../workers/domain/ledger/row';
import type { Checkpoint, WalletState } from '../../workers/domain/ledger/state';
import {
  checkpointOf,
  foldClosed,
  foldEntry,
  foldOpened,
  openRowOf,
  rebuild,
} from '../../workers/domain/ledger/state';
import { thingsToJson } from '../../workers/domain/ledger/things';
import { warmToJson } from '../../workers/domain/ledger/warm';
import type { Catalogue } from '../../workers/domain/pricing/catalogue';
import { CATALOGUE } from './ledger';

interface Start {
  /** Unix ms. */
  readonly wallClock: number;
  /** Closings between two checkpoints. */
  readonly every: number;
  /** Default: CATALOGUE. */
  readonly catalogue?: Catalogue;
}

export class PaperLedger {
  readonly rows = new Map<number, RequestRow>();
  readonly entries: Entry[] = [];
  state: WalletState;
  /** Unix ms that the wall clock shows. */
  wallClock: number;
  /** How often memory was lost. */
  evictions = 0;
  #copies: Copies;
  readonly #keys = new Map<KeyId, KeyCopy>();
  readonly #seqs = new Map<RequestId, number>();
  #checkpoint: string | null = null;
  readonly #checkpointEvery: number;
  readonly #catalogue: Catalogue;

  constructor(copies: Copies, { wallClock, every, catalogue = CATALOGUE }: Start) {
    this.#copies = copies;
    this.#checkpointEvery = every;
    this.#catalogue = catalogue;
    this.wallClock = wallClock;
    this.state = this.rebuilt();
  }

  /** Keeps the copy if its version is higher than the one held. */
  apply(copy: Copy): void {
    const { user, wallet } = this.#copies;
    const held = { user, wallet, key: copy.kind === 'key' ? this.copiesOf(copy.id).key : null };
    const known = held[copy.kind];
    if (known !== null && known.id === copy.id && known.version >= copy.version) return;
    if (copy.kind === 'key') this.#keys.set(copy.id, copy);
    else this.#copies = { ...this.#copies, [copy.kind]: copy };
  }

  /** A key of which nothing was applied is taken for the first. */
  copiesOf(keyId: KeyId): Copies {
    return { ...this.#copies, key: this.#keys.get(keyId) ?? this.#copies.key };
  }

  admit(call: AdmitCall): AdmitAnswer {
    const known = this.#find(call.requestId);
    const { wallet } = this.#copies;
    if (known?.outcome) return { ok: false, error: { kind: 'already-closed' } };
    if (known?.opened) return { ok: true, lease: leaseOf(known, known.opened, wallet.id) };
    const now = this.#now();
    const copies = this.copiesOf(call.keyId);
    const facts = { copies, catalogue: this.#catalogue, now };
    this.#align(copies, now);
    const decision = decideAdmit(call, { ...facts, state: this.state });
    if (!decision.ok) return decision;
    const { hold } = decision.value;
    const opened = openedOf(call, { ...facts, admission: decision.value });
    if (opened === null || hold === null) throw new Error('only metered requests are on paper');
    const row = openRow(opened, { seq: this.state.lastSeq + 1, now, hold });
    this.#write(row);
    foldOpened(this.state, row);
    return { ok: true, lease: leaseOf(row, opened, wallet.id) };
  }

  /** Why the call would be refused at `now` (Unix ms) if nothing else came; null: it would not. */
  refusalAt(call: AdmitCall, now: number): RelayError | null {
    const facts = { copies: this.copiesOf(call.keyId), catalogue: this.#catalogue };
    const decision = decideAdmit(call, { ...facts, now, state: this.state });
    return decision.ok ? null : decision.error;
  }

  extend(call: ExtendCall): ExtendAnswer {
    const row = this.#find(call.requestId);
    const now = this.#now();
    const copies = this.copiesOf(row?.keyId ?? this.#copies.key.id);
    const standing = decideProgress(row, copies, { now, firstUsedAt: this.#firstUse(row) });
    if (standing.state !== 'open') return standing;
    if (row === null) return { state: 'unknown' };
    this.#align(copies, now);
    const families = row.opened === null ? [] : [row.opened.price.family];
    const dated = { families, admittedAt: row.admittedAt };
    const limits = { ...limitFactsOf(copies, this.state, now), ...dated };
    const extended = decideExtend(row, call, { ...leftForOutput(this.state, limits), now });
    if (extended.row !== null) this.#keepRunning(extended.row);
    return extended.answer;
  }

  progress(call: ProgressCall): ProgressAnswer {
    const row = this.#find(call.requestId);
    const now = this.#now();
    const copies = this.copiesOf(row?.keyId ?? this.#copies.key.id);
    const answer = decideProgress(row, copies, { now, firstUsedAt: this.#firstUse(row) });
    if (row === null || row.outcome !== null) return answer;
    const alive = rowAfterProgress(row, call, now);
    if (alive !== null) this.#keepRunning(alive);
    return answer;
  }

  settle(call: SettleCall): SettleAnswer {
    const now = this.#now();
    const row = this.#find(call.requestId);
    const decision = decideSettle(row, call, now);
    if (decision.do === 'close') {
      const stranger = strangerRow(call, { seq: this.state.lastSeq + 1, now });
      return answerOf(this.#close(row ?? stranger, decision.outcome, call));
    }
    if (row === null) throw new Error('a row that is not there cannot be closed already');
    if (decision.do === 'nothing') return answerOf(row);
    const { certainty, costNanos } = call;
    const corrected = { ...row, known: { certainty, costNanos }, closed: closedOf(call, row) };
    this.#post({ ...correctionOf(row, decision, now), change: { before: row, after: corrected } });
    this.#write(corrected);
    return answerOf(corrected);
  }

  credit({ entryId, kind, amountNanos, reason, actor }: CreditCall): CreditAnswer {
    const at = this.#now();
    const applied = this.#post({ entryId, kind, amountNanos, reason, actor, at, keyId: null });
    return { applied, balanceNanos: this.state.balanceNanos };
  }

  alarm(): void {
    const now = this.#now();
    for (const row of this.state.open.values()) {
      if (row.leaseUntil <= now) this.#close(row, recover(row, now), null);
    }
  }

  /** What the holder of a key is told of it, whatever its status. */
  keyInfo(keyId: KeyId): KeyInfo {
    const now = this.#now();
    const copies = this.copiesOf(keyId);
    this.#align(copies, now);
    return keyInfoOf(copies, this.state, now);
  }

  /** Memory is lost; the state is what is stored. */
  evict(): void {
    this.evictions += 1;
    this.state = this.rebuilt();
  }

  /** How the limits of a key stand, for a state that may not have counted all of them yet. */
  standings(
    state: WalletState = this.state,
    { keyId = this.#copies.key.id, now = state.lastSeenAt } = {},
  ): readonly LimitStanding[] {
    const copies = this.copiesOf(keyId);
    this.#align(copies, now, state);
    return standingsOf(limitFactsOf(copies, state, now));
  }

  /** Counts from now on what the limits name. */
  #align(copies: Copies, now: number, state: WalletState = this.state): void {
    alignTo(state, {
      limits: limitsInForce(copies),
      timeZone: this.#copies.user.timeZone,
      now,
      rowsSince: (since) => [...this.rows.values()].filter((row) => row.admittedAt > since),
    });
  }

  /** What waking would find now. */
  rebuilt(): WalletState {
    const checkpoint =
      this.#checkpoint === null ? null : (JSON.parse(this.#checkpoint) as Checkpoint);
    return this.rebuiltFrom(checkpoint);
  }

  /** What waking would find now if `checkpoint` were the last one. */
  rebuiltFrom(checkpoint: Checkpoint | null): WalletState {
    const open = new Set(checkpoint?.openSeqs);
    const [seq, entry] = [checkpoint?.seq ?? 0, checkpoint?.entry ?? 0];
    return rebuild({
      checkpoint,
      rows: [...this.rows.values()]
        .filter((row) => row.seq > seq || open.has(row.seq))
        .toSorted((a, b) => a.seq - b.seq),
      entries: this.entries.filter(({ n }) => n > entry),
      wallClock: this.wallClock,
      timeZone: this.#copies.user.timeZone,
    });
  }

  #close(row: RequestRow, outcome: Outcome, call: SettleCall | null): RequestRow {
    const { certainty, costNanos } = outcome;
    const closed: RequestRow = {
      ...row,
      outcome,
      known: { certainty, costNanos },
      closed: call === null ? closedUnheard(row) : closedOf(call, row),
    };
    this.#write(closed);
    foldClosed(this.state, closed);
    if (this.state.closedSinceCheckpoint >= this.#checkpointEvery) {
      this.#checkpoint = JSON.stringify(checkpointOf(this.state));
      this.state.closedSinceCheckpoint = 0;
    }
    return closed;
  }

  #post(entry: Omit<Entry, 'n'>): boolean {
    if (this.entries.some(({ entryId }) => entryId === entry.entryId)) return false;
    const numbered = { ...entry, n: this.state.lastEntry + 1 };
    this.entries.push(numbered);
    foldEntry(this.state, numbered);
    return true;
  }

  #keepRunning(row: RequestRow): void {
    this.#write(row);
    foldOpened(this.state, row);
  }

  #write(row: RequestRow): void {
    this.rows.set(row.seq, row);
    this.#seqs.set(row.requestId, row.seq);
  }

  #firstUse(row: RequestRow | null): number | null {
    return row === null ? null : (this.state.keys.get(row.keyId)?.firstUsedAt ?? null);
  }

  #find(requestId: RequestId): RequestRow | null {
    const open = openRowOf(this.state, requestId);
    if (open !== null) return open;
    const seq = this.#seqs.get(requestId);
    return seq === undefined ? null : (this.rows.get(seq) ?? null);
  }

  #now(): number {
    const { lastSeenAt, open } = this.state;
    const openRequests = open.size;
    const reading = readClock({ wallClock: this.wallClock, lastSeenAt, openRequests });
    this.state.lastSeenAt = reading.lastSeenAt;
    return reading.now;
  }
}

/** What two states must have in common to be the same wallet. */
export function essenceOf(state: WalletState): unknown {
  const { balanceNanos, heldNanos, lastSeq, lastEntry, open, openSeqs, keys } = state;
  return {
    balanceNanos,
    heldNanos,
    conversations: toJson(state.conversations),
    warm: warmToJson(state.warm),
    things: thingsToJson(state.things),
    openConversations: [...state.conversations.open].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    waryUntil: state.waryUntil,
    held: [...state.counters]
      .filter(([, { open: atOnce }]) => atOnce > 0)
      .map(([holder, { open: atOnce, heldTokens, heldNanos: held }]) => ({
        holder,
        atOnce,
        heldTokens,
        held,
      }))
      .toSorted((a, b) => (a.holder < b.holder ? -1 : 1)),
    book: [...state.book.sums].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    lastSeq,
    lastEntry,
    open: [...open].toSorted(([a], [b]) => a - b),
    openSeqs: [...openSeqs].toSorted(([, a], [, b]) => a - b),
    keys: [...keys].toSorted(([a], [b]) => (a < b ? -1 : 1)),
  };
}
