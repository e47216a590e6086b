// What providers hold for a wallet, and which account answers a conversation: let through, refused,
// waited for, and found again at waking.

import { runInDurableObject } from 'cloudflare:test';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  accountOf,
  admitCall,
  keyCopy,
  settleCall,
  userCopy,
  walletCopy,
} from '../../tests/support/ledger';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { Wallet } from '../../tests/workerd/wallet-object';
import { admitted, evict, infoOf, newRequest, newWallet } from '../../tests/workerd/wallet-object';
import type { AdmitAnswer, AdmitCall, Lease, SettleCall } from '../domain/ledger/calls';
import type { AccountId } from '../domain/ids';
import { nanos } from '../domain/money';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { NO_TOKENS } from '../domain/usage/tokens';

useFakeDate();

const CONTAINER = { field: 'container', id: 'container_1' };
const ELSEWHERE = { ok: false, error: { kind: 'held-elsewhere', field: 'container' } };

function call({ owner }: Wallet, differs: Partial<AdmitCall> = {}): AdmitCall {
  return admitCall(owner.keyId, newRequest(), { heldIds: [CONTAINER], ...differs });
}

async function settled(
  { ledger }: Wallet,
  lease: Lease,
  { account, ...differs }: Partial<SettleCall> & { readonly account: AccountId },
): Promise<void> {
  await ledger.settle(settleCall(lease, { accountId: account, ...differs }));
}

/** A request that made the container at `account`. */
async function make(wallet: Wallet, account: AccountId, id = CONTAINER.id): Promise<void> {
  await settled(wallet, await admitted(wallet), { account, heldIds: [id] });
}

describe('an id that a provider holds', () => {
  it('goes to the account that made it, also after an eviction', async () => {
    const wallet = await newWallet();
    const account = accountOf(wallet.owner, 1);
    await make(wallet, account);
    const asked = call(wallet);
    const answer = await wallet.ledger.admit(asked);
    expect(answer).toMatchObject({ ok: true, lease: { owner: account } });
    await evict(wallet);
    expect(await wallet.ledger.admit(asked)).toEqual(answer);
    const counted = await wallet.ledger.admit(call(wallet, { class: 'free' }));
    expect(counted).toMatchObject({ ok: true, lease: { seq: 0, owner: account } });
  });

  it('is nobody else’s: another wallet that names it is refused, for free requests too', async () => {
    const [wallet, other] = [await newWallet(), await newWallet()];
    await make(wallet, accountOf(wallet.owner, 0));
    expect(await other.ledger.admit(call(other))).toEqual(ELSEWHERE);
    expect(await other.ledger.admit(call(other, { class: 'free' }))).toEqual(ELSEWHERE);
  });

  it('beside one of another account is refused at once, whatever runs', async () => {
    const wallet = await newWallet();
    await make(wallet, accountOf(wallet.owner, 0), 'file_0');
    await make(wallet, accountOf(wallet.owner, 1));
    await admitted(wallet);
    const heldIds = [{ field: 'file_id', id: 'file_0' }, CONTAINER];
    expect(await wallet.ledger.admit(call(wallet, { heldIds }))).toEqual(ELSEWHERE);
  });

  it('is found again behind a checkpoint, and what is used lives on', async () => {
    const wallet = await newWallet();
    const account = accountOf(wallet.owner, 0);
    await make(wallet, account);
    const used = async (): Promise<void> => {
      const answer = await wallet.ledger.admit(call(wallet));
      if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
      await settled(wallet, answer.lease, { account });
    };
    later(20 * 24 * 60 * MINUTE_MS);
    await used();
    await checkpoint(wallet);
    await evict(wallet);
    later(20 * 24 * 60 * MINUTE_MS);
    await used();
    await evict(wallet);
    later(29 * 24 * 60 * MINUTE_MS);
    await used();
    later(30 * 24 * 60 * MINUTE_MS);
    expect(await wallet.ledger.admit(call(wallet))).toEqual(ELSEWHERE);
  });

  it('is unknown to a checkpoint from before ids were kept, and to rows that have none', async () => {
    const wallet = await newWallet();
    await settled(wallet, await admitted(wallet), { account: accountOf(wallet.owner, 0) });
    await checkpoint(wallet, ['things', 'warm']);
    await evict(wallet);
    expect(await wallet.ledger.admit(call(wallet))).toEqual(ELSEWHERE);
    await make(wallet, accountOf(wallet.owner, 1));
    expect((await wallet.ledger.admit(call(wallet))).ok).toBe(true);
  });
});

describe('an unknown id, while a request runs', () => {
  beforeEach(() => {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: Date.now() });
  });

  /** Asked inside the object, whose timers are the test's. */
  async function ask(wallet: Wallet, calls: readonly AdmitCall[]): Promise<AdmitAnswer[]> {
    const answers: AdmitAnswer[] = [];
    await runInDurableObject(wallet.stub, async (object) => {
      for (const each of calls) void object.admit(each).then((answer) => answers.push(answer));
      await vi.advanceTimersByTimeAsync(0);
    });
    return answers;
  }

  async function pass(wallet: Wallet, ms: number): Promise<void> {
    await runInDurableObject(wallet.stub, async () => {
      await vi.advanceTimersByTimeAsync(ms);
    });
  }

  it('waits for what that one made, and the object serves others meanwhile', async () => {
    const wallet = await newWallet();
    const [one, other] = [await admitted(wallet), await admitted(wallet)];
    const answers = await ask(wallet, [call(wallet), call(wallet, { class: 'free' })]);
    expect(answers).toEqual([]);
    await admitted(wallet);
    expect((await infoOf(wallet)).openRequests).toBe(3);
    await settled(wallet, other, { account: accountOf(wallet.owner, 1) });
    await pass(wallet, SECOND_MS);
    expect(answers).toEqual([]);
    const account = accountOf(wallet.owner, 0);
    await settled(wallet, one, { account, heldIds: [CONTAINER.id] });
    await pass(wallet, 0);
    const isLetIn = { ok: true, lease: { owner: account } };
    expect(answers).toMatchObject([isLetIn, isLetIn]);
  });

  it('is refused after two seconds, though others are settled all the time', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    const answers = await ask(wallet, [call(wallet)]);
    for (let n = 0; n < 3; n += 1) {
      await pass(wallet, 500);
      await settled(wallet, await admitted(wallet), { account: accountOf(wallet.owner, 0) });
    }
    await pass(wallet, 499);
    expect(answers).toEqual([]);
    await pass(wallet, 1);
    expect(answers).toEqual([ELSEWHERE]);
  });

  it('is refused as soon as nothing runs any more', async () => {
    const wallet = await newWallet();
    const lease = await admitted(wallet);
    const answers = await ask(wallet, [call(wallet)]);
    await settled(wallet, lease, { account: accountOf(wallet.owner, 0) });
    await pass(wallet, 0);
    expect(answers).toEqual([ELSEWHERE]);
  });

  it('is waited for by a bounded number; others are told to come again', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    const calls = Array.from({ length: 65 }, () => call(wallet));
    const answers = await ask(wallet, calls);
    expect(answers).toMatchObject([{ ok: false, error: { kind: 'busy', what: 'ledger' } }]);
    await pass(wallet, 2 * SECOND_MS);
    expect(answers).toHaveLength(65);
    expect(answers.slice(1).every((answer) => !answer.ok)).toBe(true);
  });

  it('does not keep anybody waiting whose key is wrong', async () => {
    const wallet = await newWallet();
    await admitted(wallet);
    const answers = await ask(wallet, [call(wallet, { keyHash: 'wrong' })]);
    expect(answers).toMatchObject([{ error: { kind: 'unauthenticated' } }]);
  });
});

describe('a conversation', () => {
  const counts = { ...NO_TOKENS, cacheWrite5m: 2_000, cacheRead: 8_000, output: 10 };
  const terms = { speed: null, geo: null, tier: null };
  const usage = { entries: [{ model: 'claude-opus-5-5', counts, terms }], flags: [] };
  const talk = { conversation: 'a-talk' };

  it('is told who answered it last, while the cache is warm, also after an eviction', async () => {
    const wallet = await newWallet();
    const account = accountOf(wallet.owner, 0);
    const first = await admitted(wallet, talk);
    expect(first).not.toHaveProperty('warm');
    await settled(wallet, first, { account, usage });
    const warm = { accountId: account, until: Date.now() + 5 * MINUTE_MS, cachedTokens: 10_000 };
    await evict(wallet);
    const asked = call(wallet, { ...talk, heldIds: [] });
    const answer = await wallet.ledger.admit(asked);
    expect(answer).toMatchObject({ ok: true, lease: { warm } });
    await evict(wallet);
    expect(await wallet.ledger.admit(asked)).toEqual(answer);
    later(5 * MINUTE_MS);
    expect(await admitted(wallet, talk)).not.toHaveProperty('warm');
  });

  it.each([
    ['another account', { accountNanos: nanos(5) }, 2_000 * (5_000_000 - 200_000)],
    ['another account that shares the cache', { cacheGroup: 'org' }, 0],
  ])('answered by %s keeps in its row what that cost', async (_who, differs, movedPicos) => {
    const wallet = await newWallet();
    const [one, other] = [accountOf(wallet.owner, 0), accountOf(wallet.owner, 1)];
    await settled(wallet, await admitted(wallet, talk), { account: one, usage, cacheGroup: 'org' });
    const lease = await admitted(wallet, talk);
    await settled(wallet, lease, { account: other, usage, ...differs });
    const movedNanos = movedPicos / 1_000;
    expect(await wallet.ledger.request(lease.requestId)).toMatchObject({
      movedNanos,
      movedFrom: movedNanos > 0 ? one : null,
      accountNanos: 'accountNanos' in differs ? 5 : null,
    });
  });
});

describe('a lease', () => {
  it('names the labels that key, user and wallet are bound to, and how long it may wait', async () => {
    const wallet = await newWallet({ limits: { groups: ['a', 'b'], waitsForCacheMs: 0 } });
    const { owner, ledger } = wallet;
    const bound = { groups: [['a', 'b']], waitsForCacheMs: 0 };
    expect(await admitted(wallet)).toMatchObject(bound);
    await ledger.apply([
      userCopy(owner, { limits: { groups: ['b'] }, version: 2 }),
      walletCopy(owner, { limits: { groups: ['c'] }, version: 2 }),
    ]);
    const groups = [['a', 'b'], ['b'], ['c']];
    expect(await admitted(wallet, { class: 'free' })).toMatchObject({ ...bound, groups });
    await ledger.apply([keyCopy(owner, { version: 2 })]);
    const lease = await admitted(wallet);
    expect(lease).toMatchObject({ groups: [['b'], ['c']] });
    expect(lease).not.toHaveProperty('waitsForCacheMs');
  });
});

/** Writes one, as every 500th closing does; without what an older object did not write. */
async function checkpoint(wallet: Wallet, without: readonly string[] = []): Promise<void> {
  await runInDurableObject(wallet.stub, async (object) => {
    for (let n = 0; n < 500; n += 1) {
      const answer = await object.admit(admitCall(wallet.owner.keyId, newRequest()));
      if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
      await object.settle(settleCall(answer.lease, { costNanos: nanos(1) }));
    }
  });
  await runInDurableObject(wallet.stub, (_object, { storage }) => {
    const removed = without.map((name) => `'$.${name}'`).join();
    if (removed === '') return;
    storage.sql.exec(
      `UPDATE documents SET document = json_remove(document, ${removed}) WHERE name = 'checkpoint'`,
    );
  });
}
