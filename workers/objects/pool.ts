// The Pool object, one for all: the snapshot of accounts, prices and aliases that the relay works
// from, kept in its own storage so that D1 is never on the way. D1 is the truth; this follows it.

import { DurableObject } from 'cloudflare:workers';
import type { RelayError } from '../domain/errors';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { PoolPort, Snapshot } from '../domain/snapshot';
import { SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { configOf } from '../platform/env';
import { randomBytes } from '../platform/random';
import { syncEnvironment } from '../store/environment';
import { loadSnapshot } from '../store/snapshot';
import { migrate } from './migrate';

const STEPS = [
  'CREATE TABLE snapshot (one INTEGER PRIMARY KEY CHECK (one = 1), document TEXT NOT NULL) STRICT',
] as const;

const DATABASE_BUSY: RelayError = { kind: 'busy', what: 'database', retryAfterMs: SECOND_MS };

export class PoolObject extends DurableObject<Env> implements PoolPort {
  readonly #sql: SqlStorage;
  #snapshot: Snapshot | null;
  /** Whether the environment's accounts and the shipped prices were compared since waking. */
  #synced = false;
  /** One load at a time; callers wait for the one under way. */
  #loading: Promise<Result<Snapshot, RelayError>> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    migrate(this.#sql, STEPS);
    const [row] = this.#sql
      .exec<{ document: string }>('SELECT document FROM snapshot')
      .toArray();
    // Written by this class alone.
    this.#snapshot = row === undefined ? null : (JSON.parse(row.document) as Snapshot);
  }

  async snapshot(version: number | null): Promise<Result<Snapshot | 'unchanged', RelayError>> {
    const held = await this.#current();
    if (!held.ok) return held;
    return ok(held.value.version === version ? 'unchanged' : held.value);
  }

  async refresh(version: number): Promise<void> {
    if (this.#snapshot !== null && this.#snapshot.version >= version) return;
    // A load that was under way may have begun before the change.
    await this.#loading;
    if (this.#snapshot === null || this.#snapshot.version < version) await this.#load();
  }

  async ping(): Promise<'ok' | 'empty'> {
    const held = await this.#current();
    return held.ok ? 'ok' : 'empty';
  }

  async #current(): Promise<Result<Snapshot, RelayError>> {
    if (this.#synced && this.#snapshot !== null) return ok(this.#snapshot);
    const loaded = await this.#load();
    // D1 is down but something is held: go on with it, and try again at the next call.
    return !loaded.ok && this.#snapshot !== null ? ok(this.#snapshot) : loaded;
  }

  #load(): Promise<Result<Snapshot, RelayError>> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #read(): Promise<Result<Snapshot, RelayError>> {
    const config = configOf(this.env);
    if (!config.ok) return config;
    const { environmentAccounts, masterKeys } = config.value;
    try {
      if (!this.#synced) {
        const now = Date.now();
        const random = randomBytes;
        await syncEnvironment(this.env.DB, {
          accounts: environmentAccounts,
          masterKeys,
          now,
          random,
        });
        this.#synced = true;
      }
      return ok(this.#keep(await loadSnapshot(this.env.DB)));
    } catch (error) {
      log('snapshot-unreadable', { error: String(error) });
      return fail(DATABASE_BUSY);
    }
  }

  /** A lower version than the one held is a late answer: ignored. */
  #keep(fresh: Snapshot): Snapshot {
    const held = this.#snapshot;
    if (held !== null && held.version >= fresh.version) return held;
    this.#snapshot = fresh;
    this.#sql.exec(
      'INSERT INTO snapshot (one, document) VALUES (1, ?) ' +
        'ON CONFLICT (one) DO UPDATE SET document = excluded.document',
      JSON.stringify(fresh),
    );
    return fresh;
  }
}
