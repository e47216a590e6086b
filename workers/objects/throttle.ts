// A Throttle object, one of 64: attempts to get in, counted one after the other by the digest of
// who tries or from where. A few failures are kept in memory alone; what delays somebody is stored
// until it is forgotten. The rule is domain/throttle/delay.ts; no address, no name comes here.

import { DurableObject } from 'cloudflare:workers';
import { fail, ok } from '../domain/result';
import type { Result } from '../domain/result';
import type { Attempt, AttemptCall, GiveBackCall, ThrottlePort } from '../domain/throttle/calls';
import type { Failures } from '../domain/throttle/delay';
import {
  FORGET_AFTER_MS,
  FREE_FAILURES,
  NO_FAILURES,
  waitMs,
  withAttempt,
  withoutAttempt,
} from '../domain/throttle/delay';
import { base64url } from '../platform/base64';
import { randomBytes } from '../platform/random';
import { migrate } from './migrate';

const STEPS = [
  `CREATE TABLE failures (
    subject TEXT PRIMARY KEY, count INTEGER NOT NULL, last_at INTEGER NOT NULL,
    last_attempt TEXT NOT NULL
  ) STRICT, WITHOUT ROWID`,
] as const;

/** Beyond this the oldest are dropped: a few failures, that cost nobody anything yet. */
const IN_MEMORY_MAX = 10_000;
const ATTEMPT_ID_BYTES = 12;

interface Standing extends Failures {
  readonly lastAttempt: string;
}

const NOTHING: Standing = { ...NO_FAILURES, lastAttempt: '' };

export class ThrottleObject extends DurableObject<Env> implements ThrottlePort {
  readonly #sql: SqlStorage;
  /** Those with fewer failures than delay anything, least lately tried first. */
  readonly #few = new Map<string, Standing>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    migrate(this.#sql, STEPS);
  }

  async attempt(call: AttemptCall): Promise<Result<Attempt, { readonly retryAfterMs: number }>> {
    // Nothing is awaited between reading and writing: of two attempts one is the later.
    const now = Date.now();
    const before = this.#standing(call.subject);
    const retryAfterMs = waitMs(before, call.kind, now);
    if (retryAfterMs > 0) return fail({ retryAfterMs });
    const attemptId = base64url(randomBytes(ATTEMPT_ID_BYTES));
    const standing = { ...withAttempt(before, now), lastAttempt: attemptId };
    this.#keep(call.subject, before, standing);
    if (isStored(standing) && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(now + FORGET_AFTER_MS);
    }
    return ok({ attemptId, previousAt: before.lastAt });
  }

  async giveBack({ subject, attemptId, previousAt }: GiveBackCall): Promise<void> {
    const standing = this.#standing(subject);
    // Forgotten meanwhile, with the memory or the hour.
    if (standing.count === 0) return;
    const isLast = standing.lastAttempt === attemptId;
    const left = withoutAttempt(standing, isLast ? previousAt : standing.lastAt);
    this.#keep(subject, standing, { ...left, lastAttempt: standing.lastAttempt });
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    this.#sql.exec('DELETE FROM failures WHERE last_at <= ?', now - FORGET_AFTER_MS);
    const { first } = this.#sql
      .exec<{ first: number | null }>('SELECT min(last_at) AS first FROM failures')
      .one();
    if (first !== null) await this.ctx.storage.setAlarm(first + FORGET_AFTER_MS);
  }

  #standing(subject: string): Standing {
    const few = this.#few.get(subject);
    if (few !== undefined) return few;
    const [row] = this.#sql
      .exec<{ count: number; last_at: number; last_attempt: string }>(
        'SELECT count, last_at, last_attempt FROM failures WHERE subject = ?',
        subject,
      )
      .toArray();
    if (row === undefined) return NOTHING;
    return { count: row.count, lastAt: row.last_at, lastAttempt: row.last_attempt };
  }

  #keep(subject: string, before: Standing, standing: Standing): void {
    this.#few.delete(subject);
    if (isStored(standing)) {
      this.#sql.exec(
        'INSERT INTO failures VALUES (?, ?, ?, ?) ON CONFLICT (subject) DO UPDATE SET ' +
          'count = excluded.count, last_at = excluded.last_at, last_attempt = excluded.last_attempt',
        subject,
        standing.count,
        standing.lastAt,
        standing.lastAttempt,
      );
      return;
    }
    if (isStored(before)) this.#sql.exec('DELETE FROM failures WHERE subject = ?', subject);
    if (standing.count === 0) return;
    const [oldest] = this.#few.keys();
    if (this.#few.size >= IN_MEMORY_MAX && oldest !== undefined) this.#few.delete(oldest);
    this.#few.set(subject, standing);
  }
}

function isStored({ count }: Failures): boolean {
  return count >= FREE_FAILURES;
}
