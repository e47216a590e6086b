// The Pool object, one for all: the snapshot of accounts, prices and aliases that the relay works
// from, kept in its own storage so that D1 is never on the way. D1 is the truth; this follows it.
// The accounts' health, which D1 never sees, is in pool-health.ts.

import { DurableObject } from 'cloudflare:workers';
import type { RelayError } from '../domain/errors';
import type {
  AccountState,
  PermitAnswer,
  PermitCall,
  Report,
  ReportAnswer,
  ResetCall,
  SpendCall,
} from '../domain/health/calls';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { PoolPort, Snapshot, SnapshotAnswer } from '../domain/snapshot';
import { ACCOUNT_DEFAULTS } from '../domain/snapshot';
import { SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { configOf } from '../platform/env';
import { randomBytes } from '../platform/random';
import { environmentMark, syncEnvironment } from '../store/environment';
import { loadSnapshot } from '../store/snapshot';
import { migrate } from './migrate';
import { HEALTH_STEP, HealthDesk } from './pool-health';

const STEPS = [
  // `mark`: what the environment was when the snapshot was read.
  `CREATE TABLE snapshot (
    one INTEGER PRIMARY KEY CHECK (one = 1), document TEXT NOT NULL, mark TEXT NOT NULL
  ) STRICT`,
  HEALTH_STEP,
] as const;

const LIVE_UNTIL = 'live-until';
const DATABASE_BUSY: RelayError = { kind: 'busy', what: 'database', retryAfterMs: SECOND_MS };

export class PoolObject extends DurableObject<Env> implements PoolPort {
  readonly #sql: SqlStorage;
  readonly #health: HealthDesk;
  #snapshot: Snapshot | null;
  /** The environment that the database was last made to match; null: none yet. */
  #syncedMark: string | null = null;
  /** One load at a time; callers wait for the one under way. */
  #loading: Promise<Result<Snapshot, RelayError>> | null = null;
  /** Unix ms until which somebody watches. */
  #liveUntil: number;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    migrate(this.#sql, STEPS);
    const [row] = this.#sql
      .exec<{ document: string; mark: string }>('SELECT document, mark FROM snapshot')
      .toArray();
    this.#snapshot = row === undefined ? null : readSnapshot(row.document);
    this.#syncedMark = row?.mark ?? null;
    this.#health = new HealthDesk(this.#sql, Date.now());
    if (this.#snapshot !== null) this.#health.know(this.#snapshot.accounts);
    this.#liveUntil = ctx.storage.kv.get<number>(LIVE_UNTIL) ?? 0;
  }

  async snapshot(version: number | null, healthVersion?: number | null): Promise<SnapshotAnswer> {
    const held = await this.#current();
    if (!held.ok) return held;
    const answer: SnapshotAnswer = ok(held.value.version === version ? 'unchanged' : held.value);
    const until = this.#liveUntil;
    // A Worker of before names no version and looks for no health.
    const health = healthVersion === undefined ? 'unchanged' : this.#health.answerTo(healthVersion);
    return {
      ...answer,
      ...(Date.now() < until ? { live: { until } } : {}),
      ...(health === 'unchanged' ? {} : { health }),
    };
  }

  async report(report: Report): Promise<ReportAnswer> {
    return this.#health.report(report);
  }

  async permit(call: PermitCall): Promise<PermitAnswer> {
    return this.#health.permit(call);
  }

  async states(): Promise<readonly AccountState[]> {
    // Accounts are known once there is a snapshot.
    await this.#current();
    return this.#health.states();
  }

  async reset(call: ResetCall): Promise<void> {
    await this.#current();
    this.#health.reset(call);
  }

  async spentAsOf(call: SpendCall): Promise<void> {
    this.#health.spentAsOf(call);
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

  async setLive(until: number | null): Promise<void> {
    this.#liveUntil = until ?? 0;
    // Said every 30 s while somebody watches: this object may sleep sooner.
    this.ctx.storage.kv.put(LIVE_UNTIL, this.#liveUntil);
  }

  /** What is held, as long as it was read under this environment: then D1 is not asked. */
  async #current(): Promise<Result<Snapshot, RelayError>> {
    const config = configOf(this.env);
    if (!config.ok) return config;
    const { environmentAccounts: accounts, masterKeys } = config.value;
    const mark = await environmentMark({ accounts, masterKeys });
    if (this.#snapshot !== null && this.#syncedMark === mark) return ok(this.#snapshot);
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
    const { environmentAccounts: accounts, masterKeys } = config.value;
    try {
      const mark = await environmentMark({ accounts, masterKeys });
      if (this.#syncedMark !== mark) {
        const now = Date.now();
        await syncEnvironment(this.env.DB, { accounts, masterKeys, now, random: randomBytes });
      }
      return ok(this.#keep(await loadSnapshot(this.env.DB), mark));
    } catch (error) {
      log('snapshot-unreadable', { error: String(error) });
      return fail(DATABASE_BUSY);
    }
  }

  /** A lower version than the one held is a late answer: ignored. */
  #keep(fresh: Snapshot, mark: string): Snapshot {
    const held = this.#snapshot;
    const isNewer = held === null || fresh.version > held.version;
    const kept = isNewer ? fresh : held;
    if (!isNewer && mark === this.#syncedMark) return kept;
    this.#snapshot = kept;
    this.#syncedMark = mark;
    this.#health.know(kept.accounts);
    this.#sql.exec(
      'INSERT INTO snapshot (one, document, mark) VALUES (1, ?, ?) ' +
        'ON CONFLICT (one) DO UPDATE SET document = excluded.document, mark = excluded.mark',
      JSON.stringify(kept),
      mark,
    );
    return kept;
  }
}

/** Written by this class alone; a document of before lacks what accounts have got since. */
function readSnapshot(document: string): Snapshot {
  const snapshot = JSON.parse(document) as Snapshot;
  const accounts = snapshot.accounts.map((account) => ({ ...ACCOUNT_DEFAULTS, ...account }));
  return { ...snapshot, accounts };
}
