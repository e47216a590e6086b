// The Ledger object, one per wallet: everything about its money is decided here, by the rules in
// domain/ledger. This class loads, calls a rule, stores, answers. No rule and no price of its own.

import { DurableObject } from 'cloudflare:workers';
import type { RelayError } from '../domain/errors';
import type { RequestId } from '../domain/ids';
import type {
  AdmitAnswer,
  AdmitCall,
  CreditAnswer,
  CreditCall,
  ExtendAnswer,
  ExtendCall,
  HolderCall,
  KeyInfo,
  LedgerPort,
  ProgressAnswer,
  ProgressCall,
  SettleAnswer,
  SettleCall,
  StopAnswer,
  StopCall,
} from '../domain/ledger/calls';
import { readClock } from '../domain/ledger/clock';
import type { Copy } from '../domain/ledger/copies';
import { forgetPast } from '../domain/ledger/counting';
import { correctionOf, decideProgress, decideSettle, recover } from '../domain/ledger/decide';
import { decideExtend, rowAfterProgress } from '../domain/ledger/held';
import { answerOf, closedOf, closedUnheard, strangerRow } from '../domain/ledger/lease';
import type {
  OwnRequestDetail,
  RequestsCall,
  RequestsPage,
  StatementCall,
  StatementPage,
  WalletBalance,
} from '../domain/ledger/reads';
import type { Entry, Outcome, RequestRow } from '../domain/ledger/row';
import type { WalletState } from '../domain/ledger/state';
import {
  checkpointOf,
  foldClosed,
  foldEntry,
  foldOpened,
  openRowOf,
  rebuild,
} from '../domain/ledger/state';
import type { UsageDocument } from '../domain/limits/notice';
import { ZERO_NANOS } from '../domain/money';
import type { Result } from '../domain/result';
import { SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { AdmitDesk } from './admit-desk';
import { CopyShelf } from './copy-shelf';
import { LedgerFlush } from './ledger-flush';
import { LedgerStorage } from './ledger-storage';
import { LimitDesk } from './limit-desk';
import { PriceShelf } from './price-shelf';
import { ReadDesk } from './read-desk';
import { RecentRequests } from './recent-requests';
import { Settlings } from './settlings';
import { WalletDesk } from './wallet-desk';

/** Closed rows between two checkpoints: waking reads at most as many rows again. */
const CHECKPOINT_EVERY = 500;
/** Leases end on whole alarms: one alarm a minute closes all that ran out. */
const ALARM_SLACK_MS = 5 * SECOND_MS;

export class LedgerObject extends DurableObject<Env> implements LedgerPort {
  readonly #storage: LedgerStorage;
  readonly #copies: CopyShelf;
  readonly #state: WalletState;
  readonly #flush: LedgerFlush;
  readonly #limits: LimitDesk;
  readonly #reading: ReadDesk;
  readonly #wallet: WalletDesk;
  readonly #recent: RecentRequests;
  readonly #admitting: AdmitDesk;
  readonly #settlings = new Settlings();
  #alarmAt: number | null = null;
  /** Highest row number of the checkpoint in storage. */
  #checkpointSeq = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#storage = new LedgerStorage(ctx.storage.sql);
    this.#recent = new RecentRequests(this.#storage);
    this.#copies = new CopyShelf(this.#storage, env);
    this.#state = this.#rebuild();
    const [storage, state, wallet] = [this.#storage, this.#state, () => this.#copies.wallet()];
    this.#limits = new LimitDesk({ storage, state, copies: this.#copies });
    const now = (): number => this.#now();
    const sources = { storage, state, copies: this.#copies, limits: this.#limits, now };
    this.#reading = new ReadDesk(sources);
    this.#wallet = new WalletDesk(sources);
    this.#flush = new LedgerFlush({ env, storage, state, wallet });
    this.#admitting = new AdmitDesk({
      ...sources,
      prices: new PriceShelf(this.#storage, env),
      recent: this.#recent,
      settlings: this.#settlings,
      behind: ctx,
      opened: (row) => this.#wakeAt(row.leaseUntil + ALARM_SLACK_MS),
    });
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  #rebuild(): WalletState {
    const checkpoint = this.#storage.checkpoint();
    const rows = this.#storage.tail(checkpoint);
    const entries = this.#storage.entriesAfter(checkpoint?.entry ?? 0);
    const timeZone = this.#copies.timeZone();
    const state = rebuild({ checkpoint, rows, entries, wallClock: Date.now(), timeZone });
    this.#checkpointSeq = checkpoint?.seq ?? 0;
    this.#recent.wake({ checkpoint, rows, now: state.lastSeenAt });
    return state;
  }

  async admit(call: AdmitCall): Promise<AdmitAnswer> {
    return this.#admitting.admit(call);
  }

  async extend(call: ExtendCall): Promise<ExtendAnswer> {
    const { row, copies, now, standing } = this.#running(call);
    if (standing.state !== 'open') return standing;
    if (row === null) return { state: 'unknown' };
    const left = this.#limits.leftFor(copies, row, now);
    const extended = decideExtend(row, call, { ...left, now });
    if (extended.row !== null) this.#keepRunning(extended.row);
    return extended.answer;
  }

  /** The row that a sign of life is of, and what the rest of its life depends on. */
  #running({ requestId, seq }: Pick<ProgressCall, 'requestId' | 'seq'>) {
    const row = this.#find(requestId, seq);
    const now = this.#now();
    const copies = row === null ? null : this.#copies.of(row.keyId);
    const firstUsedAt =
      row === null ? null : (this.#state.keys.get(row.keyId)?.firstUsedAt ?? null);
    const standing = decideProgress(row, copies, { now, firstUsedAt });
    return { row, copies, now, standing };
  }

  #keepRunning(row: RequestRow): void {
    this.#storage.keepRunning(row);
    foldOpened(this.#state, row);
  }

  async progress(call: ProgressCall): Promise<ProgressAnswer> {
    const { row, now, standing: answer } = this.#running(call);
    if (row === null || row.outcome !== null) return answer;
    const alive = rowAfterProgress(row, call, now);
    if (alive !== null) this.#keepRunning(alive);
    return answer;
  }

  async settle(call: SettleCall): Promise<SettleAnswer> {
    const { closing, certainty } = call;
    // Class `free` has no row: nothing to close, nothing to write.
    if (call.seq === 0) {
      this.#limits.giveBackFree(call);
      return { closing, certainty, costNanos: ZERO_NANOS };
    }
    const now = this.#now();
    const row = this.#find(call.requestId, call.seq);
    const decision = decideSettle(row, call, now);
    if (decision.do === 'close') {
      const stranger = (): RequestRow => strangerRow(call, { seq: this.#state.lastSeq + 1, now });
      return answerOf(this.#close(row ?? stranger(), decision.outcome, call));
    }
    if (row === null) throw new Error('a row that is not there cannot be closed already');
    if (decision.do === 'nothing') return answerOf(row);
    return answerOf(this.#correct(row, call, correctionOf(row, decision, now)));
  }

  #close(row: RequestRow, outcome: Outcome, call: SettleCall | null): RequestRow {
    const { certainty, costNanos } = outcome;
    const closed: RequestRow = {
      ...row,
      outcome,
      known: { certainty, costNanos },
      closed: call === null ? closedUnheard(row) : closedOf(call, row),
    };
    // What cannot be folded throws here, before it is stored: it would end every waking.
    const isStranger = row.seq > this.#state.lastSeq;
    foldClosed(this.#state, closed);
    try {
      if (isStranger) this.#storage.insertRow(closed);
      else this.#storage.closeRow(closed);
    } catch (error) {
      // Memory is ahead of storage: wake again from what is stored. The caller tries again.
      this.ctx.abort('a closing could not be stored');
      throw error;
    }
    this.#settlings.tell();
    this.#recent.note(row, outcome.closedAt);
    this.#recent.forgetOld(outcome.closedAt, this.#checkpointSeq);
    this.#wakeAt(this.#flush.note(outcome.closedAt));
    // Last: it may fail when the row is stored already, for which an alarm must come.
    if (this.#state.closedSinceCheckpoint >= CHECKPOINT_EVERY) this.#keepCheckpoint();
    return closed;
  }

  #keepCheckpoint(): void {
    forgetPast(this.#state);
    const checkpoint = checkpointOf(this.#state);
    this.ctx.storage.transactionSync(() => this.#storage.keepCheckpoint(checkpoint));
    this.#checkpointSeq = checkpoint.seq;
    this.#state.closedSinceCheckpoint = 0;
  }

  /**
   * The first closing stays; cost, certainty and details are those of the settle that knew more.
   */
  #correct(row: RequestRow, call: SettleCall, entry: Omit<Entry, 'n'>): RequestRow {
    const { certainty, costNanos } = call;
    const known = { certainty, costNanos };
    const corrected: RequestRow = { ...row, known, closed: closedOf(call, row) };
    this.ctx.storage.transactionSync(() => {
      this.#storage.closeRow(corrected);
      this.#post({ ...entry, change: { before: row, after: corrected } });
    });
    this.#settlings.tell();
    this.#wakeAt(this.#flush.note(entry.at));
    return corrected;
  }

  #post(entry: Omit<Entry, 'n'>): boolean {
    if (this.#storage.hasEntry(entry.entryId)) return false;
    const numbered: Entry = { ...entry, n: this.#state.lastEntry + 1 };
    this.ctx.storage.transactionSync(() => {
      this.#storage.insertEntry(numbered);
      foldEntry(this.#state, numbered);
    });
    return true;
  }

  async credit(call: CreditCall): Promise<CreditAnswer> {
    const { entryId, kind, amountNanos, reason, actor } = call;
    const at = this.#now();
    const applied = this.#post({ entryId, kind, amountNanos, reason, actor, at, keyId: null });
    if (applied) this.#wakeAt(this.#flush.note(at));
    return { applied, balanceNanos: this.#state.balanceNanos };
  }

  async apply(copies: readonly Copy[]): Promise<void> {
    for (const copy of copies) this.#copies.keep(copy);
  }

  async stop({ requestId, actor }: StopCall): Promise<StopAnswer> {
    const row = this.#find(requestId, null);
    if (row === null) return { state: 'unknown' };
    if (row.outcome !== null) return { state: 'closed', closing: row.outcome.closing };
    if (row.stoppedBy === undefined) this.#keepRunning({ ...row, stoppedBy: actor });
    return { state: 'stopping' };
  }

  async keyInfo(call: HolderCall): Promise<Result<KeyInfo, RelayError>> {
    return this.#reading.keyInfo(call);
  }

  async keyFigures(call: Pick<HolderCall, 'keyId'>): Promise<Result<KeyInfo, RelayError>> {
    return this.#reading.keyFigures(call);
  }

  async usage(call: HolderCall): Promise<Result<UsageDocument, RelayError>> {
    return this.#reading.usage(call);
  }

  async balance(): Promise<WalletBalance> {
    return this.#wallet.balance();
  }

  async statement(call: StatementCall): Promise<Result<StatementPage, RelayError>> {
    return this.#wallet.statement(call);
  }

  async requests(call: RequestsCall): Promise<Result<RequestsPage, RelayError>> {
    return this.#wallet.requests(call);
  }

  async request(requestId: RequestId): Promise<OwnRequestDetail | null> {
    return this.#wallet.request(requestId);
  }

  async ping(): Promise<'ok'> {
    this.#storage.probe();
    return 'ok';
  }

  /** Rows read and written since waking, for the bench that counts what is billed. */
  counters(): { readonly rowsWritten: number; readonly rowsRead: number } {
    return { ...this.#storage.counters };
  }

  /** Closes what gave no sign of life for a lease's length; flushes. At least once, any order. */
  override async alarm(): Promise<void> {
    // Nothing that happens meanwhile sets an alarm: the end does, for all.
    this.#alarmAt = 0;
    const now = this.#now();
    try {
      for (const row of this.#state.open.values()) {
        if (row.leaseUntil > now) continue;
        const outcome = recover(row, now);
        this.#close(row, outcome, null);
        log('lease-recovered', { request: row.requestId, costNanos: outcome.costNanos });
      }
      this.#recent.forgetOld(now, this.#checkpointSeq);
      await this.#flush.run(now, this.#checkpointSeq);
    } finally {
      this.#alarmAt = null;
      const leases = [...this.#state.open.values()].map((row) => row.leaseUntil);
      const leaseAt = Math.min(...leases) + ALARM_SLACK_MS;
      const at = Math.min(leaseAt, this.#flush.next(now) ?? Infinity);
      if (at < Infinity) this.#wakeAt(at);
    }
  }

  /** One alarm stands at a time; an earlier one is kept, so most requests write none. */
  #wakeAt(at: number): void {
    if (this.#alarmAt !== null && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }

  /** By number where it is that request's; else by id, so that a row of a stranger is found too. */
  #find(requestId: RequestId, seq: number | null): RequestRow | null {
    const open = openRowOf(this.#state, requestId);
    if (open !== null) return open;
    const named = seq === null ? null : this.#storage.row(seq);
    if (named?.requestId === requestId) return named;
    // What names a row and is not there may be of a stranger, closed in the last minutes.
    return this.#recent.row(requestId, seq === null ? this.#state.lastSeenAt : null);
  }

  #now(): number {
    const reading = readClock({
      wallClock: Date.now(),
      lastSeenAt: this.#state.lastSeenAt,
      openRequests: this.#state.open.size,
    });
    if (reading.leapt) log('clock-leapt', { now: reading.now, before: this.#state.lastSeenAt });
    this.#state.lastSeenAt = reading.lastSeenAt;
    return reading.now;
  }
}
