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
    const faults = ALL.map((error) => facts(error)).filter(({ status }) => status < 500);
    expect(faults.filter(({ retry }) => retry !== false)).toEqual([]);
    expect(faults.length).toBeGreaterThan(10);
  });

  it('leave the retry to the client where the fault may pass', () => {
    for (const error of [...ERROR_EXAMPLES.busy, ...ERROR_EXAMPLES['no-upstream']]) {
      expect(facts(error).retry).toBe(null);
      expect(facts(error).retryAfterMs).toBe(error.retryAfterMs);
    }
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
