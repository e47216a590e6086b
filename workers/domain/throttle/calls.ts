// What the Throttle objects are asked. Plain data: the shape of an RPC.

import type { SubjectKind } from './delay';
import type { Result } from '../result';

export interface AttemptCall {
  /** A digest of who or where; the object never learns what of. */
  readonly subject: string;
  readonly kind: SubjectKind;
}

/** An attempt that may be made. It counts as failed until it is given back. */
export interface Attempt {
  readonly attemptId: string;
  /** Unix ms of the attempt before it. */
  readonly previousAt: number;
}

export interface GiveBackCall extends Attempt {
  readonly subject: string;
}

/** A Throttle object. Attempts of one subject are counted one after the other, exactly. */
export interface ThrottlePort {
  /** Takes an attempt, or says how long to wait, which itself counts as nothing. */
  attempt(call: AttemptCall): Promise<Result<Attempt, { readonly retryAfterMs: number }>>;
  /** Takes an attempt back that was no failure. To be called once for an attempt. */
  giveBack(call: GiveBackCall): Promise<void>;
}
