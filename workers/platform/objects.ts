// The stubs of the objects, each got in one place: the region hint and the name are decided here.

import type { WalletId } from '../domain/ids';
import type { LedgerPort } from '../domain/ledger/calls';
import type { LivePort } from '../domain/live';
import type { Region } from '../domain/region';
import type { PoolPort } from '../domain/snapshot';
import type { ThrottlePort } from '../domain/throttle/calls';

/** An Egress object as callers see it: it makes the request that it is handed. */
export interface EgressPort extends Pick<Fetcher, 'fetch'> {
  /** The data centre that its calls leave from; null: no answer has told yet. */
  colo(): Promise<string | null>;
}

/** Names the one Pool. Sharding by region (beyond 1,000 busy isolates) would change this alone. */
const POOL_NAME = 'pool';
/** Names the one Live object. */
const LIVE_NAME = 'live';

/** The wallet's Ledger object; `region` is the wallet's own, copied into its keys. */
export function ledgerOf(env: Env, walletId: WalletId, region: Region): LedgerPort {
  const id = env.LEDGER.idFromName(walletId);
  // The class implements the port; the stub's own type forgets tuples on the way.
  const stub: unknown = env.LEDGER.get(id, { locationHint: region });
  return stub as LedgerPort;
}

/** The Pool object: accounts, prices, settings. */
export function poolOf(env: Env): PoolPort {
  const stub: unknown = env.POOL.get(env.POOL.idFromName(POOL_NAME));
  return stub as PoolPort;
}

/**
 * The Throttle object that counts this subject. `subject` is a digest in base64url, whose first
 * character shares the subjects out among 64.
 */
export function throttleOf(env: Env, subject: string): ThrottlePort {
  const stub: unknown = env.THROTTLE.get(env.THROTTLE.idFromName(subject.slice(0, 1)));
  return stub as ThrottlePort;
}

/** The Live object: who watches the relay, and what is told to them. Sockets come by `fetch`. */
export function liveOf(env: Env): LivePort & Pick<Fetcher, 'fetch'> {
  const stub: unknown = env.LIVE.get(env.LIVE.idFromName(LIVE_NAME));
  return stub as LivePort & Pick<Fetcher, 'fetch'>;
}

/**
 * An Egress object: calls made through it leave from near `region`, as far as the hint is taken.
 * `shard` is one of EGRESS_SHARDS.
 */
export function egressOf(env: Pick<Env, 'EGRESS'>, region: Region, shard: number): EgressPort {
  const id = env.EGRESS.idFromName(`egress:${region}:${shard}`);
  const stub: unknown = env.EGRESS.get(id, { locationHint: region });
  return stub as EgressPort;
}

/** Whether the runtime has marked a failed call so: `retryable` to an object, or `overloaded`. */
export function isMarked(error: unknown, mark: 'retryable' | 'overloaded'): boolean {
  return typeof error === 'object' && error !== null && Reflect.get(error, mark) === true;
}
