import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RequestId } from './ids';
import { ID_RANDOM_BYTES, newId } from './ids';
import { isAmong, NO_RATE, shareTold, withRequest } from './live';

const NOW = Date.UTC(2026, 10, 23);

/** The rate after so many requests in each second from NOW on. */
function rateOf(...seconds: readonly number[]) {
  let rate = NO_RATE;
  seconds.forEach((requests, second) => {
    for (let n = 0; n < requests; n += 1) rate = withRequest(rate, NOW + second * 1_000 + n);
  });
  return rate;
}

const requestId: fc.Arbitrary<RequestId> = fc
  .tuple(
    fc.integer({ min: 0, max: 1_000 }),
    fc.uint8Array({ minLength: ID_RANDOM_BYTES, maxLength: ID_RANDOM_BYTES }),
  )
  .map(([ms, random]) => newId('request', NOW + ms, random));

describe('the share of requests that is told of', () => {
  it('is all of them up to 50 a second', () => {
    expect(shareTold(NO_RATE, NOW)).toBe(1);
    expect(shareTold(rateOf(50), NOW + 999)).toBe(1);
    expect(shareTold(rateOf(50, 50), NOW + 1_999)).toBe(1);
  });

  it('is 50 of a second’s requests above that, from the 51st on', () => {
    expect(shareTold(rateOf(51), NOW + 999)).toBe(50 / 51);
    expect(shareTold(rateOf(200), NOW + 999)).toBe(1 / 4);
  });

  it('follows the busier of this second and the one before', () => {
    expect(shareTold(rateOf(100, 1), NOW + 1_000)).toBe(1 / 2);
    expect(shareTold(rateOf(100, 500), NOW + 1_999)).toBe(1 / 10);
    expect(shareTold(rateOf(100), NOW + 1_000)).toBe(1 / 2);
  });

  it('is all of them again two seconds later, or when the clock has gone back', () => {
    expect(shareTold(rateOf(500), NOW + 2_000)).toBe(1);
    expect(shareTold(rateOf(500), NOW - 1)).toBe(1);
    expect(withRequest(rateOf(500), NOW - 5_000)).toMatchObject({ begun: 1, before: 0 });
  });
});

describe('a request', () => {
  it('that is among a share is among every larger one, and always among all', () => {
    const shares = fc.tuple(fc.double({ min: 0, max: 1 }), fc.double({ min: 0, max: 1 }));
    fc.assert(
      fc.property(requestId, shares, (id, [one, other]) => {
        const [small, large] = [Math.min(one, other) || 0, Math.max(one, other) || 0];
        expect(isAmong(id, 1)).toBe(true);
        expect(isAmong(id, 0)).toBe(false);
        if (isAmong(id, small)) expect(isAmong(id, large)).toBe(true);
      }),
    );
  });

  it('is among a share about as often as the share says', () => {
    // The same ids each time: made from their number alone.
    const ids = Array.from({ length: 10_000 }, (_, n) => {
      const random = new Uint8Array(ID_RANDOM_BYTES);
      new DataView(random.buffer).setUint32(6, n);
      return newId('request', NOW, random);
    });
    for (const share of [0.5, 0.25, 0.05]) {
      const among = ids.filter((id) => isAmong(id, share)).length / ids.length;
      expect(Math.abs(among - share)).toBeLessThan(0.02);
    }
  });
});
