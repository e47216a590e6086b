// One error of every kind with every reason, for the tests that must see them all.

import type { ErrorKind, RelayError } from '../../workers/domain/errors';
import { nanos } from '../../workers/domain/money';

type Examples = { readonly [K in ErrorKind]: readonly Extract<RelayError, { kind: K }>[] };

/** Every kind with every `why`: the compiler refuses a kind that is left out. */
export const ERROR_EXAMPLES: Examples = {
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
  'rate-limited': [
    ...(['requests', 'tokens', 'cost', 'concurrency'] as const).map((what) => ({
      kind: 'rate-limited' as const,
      scope: 'key' as const,
      what,
      limit: 60,
      spanMs: what === 'concurrency' ? null : 60_000,
      retryAfterMs: 2_000,
    })),
    ...(['tokens', 'cost'] as const).map((what) => ({
      kind: 'rate-limited' as const,
      scope: 'wallet' as const,
      what,
      limit: 1_000,
      spanMs: 3_600_000,
      retryAfterMs: null,
    })),
  ],
  'budget-spent': (['day', 'week', 'month', 'total'] as const).map((period) => ({
    kind: 'budget-spent',
    scope: 'user',
    period,
    limitNanos: nanos(10_000_000_000),
    resetsAt: period === 'total' ? null : Date.UTC(2026, 10, 24),
    retryAfterMs: period === 'total' ? null : 3_600_000,
  })),
  'not-allowed': (['model', 'client', 'address', 'protocol'] as const).map((what) => ({
    kind: 'not-allowed',
    what,
  })),
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
  'ended-by-relay': (['revoked', 'stopped', 'limit', 'credit'] as const).map((why) => ({
    kind: 'ended-by-relay',
    why,
  })),
  'bad-environment': [{ kind: 'bad-environment', variable: 'KEY_TAG_SECRETS' }],
  internal: [{ kind: 'internal', cause: new Error('password=hunter2') }],
};
