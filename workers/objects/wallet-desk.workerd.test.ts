// What a Ledger object tells of its wallet: from the rows that it has, also after it was evicted,
// without a write and within a bound of rows read.

import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import {
  admitCall,
  creditCall,
  HOLD_NANOS,
  idOf,
  keyCopy,
  NOW,
  progressCall,
  settleCall,
  userCopy,
  walletCopy,
} from '../../tests/support/ledger';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { Wallet } from '../../tests/workerd/wallet-object';
import {
  admitted,
  evict,
  newRequest,
  newWallet,
  rowsWrittenBy,
  unknownWallet,
} from '../../tests/workerd/wallet-object';
import type { Lease, SettleCall } from '../domain/ledger/calls';
import type { StatementCall, StatementLine, StatementPage } from '../domain/ledger/reads';
import { nanos, nanosFromDollars } from '../domain/money';
import { HOUR_MS, SECOND_MS } from '../domain/time';

const TEN_DOLLARS = nanosFromDollars(10);

useFakeDate();

async function closed(wallet: Wallet, differs: Partial<SettleCall> = {}): Promise<Lease> {
  const lease = await admitted(wallet);
  await wallet.ledger.settle(settleCall(lease, differs));
  later(SECOND_MS);
  return lease;
}

async function pageOf({ ledger }: Wallet, call: StatementCall): Promise<StatementPage> {
  const page = await ledger.statement(call);
  if (!page.ok) throw new Error(`refused: ${page.error.kind}`);
  return page.value;
}

async function linesOf(wallet: Wallet, call: StatementCall): Promise<StatementLine[]> {
  const lines: StatementLine[] = [];
  for (let before = call.before; ;) {
    const page = await pageOf(wallet, before === undefined ? call : { ...call, before });
    lines.push(...page.lines);
    if (page.next === null) return lines;
    before = page.next;
  }
}

/** Rows that `action` makes the object read. */
async function rowsReadBy({ stub }: Wallet, action: () => Promise<unknown>): Promise<number> {
  const before = await runInDurableObject(stub, (object) => object.counters().rowsRead);
  await action();
  return (await runInDurableObject(stub, (object) => object.counters().rowsRead)) - before;
}

describe('a balance', () => {
  it('tells what is held for which running request, and how the limits of both stand', async () => {
    const wallet = await newWallet();
    const { owner, ledger } = wallet;
    const budget = { budgets: [{ period: 'day', limitNanos: nanosFromDollars(2) }] } as const;
    await ledger.apply([userCopy(owner, { version: 2, limits: budget })]);
    await ledger.apply([walletCopy(owner, { version: 2, limits: { concurrency: 5 } })]);
    await closed(wallet, { costNanos: nanos(7) });
    const lease = await admitted(wallet);
    await ledger.progress(progressCall(lease, { costNanos: nanos(3) }));
    const balance = await ledger.balance();
    expect(balance).toMatchObject({
      balanceNanos: TEN_DOLLARS - 7,
      heldNanos: HOLD_NANOS,
      availableNanos: TEN_DOLLARS - 7 - HOLD_NANOS,
      openCount: 1,
      openRequests: [{ requestId: lease.requestId, keyId: owner.keyId, costNanos: 3 }],
    });
    expect(balance.limits).toMatchObject([
      { scope: 'user', kind: 'budget', period: 'day', used: 7 },
      { scope: 'wallet', kind: 'concurrency', limit: 5, used: 1 },
    ]);
  });

  it('of a wallet of which nothing is known is nothing', async () => {
    const nothing = { balanceNanos: 0, heldNanos: 0, availableNanos: 0, openCount: 0, limits: [] };
    expect(await unknownWallet().ledger.balance()).toMatchObject(nothing);
  });
});

describe('a statement', () => {
  it('weaves requests, entries and corrections, and is the same after an eviction', async () => {
    const wallet = await newWallet();
    later(SECOND_MS);
    await closed(wallet, { costNanos: nanos(500), certainty: 'estimated' });
    const late = await admitted(wallet);
    later(SECOND_MS);
    await wallet.ledger.credit(creditCall('txn_more', { amountNanos: nanos(1_000) }));
    later(SECOND_MS);
    await wallet.ledger.settle(settleCall(late, { costNanos: nanos(20), certainty: 'estimated' }));
    await wallet.ledger.settle(settleCall(late, { costNanos: nanos(25) }));
    const lines = await linesOf(wallet, { limit: 100 });
    const told = lines.map(({ kind, amountNanos, balanceNanos }) => [
      kind,
      amountNanos,
      balanceNanos,
    ]);
    const balance = TEN_DOLLARS + 1_000 - 525;
    expect(told).toEqual([
      ['correction', -5, balance],
      ['grant', 1_000, balance + 5],
      ['charge', -20, balance - 995],
      ['charge', -500, balance - 975],
      ['grant', TEN_DOLLARS, TEN_DOLLARS],
    ]);
    await evict(wallet);
    expect(await linesOf(wallet, { limit: 2 })).toEqual(lines);
    expect(await linesOf(wallet, { limit: 1, kinds: ['grant'] })).toEqual(
      lines.filter(({ kind }) => kind === 'grant'),
    );
    expect((await wallet.ledger.balance()).balanceNanos).toBe(balance);
  });

  it('leaves out what closes while it is read, in the same millisecond too', async () => {
    const wallet = await newWallet();
    later(SECOND_MS);
    const lease = await admitted(wallet);
    later(SECOND_MS);
    await closed(wallet);
    const first = await pageOf(wallet, { limit: 1 });
    await wallet.ledger.settle(settleCall(lease, { costNanos: nanos(9) }));
    if (first.next === null) throw new Error('there is more');
    const rest = await linesOf(wallet, { limit: 5, before: first.next });
    expect(rest).toMatchObject([{ kind: 'grant', balanceNanos: TEN_DOLLARS }]);
    expect((await linesOf(wallet, { limit: 5 })).map(({ amountNanos }) => amountNanos)).toEqual([
      -1_000_000,
      -9,
      TEN_DOLLARS,
    ]);
  });

  it('refuses a cursor that is none, and one with sums that nobody can have', async () => {
    const { ledger } = await newWallet();
    const huge = String(Number.MAX_SAFE_INTEGER);
    for (const before of ['x', '9.9.0.0.0', `0.1.-${huge}.-${huge}.0`]) {
      const page = await ledger.statement({ before, limit: 5 });
      expect(page).toMatchObject({ ok: false, error: { kind: 'bad-request' } });
    }
  });
});

describe('the wallet’s requests', () => {
  it('are paged newest first, and filtered by key, model, closing and date', async () => {
    const wallet = await newWallet();
    const { owner, ledger } = wallet;
    const other = idOf('key', 9_000_001);
    await ledger.apply([keyCopy({ ...owner, keyId: other })]);
    const first = await closed(wallet, { closing: 'client-left' });
    const second = await closed(wallet, { model: 'another' });
    const call = admitCall(other, newRequest());
    const answer = await ledger.admit(call);
    expect(answer.ok).toBe(true);
    const found = async (asked: Partial<Parameters<typeof ledger.requests>[0]>) => {
      const page = await ledger.requests({ limit: 10, ...asked });
      return page.ok ? page.value.requests.map(({ requestId }) => requestId) : page.error;
    };
    expect(await found({})).toEqual([call.requestId, second.requestId, first.requestId]);
    expect(await found({ keyId: other })).toEqual([call.requestId]);
    expect(await found({ model: 'another' })).toEqual([second.requestId]);
    expect(await found({ closing: 'client-left' })).toEqual([first.requestId]);
    expect(await found({ closing: 'open' })).toEqual([call.requestId]);
    expect(await found({ since: NOW + 1, until: NOW + 2 * SECOND_MS })).toEqual([second.requestId]);
    const page = await ledger.requests({ limit: 2 });
    if (!page.ok || page.value.next === null) throw new Error('there is more');
    expect(await found({ before: page.value.next })).toEqual([first.requestId]);
    expect(await found({ before: 'x' })).toMatchObject({ kind: 'bad-request' });
  });

  it('are told whole, with what was learned later', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    await wallet.ledger.stop({ requestId: lease.requestId, actor: 'usr_x' });
    expect(await wallet.ledger.request(lease.requestId)).toMatchObject({
      closing: null,
      heldNanos: HOLD_NANOS,
      stoppedBy: 'usr_x',
      first: null,
    });
    const cut = { closing: 'stopped', certainty: 'estimated', costNanos: nanos(50) } as const;
    await wallet.ledger.settle(settleCall(lease, cut));
    await wallet.ledger.settle(settleCall(lease, { costNanos: nanos(40) }));
    await evict(wallet);
    const detail = await wallet.ledger.request(lease.requestId);
    expect(detail).toMatchObject({
      costNanos: 40,
      heldNanos: 0,
      certainty: 'reported',
      first: { closing: 'stopped', costNanos: 50 },
      corrections: [{ amountNanos: 10 }],
      opened: { sizes: { maxTokens: 1_000 } },
      tags: { session: 'a-session' },
    });
    expect(JSON.stringify(detail)).not.toContain('conversation');
    expect(await wallet.ledger.request(newRequest())).toBeNull();
  });

  it('are found by their ids among many, reading few rows, and strangers too', async () => {
    const wallet = await newWallet();
    const { ledger, owner } = wallet;
    const unknown = { seq: null, requestId: newRequest(), keyId: owner.keyId };
    await ledger.settle(settleCall(unknown, { admittedAt: NOW - HOUR_MS }));
    const leases: Lease[] = [];
    for (let count = 0; count < 60; count += 1) leases.push(await closed(wallet));
    for (const requestId of [unknown.requestId, leases[0]?.requestId]) {
      if (requestId === undefined) throw new Error('nothing was admitted');
      expect(await ledger.request(requestId)).toMatchObject({ requestId });
    }
    const read = await rowsReadBy(wallet, async () => {
      const lines = await pageOf(wallet, { limit: 20 });
      expect(lines.lines).toHaveLength(20);
      const requests = await ledger.requests({ limit: 20 });
      expect(requests.ok && requests.value.requests.length).toBe(20);
      await ledger.balance();
    });
    expect(read).toBeLessThan(60);
    const written = await rowsWrittenBy(wallet, async () => {
      await linesOf(wallet, { limit: 100 });
      await ledger.requests({ limit: 100, closing: 'void' });
      await ledger.request(newRequest());
    });
    expect(written).toBe(0);
  });
});
