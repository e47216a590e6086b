// Brings what happened in a wallet to D1: cuts batches, sends them in order, one in flight, and
// again until D1 says that it has them. The object's alarm drives it; no request ever waits for it.
// What a batch holds is domain/ledger/batch.ts, how it is written store/ledger-batches.ts.

import type { WalletCopy } from '../domain/ledger/copies';
import type { Mark } from '../domain/ledger/batch';
import { BATCH_ITEMS_MAX, cutBatch, FIRST_MARK, pendingCount } from '../domain/ledger/batch';
import type { WalletState } from '../domain/ledger/state';
import { KEEP_ROWS_MS } from '../domain/ledger/statement';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { withinMs } from '../platform/clock';
import { deliver, skipBatches } from '../store/ledger-batches';
import type { NumberedBatch } from './batch-storage';
import { BatchStorage } from './batch-storage';
import type { LedgerStorage } from './ledger-storage';

/**
 * What is closed leaves within this. Five seconds above the minute, as leases end: so the alarm
 * that a first request has set does for its flush as well.
 */
const FLUSH_AFTER_MS = 65 * SECOND_MS;
/** A reply that takes longer is taken for lost; the batch is sent again and written once. */
const REPLY_MS = 10 * SECOND_MS;
/** What one alarm sends at most, and for how long, so that it comes back to the leases. */
const SENDS_MAX = 50;
const SEND_FOR_MS = 20 * SECOND_MS;
/** Batches that one call cuts: only a wallet that never flushed has more. */
const CUTS_MAX = 20;
const FIRST_PAUSE_MS = 5 * SECOND_MS;
const LONGEST_PAUSE_MS = 5 * MINUTE_MS;
const UNKNOWN_WALLET_MS = HOUR_MS;
const DAY_MS = 24 * HOUR_MS;
/** Longer than D1 can be taken back (30 days). */
const KEEP_BATCHES_MS = 35 * DAY_MS;
/** Between two looks for what is old. */
const PRUNE_EVERY_MS = HOUR_MS;

/** What the flush needs of its object. */
export interface FlushSource {
  readonly env: Env;
  readonly storage: LedgerStorage;
  readonly state: WalletState;
  /** The wallet as it is known now; without it nothing can be sent. */
  readonly wallet: () => WalletCopy | null;
}

export class LedgerFlush {
  readonly #source: FlushSource;
  readonly #batches: BatchStorage;
  /** How far batches have come, and the number of the last one. */
  #mark: Mark;
  #last: number;
  /** Number of the last batch that D1 is known to have. */
  #delivered: number;
  /** Unix ms of the first closing or entry that is in no batch, as far as is known. */
  #pendingSince: number | null = null;
  #failures = 0;
  /** Unix ms before which nothing is sent again. */
  #retryAt = 0;
  #pruneAt = 0;

  constructor(source: FlushSource) {
    this.#source = source;
    this.#batches = new BatchStorage(source.storage);
    const last = this.#batches.last();
    this.#mark = last?.batch.mark ?? FIRST_MARK;
    this.#delivered = this.#batches.delivered();
    this.#last = Math.max(last?.n ?? 0, this.#delivered);
  }

  /** After each closing and entry. Answers when the alarm must come at the latest (Unix ms). */
  note(now: number): number {
    if (pendingCount(this.#mark, this.#source.state) >= BATCH_ITEMS_MAX) this.#cut(now);
    return this.next(now) ?? now + FLUSH_AFTER_MS;
  }

  /** When the alarm must come at the latest (Unix ms); null: nothing waits. */
  next(now: number): number | null {
    if (this.#last > this.#delivered) return Math.max(now, this.#retryAt);
    if (pendingCount(this.#mark, this.#source.state) === 0) return null;
    this.#pendingSince ??= now;
    return Math.max(this.#pendingSince + FLUSH_AFTER_MS, this.#retryAt);
  }

  /**
   * The alarm's part: cuts what is there, sends what D1 does not have, deletes what is old. Never
   * rejects. `checkpointSeq`: rows above it are read at waking.
   */
  async run(now: number, checkpointSeq: number): Promise<void> {
    try {
      this.#cut(now);
      this.#prune(now, checkpointSeq);
      if (now >= this.#retryAt) await this.#send(now);
    } catch (error) {
      this.#pause(now);
      // Had it been writing this down that failed, no alarm would come for it again.
      this.#delivered = this.#batches.delivered();
      log('flush-failed', {
        wallet: this.#source.wallet()?.id,
        batch: this.#delivered + 1,
        failures: this.#failures,
        error: String(error),
      });
    }
  }

  #cut(now: number): void {
    const { state, wallet } = this.#source;
    const ownerId = wallet()?.userId;
    if (ownerId === undefined) {
      // No request was ever admitted here; a push may still come, and the next closing asks again.
      this.#retryAt = now + UNKNOWN_WALLET_MS;
      return;
    }
    for (let cuts = 0; cuts < CUTS_MAX; cuts += 1) {
      const batch = cutBatch(this.#mark, state, { now, ownerId });
      if (batch === null) break;
      this.#batches.insert({ n: this.#last + 1, batch });
      this.#last += 1;
      this.#mark = batch.mark;
    }
    this.#pendingSince = null;
  }

  async #send(now: number): Promise<void> {
    if (this.#last === this.#delivered) return;
    const before = this.#delivered;
    const until = Date.now() + SEND_FOR_MS;
    try {
      for (let sends = 0; sends < SENDS_MAX && Date.now() < until; sends += 1) {
        const numbered = this.#batches.after(this.#delivered);
        if (numbered === null) break;
        await this.#sendOne(numbered);
      }
      this.#failures = 0;
      this.#retryAt = now;
    } finally {
      // Once for all that were sent: what is sent again is not written again.
      if (this.#delivered !== before) this.#batches.keepDelivered(this.#delivered);
    }
  }

  async #sendOne(numbered: NumberedBatch): Promise<void> {
    const { env, wallet } = this.#source;
    const walletId = wallet()?.id;
    if (walletId === undefined) throw new Error('a batch was cut of a wallet that is not known');
    const { n, batch } = numbered;
    const happened = this.#batches.contentOf(batch);
    const stored = await withinMs(deliver(env.DB, { walletId, n, batch, happened }), REPLY_MS);
    if (stored === 'late') throw new Error('D1 did not answer in time');
    if (stored >= n) {
      this.#delivered = stored;
      // Batches of another life of this object: numbers below would be taken for delivered.
      if (stored > this.#last) log('flush-behind', { wallet: walletId, batch: n, stored });
      this.#last = Math.max(this.#last, stored);
      return;
    }
    // D1 was taken back to an earlier time: what followed is sent again.
    log('flush-went-back', { wallet: walletId, batch: n, stored });
    this.#delivered = stored;
    const next = this.#batches.after(stored);
    if (next === null || next.n === stored + 1) return;
    log('flush-gap', { wallet: walletId, from: stored, to: next.n });
    await skipBatches(env.DB, walletId, { from: stored, to: next.n - 1 });
    this.#delivered = next.n - 1;
  }

  #pause(now: number): void {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    this.#retryAt = now + pauseMs;
  }

  #prune(now: number, checkpointSeq: number): void {
    if (now < this.#pruneAt) return;
    const delivered = this.#delivered;
    this.#batches.pruneBatches({ before: now - KEEP_BATCHES_MS, delivered });
    const rows = { before: now - KEEP_ROWS_MS, upTo: checkpointSeq };
    const isMore = this.#batches.pruneRows(rows);
    this.#pruneAt = isMore ? now : now + PRUNE_EVERY_MS;
  }
}
