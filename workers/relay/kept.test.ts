import { describe, expect, it } from 'vitest';
import { CATALOGUE, MODEL, NOW, ownerOf, idOf, PRICE } from '../../tests/support/ledger';
import type { Lease } from '../domain/ledger/calls';
import { nanos } from '../domain/money';
import { NO_TOKENS } from '../domain/usage/tokens';
import type { Served } from './kept';
import { keptOf } from './kept';

const LEASE: Lease = {
  ...ownerOf(1),
  seq: 1,
  requestId: idOf('request', 1),
  model: MODEL,
  price: PRICE,
  pricesVersion: 1,
  admittedAt: NOW,
  likelyInputNanos: nanos(0),
};
const PRICED = {
  lease: LEASE,
  snapshot: { version: 1, accounts: [], catalogue: CATALOGUE },
  body: null,
};
const TERMS = { speed: null, geo: null, tier: null };
const PLAIN: Served = {
  account: { group: null, costFactor: [1, 1], ownPrices: [] },
  reading: { heldIds: [], messageId: null },
  usage: {
    entries: [{ model: MODEL, counts: { ...NO_TOKENS, input: 10 }, terms: TERMS }],
    flags: [],
  },
};

describe('what a settle says of the account', () => {
  it('is nothing that the ledger knows by itself', () => {
    expect(keptOf(PLAIN, PRICED)).toEqual({});
  });

  it('is what the answer left there, its own id marked if it is whole', () => {
    const heldIds = ['msg_1', 'file_1'];
    const left = { ...PLAIN, reading: { heldIds, messageId: 'msg_1' } };
    expect(keptOf(left, PRICED)).toEqual({ heldIds, messageId: 'msg_1' });
    const cut = { ...PLAIN, reading: { heldIds, messageId: 'msg' } };
    expect(keptOf(cut, PRICED)).toEqual({ heldIds });
  });

  it('is the group of its cache, and what it is said to cost', () => {
    const account = { group: 'org', costFactor: [1, 2], ownPrices: [] } as const;
    expect(keptOf({ ...PLAIN, account }, PRICED)).toEqual({
      cacheGroup: 'org',
      accountNanos: 20_000,
    });
    const free = { ...PRICED, lease: { ...LEASE, price: null } };
    expect(keptOf({ ...PLAIN, account }, free)).toEqual({ cacheGroup: 'org' });
  });
});
