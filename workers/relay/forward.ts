// Step 4, forward: the call upstream, on the best account; on the next one when the first gives no
// answer at all. Once there are headers, that answer is the answer.

import type { RelayError } from '../domain/errors';
import type { Attempt } from '../domain/ledger/calls';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { SnapshotAccount } from '../domain/snapshot';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { upstreamFetch } from '../platform/outbound';
import type { Credential } from '../platform/seal';
import { unseal } from '../platform/seal';
import { upstreamOf } from '../upstreams/registry';
import type { UpstreamOperation } from '../upstreams/upstream';
import type { Client } from './client';
import { clientOf, onAbort } from './client';
import type { Answer, Journey } from './journey';
import type { Running } from './progress';
import { givenUpBy } from './progress';
import { upstreamPath } from './routes';

const ATTEMPTS_MAX = 2;
/** As long as the official SDKs wait. */
const HEADERS_MS_MAX = 10 * MINUTE_MS;

/** What forward leaves behind when nobody answered. */
export interface Unanswered {
  readonly error: RelayError | 'client-left' | 'stopped';
  readonly attempts: readonly Attempt[];
  /** Unix ms at which the client left; null: it waits. */
  readonly leftAt: number | null;
}

/** Calls the ranked accounts until one answers. */
export async function forward(
  journey: Journey,
  ranked: readonly SnapshotAccount[],
  running: Running,
): Promise<Result<Answer, Unanswered>> {
  const client = clientOf(journey.request.signal, journey.lease);
  const attempts: Attempt[] = [];
  let error: RelayError = { kind: 'no-upstream', retryAfterMs: 5 * SECOND_MS };
  for (const account of ranked.slice(0, ATTEMPTS_MAX)) {
    const startedAt = Date.now();
    const tried = await tryAccount(journey, account, { running, client });
    const outcome = tried.ok ? 'answered' : tried.error;
    const status = tried.ok ? tried.value.response.status : null;
    const durationMs = Date.now() - startedAt;
    attempts.push({ accountId: account.id, status, outcome, durationMs });
    if (tried.ok) {
      const firstByteMs = Date.now() - journey.receivedAt;
      return ok({ account, ...tried.value, attempts, firstByteMs, client });
    }
    if (tried.error === 'client-left' || tried.error === 'stopped') {
      return fail({ error: tried.error, attempts, leftAt: client.leftAt() });
    }
    error = errorOf(tried.error);
    // For who has left nobody is asked a second time.
    if (client.leftAt() !== null) break;
  }
  return fail({ error, attempts, leftAt: client.leftAt() });
}

type Failure = 'client-left' | 'stopped' | 'unreachable' | 'timeout' | 'credential' | 'redirect';

/** An answer that says something of the account alone, and nothing to the client. */
function uselessness(status: number): 'redirect' | 'credential' | null {
  if (status === 401) return 'credential';
  return status >= 300 && status < 400 ? 'redirect' : null;
}

function errorOf(failure: Exclude<Failure, 'client-left' | 'stopped'>): RelayError {
  switch (failure) {
    case 'timeout':
      return { kind: 'upstream-timeout' };
    case 'credential':
    case 'unreachable':
    case 'redirect':
      return { kind: 'upstream-failed', why: failure };
  }
}

async function tryAccount(
  journey: Journey,
  account: SnapshotAccount,
  { running, client }: { readonly running: Running; readonly client: Client },
): Promise<Result<Pick<Answer, 'response' | 'cancel'>, Failure>> {
  const { request, url, config } = journey;
  const credential = await credentialOf(journey, account);
  if (credential === null) return fail('credential');
  const ending = new AbortController();
  const { bytes, plain, essentials } = journey.body ?? {};
  const body =
    bytes && plain && essentials ? { bytes, plain, isStream: essentials.sizes.stream } : null;
  const prepared = await upstreamOf(account.kind).prepare(account, credential, {
    operation: journey.operation as UpstreamOperation,
    method: request.method,
    path: upstreamPath(url.pathname),
    search: url.search,
    headers: request.headers,
    body,
    model: journey.lease.model,
    askedModel: essentials?.model ?? null,
    now: Date.now(),
    environment: config.environment,
    signal: ending.signal,
  });
  if (!prepared.ok) return fail('credential');
  const leave = (): void => ending.abort();
  const givingUpAt = Date.now() + HEADERS_MS_MAX;
  running.onTick = () => {
    if (Date.now() > givingUpAt) ending.abort();
  };
  const forget = onAbort(client.letGo, leave);
  running.stop = leave;
  running.dispatched = true;
  running.accountId = account.id;
  try {
    const call = { ...prepared.value, signal: ending.signal };
    const response = await upstreamFetch(call, config.environment);
    const useless = uselessness(response.status);
    if (useless !== null) {
      ending.abort();
      return fail(useless);
    }
    return ok({ response, cancel: () => ending.abort() });
  } catch {
    const who = givenUpBy(running, client);
    if (who !== null) return fail(who === 'left' ? 'client-left' : 'stopped');
    return fail(ending.signal.aborted ? 'timeout' : 'unreachable');
  } finally {
    running.onTick = () => undefined;
    // From here on the stream decides what a leaving client means.
    forget();
  }
}

/** Unsealed credentials live in this isolate's memory alone, by what was sealed. */
const unsealed = new Map<string, Credential>();
const UNSEALED_MAX = 1_000;

async function credentialOf(
  journey: Journey,
  account: SnapshotAccount,
): Promise<Credential | null> {
  const name = `${account.id} ${account.credential.ciphertext}`;
  const known = unsealed.get(name);
  if (known !== undefined) return known;
  const { masterKeys } = journey.config;
  try {
    const opened = await unseal(account.credential, { masterKeys, accountId: account.id });
    if (unsealed.size >= UNSEALED_MAX) unsealed.clear();
    unsealed.set(name, opened);
    return opened;
  } catch (error) {
    log('credential-unreadable', { account: account.id, error: String(error) });
    return null;
  }
}
