// Hashing passwords for the doors that people come through: one at a time, because hashes share the
// isolate with running streams, and at most a few waiting.

import type { Refused } from './refusals';
import { refused } from './refusals';
import type { Call } from './visit';
import type { Result } from '../domain/result';
import { ok } from '../domain/result';
import { SECOND_MS } from '../domain/time';
import { hashPassword, NOBODYS_HASH, verifyPassword } from '../platform/password';
import { inTurn } from '../platform/turns';

/** The PHC string of `password`; `logins-busy` when too many wait. */
export async function hashed(
  call: Pick<Call, 'ctx'>,
  password: string,
): Promise<Result<string, Refused>> {
  return taken(call, async () => hashPassword(password));
}

/**
 * Whether `password` is the one of `phc`; where there is none (null, or a word in its place) the
 * answer is no and takes as long. `logins-busy` when too many wait.
 */
export async function verified(
  call: Pick<Call, 'ctx'>,
  password: string,
  phc: string | null,
): Promise<Result<boolean, Refused>> {
  const hash = phc?.startsWith('$') ? phc : NOBODYS_HASH;
  return taken(call, async () => verifyPassword(password, hash));
}

async function taken<T>(
  { ctx }: Pick<Call, 'ctx'>,
  work: () => Promise<T>,
): Promise<Result<T, Refused>> {
  const turn = inTurn(work);
  // A client that leaves does not leave its place in the line empty.
  ctx.waitUntil(turn.catch(() => null));
  const value = await turn;
  return value === null ? refused('logins-busy', { retryAfterMs: SECOND_MS }) : ok(value);
}
