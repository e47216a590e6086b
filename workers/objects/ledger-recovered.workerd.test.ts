// A request that nobody ever settled is closed with what its last sign of life told: its tokens and
// its account stand in the log and in the sums, and count in windows of tokens.

import { describe, expect, it } from 'vitest';
import { accountOf, MODEL, progressCall } from '../../tests/support/ledger';
import { inDatabase } from '../../tests/workerd/drained';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import { alarm, drain, expectDrained, settlement } from '../../tests/workerd/flushing';
import {
  admitted,
  evict,
  infoOf,
  newWallet,
  rowsWrittenBy,
} from '../../tests/workerd/wallet-object';
import { nanos } from '../domain/money';
import { HOUR_MS, SECOND_MS } from '../domain/time';
import { NO_TOKENS } from '../domain/usage/tokens';

const terms = { speed: null, geo: null, tier: null };
const counts = { ...NO_TOKENS, input: 70, cacheRead: 900, output: 30 };
const TOLD = {
  costNanos: nanos(4_000),
  usage: { entries: [{ model: MODEL, counts, terms }], flags: [] },
} as const;

useFakeDate();

async function recovered() {
  const limits = { tokens: [{ limit: 100_000, spanMs: HOUR_MS }] };
  const wallet = await newWallet({ limits });
  const lease = await admitted(wallet);
  const accountId = accountOf(wallet.owner, 0);
  await wallet.ledger.progress(progressCall(lease, { ...TOLD, accountId }));
  await evict(wallet);
  later(100 * SECOND_MS);
  await alarm(wallet);
  return { wallet, lease };
}

describe('a request that nobody settled', () => {
  it('stands in the log and in the sums with the tokens and the account it told of', async () => {
    const { wallet, lease } = await recovered();
    await drain(wallet);
    const { log, rollups } = await inDatabase(wallet);
    const tokens = { input_tokens: 70, cache_read_tokens: 900, output_tokens: 30 };
    const line = { closing: 'recovered', account_id: accountOf(wallet.owner, 0), ...tokens };
    expect(log[lease.requestId]).toMatchObject({ ...line, cost_nanos: 4_000 });
    expect(Object.values(rollups)).toMatchObject([{ requests: 1, cost_nanos: 4_000, ...tokens }]);
    await expectDrained(wallet);
  });

  it('counts its tokens in windows, in memory and after it is lost', async () => {
    const { wallet } = await recovered();
    expect((await infoOf(wallet)).limits).toMatchObject([{ kind: 'tokens', used: 1_000 }]);
    await evict(wallet);
    expect((await infoOf(wallet)).limits).toMatchObject([{ kind: 'tokens', used: 1_000 }]);
  });

  it('is corrected by a late settle to what that says', async () => {
    const { wallet, lease } = await recovered();
    await wallet.ledger.settle(settlement(lease, 5));
    await drain(wallet);
    await expectDrained(wallet);
    const { log } = await inDatabase(wallet);
    expect(log[lease.requestId]).toMatchObject({ closing: 'completed' });
  });

  it('has cost no more rows for its details than a sign of life costs without them', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    const bare = await rowsWrittenBy(wallet, () => wallet.ledger.progress(progressCall(lease)));
    const told = await rowsWrittenBy(wallet, () =>
      wallet.ledger.progress(progressCall(lease, { ...TOLD, n: 2 })),
    );
    expect(told).toBe(bare);
  });
});
