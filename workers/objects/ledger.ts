// The Ledger object, one per wallet: everything about its money is decided here, by the rules in
// domain/ledger. This class loads, calls a rule, stores, answers. No rule and no price of its own.

import { DurableObject } from 'cloudflare:workers';
import type { RelayError } from '../domain/errors';
import type { KeyId, RequestId } from '../domain/ids';
import type {
  AdmitAnswer,
  AdmitCall,
  CreditAnswer,
  CreditCall,
  KeyInfo,
  Lease,
  LedgerPort,
  ProgressAnswer,
  ProgressCall,
  SettleAnswer,
  SettleCall,
} from '../domain/ledger/calls';
import { readClock } from '../domain/ledger/clock';
import type { Copy } from '../domain/ledger/copies';
import type { Admission, Copies, SettleDecision } from '../domain/ledger/decide';
import {
  checkKey,
  correctionOf,
  decideAdmit,
  decideProgress,
  decideSettle,
  LEASE_MS,
  recover,
} from '../domain/ledger/decide';
import type { Entry, Opened, Outcome, RequestRow } from '../domain/ledger/row';
import type { WalletState } from '../domain/ledger/state';
import {
  checkpointOf,
  emptyState,
  foldClosed,
  foldEntry,
  foldOpened,
  openRowOf,
  stateOf,
} from '../domain/ledger/state';
import { ZERO_NANOS } from '../domain/money';
import type { Catalogue } from '../domain/pricing/catalogue';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { poolOf } from '../platform/objects';
import { CopyShelf } from './copy-shelf';
import { LedgerStorage } from './ledger-storage';

/** Closed rows between two checkpoints: waking reads at most as many rows again. */
const CHECKPOINT_EVERY = 500;
/** How long a closed request is found by its id, for repeats that do not know its row. */
const RECENT_MS = 10 * MINUTE_MS;
/** Leases end on whole alarms: one alarm a minute closes all that ran out. */
const ALARM_SLACK_MS = 5 * SECOND_MS;

export class LedgerObject extends DurableObject<Env> implements LedgerPort {
  readonly #storage: LedgerStorage;
  readonly #copies: CopyShelf;
  readonly #state: WalletState;
  /** Row numbers of closed requests by id, for at least RECENT_MS. */
  readonly #recent = new Map<RequestId, { readonly seq: number; readonly closedAt: number }>();
  #catalogue: Catalogue | null;
  #alarmAt: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#storage = new LedgerStorage(ctx.storage.sql);
    this.#copies = new CopyShelf(this.#storage, env);
    this.#catalogue = this.#storage.catalogue();
    this.#state = this.#rebuild();
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  #rebuild(): WalletState {
    const checkpoint = this.#storage.checkpoint();
    const state = checkpoint === null ? emptyState() : stateOf(checkpoint);
    for (const row of this.#storage.tail(checkpoint)) {
      foldOpened(state, row);
      if (row.outcome === null) continue;
      foldClosed(state, row);
      this.#recent.set(row.requestId, { seq: row.seq, closedAt: row.outcome.closedAt });
    }
    for (const entry of this.#storage.entriesAfter(state.lastEntry)) foldEntry(state, entry);
    return state;
  }

  async admit(call: AdmitCall): Promise<AdmitAnswer> {
    const repeated = this.#repeated(call);
    if (repeated !== null) return repeated;
    const prepared = this.#prepared(call) ?? (await this.#prepare(call));
    if (!prepared.ok) return prepared;
    // Another call may have come in while this one waited for D1 or Pool.
    const meanwhile = this.#repeated(call);
    if (meanwhile !== null) return meanwhile;

    const { copies, catalogue } = prepared.value;
    const now = this.#now();
    const { balanceNanos } = this.#state;
    const decision = decideAdmit(call, { copies, catalogue, balanceNanos, now });
    this.#copies.renewBehind(call.keyId, this.ctx);
    if (!decision.ok) return { ok: false, error: decision.error };
    const facts = { admission: decision.value, catalogue, now, copies };
    const opened = openedOf(call, facts);
    if (opened === null) return { ok: true, lease: freeLease(call, facts) };
    return { ok: true, lease: this.#open(opened, copies, now) };
  }

  /** The answer that this id got before, if it is known. */
  #repeated(call: AdmitCall): AdmitAnswer | null {
    const open = openRowOf(this.#state, call.requestId);
    const wallet = this.#copies.wallet();
    if (open?.opened && wallet !== null) {
      return { ok: true, lease: leaseOf(open, open.opened, wallet.id) };
    }
    return this.#recent.has(call.requestId)
      ? { ok: false, error: { kind: 'already-closed' } }
      : null;
  }

  /** What the decision needs, if it is all in memory: the warm path awaits nothing. */
  #prepared(call: AdmitCall): Result<Prepared, RelayError> | null {
    const copies = this.#copies.of(call.keyId);
    const catalogue = this.#catalogue;
    if (copies === null || catalogue === null) return null;
    if (catalogue.version < (call.pricesVersion ?? 0)) return null;
    return ok({ copies, catalogue });
  }

  async #prepare(call: AdmitCall): Promise<Result<Prepared, RelayError>> {
    const [copies, catalogue] = await Promise.all([
      this.#copies.load(call.keyId),
      this.#freshCatalogue(call.pricesVersion ?? 0),
    ]);
    if (!copies.ok) return copies;
    if (!catalogue.ok) return catalogue;
    return ok({ copies: copies.value, catalogue: catalogue.value });
  }

  async #freshCatalogue(atLeast: number): Promise<Result<Catalogue, RelayError>> {
    const held = this.#catalogue;
    if (held !== null && held.version >= atLeast) return ok(held);
    const answer = await poolOf(this.env)
      .snapshot(held?.version ?? null)
      .catch((): Result<never, RelayError> => fail(POOL_BUSY));
    if (!answer.ok) return held === null ? answer : ok(held);
    if (answer.value === 'unchanged') return held === null ? fail(POOL_BUSY) : ok(held);
    const fresh = answer.value.catalogue;
    if (this.#catalogue === null || fresh.version > this.#catalogue.version) {
      this.#catalogue = fresh;
      this.#storage.keepCatalogue(fresh);
    }
    return ok(this.#catalogue);
  }

  #open(opened: Opened, copies: Copies, now: number): Lease {
    const row: RequestRow = {
      seq: this.#state.lastSeq + 1,
      requestId: opened.requestId,
      keyId: opened.keyId,
      admittedAt: now,
      leaseUntil: now + LEASE_MS,
      opened,
      progress: null,
      outcome: null,
      known: null,
      closed: null,
    };
    this.#storage.insertRow(row);
    foldOpened(this.#state, row);
    this.#wakeAt(row.leaseUntil + ALARM_SLACK_MS);
    return leaseOf(row, opened, copies.wallet.id);
  }

  // oxlint-disable-next-line require-await -- the port is asynchronous, the rule is not
  async progress(call: ProgressCall): Promise<ProgressAnswer> {
    const row = this.#find(call.requestId, call.seq);
    const now = this.#now();
    const copies = row === null ? null : this.#copies.of(row.keyId);
    const answer = decideProgress(row, copies, now);
    if (row === null || row.outcome !== null) return answer;
    if (row.progress !== null && row.progress.n >= call.n) return answer;
    const { n, costNanos, dispatched } = call;
    const alive = { ...row, leaseUntil: now + LEASE_MS, progress: { n, costNanos, dispatched } };
    this.#storage.keepProgress(alive);
    foldOpened(this.#state, alive);
    return answer;
  }

  // oxlint-disable-next-line require-await -- the port is asynchronous, the rule is not
  async settle(call: SettleCall): Promise<SettleAnswer> {
    const now = this.#now();
    const row = this.#find(call.requestId, call.seq);
    const decision = decideSettle(row, call, now);
    if (decision.do === 'close') {
      return answerOf(this.#close(row ?? this.#strangerOf(call, now), decision.outcome, call));
    }
    if (row === null) throw new Error('a row that is not there cannot be closed already');
    return answerOf(decision.do === 'correct' ? this.#correct(row, decision, now) : row);
  }

  /** A row for a request that this object did not admit, or no longer knows. */
  #strangerOf(call: SettleCall, now: number): RequestRow {
    const { requestId, keyId } = call;
    const row: RequestRow = {
      seq: this.#state.lastSeq + 1,
      requestId,
      keyId,
      admittedAt: call.admittedAt ?? now,
      leaseUntil: now,
      opened: null,
      progress: null,
      outcome: null,
      known: null,
      closed: null,
    };
    this.#storage.insertRow(row);
    foldOpened(this.#state, row);
    return row;
  }

  #close(row: RequestRow, outcome: Outcome, call: SettleCall | null): RequestRow {
    const { certainty, costNanos } = outcome;
    const closed: RequestRow = {
      ...row,
      outcome,
      known: { certainty, costNanos },
      closed: call === null ? null : closedOf(call),
    };
    this.#storage.closeRow(closed);
    foldClosed(this.#state, closed);
    this.#recent.set(row.requestId, { seq: row.seq, closedAt: outcome.closedAt });
    this.#forgetOld(outcome.closedAt);
    if (this.#state.closedSinceCheckpoint >= CHECKPOINT_EVERY) {
      this.#state.closedSinceCheckpoint = 0;
      this.#storage.keepCheckpoint(checkpointOf(this.#state));
    }
    return closed;
  }

  #correct(
    row: RequestRow,
    change: Extract<SettleDecision, { do: 'correct' }>,
    now: number,
  ): RequestRow {
    const { certainty, costNanos } = change;
    const corrected: RequestRow = { ...row, known: { certainty, costNanos } };
    this.#post(correctionOf(row, change, now));
    this.#storage.closeRow(corrected);
    return corrected;
  }

  #post(entry: Omit<Entry, 'n'>): boolean {
    if (this.#storage.hasEntry(entry.entryId)) return false;
    const numbered: Entry = { ...entry, n: this.#state.lastEntry + 1 };
    this.#storage.insertEntry(numbered);
    foldEntry(this.#state, numbered);
    return true;
  }

  // oxlint-disable-next-line require-await -- the port is asynchronous, the rule is not
  async credit(call: CreditCall): Promise<CreditAnswer> {
    const { entryId, kind, amountNanos, reason, actor } = call;
    const at = this.#now();
    const applied = this.#post({ entryId, kind, amountNanos, reason, actor, at, keyId: null });
    return { applied, balanceNanos: this.#state.balanceNanos };
  }

  // oxlint-disable-next-line require-await -- the port is asynchronous, the rule is not
  async apply(copies: readonly Copy[]): Promise<void> {
    for (const copy of copies) this.#copies.keep(copy);
  }

  async keyInfo(call: {
    readonly keyId: KeyId;
    readonly keyHash: string;
  }): Promise<Result<KeyInfo, RelayError>> {
    const loaded = await this.#copies.load(call.keyId);
    if (!loaded.ok) return loaded;
    const { key, wallet } = loaded.value;
    const refusal = checkKey(loaded.value, call.keyHash, this.#now());
    if (refusal !== null) return fail(refusal);
    const totals = this.#state.keys.get(call.keyId);
    return ok({
      keyId: key.id,
      name: key.name,
      status: 'active',
      expiresAt: key.expiresAt,
      walletId: wallet.id,
      balanceNanos: this.#state.balanceNanos,
      openRequests: this.#state.open.size,
      usedNanos: totals?.usedNanos ?? ZERO_NANOS,
      requests: totals?.requests ?? 0,
    });
  }

  // oxlint-disable-next-line require-await -- the port is asynchronous, the rule is not
  async ping(): Promise<'ok'> {
    this.#storage.probe();
    return 'ok';
  }

  /** Rows read and written since waking, for the bench that counts what is billed. */
  counters(): { readonly rowsWritten: number; readonly rowsRead: number } {
    return { ...this.#storage.counters };
  }

  /** Closes what has given no sign of life for a lease's length. At least once, in any order. */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    const now = this.#now();
    for (const row of this.#state.open.values()) {
      if (row.leaseUntil > now) continue;
      const outcome = recover(row, now);
      this.#close(row, outcome, null);
      log('lease-recovered', { request: row.requestId, costNanos: outcome.costNanos });
    }
    this.#forgetOld(now);
    const leases = [...this.#state.open.values()].map((row) => row.leaseUntil);
    if (leases.length > 0) this.#wakeAt(Math.min(...leases) + ALARM_SLACK_MS);
  }

  /** One alarm stands at a time; an earlier one is kept, so most requests write none. */
  #wakeAt(at: number): void {
    if (this.#alarmAt !== null && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }

  #find(requestId: RequestId, seq: number | null): RequestRow | null {
    const number = seq ?? this.#recent.get(requestId)?.seq ?? null;
    const row =
      number === null
        ? openRowOf(this.#state, requestId)
        : (this.#state.open.get(number) ?? this.#storage.row(number));
    return row?.requestId === requestId ? row : null;
  }

  #forgetOld(now: number): void {
    for (const [id, { closedAt }] of this.#recent) {
      if (closedAt > now - RECENT_MS) return;
      this.#recent.delete(id);
    }
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

interface Prepared {
  readonly copies: Copies;
  readonly catalogue: Catalogue;
}

interface OpeningFacts extends Prepared {
  readonly admission: Admission;
  readonly now: number;
}

const POOL_BUSY: RelayError = { kind: 'busy', what: 'pool', retryAfterMs: SECOND_MS };

/** What a metered request writes down; null for a free one, which has no row. */
function openedOf(call: AdmitCall, facts: OpeningFacts): Opened | null {
  const { model, price, likelyInputNanos } = facts.admission;
  if (call.class === 'free' || model === null || price === null) return null;
  const { requestId, keyId, sizes, conversation, tags } = call;
  const userId = facts.copies.user.id;
  const pricesVersion = facts.catalogue.version;
  const priced = { model, price, pricesVersion, likelyInputNanos };
  return { requestId, keyId, userId, ...priced, sizes, conversation, tags };
}

function freeLease(call: AdmitCall, facts: OpeningFacts): Lease {
  return {
    seq: 0,
    requestId: call.requestId,
    walletId: facts.copies.wallet.id,
    userId: facts.copies.user.id,
    keyId: call.keyId,
    model: facts.admission.model,
    price: null,
    pricesVersion: facts.catalogue.version,
    admittedAt: facts.now,
    likelyInputNanos: ZERO_NANOS,
  };
}

function leaseOf(row: RequestRow, opened: Opened, walletId: Lease['walletId']): Lease {
  const { requestId, keyId, userId, model, price, pricesVersion, likelyInputNanos } = opened;
  return {
    seq: row.seq,
    requestId,
    walletId,
    userId,
    keyId,
    model,
    price,
    pricesVersion,
    admittedAt: row.admittedAt,
    likelyInputNanos,
  };
}

function closedOf(call: SettleCall): NonNullable<RequestRow['closed']> {
  const { usage, model, accountId, status, attempts, timings } = call;
  return { usage, model, accountId, status, attempts, timings };
}

function answerOf(row: RequestRow): SettleAnswer {
  if (row.outcome === null || row.known === null) throw new Error(`row ${row.seq} is open`);
  return { closing: row.outcome.closing, ...row.known };
}
