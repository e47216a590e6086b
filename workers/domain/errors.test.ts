import { describe, expect, it } from 'vitest';
import type { ErrorKind, RelayError } from './errors';
import { facts } from './errors';
import { nanos } from './money';

type Examples = { readonly [K in ErrorKind]: readonly Extract<RelayError, { kind: K }>[] };

/** Every kind with every `why`: the compiler refuses a kind that is left out. */
const EXAMPLES: Examples = {
  unauthenticated: (
    ['missing', 'malformed', 'conflicting', 'unknown', 'revoked', 'expired'] as const
  ).map((why) => ({ kind: 'unauthenticated', why })),
  forbidden: (['user-suspended', 'wallet-suspended', 'origin'] as const).map((why) => ({
    kind: 'forbidden',
    why,
  })),
  'bad-request': [{ kind: 'bad-request', message: 'messages: Field required' }],
  'unsupported-encoding': [{ kind: 'unsupported-encoding', encoding: 'br' }],
  'too-large': [
    { kind: 'too-large', limitBytes: 33_554_432, decoded: false },
    { kind: 'too-large', limitBytes: 33_554_432, decoded: true },
  ],
  'not-found': [{ kind: 'not-found', what: '/v1/nothing' }],
  'method-not-allowed': [{ kind: 'method-not-allowed', method: 'PUT', allow: 'POST' }],
  'unknown-model': [{ kind: 'unknown-model', model: 'claude-none' }],
  'held-elsewhere': [{ kind: 'held-elsewhere', field: 'container' }],
  'not-offered': [{ kind: 'not-offered', what: 'Files' }],
  'out-of-credit': [
    { kind: 'out-of-credit', neededNanos: nanos(2_000_000), availableNanos: nanos(-1_000_000) },
  ],
  'already-closed': [{ kind: 'already-closed' }],
  conflict: [{ kind: 'conflict', what: 'There is an admin already.' }],
  busy: (['buffers', 'ledger', 'pool', 'database'] as const).map((what) => ({
    kind: 'busy',
    what,
    retryAfterMs: 1_000,
  })),
  'too-many-refusals': [{ kind: 'too-many-refusals', retryAfterMs: 60_000 }],
  'no-upstream': [{ kind: 'no-upstream', retryAfterMs: 5_000 }],
  'upstream-failed': (['unreachable', 'credential', 'redirect', 'unreadable'] as const).map(
    (why) => ({
      kind: 'upstream-failed',
      why,
    }),
  ),
  'upstream-ended': [{ kind: 'upstream-ended' }],
  'upstream-timeout': [{ kind: 'upstream-timeout' }],
  'ended-by-relay': (['revoked', 'stopped', 'limit'] as const).map((why) => ({
    kind: 'ended-by-relay',
    why,
  })),
  'bad-environment': [{ kind: 'bad-environment', variable: 'KEY_TAG_SECRETS' }],
  internal: [{ kind: 'internal', cause: new Error('password=hunter2') }],
};
const ALL: readonly RelayError[] = Object.values(EXAMPLES).flat();

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
    for (const error of ALL) {
      const { status, retry } = facts(error);
      if (status < 500) expect([error.kind, retry]).toEqual([error.kind, false]);
    }
  });

  it('leave the retry to the client where the fault may pass', () => {
    for (const error of [...EXAMPLES.busy, ...EXAMPLES['no-upstream']]) {
      expect(facts(error).retry).toBe(null);
      expect(facts(error).retryAfterMs).toBe(error.retryAfterMs);
    }
  });

  it('keep the cause of an internal error inside', () => {
    expect(JSON.stringify(EXAMPLES.internal.map(facts))).not.toContain('hunter2');
  });

  it('never show an upstream that refused the credential as the 401 of the client', () => {
    const statuses = EXAMPLES['upstream-failed'].map((error) => facts(error).status);
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
