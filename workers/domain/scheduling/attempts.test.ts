import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXAMPLES, rateLimit, said, without } from '../../../tests/support/failure-examples';
import {
  account,
  accountId,
  candidate,
  elsewhereHosted,
  NOW,
} from '../../../tests/support/pool-accounts';
import type { AccountId } from '../ids';
import type { Attempts, Circumstances } from './attempts';
import { afterCall, afterDenial, afterWait, firstAttempts, nextStep } from './attempts';
import type { Candidate } from './choose';
import type { Reply } from './failure';
import { verdictOn } from './failure';

const [A, B, C] = [1, 2, 3].map((n) => candidate(account(n)));
const D = candidate(elsewhereHosted(4, 'd.example'));
const FAILED = said(500, 'api_error', 'Internal server error');
const OVERLOADED = said(529, 'overloaded_error', 'Overloaded');
const REFUSED_PLACE = said(403, 'forbidden', 'Request not allowed');
const TIMEOUT = without('timeout');

describe('nextStep: who is called', () => {
  it('calls the first choice at once, with no permit', () => {
    expect(next(firstAttempts(NOW), [A, B])).toEqual({
      do: 'call',
      candidate: A,
      pauseMs: 0,
      permit: null,
      isRetry: false,
    });
  });

  it('gives up where nobody is listed', () => {
    expect(next(firstAttempts(NOW), [])).toEqual({ do: 'give-up' });
  });

  it('goes down the list, one after the other', () => {
    expect(calledIds([A, B, C], () => FAILED)).toEqual([1, 2, 3, 1].map(accountId));
  });

  it('asks nobody a third time', () => {
    expect(calledIds([A], () => FAILED)).toEqual([1, 1].map(accountId));
  });

  it('does not ask again who took its time', () => {
    expect(calledIds([A], () => TIMEOUT)).toEqual([accountId(1)]);
  });

  it('goes to another provider first after overload, and back only when nobody is left', () => {
    const ids = calledIds([A, B, D], ({ provider }) =>
      provider === 'anthropic' ? OVERLOADED : FAILED,
    );
    expect(ids.slice(0, 2)).toEqual([1, 4].map(accountId));
    expect(calledIds([A, B], () => OVERLOADED)).toEqual([1, 2, 1, 2].map(accountId));
  });

  it('passes over what cools down', () => {
    const cooling = standing(A, 'cooling', NOW + 5_000);
    expect(next(firstAttempts(NOW), [cooling, B])).toMatchObject({ candidate: B });
    expect(next(firstAttempts(NOW), [cooling])).toEqual({ do: 'give-up' });
  });

  it('calls a throttled account again after those that were not called', () => {
    const state = after(firstAttempts(NOW), [[A, { ...rateLimit(), retryAfterMs: 1_000 }]]);
    expect(next(state, [A, B], { now: NOW + 2_000 })).toMatchObject({ candidate: B });
    expect(next(state, [A], { now: NOW + 2_000 })).toMatchObject({ candidate: A });
  });
});

describe('nextStep: another way out', () => {
  const moved: Candidate | undefined = A && { ...A, isElsewhere: true };
  const refused = after(firstAttempts(NOW), [[A, REFUSED_PLACE]]);

  it('calls the same account from another place, before any other', () => {
    const step = next(refused, [moved, B], { canLeaveElsewhere: true });
    expect(step).toMatchObject({ do: 'call', candidate: moved, pauseMs: 0 });
  });

  it('goes to the next account where that may not be, or is no other place', () => {
    expect(next(refused, [moved, B])).toMatchObject({ candidate: B });
    expect(next(refused, [A, B], { canLeaveElsewhere: true })).toMatchObject({ candidate: B });
    const twice = after(firstAttempts(NOW), [[moved, REFUSED_PLACE]]);
    expect(next(twice, [moved, B], { canLeaveElsewhere: true })).toMatchObject({ candidate: B });
  });

  it('never calls from elsewhere for a country that is not served', () => {
    expect(next(firstAttempts(NOW), [moved])).toEqual({ do: 'give-up' });
  });
});

describe('nextStep: permits', () => {
  const halfOpen = standing(A, 'half-open', NOW - 1);
  const shut = standing(A, 'shut', null);
  const exact = candidate(account(1, { isHard: true }));

  it.each([
    { what: 'half open', one: halfOpen, permit: 'probe' },
    { what: 'shut and nobody else is left', one: shut, permit: 'last-resort' },
    { what: 'exact', one: exact, permit: 'slot' },
  ])('asks for a permit where an account is $what', ({ one, permit }) => {
    expect(next(firstAttempts(NOW), [one])).toMatchObject({ do: 'call', permit });
  });

  it('calls what is shut only if nothing else is left, and nothing was called', () => {
    expect(next(firstAttempts(NOW), [shut, B])).toMatchObject({ candidate: B });
    const state = after(firstAttempts(NOW), [[B, TIMEOUT]]);
    expect(next(state, [shut, B])).toEqual({ do: 'give-up' });
  });

  it('does not ask twice for a permit that was refused', () => {
    const state = afterDenial(firstAttempts(NOW), accountId(1));
    expect(next(state, [halfOpen, B])).toMatchObject({ candidate: B, isRetry: false });
    expect(next(state, [halfOpen])).toEqual({ do: 'give-up' });
  });

  it('asks for two last resorts and for eight permits at most, but calls who needs none', () => {
    const many = (how: Candidate['standing']) =>
      Array.from({ length: 50 }, (_, n) => standing(candidate(account(n)), how, null));
    expect(denialsUntilEnd(many('shut'))).toBe(2);
    expect(denialsUntilEnd(many('half-open'))).toBe(8);
    const free = candidate(account(99));
    expect(denialsUntilEnd([...many('half-open'), free])).toBe(8);
    const state = refusedBy(firstAttempts(NOW), many('half-open').slice(0, 8));
    expect(next(state, [...many('half-open'), free])).toMatchObject({ candidate: free });
  });
});

describe('nextStep: waiting', () => {
  const warm = accountId(1);
  const cooling = standing(A, 'cooling', NOW + 15_000);

  it('waits once for the warm account, then calls it before any other', () => {
    const step = next(firstAttempts(NOW), [cooling, B], { warm });
    expect(step).toEqual({ do: 'wait', untilMs: NOW + 15_000 });
    const waited = afterWait(firstAttempts(NOW), 15_000);
    expect(next(waited, [A, B], { warm, now: NOW + 15_000 })).toMatchObject({ candidate: A });
    expect(next(waited, [cooling, B], { warm })).toMatchObject({ candidate: B });
  });

  it('waits after a throttle, and calls that account again', () => {
    const throttled = after(firstAttempts(NOW), [[A, { ...rateLimit(), retryAfterMs: 15_000 }]]);
    expect(next(throttled, [cooling, B], { warm })).toMatchObject({ do: 'wait' });
    const now = NOW + 15_000;
    const step = next(afterWait(throttled, 15_000), [A, B], { warm, now });
    expect(step).toMatchObject({ candidate: A, isRetry: true });
  });

  it.each([
    { what: 'longer than it may', given: { warm, waitMsMax: 14_999 }, one: cooling },
    { what: 'for no conversation of its own', given: { warm: null }, one: cooling },
    { what: 'for another account', given: { warm: accountId(2) }, one: cooling },
    { what: 'for what is out', given: { warm }, one: standing(A, 'shut', NOW + 1_000) },
    { what: 'without an end', given: { warm }, one: standing(A, 'cooling', null) },
  ])('does not wait $what', ({ given, one }) => {
    expect(next(firstAttempts(NOW), [one, B], given)).toMatchObject({ candidate: B });
  });

  it('does not wait for a worse tier while a better one can be called', () => {
    const worse = standing(candidate(account(1, { priority: 1 })), 'cooling', NOW + 1_000);
    expect(next(firstAttempts(NOW), [B, worse], { warm })).toMatchObject({ candidate: B });
    const away = standing(B, 'shut', null);
    expect(next(firstAttempts(NOW), [away, worse], { warm })).toMatchObject({ do: 'wait' });
  });

  it('does not wait until it is too late to call', () => {
    const long = { warm, waitMsMax: 120_000 };
    const at = (until: number) => next(firstAttempts(NOW), [standing(A, 'cooling', until)], long);
    expect(at(NOW + 59_000)).toMatchObject({ do: 'wait' });
    expect(at(NOW + 59_001)).toEqual({ do: 'give-up' });
  });
});

describe('nextStep: the clock', () => {
  const many = Array.from({ length: 9 }, (_, n) => candidate(account(n)));

  it('makes one call and three more, one further after a timeout or a wait, none for both', () => {
    const calls = (state: Attempts, replies: readonly Reply[]) =>
      after(
        state,
        replies.map((reply, n) => [many[n], reply]),
      );
    const isOver = (state: Attempts) => next(state, many).do === 'give-up';
    const first = firstAttempts(NOW);
    const four = [FAILED, FAILED, FAILED, FAILED];
    expect(isOver(calls(first, four.slice(1)))).toBe(false);
    expect(isOver(calls(first, four))).toBe(true);
    const slow = [...four.slice(1), TIMEOUT];
    expect(isOver(calls(first, slow))).toBe(false);
    expect(isOver(calls(first, [...slow, FAILED]))).toBe(true);
    expect(isOver(calls(afterWait(first, 1), four))).toBe(false);
    expect(isOver(calls(afterWait(first, 1), [...slow, FAILED]))).toBe(true);
  });

  it('starts nothing after 10 s of fast failures, the rest before a call included', () => {
    const state = after(firstAttempts(NOW), [[A, FAILED]]);
    expect(next(state, [B], { now: NOW + 10_000 })).toMatchObject({ do: 'call' });
    expect(next(state, [B], { now: NOW + 10_001 })).toEqual({ do: 'give-up' });
    const late = { now: NOW + 9_950, random: 0.5 };
    expect(next(state, [B], late)).toEqual({ do: 'give-up' });
  });

  it('excuses the first timeout and not the second', () => {
    const once = afterCall(firstAttempts(NOW), pick(A), told(TIMEOUT, 30_000));
    expect(next(once, [B], { now: NOW + 40_000 })).toMatchObject({ do: 'call' });
    expect(next(once, [B], { now: NOW + 40_001 })).toEqual({ do: 'give-up' });
    const twice = afterCall(once, pick(B), told(TIMEOUT, 15_000));
    expect(next(twice, [C], { now: NOW + 45_000 })).toEqual({ do: 'give-up' });
  });

  it('starts nothing after 60 s, whatever is excused', () => {
    const waited = afterWait(firstAttempts(NOW), 20_000);
    const state = afterCall(waited, pick(A), told(TIMEOUT, 40_000));
    expect(next(state, [B], { now: NOW + 60_000 })).toMatchObject({ do: 'call' });
    expect(next(state, [B], { now: NOW + 60_001 })).toEqual({ do: 'give-up' });
  });

  it('makes the first call however late it is', () => {
    expect(next(firstAttempts(NOW), [A], { now: NOW + 61_000 })).toMatchObject({ do: 'call' });
  });
});

describe('nextStep: rests', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it('rests a random part of 200, 400 and 800 ms after failures', () => {
    fc.assert(
      fc.property(random, fc.integer({ min: 1, max: 3 }), (chance, count) => {
        const calls = Array.from(
          { length: count },
          (_, n) => [candidate(account(n)), FAILED] as const,
        );
        const step = next(after(firstAttempts(NOW), calls), [D], { random: chance });
        expect(step).toMatchObject({ pauseMs: Math.floor(chance * 100 * 2 ** count) });
      }),
    );
  });

  it('rests 0.2 to 1 s after overload', () => {
    fc.assert(
      fc.property(random, (chance) => {
        const step = next(after(firstAttempts(NOW), [[A, OVERLOADED]]), [D], { random: chance });
        expect(step.do === 'call' && step.pauseMs >= 200 && step.pauseMs < 1_000).toBe(true);
      }),
    );
  });

  it('does not rest where only the account is to blame', () => {
    for (const { reply, verdict } of EXAMPLES) {
      if (verdict.next === undefined || verdict.pause !== undefined) continue;
      const step = next(after(firstAttempts(NOW), [[A, reply]]), [B], { random: 0.99 });
      expect(step).toMatchObject({ do: 'call', pauseMs: 0 });
    }
  });
});

function next(
  state: Attempts,
  candidates: readonly (Candidate | undefined)[],
  given: Partial<Circumstances> = {},
) {
  const listed = candidates.filter((one) => one !== undefined);
  const plain = { random: 0, warm: null, waitMsMax: 20_000, canLeaveElsewhere: false };
  return nextStep(state, { candidates: listed, absent: [] }, { now: NOW, ...plain, ...given });
}

/** After these calls, each over at once. */
function after(
  state: Attempts,
  calls: readonly (readonly [Candidate | undefined, Reply])[],
): Attempts {
  return calls.reduce((sum, [one, reply]) => afterCall(sum, pick(one), told(reply, 0)), state);
}

function told(reply: Reply, tookMs: number) {
  return { verdict: verdictOn(reply), tookMs };
}

function pick(one: Candidate | undefined): Candidate {
  if (one === undefined) throw new Error('there is no such candidate');
  return one;
}

function standing(
  of: Candidate | undefined,
  how: Candidate['standing'],
  until: number | null,
): Candidate {
  return { ...pick(of), standing: how, until };
}

function refusedBy(state: Attempts, refused: readonly Candidate[]): Attempts {
  return refused.reduce((sum, one) => afterDenial(sum, one.account.id), state);
}

/** Whom a request calls that is answered like that, all of it within no time. */
function calledIds(
  candidates: readonly (Candidate | undefined)[],
  replyOf: (one: Candidate) => Reply,
): readonly AccountId[] {
  let state = firstAttempts(NOW);
  for (;;) {
    const step = next(state, candidates);
    if (step.do !== 'call') return state.calls.map((call) => call.accountId);
    state = after(state, [[step.candidate, replyOf(step.candidate)]]);
  }
}

/** How many permits are refused before none is asked for. */
function denialsUntilEnd(candidates: readonly Candidate[]): number {
  let state = firstAttempts(NOW);
  for (;;) {
    const step = next(state, candidates);
    if (step.do !== 'call' || step.permit === null) return state.denied.length;
    state = afterDenial(state, step.candidate.account.id);
  }
}
