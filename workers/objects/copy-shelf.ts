// The Ledger object's copies of D1 rows: the higher version stays, loads and pushes alike.
// A key never seen is read from D1 inside admit; an old copy is read again after the answer. Keys
// are taken into memory at their first use, so that waking does not read all of them.

import type { RelayError } from '../domain/errors';
import type { KeyId, UserId } from '../domain/ids';
import type { Copy, KeyCopy, UserCopy, WalletCopy } from '../domain/ledger/copies';
import type { Copies, Owner } from '../domain/ledger/decide';
import { isTimeZone } from '../domain/limits/calendar';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { loadCopies } from '../store/keys';
import type { LedgerStorage } from './ledger-storage';

/** A copy older than this is read again, off the path. */
const STALE_MS = 10 * MINUTE_MS;
/** A failed renewal is not tried again sooner. */
const RETRY_MS = MINUTE_MS;

export class CopyShelf {
  readonly #storage: LedgerStorage;
  readonly #env: Env;
  readonly #keys = new Map<KeyId, KeyCopy>();
  readonly #users = new Map<UserId, UserCopy>();
  #wallet: WalletCopy | null = null;
  /** Unix ms of the next renewal by key; a key that is not in it is renewed at its next use. */
  readonly #renewAt = new Map<KeyId, number>();

  constructor(storage: LedgerStorage, env: Env) {
    this.#storage = storage;
    this.#env = env;
    for (const copy of this.#stored("kind IN ('user', 'wallet')")) this.#shelve(copy);
  }

  wallet(): WalletCopy | null {
    return this.#wallet;
  }

  /** IANA name of the owner's zone, which calendar limits follow; UTC while it is not known. */
  timeZone(): string {
    const ownerId = this.#wallet?.userId;
    const timeZone = ownerId === undefined ? undefined : this.#users.get(ownerId)?.timeZone;
    return timeZone !== undefined && isTimeZone(timeZone) ? timeZone : 'UTC';
  }

  /** The wallet and its owner; null when one of them is not held. */
  owner(): Owner | null {
    const wallet = this.#wallet;
    const user = wallet === null ? undefined : this.#users.get(wallet.userId);
    return wallet === null || user === undefined ? null : { user, wallet };
  }

  /** The three rows that decide over a key; null when one is not held. */
  of(keyId: KeyId): Copies | null {
    const key = this.#key(keyId);
    const user = key === null ? undefined : this.#users.get(key.userId);
    if (key === null || user === undefined || this.#wallet === null) return null;
    return { key, user, wallet: this.#wallet };
  }

  /** Keeps `copy` if its version is higher than the one held; else changes nothing. */
  keep(copy: Copy): void {
    if ((this.#held(copy)?.version ?? -Infinity) >= copy.version) return;
    // First what may fail: the next push of a copy that is held already would change nothing.
    this.#store(copy);
    this.#shelve(copy);
    if (copy.kind === 'key') this.#renewAt.set(copy.id, Date.now() + STALE_MS);
  }

  /** The rows of `keyId`, read from D1 when not held. Not found: 401; D1 down: 503. */
  async load(keyId: KeyId): Promise<Result<Copies, RelayError>> {
    const held = this.of(keyId);
    if (held !== null) return ok(held);
    try {
      await this.#read(keyId);
    } catch (error) {
      log('copies-unreadable', { key: keyId, error: String(error) });
      return fail({ kind: 'busy', what: 'database', retryAfterMs: SECOND_MS });
    }
    const copies = this.of(keyId);
    return copies === null ? fail({ kind: 'unauthenticated', why: 'unknown' }) : ok(copies);
  }

  /** Reads an old copy again behind the answer; D1 down: the copy goes on, logged. */
  renewBehind(keyId: KeyId, ctx: Pick<DurableObjectState, 'waitUntil'>): void {
    const now = Date.now();
    if ((this.#renewAt.get(keyId) ?? 0) > now) return;
    this.#renewAt.set(keyId, now + RETRY_MS);
    ctx.waitUntil(
      this.#read(keyId).catch((error: unknown) => {
        log('copies-not-renewed', { key: keyId, error: String(error) });
      }),
    );
  }

  async #read(keyId: KeyId): Promise<void> {
    const copies = await loadCopies(this.#env.DB, keyId);
    for (const copy of copies ?? []) this.keep(copy);
    if (copies !== null) this.#renewAt.set(keyId, Date.now() + STALE_MS);
  }

  #key(keyId: KeyId): KeyCopy | null {
    const held = this.#keys.get(keyId);
    if (held !== undefined) return held;
    const [stored] = this.#stored("kind = 'key' AND id = ?", keyId);
    if (stored?.kind !== 'key') return null;
    this.#keys.set(keyId, stored);
    return stored;
  }

  #stored(which: string, ...bindings: readonly string[]): Copy[] {
    const query = `SELECT document FROM copies WHERE ${which}`;
    // Written by this class alone, as JSON of the same type.
    return this.#storage
      .run<{ document: string }>(query, ...bindings)
      .map(({ document }) => JSON.parse(document) as Copy);
  }

  #store(copy: Copy): void {
    this.#storage.run(
      'INSERT INTO copies (kind, id, version, document) VALUES (?, ?, ?, ?) ' +
        'ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, ' +
        'document = excluded.document WHERE excluded.version > copies.version',
      copy.kind,
      copy.id,
      copy.version,
      JSON.stringify(copy),
    );
  }

  #shelve(copy: Copy): void {
    switch (copy.kind) {
      case 'key':
        this.#keys.set(copy.id, copy);
        break;
      case 'user':
        this.#users.set(copy.id, copy);
        break;
      case 'wallet':
        this.#wallet = copy;
        break;
    }
  }

  #held(copy: Copy): Copy | null {
    switch (copy.kind) {
      case 'key':
        return this.#key(copy.id);
      case 'user':
        return this.#users.get(copy.id) ?? null;
      case 'wallet':
        return this.#wallet;
    }
  }
}
