import { describe, expect, it } from 'vitest';
import { idOf, NOW } from '../../../tests/support/ledger';
import { MINUTE_MS, SECOND_MS } from '../time';
import { LEASE_MS } from './decide';
import type { FreeBook } from './free';
import { giveBackFree, takeFree } from './free';

const KEY = idOf('key', 1);

function place(n: number, keyId = KEY) {
  return { keyId, requestId: idOf('request', n) };
}

/** Takes places for requests `from` to `to` at `now`; how many there were. */
function taken(book: FreeBook, numbers: { from: number; to: number }, now = NOW): number {
  let count = 0;
  for (let n = numbers.from; n <= numbers.to; n += 1) {
    if (takeFree(book, place(n), now) === null) count += 1;
  }
  return count;
}

describe('the places of class free', () => {
  it('are 100 of a key at once, and one more when one was given back', () => {
    const book: FreeBook = new Map();
    expect(taken(book, { from: 1, to: 100 })).toBe(100);
    expect(takeFree(book, place(101), NOW)).toEqual({
      kind: 'rate-limited',
      scope: 'key',
      what: 'concurrency',
      limit: 100,
      spanMs: null,
      retryAfterMs: 2 * SECOND_MS,
    });
    giveBackFree(book, place(7));
    expect(taken(book, { from: 101, to: 102 })).toBe(1);
  });

  it('are 300 of a key in any minute, and a refusal says when the next is free', () => {
    const book: FreeBook = new Map();
    for (let n = 1; n <= 300; n += 1) {
      expect(takeFree(book, place(n), NOW)).toBeNull();
      giveBackFree(book, place(n));
    }
    const refusal = takeFree(book, place(301), NOW);
    expect(refusal).toMatchObject({
      kind: 'rate-limited',
      scope: 'key',
      what: 'requests',
      limit: 300,
      spanMs: MINUTE_MS,
    });
    const waitMs = (refusal?.kind === 'rate-limited' && refusal.retryAfterMs) || 0;
    expect(waitMs).toBeGreaterThanOrEqual(MINUTE_MS);
    expect(takeFree(book, place(301), NOW + waitMs - 1)).not.toBeNull();
    expect(takeFree(book, place(301), NOW + waitMs)).toBeNull();
  });

  it('that nobody gave back are free when a lease would have run out, and no earlier', () => {
    const book: FreeBook = new Map();
    const later = NOW + LEASE_MS / 2;
    expect(taken(book, { from: 1, to: 60 })).toBe(60);
    expect(taken(book, { from: 61, to: 100 }, later)).toBe(40);
    expect(taken(book, { from: 101, to: 101 }, NOW + LEASE_MS - 1)).toBe(0);
    // Those of the first moment alone.
    expect(taken(book, { from: 101, to: 200 }, NOW + LEASE_MS)).toBe(60);
  });

  it('are taken once by a request that is repeated', () => {
    const book: FreeBook = new Map();
    expect(taken(book, { from: 1, to: 99 })).toBe(99);
    for (let times = 0; times < 400; times += 1) {
      expect(takeFree(book, place(100), NOW)).toBeNull();
    }
    expect(takeFree(book, place(101), NOW)).toMatchObject({ what: 'concurrency' });
    giveBackFree(book, place(100));
    expect(takeFree(book, place(101), NOW)).toBeNull();
  });

  it('of one key are not those of another', () => {
    const book: FreeBook = new Map();
    const other = idOf('key', 2);
    // Nothing is known of it yet.
    giveBackFree(book, place(1, other));
    expect(taken(book, { from: 1, to: 101 })).toBe(100);
    expect(takeFree(book, place(1, other), NOW)).toBeNull();
    giveBackFree(book, place(1, other));
    expect(takeFree(book, place(101), NOW)).toMatchObject({ what: 'concurrency' });
  });
});
