// Step 6, settle: the request's row is closed with its cost. Behind the answer, retried; what
// cannot reach the ledger is written to D1, from where the cron replays it. Nothing is lost.

import type { SettleCall, SettleAnswer } from '../domain/ledger/calls';
import { ZERO_NANOS } from '../domain/money';
import { SECOND_MS } from '../domain/time';
import { totalCounts } from '../domain/usage/tokens';
import { log } from '../observe/log';
import { withinMs } from '../platform/clock';
import { isMarked, ledgerOf } from '../platform/objects';
import { writeLateSettle } from '../store/late-settles';
import type { Ending } from './ending';
import type { Admitted, Answer, Bearer, Visit } from './journey';
import { tellFinished } from './live';

const RETRY_FOR_MS = 20 * SECOND_MS;
/**
 * Production ends work 30 s after the answer ended or the client left: the rest is for writing down
 * what could not be told. An answer that was read on without its client has less left to retry in.
 */
const TOLD_WITHIN_MS = 25 * SECOND_MS;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5 * SECOND_MS;

/** How far a request got, for its row and its log line. */
export interface Reached {
  readonly status: number | null;
  readonly accountId: Answer['account']['id'] | null;
  readonly attempts: Answer['attempts'];
  readonly firstByteMs: number | null;
  readonly servedModel: string | null;
  /** Unix ms at which the client left; null: it was there to the end. */
  readonly leftAt: number | null;
}

/** Nothing was reached: refused by the relay itself, or left before dispatch. */
export const REACHED_NOTHING: Reached = {
  status: null,
  accountId: null,
  attempts: [],
  firstByteMs: null,
  servedModel: null,
  leftAt: null,
};

/** Closes the journey's row and writes its log line. Never rejects. */
export async function settle(journey: Admitted, ending: Ending, reached: Reached): Promise<void> {
  const timings = {
    admitMs: journey.admitMs,
    firstByteMs: reached.firstByteMs,
    totalMs: Date.now() - journey.receivedAt,
  };
  const { lease } = journey;
  const { status, accountId, attempts, servedModel } = reached;
  // Class `free` has no row: its settle only gives its place back.
  const call: SettleCall = {
    seq: lease.seq,
    requestId: lease.requestId,
    keyId: lease.keyId,
    ...ending,
    admittedAt: lease.admittedAt,
    model: servedModel ?? lease.model,
    accountId,
    status,
    attempts,
    timings,
  };
  tellFinished(journey, call);
  await send(journey, journey.bearer, { call, leftAt: reached.leftAt });
  log('request', {
    request: lease.requestId,
    operation: journey.operation,
    user: lease.userId,
    wallet: lease.walletId,
    key: lease.keyId,
    model: lease.model,
    served: servedModel,
    account: accountId,
    status,
    closing: ending.closing,
    certainty: ending.certainty,
    ...timings,
    tokens: { ...totalCounts(ending.usage) },
    costNanos: ending.costNanos,
    flags: ending.usage.flags,
    attempts: attempts.map(({ outcome, status: code }) => `${outcome}:${code ?? '-'}`),
  });
}

/** Takes back an admit whose answer never came. Never rejects. */
export async function settleVoid(visit: Visit, bearer: Bearer): Promise<void> {
  const call: SettleCall = {
    seq: null,
    requestId: visit.requestId,
    keyId: bearer.parts.keyId,
    closing: 'void',
    certainty: 'reported',
    usage: { entries: [], flags: [] },
    costNanos: ZERO_NANOS,
    admittedAt: null,
    model: null,
    accountId: null,
    status: null,
    attempts: [],
    timings: { admitMs: 0, firstByteMs: null, totalMs: Date.now() - visit.receivedAt },
  };
  await send(visit, bearer, { call, leftAt: null });
}

interface Parcel extends Pick<Reached, 'leftAt'> {
  readonly call: SettleCall;
}

async function send(visit: Visit, bearer: Bearer, { call, leftAt }: Parcel): Promise<void> {
  const { walletId, region } = bearer.parts;
  const startedAt = Date.now();
  const until = Math.min(startedAt + RETRY_FOR_MS, (leftAt ?? startedAt) + TOLD_WITHIN_MS);
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    // A new stub for each try: one that failed stays broken.
    const answer = ledgerOf(visit.env, walletId, region).settle(call);
    const leftMs = Math.max(FIRST_PAUSE_MS, until - Date.now());
    const settled = await withinMs(answer.then(keep, failed), leftMs);
    // It may still arrive: said twice is settled once.
    if (settled === 'late') break;
    // A free request's place is given back by itself after a minute.
    if (settled.done || call.seq === 0) return;
    if (settled.overloaded || Date.now() + pauseMs > until) break;
    await scheduler.wait(pauseMs);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
  try {
    await writeLateSettle(visit.env.DB, { walletId, region, call, now: Date.now() });
    log('settle-late', { request: call.requestId });
  } catch (error) {
    // The lease runs out and the alarm closes the row; this line is what is left of the figures.
    log('settle-lost', {
      request: call.requestId,
      costNanos: call.costNanos,
      error: String(error),
    });
  }
}

interface Tried {
  readonly done: boolean;
  /** The object says that trying again would make it worse. */
  readonly overloaded: boolean;
}

function keep(_answer: SettleAnswer): Tried {
  return { done: true, overloaded: false };
}

function failed(error: unknown): Tried {
  return { done: false, overloaded: isMarked(error, 'overloaded') };
}
