// What this isolate tells those who watch the relay. While nobody watches it costs one comparison
// an event; else at most one message a second leaves, behind the answers. Nothing here is awaited
// by a journey, and nothing fails it: what cannot be told is lost, and the count says so.

import type { ProgressCall, SettleCall } from '../domain/ledger/calls';
import type { LiveEvent, LiveMessage } from '../domain/live';
import { isAmong, NO_RATE, shareTold, withRequest } from '../domain/live';
import type { SnapshotAnswer } from '../domain/snapshot';
import { SECOND_MS } from '../domain/time';
import { totalCounts } from '../domain/usage/tokens';
import { log } from '../observe/log';
import { withinMs } from '../platform/clock';
import { liveOf } from '../platform/objects';
import type { Admitted, Answer } from './journey';

const EVERY_MS = SECOND_MS;
/** Events that wait for the next message; more are only counted. */
const WAITING_MAX = 200;
/** A message that is not away by then went with the request that was to send it. */
const LOST_AFTER_MS = 5 * SECOND_MS;
/** No request is kept alive for longer by a Live object that does not answer. */
const TOLD_WITHIN_MS = 5 * SECOND_MS;

/** Unix ms until which somebody watches; 0: nobody does. */
let liveUntil = 0;
let rate = NO_RATE;
let waiting: LiveEvent[] = [];
/** Since the last message; as many of them wait as were let. */
let happened = 0;
let sentAt = 0;
/** Unix ms since when a request waits to send the next message; null: none does. */
let waitingSince: number | null = null;

/** Learns from the Pool's answer whether anybody watches. */
export function noteLive({ live }: Pick<SnapshotAnswer, 'live'>): void {
  liveUntil = live?.until ?? 0;
}

/** A request has been let in. Here as below: class `free` has no row, and is not shown. */
export function tellStarted(journey: Admitted): void {
  if (liveUntil === 0 || journey.lease.seq === 0) return;
  const { lease, receivedAt: at } = journey;
  const { requestId, userId, keyId, model } = lease;
  rate = withRequest(rate, Date.now());
  tell(journey, { kind: 'started', at, requestId, userId, keyId, model });
}

/** An account has answered. */
export function tellFirstByte(journey: Admitted, answer: Answer): void {
  if (liveUntil === 0 || journey.lease.seq === 0) return;
  const { account, firstByteMs, response } = answer;
  const { requestId } = journey.lease;
  const happening = {
    kind: 'first-byte',
    at: journey.receivedAt + firstByteMs,
    requestId,
  } as const;
  tell(journey, { ...happening, accountId: account.id, status: response.status, firstByteMs });
}

/** A sign of life: what the request has cost so far. */
export function tellRunning(journey: Admitted, { requestId, costNanos }: ProgressCall): void {
  if (liveUntil === 0) return;
  tell(journey, { kind: 'running', at: Date.now(), requestId, costNanos });
}

/** The request is over, as it is being told to the ledger. */
export function tellFinished(journey: Admitted, call: SettleCall): void {
  if (liveUntil === 0 || call.seq === 0) return;
  const { requestId, keyId, model, accountId, status, closing, usage, costNanos, timings } = call;
  const who = { userId: journey.lease.userId, keyId, model, accountId, status };
  const figures = { closing, tokens: totalCounts(usage), costNanos, timings };
  tell(journey, { kind: 'finished', at: Date.now(), requestId, ...who, ...figures });
}

function tell({ ctx, env }: Admitted, event: LiveEvent): void {
  const now = Date.now();
  if (now >= liveUntil) {
    liveUntil = 0;
    waiting = [];
    happened = 0;
    return;
  }
  happened += 1;
  if (waiting.length < WAITING_MAX && isAmong(event.requestId, shareTold(rate, now))) {
    waiting.push(event);
  }
  if (waitingSince !== null && now - waitingSince < LOST_AFTER_MS) return;
  waitingSince = now;
  ctx.waitUntil(send(env, Math.min(EVERY_MS, sentAt + EVERY_MS - now)));
}

/** Sends, in `waitMs`, what waits then; never rejects. */
async function send(env: Env, waitMs: number): Promise<void> {
  try {
    if (waitMs > 0) await scheduler.wait(waitMs);
    const message = taken();
    const answer = await withinMs(liveOf(env).tell(message), TOLD_WITHIN_MS);
    if (answer === 'late') log('live-late');
  } catch (error) {
    log('live-lost', { error: String(error) });
  }
}

/** What waits, for the message that leaves now; from here on the next one is waited for. */
function taken(): LiveMessage {
  const [events, of] = [waiting, happened];
  waiting = [];
  happened = 0;
  sentAt = Date.now();
  waitingSince = null;
  return { events, sampled: of > events.length ? { told: events.length, of } : null };
}
