// Short-lived tokens that accounts are called with, in the isolate's memory: one exchange at a time
// an account, renewed behind while the old one still serves. How one is had is the caller's; so is
// what a failure means for the account.

import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { SECOND_MS } from '../domain/time';
import type { PrepareFailure, UpstreamCall } from './upstream';

/** What an exchange gives. */
export interface Token {
  readonly text: string;
  /** Unix ms. */
  readonly expiresAt: number;
}

export type Exchanged = Result<Token, PrepareFailure>;

/** Whose token, and how to have a new one. */
export interface TokenOrder {
  /** Names the account and its credential: a new credential is another name. */
  readonly name: string;
  readonly call: UpstreamCall;
  readonly exchange: () => Promise<Exchanged>;
}

/** Anthropic's own rule (wire facts §1), good for all: renewed two minutes before the end. */
const RENEW_BEFORE_MS = 120 * SECOND_MS;
/** With less than this left it may be refused on its way. */
const USABLE_BEFORE_MS = 30 * SECOND_MS;
/** Who exchanges for longer than this has left: a request that ended takes its calls with it. */
const EXCHANGE_MS_MAX = 5 * SECOND_MS;
const LOOK_EVERY_MS = 10;
const HELD_MAX = 1_000;

interface Held {
  token: Token | null;
  /** Unix ms at which the exchange under way began; null: none is. */
  exchangingSince: number | null;
  /** Unix ms; a renewal that failed while the old token serves is not tried again before. */
  renewableAt: number;
  /** Of the last exchange, if it failed. */
  failure: PrepareFailure | null;
  /** Counts exchanges that ended. */
  ended: number;
}

const held = new Map<string, Held>();
/** Which token each call was prepared with. */
const used = new WeakMap<UpstreamCall, string>();

/** A token that serves `order.call`, held or fresh. */
export async function tokenFor(order: TokenOrder): Promise<Result<string, PrepareFailure>> {
  const { name, call } = order;
  used.set(call, name);
  const own = placeOf(name);
  const leftMs = (own.token?.expiresAt ?? 0) - Date.now();
  if (own.token !== null && leftMs > USABLE_BEFORE_MS) {
    const isDue = leftMs <= RENEW_BEFORE_MS && Date.now() >= own.renewableAt;
    if (isDue && !isBusy(own)) void exchange(order, own);
    return ok(own.token.text);
  }
  if (isBusy(own)) {
    const { ended } = own;
    // Each who waits looks by a timer of its own: nothing hangs on another request's life.
    while (isBusy(own) && own.ended === ended && !call.signal.aborted) {
      await scheduler.wait(LOOK_EVERY_MS);
    }
    if (own.ended !== ended) return textOf(own);
    // Another who waited may have taken over.
    if (isBusy(own)) return call.signal.aborted ? fail(LEFT) : tokenFor(order);
  }
  await exchange(order, own);
  return textOf(own);
}

/** The vendor refused the token of `call`: the next call has a new one. */
export function forgetToken(call: UpstreamCall): void {
  const own = held.get(used.get(call) ?? '');
  if (own !== undefined) own.token = null;
}

const LEFT: PrepareFailure = { why: 'token-unreachable', detail: 'the call ended before' };

function isBusy({ exchangingSince }: Held): boolean {
  return exchangingSince !== null && Date.now() - exchangingSince < EXCHANGE_MS_MAX;
}

function textOf({ token, failure }: Held): Result<string, PrepareFailure> {
  if (token !== null && token.expiresAt > Date.now()) return ok(token.text);
  return fail(failure ?? { why: 'token-refused', detail: 'the token had expired' });
}

async function exchange({ exchange: ask }: TokenOrder, own: Held): Promise<void> {
  const since = Date.now();
  own.exchangingSince = since;
  const came = await ask();
  if (came.ok) {
    own.token = came.value;
    own.failure = null;
  } else {
    own.failure = came.error;
    own.renewableAt = Date.now() + EXCHANGE_MS_MAX;
  }
  own.ended += 1;
  if (own.exchangingSince === since) own.exchangingSince = null;
}

function placeOf(name: string): Held {
  const known = held.get(name);
  if (known !== undefined) return known;
  if (held.size >= HELD_MAX) held.clear();
  const fresh = { token: null, exchangingSince: null, renewableAt: 0, failure: null, ended: 0 };
  held.set(name, fresh);
  return fresh;
}
