// One journey for tests of single steps: nothing of it is looked up, and only the step's own work
// is done.

import { env } from 'cloudflare:workers';
import type { Lease } from '../../workers/domain/ledger/calls';
import { ZERO_NANOS } from '../../workers/domain/money';
import { configOf } from '../../workers/platform/env';
import type { Journey } from '../../workers/relay/journey';

/** Without a row, unless `lease` says otherwise; `bindings` are the test's own by default. */
export function journeyOf(lease: Partial<Lease> = {}, bindings: Env = env): Journey {
  const config = configOf(env);
  if (!config.ok) throw new Error('the test environment is not valid');
  const request = new Request('https://relay.test/v1/messages', { method: 'POST' });
  return {
    request,
    url: new URL(request.url),
    env: bindings,
    ctx: { waitUntil: () => undefined },
    config: config.value,
    operation: 'messages',
    requestId: 'req_1',
    receivedAt: Date.now(),
    bearer: {
      parts: { region: 'weur', walletId: 'wal_1', keyId: 'key_1' },
      hash: '',
    },
    lease: {
      seq: 0,
      requestId: 'req_1',
      walletId: 'wal_1',
      userId: 'usr_1',
      keyId: 'key_1',
      model: null,
      price: null,
      pricesVersion: 1,
      admittedAt: 0,
      likelyInputNanos: ZERO_NANOS,
      ...lease,
    },
    admitMs: 0,
    snapshot: { version: 1, accounts: [], catalogue: { version: 1, rows: [], aliases: {} } },
    body: null,
  };
}
