// One call to a host that gives tokens, and what it answers. The host is the vendor's own, whatever
// account or credential say; while developing, an account on a loopback has its token host there
// too. So no credential is ever sent where somebody else's word points.

import { jsonOf } from '../domain/json';
import * as z from 'zod/mini';
import { fail, ok } from '../domain/result';
import type { SnapshotAccount } from '../domain/snapshot';
import { SECOND_MS } from '../domain/time';
import { upstreamFetch } from '../platform/outbound';
import { textWithin } from './body-text';
import type { Exchanged } from './tokens';
import type { PrepareFailure, UpstreamCall } from './upstream';

const TIMEOUT_MS = 5 * SECOND_MS;
const ANSWER_BYTES_MAX = 64 * 1024;
/** No vendor's tokens live longer; a longer word is not taken. */
const LIFETIME_SECONDS_MAX = 24 * 3_600;

/** A token request. */
export interface TokenRequest {
  readonly host: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const granted = z.object({
  access_token: z.string().check(z.regex(/^[\x21-\x7e]{1,16384}$/)),
  expires_in: z.coerce.number().check(z.positive(), z.maximum(Number.MAX_SAFE_INTEGER)),
});
const refused = z.object({ error: z.string().check(z.regex(/^\w{1,64}$/)) });

/** Asks `request.host` for a token. Never throws; the detail of a failure holds no secret. */
export async function askForToken(
  request: TokenRequest,
  account: Pick<SnapshotAccount, 'baseUrl'>,
  { environment }: Pick<UpstreamCall, 'environment'>,
): Promise<Exchanged> {
  const begun = Date.now();
  const url = `${originOf(request.host, account, environment)}${request.path}`;
  try {
    const response = await upstreamFetch(
      {
        url,
        method: 'POST',
        headers: new Headers({ accept: 'application/json', ...request.headers }),
        body: new Uint8Array(new TextEncoder().encode(request.body)),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      environment,
    );
    const text = await textWithin(response, ANSWER_BYTES_MAX);
    return response.ok ? tokenIn(text, begun) : fail(refusal(response.status, text));
  } catch (error) {
    const name = error instanceof Error ? error.name : 'unknown';
    return fail({ why: 'token-unreachable', detail: `${request.host} gave no answer: ${name}` });
  }
}

function originOf(
  host: string,
  { baseUrl }: Pick<SnapshotAccount, 'baseUrl'>,
  environment: UpstreamCall['environment'],
): string {
  const isLocal = environment === 'development' && baseUrl.startsWith('http:');
  return isLocal ? new URL(baseUrl).origin : `https://${host}`;
}

function tokenIn(text: string, begun: number): Exchanged {
  const read = granted.safeParse(jsonOf(text));
  if (!read.success) return fail({ why: 'token-unreachable', detail: 'the answer was no token' });
  const { access_token, expires_in } = read.data;
  const lifetimeMs = Math.min(expires_in, LIFETIME_SECONDS_MAX) * SECOND_MS;
  return ok({ text: access_token, expiresAt: begun + lifetimeMs });
}

/** 4xx other than "later" is the credential's fault; all else may pass. */
function refusal(status: number, text: string): PrepareFailure {
  const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
  const word = refused.safeParse(jsonOf(text));
  const said = word.success ? `: ${word.data.error}` : '';
  const why = isRefused ? 'token-refused' : 'token-unreachable';
  return { why, detail: `the token host answered ${status}${said}` };
}
