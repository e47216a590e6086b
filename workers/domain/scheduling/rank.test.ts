import { describe, expect, it } from 'vitest';
import { newId } from '../ids';
import type { SnapshotAccount } from '../snapshot';
import { ACCOUNT_DEFAULTS } from '../snapshot';
import { rankAccounts } from './rank';
import { rank } from './rendezvous';

const MODEL = 'claude-opus-5-5';

describe('rankAccounts', () => {
  it('leaves out accounts that are not active', () => {
    const active = account(1, {});
    const others = [account(2, { status: 'draining' }), account(3, { status: 'disabled' })];
    expect(rankAccounts([...others, active], { tag: 't', model: MODEL })).toEqual([active]);
  });

  it('leaves out accounts that do not serve the model', () => {
    const all = account(1, { models: null });
    const some = account(2, { models: ['claude-opus-5', MODEL] });
    const others = account(3, { models: ['claude-opus-5'] });
    const none = account(4, { models: [] });
    const found = rankAccounts([all, some, others, none], { tag: 't', model: MODEL });
    expect(new Set(found)).toEqual(new Set([all, some]));
  });

  it('asks every active account where no model is named', () => {
    const accounts = [account(1, { models: [] }), account(2, { models: ['claude-opus-5'] })];
    expect(rankAccounts(accounts, { tag: 't', model: null })).toHaveLength(2);
  });

  it('tries every account of a lower priority number before any of a higher', () => {
    const accounts = [10, 2, 1, 2, 10, 1].map((priority, n) => account(n, { priority }));
    for (let n = 0; n < 50; n += 1) {
      const tiers = rankAccounts(accounts, { tag: `t${n}`, model: MODEL });
      expect(tiers.map(({ priority }) => priority)).toEqual([1, 1, 2, 2, 10, 10]);
    }
  });

  it('does not let a group reach over tiers', () => {
    const first = account(1, { priority: 0, group: 'org' });
    const between = account(2, { priority: 1 });
    const last = account(3, { priority: 2, group: 'org' });
    const found = rankAccounts([last, between, first], { tag: 't', model: MODEL });
    expect(found).toEqual([first, between, last]);
  });

  it('ranks inside a tier by the rendezvous choice', () => {
    const accounts = [1, 2, 3, 4].map((n) => account(n, {}));
    for (let n = 0; n < 20; n += 1) {
      const request = { tag: `t${n}`, model: MODEL };
      expect(rankAccounts(accounts, request)).toEqual(rank(request.tag, accounts));
    }
  });

  it('is empty when no account is left', () => {
    expect(rankAccounts([], { tag: 't', model: MODEL })).toEqual([]);
    expect(rankAccounts([account(1, { weight: 0 })], { tag: 't', model: MODEL })).toEqual([]);
  });
});

function account(n: number, given: Partial<SnapshotAccount>): SnapshotAccount {
  return {
    ...ACCOUNT_DEFAULTS,
    id: newId('account', n, new Uint8Array(10)),
    name: `account ${n}`,
    kind: 'anthropic',
    baseUrl: 'https://api.anthropic.com',
    credential: { keyVersion: '1', iv: '', ciphertext: '' },
    ...given,
  };
}
