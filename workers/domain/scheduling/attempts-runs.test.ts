// Whole requests by the rules of attempts, through worlds made at random: what must hold of each.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Done, World } from '../../../tests/support/attempts-shell';
import { runRequest } from '../../../tests/support/attempts-shell';
import { EXAMPLES } from '../../../tests/support/failure-examples';
import { seeded } from '../../../tests/support/ledger';
import {
  account,
  accountId,
  elsewhereHosted,
  markOn,
  NOW,
} from '../../../tests/support/pool-accounts';
import type { Mark } from '../health/calls';
import { subjectName } from '../health/calls';
import type { SnapshotAccount } from '../snapshot';
import type { Step } from './attempts';
import type { Candidate } from './choose';
import type { Reply } from './failure';

const RUNS = { numRuns: 500 };
/** What the asking for a permit takes in the shell under test. */
const PERMIT_MS = 40;
const MOVING = EXAMPLES.filter(({ verdict }) => verdict.next !== undefined);
const HELD = [null, null, null, 'cooling', 'out', 'open'] as const;
const HOSTS = [null, null, 'a.example', 'b.example'] as const;

type Call = Done & { readonly step: Extract<Step, { do: 'call' }> };

describe('a request that nobody answers', () => {
  it('ends after four calls, or five with a timeout or a wait', () => {
    everywhere((book) => {
      const { state } = lastOf(book);
      const mostCalls = state.hasTimedOut || state.hasWaited ? 5 : 4;
      expect(callsIn(book).length).toBeLessThanOrEqual(mostCalls);
      expect(book.at(-1)?.step.do).toBe('give-up');
    });
  });

  it('starts no further call after 10 s of fast failures, nor after 60 s', () => {
    everywhere((book) => {
      for (const { step, state, at } of callsIn(book).slice(1)) {
        const passedMs = at - NOW - (step.permit === null ? 0 : PERMIT_MS);
        expect(passedMs).toBeLessThanOrEqual(60_000);
        expect(passedMs - state.excusedMs).toBeLessThanOrEqual(10_000);
      }
    });
  });

  it('calls nobody a third time, and a second time only who may be', () => {
    everywhere((book) => {
      for (const { step, state } of callsIn(book)) {
        const before = state.calls.filter((call) => call.accountId === idOf(step.candidate));
        expect(before.length).toBeLessThanOrEqual(1);
        for (const { verdict, isElsewhere } of before) {
          const isMoved = verdict.next === 'egress' && step.candidate.isElsewhere && !isElsewhere;
          expect(verdict.mayRepeat || verdict.name === 'throttled' || isMoved).toBe(true);
        }
      }
    });
  });

  it('calls nobody twice for overload while another is left', () => {
    everywhere((book) => {
      for (const done of callsIn(book)) {
        const before = done.state.calls.find(
          (call) => call.accountId === idOf(done.step.candidate),
        );
        const left = before?.verdict.name === 'overloaded' ? untriedIn(done) : [];
        expect(left).toEqual([]);
      }
    });
  });

  it('goes to another provider first after overload', () => {
    everywhere((book) => {
      for (const done of callsIn(book)) {
        const busy = new Set(
          done.state.calls
            .filter(({ verdict }) => verdict.name === 'overloaded')
            .map(({ provider }) => provider),
        );
        if (!busy.has(done.step.candidate.provider)) continue;
        expect(untriedIn(done).filter(({ provider }) => !busy.has(provider))).toEqual([]);
      }
    });
  });

  it('never calls what cools down, nor without its permit what is half open or shut', () => {
    everywhere((book) => {
      for (const done of callsIn(book)) {
        const { standing } = done.step.candidate;
        expect(standing).not.toBe('cooling');
        expect(done.step.permit).toBe(
          { ready: null, 'half-open': 'probe', shut: 'last-resort', cooling: null }[standing],
        );
        if (standing !== 'shut') continue;
        expect(done.state.calls).toEqual([]);
        expect(untriedIn(done)).toEqual([]);
      }
    });
  });

  it('takes every call but the first for a retry', () => {
    everywhere((book) => {
      callsIn(book).forEach(({ step }, n) => expect(step.isRetry).toBe(n > 0));
    });
  });

  it('asks no account twice for a permit that was refused', () => {
    everywhere((book) => {
      const denied = book.flatMap(({ step, wasDenied }) =>
        wasDenied && step.do === 'call' ? [idOf(step.candidate)] : [],
      );
      expect(new Set(denied).size).toBe(denied.length);
      for (const { step, state } of callsIn(book)) {
        expect(state.denied).not.toContain(idOf(step.candidate));
      }
    });
  });

  it('waits once at most, for the warm account alone, and not longer than it may', () => {
    everywhere((book, world) => {
      const waits = book.filter(({ step }) => step.do === 'wait');
      expect(waits.length).toBeLessThanOrEqual(1);
      for (const { step, at, choice } of waits) {
        const own = choice.candidates.find((one) => idOf(one) === world.warm);
        expect(own?.standing).toBe('cooling');
        expect(step).toEqual({ do: 'wait', untilMs: own?.until });
        expect((own?.until ?? 0) - at).toBeLessThanOrEqual(world.waitMsMax);
      }
    });
  });

  it('leaves from elsewhere only where it may', () => {
    everywhere((book, world) => {
      const moved = callsIn(book).filter(({ step }) => step.candidate.isElsewhere);
      expect(world.canLeaveElsewhere ? [] : moved).toEqual([]);
    });
  });

  it('rests within its bounds', () => {
    everywhere((book) => {
      for (const { step, state } of callsIn(book)) {
        const last = state.calls.at(-1)?.verdict.pause ?? 'none';
        const [least, most] = { none: [0, 0], overload: [200, 999], backoff: [0, 1_999] }[last];
        expect(step.pauseMs).toBeGreaterThanOrEqual(least ?? 0);
        expect(step.pauseMs).toBeLessThanOrEqual(most ?? 0);
      }
    });
  });
});

describe('the worlds of these requests', () => {
  it('have all that is asserted of them', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 2_000; seed += 1) {
      const book = runRequest(worldOf(seed));
      for (const { step, state, wasDenied } of book) {
        seen.add(`${step.do} ${step.do === 'call' ? (step.permit ?? 'free') : ''}`.trim());
        if (wasDenied) seen.add('denied');
        if (step.do !== 'call') continue;
        const before = state.calls.find((call) => call.accountId === idOf(step.candidate));
        if (before !== undefined) seen.add(`again after ${before.verdict.name}`);
      }
      seen.add(`${callsIn(book).length} calls`);
    }
    for (const what of [
      'call free',
      'call probe',
      'call last-resort',
      'wait',
      'give-up',
      'denied',
      'again after overloaded',
      'again after throttled',
      'again after wrong-place',
      '0 calls',
      '4 calls',
      '5 calls',
    ]) {
      expect(seen).toContain(what);
    }
  });
});

function everywhere(holds: (book: readonly Done[], world: World) => void): void {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const world = worldOf(seed);
      holds(runRequest(world), world);
    }),
    RUNS,
  );
}

/** Up to seven accounts at three providers, some held back; nobody ever answers. */
function worldOf(seed: number): World {
  const random = seeded(seed);
  const oneOf = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const accounts = Array.from({ length: Math.floor(random() * 8) }, (_, n): SnapshotAccount => {
    const host = oneOf(HOSTS) ?? null;
    const one = host === null ? account(n) : elsewhereHosted(n, host);
    return { ...one, priority: oneOf([0, 0, 0, 1]) ?? 0 };
  });
  const marks = new Map<string, Mark>();
  for (const { id } of accounts) {
    const state = oneOf(HELD) ?? null;
    if (state === null) continue;
    const mark = markOn(id, state, oneOf([null, NOW - 1, NOW + 1_000, NOW + 15_000]) ?? null);
    marks.set(subjectName(mark.subject), mark);
  }
  const grants = random();
  const favourite = oneOf(MOVING);
  return {
    accounts,
    marks,
    random,
    tag: `conversation ${seed}`,
    warm: oneOf([null, accountId(0), accountId(1), accountId(2)]) ?? null,
    waitMsMax: oneOf([0, 1_000, 20_000, 60_000]) ?? 0,
    canLeaveElsewhere: random() < 0.5,
    isGranted: () => random() < grants,
    tookMsOf: ({ how }) => (how === 'timeout' ? 30_000 : Math.floor(random() ** 4 * 8_000)),
    replyOf: (): Reply => {
      const { reply } = (random() < 0.5 ? favourite : oneOf(MOVING)) ?? EXAMPLES[0] ?? fail();
      const isThrottled = reply.status === 429 && random() < 0.7;
      return isThrottled ? { ...reply, retryAfterMs: Math.floor(random() * 4) * 1_000 } : reply;
    },
  };
}

function fail(): never {
  throw new Error('there are no examples');
}

function callsIn(book: readonly Done[]): readonly Call[] {
  return book.filter((done): done is Call => done.step.do === 'call' && !done.wasDenied);
}

/** Who could still have been called, and was not yet, nor asked for in vain. */
function untriedIn({ state, choice, given }: Done): readonly Candidate[] {
  const gone = new Set([...state.denied, ...state.calls.map((call) => call.accountId)]);
  return choice.candidates.filter(
    (one) =>
      (one.standing === 'ready' || one.standing === 'half-open') &&
      !gone.has(one.account.id) &&
      (!one.isElsewhere || given.canLeaveElsewhere),
  );
}

function idOf({ account: { id } }: Candidate) {
  return id;
}

function lastOf(book: readonly Done[]): Done {
  return book.at(-1) ?? fail();
}
