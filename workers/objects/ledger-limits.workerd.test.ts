// Limits at a Ledger object: crowds at a limit, changes that hold at the next request, evictions,
// days of a zone, class `free`. Which limit refuses what is in domain/limits/limits.test.ts.

import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import {
  admitCall,
  extendCall,
  HOLD,
  HOLD_NANOS,
  idOf,
  keyCopy,
  MODEL,
  NEEDED_NANOS,
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
  infoOf,
  newRequest,
  newWallet,
  rowsWrittenBy,
} from '../../tests/workerd/wallet-object';
import type { RelayError } from '../domain/errors';
import type { AdmitCall, Lease } from '../domain/ledger/calls';
import type { LimitSet } from '../domain/limits/limit-set';
import { nanos } from '../domain/money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../domain/time';
import { NO_TOKENS } from '../domain/usage/tokens';

useFakeDate();

const perMinute = (limit: number) => [{ limit, spanMs: MINUTE_MS }];

/** Leases and refusals of so many requests at once. */
async function crowd(wallet: Wallet, count: number, differs: Partial<AdmitCall> = {}) {
  const answers = await Promise.all(
    Array.from({ length: count }, async () =>
      wallet.ledger.admit(admitCall(wallet.owner.keyId, newRequest(), differs)),
    ),
  );
  const leases: Lease[] = [];
  const errors: RelayError[] = [];
  for (const answer of answers) {
    if (answer.ok) leases.push(answer.lease);
    else errors.push(answer.error);
  }
  return { leases, errors };
}

async function refusal(wallet: Wallet, differs: Partial<AdmitCall> = {}): Promise<RelayError> {
  const { errors } = await crowd(wallet, 1, differs);
  const [error] = errors;
  if (error === undefined) throw new Error('admitted');
  return error;
}

/** A wallet whose key has these limits, in force from its next request on. */
async function limited(limits: LimitSet): Promise<Wallet> {
  return newWallet({ limits });
}

describe('a crowd', () => {
  it('gets exactly as many requests as its window has, also after an eviction', async () => {
    const wallet = await limited({ requests: perMinute(137) });
    const { leases, errors } = await crowd(wallet, 500);
    expect(leases).toHaveLength(137);
    for (const error of errors) {
      const refused = { kind: 'rate-limited', scope: 'key', what: 'requests', limit: 137 };
      expect(error).toMatchObject({ ...refused, spanMs: MINUTE_MS });
    }
    await Promise.all(leases.map(async (lease) => wallet.ledger.settle(settleCall(lease))));
    await evict(wallet);
    later(50 * SECOND_MS);
    const error = await refusal(wallet);
    if (error.kind !== 'rate-limited') throw new Error(error.kind);
    later(error.retryAfterMs ?? 0);
    expect((await crowd(wallet, 200)).leases).toHaveLength(137);
  });

  it('runs exactly as many at once as its limit says; who ends makes room', async () => {
    const wallet = await limited({ concurrency: 20 });
    const { leases, errors } = await crowd(wallet, 500);
    expect(leases).toHaveLength(20);
    expect(errors[0]).toMatchObject({ what: 'concurrency', limit: 20, retryAfterMs: 2_000 });
    await evict(wallet);
    expect((await crowd(wallet, 10)).leases).toHaveLength(0);
    const three = leases.slice(0, 3);
    await Promise.all(three.map(async (lease) => wallet.ledger.settle(settleCall(lease))));
    expect((await crowd(wallet, 10)).leases).toHaveLength(3);
  });

  it('holds together no more than what a budget leaves', async () => {
    const budgets = [{ period: 'month' as const, limitNanos: nanos(HOLD_NANOS * 30) }];
    const wallet = await limited({ budgets });
    const { leases, errors } = await crowd(wallet, 500);
    expect(leases).toHaveLength(30);
    expect(errors[0]).toMatchObject({ kind: 'rate-limited', what: 'cost', retryAfterMs: 2_000 });
    await Promise.all(leases.map(async (lease) => wallet.ledger.settle(settleCall(lease))));
    expect((await crowd(wallet, 1)).leases).toHaveLength(1);
  });
});

describe('a limit', () => {
  it('that is set counts what came before it, and is gone when it is taken away', async () => {
    const wallet = await newWallet();
    for (let count = 0; count < 3; count += 1)
      await wallet.ledger.settle(settleCall(await admitted(wallet)));
    const limits = { requests: perMinute(4) };
    await wallet.ledger.apply([keyCopy(wallet.owner, { limits, version: 2 })]);
    await admitted(wallet);
    expect(await refusal(wallet)).toMatchObject({ what: 'requests', limit: 4 });
    await wallet.ledger.apply([keyCopy(wallet.owner, { limits: {}, version: 3 })]);
    await admitted(wallet);
  });

  it.each(['user', 'wallet'] as const)('of the %s counts for all its keys', async (scope) => {
    const wallet = await newWallet();
    const limits = { requests: perMinute(2) };
    const other = { ...wallet.owner, keyId: idOf('key', 4_000) };
    const copy = { user: userCopy, wallet: walletCopy }[scope](wallet.owner, {
      limits,
      version: 2,
    });
    await wallet.ledger.apply([copy, keyCopy(other)]);
    await admitted(wallet);
    await admitted({ ...wallet, owner: other });
    expect(await refusal(wallet)).toMatchObject({ scope, what: 'requests' });
    expect(await refusal({ ...wallet, owner: other })).toMatchObject({ scope });
  });

  it('is read from D1 with the key', async () => {
    const wallet = await newWallet();
    const { owner } = wallet;
    await env.DB.batch([
      env.DB.prepare(
        `INSERT INTO users VALUES (?1, ?1, 'n', 'user', 'p', 'active', 'UTC', 1, 1, '{}',
          '[]')`,
      ).bind(owner.userId),
      env.DB.prepare(
        `INSERT INTO wallets VALUES (?, ?, 'weur', 'active', 1, 1, '{"concurrency":7}')`,
      ).bind(owner.walletId, owner.userId),
      env.DB.prepare(
        `INSERT INTO keys VALUES (?, ?, ?, 'n', 'another', NULL, NULL, '1', 'active', NULL, 9, 1,
          '{"requests":[{"limit":5,"spanMs":1000}]}', 'drain', '[]')`,
      ).bind(owner.keyId, owner.walletId, owner.userId),
    ]);
    later(11 * MINUTE_MS);
    await admitted(wallet);
    await vi.waitFor(async () => {
      const call = admitCall(owner.keyId, newRequest(), { keyHash: 'another' });
      const answer = await wallet.ledger.admit(call);
      expect(answer).toMatchObject({
        ok: true,
        lease: { notice: { 'anthropic-ratelimit-requests-limit': '5' } },
      });
    });
  });

  it('of tokens counts what was reported, and what is held', async () => {
    const wallet = await limited({ tokens: perMinute(10_000) });
    const lease = await admitted(wallet);
    const held = HOLD.inputTokens + 1_000;
    const [standing] = (await infoOf(wallet)).limits ?? [];
    expect(standing).toMatchObject({ kind: 'tokens', used: 0, remaining: 10_000 - held });
    const terms = { speed: null, geo: null, tier: null };
    const counts = { ...NO_TOKENS, input: 900, cacheRead: 8_000, output: 99, webSearches: 7 };
    const usage = { entries: [{ model: MODEL, counts, terms }], flags: [] };
    await wallet.ledger.settle(settleCall(lease, { usage }));
    expect((await infoOf(wallet)).limits).toMatchObject([{ used: 8_999, remaining: 1_001 }]);
    expect(await refusal(wallet)).toMatchObject({ what: 'tokens', spanMs: MINUTE_MS });
  });

  it('of tokens ends the one stream that fills it, whatever its wallet has', async () => {
    const wallet = await limited({ tokens: perMinute(5_000) });
    const { sizes } = admitCall(wallet.owner.keyId, newRequest());
    const lease = await admitted(wallet, { sizes: { ...sizes, maxTokens: 100_000 } });
    const most = 5_000 - HOLD.inputTokens;
    const more = extendCall(lease, 60_000);
    expect(await wallet.ledger.extend(more)).toEqual({ state: 'held', heldOutputTokensUpTo: most });
    const cut = { state: 'stop', closing: 'cut-by-limit' };
    expect(await wallet.ledger.extend(more)).toEqual(cut);
    await evict(wallet);
    expect(await wallet.ledger.extend(more)).toEqual(cut);
  });

  it('of money caps what is held, also when more output is asked for', async () => {
    const budgets = [{ period: 'day' as const, limitNanos: NEEDED_NANOS, family: 'opus' }];
    const wallet = await limited({ budgets });
    const lease = await admitted(wallet);
    expect(lease.hold).toMatchObject({ reportInput: true });
    expect(await infoOf(wallet)).toMatchObject({ heldNanos: NEEDED_NANOS });
    await wallet.ledger.settle(settleCall(lease));
    const { sizes } = admitCall(wallet.owner.keyId, lease.requestId);
    const unlimited = { period: 'day' as const, limitNanos: nanos(HOLD_NANOS + 40_000_000) };
    await wallet.ledger.apply([
      keyCopy(wallet.owner, { limits: { budgets: [unlimited] }, version: 2 }),
    ]);
    const second = await admitted(wallet, { sizes: { ...sizes, maxTokens: 100_000 } });
    const more = await wallet.ledger.extend(extendCall(second, 100_000));
    // 76.5 million less the one that was spent and 16.5 for the input, at 20,000 a token.
    expect(more).toEqual({ state: 'held', heldOutputTokensUpTo: 2_950 });
    const cut = { state: 'stop', closing: 'cut-by-limit' };
    expect(await wallet.ledger.extend(extendCall(second, 100_000))).toEqual(cut);
  });

  it('of a day lifts at the midnight of the user’s zone, not before', async () => {
    const wallet = await newWallet();
    const { owner, ledger } = wallet;
    const budgets = [{ period: 'day' as const, limitNanos: nanos(HOLD_NANOS + 1) }];
    await ledger.apply([
      userCopy(owner, { timeZone: 'Asia/Tokyo', version: 2 }),
      keyCopy(owner, { limits: { budgets }, version: 2 }),
    ]);
    await ledger.settle(settleCall(await admitted(wallet), { costNanos: HOLD_NANOS }));
    // Noon in London is nine in the evening there.
    const resetsAt = NOW + 3 * HOUR_MS;
    const spent = { kind: 'budget-spent', scope: 'key', period: 'day', resetsAt };
    expect(await refusal(wallet)).toMatchObject(spent);
    await evict(wallet);
    later(3 * HOUR_MS - 1);
    expect(await refusal(wallet)).toMatchObject({ ...spent, retryAfterMs: 1 });
    later(1);
    await admitted(wallet);
  });

  it('of use refuses what is not allowed, class free too, and writes nothing', async () => {
    const wallet = await limited({
      models: { deny: ['claude-*'] },
      clients: ['claude-cli/*'],
      addresses: ['10.0.0.0/8'],
    });
    const refusals = await rowsWrittenBy(wallet, async () => {
      for (const differs of [{}, { class: 'free' as const }]) {
        expect(await refusal(wallet, differs)).toEqual({ kind: 'not-allowed', what: 'model' });
      }
      const list = { class: 'free', model: null } as const;
      expect(await refusal(wallet, list)).toEqual({ kind: 'not-allowed', what: 'client' });
      const named = { ...list, userAgent: 'claude-cli/2.1', address: '192.0.2.1' };
      expect(await refusal(wallet, named)).toEqual({ kind: 'not-allowed', what: 'address' });
      await admitted(wallet, { ...named, address: '10.1.2.3' });
    });
    // The catalogue, read for the first request.
    expect(refusals).toBe(1);
  });

  it('of a life begins with the first use and ends the key', async () => {
    const wallet = await limited({ activation: { lifetimeMs: HOUR_MS } });
    later(5 * HOUR_MS);
    expect(await infoOf(wallet)).toMatchObject({ expiresAt: null });
    await wallet.ledger.settle(settleCall(await admitted(wallet)));
    expect(await infoOf(wallet)).toMatchObject({ expiresAt: NOW + 6 * HOUR_MS });
    await evict(wallet);
    later(HOUR_MS - 1);
    const running = await admitted(wallet);
    expect(await wallet.ledger.progress(progressCall(running))).toEqual({ state: 'open' });
    later(1);
    const ended = { state: 'stop', closing: 'revoked' };
    expect(await wallet.ledger.progress(progressCall(running, { n: 2 }))).toEqual(ended);
    expect(await wallet.ledger.extend(extendCall(running, 2_000))).toEqual(ended);
    expect(await refusal(wallet)).toEqual({ kind: 'unauthenticated', why: 'expired' });
  });
});

describe('what the user is told', () => {
  it('is how the limits stand with this request, in the lease and in key-info', async () => {
    const budgets = [{ period: 'total' as const, limitNanos: nanos(HOLD_NANOS * 4) }];
    const wallet = await limited({ requests: perMinute(9), concurrency: 3, budgets });
    const first = await admitted(wallet);
    expect(first.notice).toMatchObject({
      'anthropic-ratelimit-requests-limit': '9',
      'anthropic-ratelimit-requests-remaining': '8',
      'anthropic-ratelimit-unified-status': 'allowed',
    });
    await wallet.ledger.settle(settleCall(first, { costNanos: HOLD_NANOS }));
    expect((await infoOf(wallet)).limits).toEqual([
      {
        scope: 'key',
        kind: 'requests',
        spanMs: MINUTE_MS,
        limit: 9,
        used: 1,
        remaining: 8,
        resetsAt: expect.any(Number) as number,
      },
      { scope: 'key', kind: 'concurrency', limit: 3, used: 0, remaining: 3, resetsAt: null },
      {
        scope: 'key',
        kind: 'budget',
        period: 'total',
        limit: HOLD_NANOS * 4,
        used: HOLD_NANOS,
        remaining: HOLD_NANOS * 3,
        resetsAt: null,
      },
    ]);
  });
});

describe('class free', () => {
  const free = { class: 'free' } as const;

  it('has a window and places of its own, which an end gives back', async () => {
    const wallet = await limited({ concurrency: 1 });
    const { leases, errors } = await crowd(wallet, 120, free);
    expect(leases).toHaveLength(100);
    expect(errors[0]).toMatchObject({ what: 'concurrency', limit: 100 });
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(leases.map(async (lease) => wallet.ledger.settle(settleCall(lease))));
      const next = await crowd(wallet, 100, free);
      expect(next.leases).toHaveLength(100);
      leases.splice(0, 100, ...next.leases);
    }
    await Promise.all(leases.map(async (lease) => wallet.ledger.settle(settleCall(lease))));
    expect(await refusal(wallet, free)).toMatchObject({ what: 'requests', limit: 300 });
    // None of it is metered.
    await admitted(wallet);
    later(MINUTE_MS + SECOND_MS);
    await admitted(wallet, free);
  });

  it('gives a place back that nobody settled, after a lease’s length', async () => {
    const wallet = await newWallet();
    await crowd(wallet, 100, free);
    expect(await refusal(wallet, free)).toMatchObject({ what: 'concurrency' });
    later(MINUTE_MS);
    expect((await crowd(wallet, 100, free)).leases).toHaveLength(100);
  });
});
