// The isolate's copy of the Pool's snapshot: accounts, prices, aliases; with it comes how the
// accounts are (health.ts). Fresh enough: used; older: used and renewed behind; too old or absent:
// awaited, beside admit.

import type { RelayError } from '../domain/errors';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { Snapshot } from '../domain/snapshot';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { withinMs } from '../platform/clock';
import { poolOf } from '../platform/objects';
import { heldHealthVersion, takeHealth } from './health';
import type { Visit } from './journey';
import { noteLive } from './live';

const FRESH_MS = 10 * SECOND_MS;
const USABLE_MS = MINUTE_MS;
/** Slower than this is as good as down. */
const ANSWER_MS_MAX = 3 * SECOND_MS;

let held: { readonly snapshot: Snapshot; readonly at: number } | null = null;
/** Unix ms at which the renewal under way began; one at a time. */
let renewingSince: number | null = null;

/** Version of the held snapshot; null while there is none that may be used. */
export function heldVersion(now: number): number | null {
  return held !== null && now - held.at <= USABLE_MS ? held.snapshot.version : null;
}

/** The snapshot to work from; `busy` when there is none and Pool cannot give one. */
export async function currentSnapshot(visit: Visit): Promise<Result<Snapshot, RelayError>> {
  const now = Date.now();
  const age = held === null ? Number.POSITIVE_INFINITY : now - held.at;
  if (held !== null && age <= USABLE_MS) {
    if (age > FRESH_MS) renewBehind(visit, now);
    return ok(held.snapshot);
  }
  const renewed = await renew(visit);
  // Pool is down: the isolate goes on with what it has.
  return !renewed.ok && held !== null ? ok(held.snapshot) : renewed;
}

function renewBehind(visit: Visit, now: number): void {
  if (renewingSince !== null && now - renewingSince < FRESH_MS) return;
  renewingSince = now;
  visit.ctx.waitUntil(renew(visit));
}

/** Not older than this is as good as new. */
const NEW_MS = SECOND_MS;

/** A newer snapshot than `used`, for one that has nothing to offer; `used` when there is none. */
export async function renewedSnapshot(visit: Visit, used: Snapshot): Promise<Snapshot> {
  if (held !== null && held.snapshot.version > used.version) return held.snapshot;
  if (held !== null && Date.now() - held.at < NEW_MS) return used;
  const renewed = await renew(visit);
  return renewed.ok ? renewed.value : used;
}

async function renew(visit: Visit): Promise<Result<Snapshot, RelayError>> {
  try {
    const version = held?.snapshot.version ?? null;
    const asked = poolOf(visit.env).snapshot(version, heldHealthVersion());
    const answer = await withinMs(asked, ANSWER_MS_MAX);
    if (answer === 'late') {
      log('pool-late', { ms: ANSWER_MS_MAX });
      return fail(POOL_BUSY);
    }
    if (!answer.ok) return answer;
    noteLive(answer);
    takeHealth(answer.health);
    const snapshot = answer.value === 'unchanged' ? held?.snapshot : answer.value;
    if (snapshot === undefined) return fail(POOL_BUSY);
    if (held === null || snapshot.version >= held.snapshot.version) {
      held = { snapshot, at: Date.now() };
    }
    return ok(held.snapshot);
  } catch (error) {
    log('pool-unreachable', { error: String(error) });
    return fail(POOL_BUSY);
  } finally {
    renewingSince = null;
  }
}

const POOL_BUSY: RelayError = { kind: 'busy', what: 'pool', retryAfterMs: SECOND_MS };
