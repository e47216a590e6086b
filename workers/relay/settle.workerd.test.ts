// A settle that cannot arrive: how long it is tried, and what becomes of it then.

import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { idOf, NOW, ownerOf } from '../../tests/support/ledger';
import { journeyOf } from '../../tests/workerd/journey';
import type { LedgerPort, SettleCall } from '../domain/ledger/calls';
import { nanos } from '../domain/money';
import { SECOND_MS } from '../domain/time';
import { freeEnding } from './ending';
import { REACHED_NOTHING, settle } from './settle';

type Settle = LedgerPort['settle'];

let requests = 0;
/** What was waited for between tries. */
let waitedMs = 0;

beforeEach(() => {
  waitedMs = 0;
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: NOW });
  vi.spyOn(scheduler, 'wait').mockImplementation(async (ms) => {
    waitedMs += ms;
    vi.setSystemTime(Date.now() + ms);
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Settles over a ledger that answers as `answer` does. */
function settling(answer: Settle, { leftAt = null, seq = 1 }: Partial<Case> = {}) {
  const calls: SettleCall[] = [];
  const port = {
    settle: (call: SettleCall) => {
      calls.push(call);
      return answer(call);
    },
  };
  // Only what platform/objects.ts calls.
  const LEDGER = { idFromName: () => 'id', get: () => port } as unknown as Env['LEDGER'];
  const requestId = idOf('request', (requests += 1));
  const journey = journeyOf({ ...ownerOf(1), requestId, seq }, { ...env, LEDGER });
  const ending = { ...freeEnding('completed'), costNanos: nanos(7) };
  const done = settle(journey, ending, { ...REACHED_NOTHING, leftAt });
  return { done, calls, requestId };
}

interface Case {
  readonly leftAt: number | null;
  readonly seq: number;
}

/** The closings that wait in D1 for this request. */
async function lateOf(requestId: string): Promise<SettleCall[]> {
  const query = 'SELECT payload FROM late_settles WHERE request_id = ?';
  const { results } = await env.DB.prepare(query).bind(requestId).all<{ payload: string }>();
  // Written by the relay from this type.
  return results.map(({ payload }) => JSON.parse(payload) as SettleCall);
}

const kept: Settle = ({ closing, certainty, costNanos }) =>
  Promise.resolve({ closing, certainty, costNanos });
const unreachable: Settle = () => Promise.reject(new Error('network'));
const silent: Settle = () => Promise.withResolvers<never>().promise;

describe('settle', () => {
  it('is tried again with the same figures until it arrives', async () => {
    let tries = 0;
    const { done, calls, requestId } = settling((call) => {
      tries += 1;
      return tries < 4 ? unreachable(call) : kept(call);
    });
    await done;
    expect(calls).toHaveLength(4);
    expect(new Set(calls.map((call) => JSON.stringify(call))).size).toBe(1);
    expect(await lateOf(requestId)).toEqual([]);
  });

  it('is tried for 20 s, and then written down for later', async () => {
    const { done, calls, requestId } = settling(unreachable);
    await done;
    expect(waitedMs).toBeGreaterThan(10 * SECOND_MS);
    expect(waitedMs).toBeLessThanOrEqual(20 * SECOND_MS);
    expect(await lateOf(requestId)).toEqual([calls[0]]);
  });

  it('is tried no longer than 25 s after the client left', async () => {
    const { done, calls, requestId } = settling(unreachable, { leftAt: NOW - 15 * SECOND_MS });
    await done;
    expect(waitedMs).toBeGreaterThan(5 * SECOND_MS);
    expect(waitedMs).toBeLessThanOrEqual(10 * SECOND_MS);
    expect(await lateOf(requestId)).toEqual([calls[0]]);
  });

  it('does not wait for a ledger that does not answer for longer either', async () => {
    const { done, calls, requestId } = settling(silent, { leftAt: NOW - 15 * SECOND_MS });
    await vi.advanceTimersByTimeAsync(10 * SECOND_MS);
    await done;
    expect(await lateOf(requestId)).toEqual([calls[0]]);
  });

  it('is not tried again on an object that is overloaded', async () => {
    const overloaded = Object.assign(new Error('overloaded'), { overloaded: true });
    const { done, calls, requestId } = settling(() => Promise.reject(overloaded));
    await done;
    expect(calls).toHaveLength(1);
    expect(await lateOf(requestId)).toEqual([calls[0]]);
  });

  it('of a free request is let go: its place comes back by itself', async () => {
    const { done, calls, requestId } = settling(unreachable, { seq: 0 });
    await done;
    expect(calls).toHaveLength(1);
    expect(await lateOf(requestId)).toEqual([]);
  });
});
