// The playground's door: which key of somebody who is logged in pays. The request itself is the
// data plane's, to which it is handed as it came; the two planes meet in app.ts alone.

import { playground, PLAYGROUND_KEY_HEADER } from './contract/playground';
import { refused } from './refusals';
import type { Outcome, Route, Visit } from './visit';
import { on } from './visit';
import { isId } from '../domain/ids';
import { fail, ok } from '../domain/result';
import type { ManagedKey } from '../store/key-changes';
import { findKey, listKeys } from '../store/key-changes';

/** More keys than this are not looked through for one that has not expired. */
const KEYS_MAX = 200;

export const PLAYGROUND_ROUTES: readonly Route[] = [on(playground.messages, handOver)];

async function handOver(
  visit: Visit<typeof playground.messages>,
): Promise<Outcome<typeof playground.messages>> {
  const { request, requestId, env, ctx, url, dataPlane } = visit;
  if (dataPlane === undefined) return refused('not-configured');
  const named = request.headers.get(PLAYGROUND_KEY_HEADER)?.trim();
  const key = named === undefined ? await newestKey(visit) : await namedKey(visit, named);
  if (key === null && named !== undefined) return fail({ kind: 'not-found', what: url.pathname });
  if (key === null) return refused('no-key');
  const { id: keyId, walletId, region } = key;
  return ok(await dataPlane({ request, requestId, keyId, walletId, region }, env, ctx));
}

async function namedKey(
  { env, actor }: Visit<typeof playground.messages>,
  named: string,
): Promise<ManagedKey | null> {
  return isId('key', named) ? findKey(env.DB, named, actor.id) : null;
}

async function newestKey({
  env,
  actor,
  now,
}: Visit<typeof playground.messages>): Promise<ManagedKey | null> {
  const active = { userId: actor.id, status: 'active', limit: KEYS_MAX } as const;
  const keys = await listKeys(env.DB, active);
  return keys.find(({ expiresAt }) => expiresAt === null || expiresAt > now) ?? null;
}
