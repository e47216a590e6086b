import { describe, expect, it } from 'vitest';
import { ERROR_EXAMPLES } from '../../tests/support/error-examples';
import type { RelayError } from './errors';
import { facts } from './errors';
import { nanos } from './money';

const ALL: readonly RelayError[] = Object.values(ERROR_EXAMPLES).flat();

describe('facts', () => {
  it.each(ALL)('of $kind are a 4xx or 5xx with a stable code and whole words', (error) => {
    const { status, code, message } = facts(error);
    expect(Number.isInteger(status) && status >= 400 && status < 600).toBe(true);
    expect(code).toMatch(/^[a-z][a-z_-]+$/);
    expect(message.length).toBeGreaterThan(10);
    expect(message).not.toMatch(/undefined|null|NaN|\[object/);
  });

  it('tell every reason apart by its code', () => {
    const codes = ALL.map((error) => facts(error).code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('say that a retry is useless for every fault of the client or the set-up', () => {
    const lasting = ALL.filter(({ kind }) => kind !== 'rate-limited');
    const faults = lasting.map((error) => facts(error)).filter(({ status }) => status < 500);
    expect(faults.filter(({ retry }) => retry !== false)).toEqual([]);
    expect(faults.length).toBeGreaterThan(10);
  });

  it('leave the retry to the client where the fault may pass', () => {
    for (const error of [...ERROR_EXAMPLES.busy, ...ERROR_EXAMPLES['no-upstream']]) {
      expect(facts(error).retry).toBe(null);
      expect(facts(error).retryAfterMs).toBe(error.retryAfterMs);
    }
  });

  it('leave the retry of a rate limit to the client only while it lifts within five minutes', () => {
    const waits = [2_000, 300_000, 300_001, null].map((retryAfterMs) =>
      facts({
        kind: 'rate-limited',
        scope: 'key',
        what: 'requests',
        limit: 5,
        spanMs: 3_600_000,
        retryAfterMs,
      }),
    );
    expect(waits.map(({ retry }) => retry)).toEqual([null, null, false, false]);
    expect(waits.map(({ retryAfterMs }) => retryAfterMs)).toEqual([2_000, 300_000, 300_001, null]);
  });

  it('name what is limited, when it lifts and what to do, in one sentence', () => {
    const messages = [...ERROR_EXAMPLES['rate-limited'], ...ERROR_EXAMPLES['budget-spent']].map(
      (error) => facts(error).message,
    );
    expect(messages).toEqual([
      'This key has used its 60 requests in 1 minute; try again in 2 seconds.',
      'This key has used its 60 tokens in 1 minute; try again in 2 seconds.',
      'This key has used its $0.00000006 in 1 minute; try again in 2 seconds.',
      'This key may run 60 at once and they are running; try again in 2 seconds.',
      'This request alone is above the limit of this wallet, 1000 tokens in 1 hour; ' +
        'send a smaller one or ask for a higher limit.',
      'This request alone is above the limit of this wallet, $0.000001 in 1 hour; ' +
        'send a smaller one or ask for a higher limit.',
      ...['daily', 'weekly', 'monthly'].map(
        (period) =>
          `The ${period} budget of this user, $10.00, is spent and resets Nov 24 (00:00 UTC); ` +
          'wait until then or ask for a higher one.',
      ),
      'The total budget of this user, $10.00, is spent and does not reset; ask for a higher one.',
    ]);
  });

  it('say what is needed and what is left where a limit is not used up', () => {
    const amounts = { neededNanos: nanos(200_000_000), leftNanos: nanos(100_000_000) };
    const budget = {
      kind: 'budget-spent',
      scope: 'key',
      limitNanos: nanos(1_000_000_000),
    } as const;
    const daily = { resetsAt: Date.UTC(2026, 10, 24), retryAfterMs: 1_000 };
    const enough = 'does not leave enough for this request: $0.20 needed, $0.10 left';
    expect(facts({ ...budget, period: 'day', ...daily, ...amounts }).message).toBe(
      `The daily budget of this key, $1.00, ${enough}, and resets Nov 24 (00:00 UTC); ` +
        'wait until then or ask for a higher one.',
    );
    const never = { resetsAt: null, retryAfterMs: null };
    expect(facts({ ...budget, period: 'total', ...never, ...amounts }).message).toBe(
      `The total budget of this key, $1.00, ${enough}, and does not reset; ask for a higher one.`,
    );
    const rate = {
      kind: 'rate-limited',
      scope: 'key',
      spanMs: 60_000,
      retryAfterMs: 2_000,
    } as const;
    const cost = { what: 'cost', limit: 1_000_000_000, needed: 200_000_000, left: 100_000_000 };
    expect(facts({ ...rate, ...cost, what: 'cost' }).message).toBe(
      `What this key has left of its $1.00 in 1 minute ${enough}; try again in 2 seconds.`,
    );
    const tokens = { limit: 5_000, needed: 2_024, left: 1_000 };
    expect(facts({ ...rate, ...tokens, what: 'tokens' }).message).toBe(
      'What this key has left of its 5000 tokens in 1 minute does not leave enough for this ' +
        'request: 2024 tokens needed, 1000 tokens left; try again in 2 seconds.',
    );
  });

  it('promise no reset to a request that is above a whole budget', () => {
    const limit = { scope: 'key', period: 'day', limitNanos: nanos(50_000_000) } as const;
    const times = { resetsAt: Date.UTC(2026, 10, 24), retryAfterMs: null };
    expect(facts({ kind: 'budget-spent', ...limit, ...times }).message).toBe(
      'This request alone is above the daily budget of this key, $0.05; ' +
        'send a smaller one or ask for a higher one.',
    );
  });

  it('round a wait up, in the unit that keeps it readable', () => {
    const words = [1, 1_001, 60_000, 61_000, 120_001, 3_600_000, 7_200_001].map(
      (retryAfterMs) =>
        facts({
          kind: 'rate-limited',
          scope: 'key',
          what: 'cost',
          limit: 1,
          spanMs: null,
          retryAfterMs,
        }).message.split('; try again in ')[1],
    );
    expect(words).toEqual(
      [
        ['1 second.', '2 seconds.'],
        ['1 minute.', '61 seconds.', '3 minutes.'],
        ['1 hour.', '3 hours.'],
      ].flat(),
    );
  });

  it('keep the cause of an internal error inside', () => {
    expect(JSON.stringify(ERROR_EXAMPLES.internal.map(facts))).not.toContain('hunter2');
  });

  it('never show an upstream that refused the credential as the 401 of the client', () => {
    const statuses = ERROR_EXAMPLES['upstream-failed'].map((error) => facts(error).status);
    expect(new Set(statuses)).toEqual(new Set([502]));
  });

  it('name the amounts when credit is used up', () => {
    const { status, errorClass, message } = facts({
      kind: 'out-of-credit',
      neededNanos: nanos(2_000_000),
      availableNanos: nanos(-1_000_000),
    });
    expect([status, errorClass]).toEqual([429, 'billing_error']);
    expect(message).toContain('$0.002');
    expect(message).toContain('-$0.001');
  });

  it('name the allowed methods for 405', () => {
    expect(facts({ kind: 'method-not-allowed', method: 'PUT', allow: 'GET, HEAD' })).toMatchObject({
      status: 405,
      allow: 'GET, HEAD',
    });
  });
});
