// Attempts that may be guesses: logins, invitations, codes, tokens. Each is taken from the Throttle
// objects before the work begins and given back when it was no wrong guess, so that guessing gets
// slower however many try at once.

import type { Endpoint } from './contract/endpoint';
import type { RefusalCode } from './refusals';
import { refused } from './refusals';
import type { Call, Outcome } from './visit';
import { subscriberOf } from '../domain/limits/scope';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { Attempt, ThrottlePort } from '../domain/throttle/calls';
import type { SubjectKind } from '../domain/throttle/delay';
import { SECOND_MS } from '../domain/time';
import { causeOf, log } from '../observe/log';
import { withinMs } from '../platform/clock';
import { sha256 } from '../platform/digest';
import { throttleOf } from '../platform/objects';

/** An object that does not answer opens nothing. */
const ANSWER_MS_MAX = 3 * SECOND_MS;

/** What is refused because a guess was wrong. Whatever else goes wrong counts for nobody. */
const WRONG_GUESSES: readonly RefusalCode[] = [
  'login-wrong',
  'password-wrong',
  'session-ended',
  'token-not-valid',
  'invite-not-valid',
  'address-taken',
  'code-not-valid',
];

/** Who or where from attempts are counted together. */
export interface Subject {
  readonly kind: SubjectKind;
  readonly value: string;
  /** Right guesses count too: for what nobody needs to do often. */
  readonly always?: true;
}

/** Where the call comes from: an IPv4 address, or a /64 of IPv6. Each door counts for itself. */
export function fromAddress(door: string, { address }: Pick<Call, 'address'>): Subject {
  return { kind: 'address', value: `${door} ${subscriberOf(address)}` };
}

/** A login name in its one spelling, or the id of whoever is logged in. */
export function byName(door: string, name: string): Subject {
  return { kind: 'name', value: `${door} ${name}` };
}

/**
 * Does `work` if each of `subjects` may try now, in this order; else `too-many-attempts` with the
 * time to wait. The attempt counts when `work` refuses a wrong guess (WRONG_GUESSES), and not when
 * it succeeds, fails otherwise or throws. Where the objects cannot be asked: `logins-busy`.
 */
export async function throttled<E extends Endpoint>(
  call: Pick<Call, 'env' | 'requestId'>,
  subjects: readonly Subject[],
  work: () => Promise<Outcome<E>>,
): Promise<Outcome<E>> {
  const taken: Taken[] = [];
  for (const subject of subjects) {
    const next = await take(call, subject);
    if (!next.ok) {
      // Nothing was tried: what was taken before is as it was.
      await giveBack(call, taken);
      return next;
    }
    taken.push(next.value);
  }
  let isWrong = false;
  let isDone = false;
  try {
    const outcome = await work();
    isWrong = !outcome.ok && 'code' in outcome.error && WRONG_GUESSES.includes(outcome.error.code);
    isDone = outcome.ok;
    return outcome;
  } finally {
    const isCounted = ({ subject }: Taken) => isWrong || (isDone && subject.always === true);
    await giveBack(
      call,
      taken.filter((one) => !isCounted(one)),
    );
  }
}

interface Taken {
  readonly subject: Subject;
  readonly digest: string;
  readonly object: ThrottlePort;
  readonly attempt: Attempt;
}

async function take(
  { env, requestId }: Pick<Call, 'env' | 'requestId'>,
  subject: Subject,
): Promise<Result<Taken, ReturnType<typeof refused>['error']>> {
  try {
    const digest = await sha256(`${subject.kind} ${subject.value}`);
    const object = throttleOf(env, digest);
    const asked = object.attempt({ subject: digest, kind: subject.kind });
    const answer = await withinMs(asked, ANSWER_MS_MAX);
    if (answer === 'late') throw new Error('no answer in time');
    if (answer.ok) return ok({ subject, digest, object, attempt: answer.value });
    return refused('too-many-attempts', { retryAfterMs: answer.error.retryAfterMs });
  } catch (error) {
    log('throttle-failed', { request: requestId, error: causeOf(error) });
    return fail({ code: 'logins-busy', retryAfterMs: SECOND_MS });
  }
}

/** What cannot be given back counts; it is forgotten in an hour. */
async function giveBack(
  { requestId }: Pick<Call, 'requestId'>,
  taken: readonly Taken[],
): Promise<void> {
  const given = await Promise.allSettled(
    taken.map(({ object, digest, attempt }) =>
      withinMs(object.giveBack({ subject: digest, ...attempt }), ANSWER_MS_MAX),
    ),
  );
  for (const one of given) {
    if (one.status === 'rejected') {
      log('throttle-failed', { request: requestId, error: causeOf(one.reason) });
    }
  }
}
