import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { likelyInputNanos, likelyPromptTokens, newMedia, outputTokensDelivered } from './estimate';
import { findPrice } from './find';
import { LIST_ALIASES, LIST_PRICES } from './list-prices';

const NO_MEDIA = { small: 0, medium: 0, large: 0 };

describe('likelyInputNanos', () => {
  it('takes 2.6 bytes for a token, at the 5-minute write price', () => {
    const price = rowOf('claude-opus-5-5');
    expect(likelyInputNanos({ textBytes: 2_600, media: NO_MEDIA }, price)).toBe(5_000_000);
    // 38.46 tokens are 39.
    expect(likelyInputNanos({ textBytes: 100, media: NO_MEDIA }, price)).toBe(39 * 5_000);
    expect(likelyInputNanos({ textBytes: 0, media: NO_MEDIA }, price)).toBe(0);
  });

  it('prices in the band that so many tokens fall into', () => {
    const price = rowOf('claude-haiku-5-5');
    const short = likelyInputNanos({ textBytes: 260_000, media: NO_MEDIA }, price);
    const long = likelyInputNanos({ textBytes: 260_001, media: NO_MEDIA }, price);
    expect([short, long]).toEqual([12_500_000, 100_001 * 625]);
  });

  it('counts media by size class, whatever their bytes', () => {
    const price = rowOf('claude-opus-5-5');
    const cost = (media: Partial<typeof NO_MEDIA>) =>
      likelyInputNanos({ textBytes: 0, media: { ...NO_MEDIA, ...media } }, price);
    expect(cost({ medium: 1 })).toBe(1_600 * 5_000);
    expect(cost({ small: 1 })).toBeLessThan(cost({ medium: 1 }));
    expect(cost({ medium: 1 })).toBeLessThan(cost({ large: 1 }));
    expect(cost({ small: 2, medium: 1, large: 3 })).toBe(
      2 * cost({ small: 1 }) + cost({ medium: 1 }) + 3 * cost({ large: 1 }),
    );
  });

  it('reads the last prompt of a known conversation and writes what has come since', () => {
    const price = rowOf('claude-opus-5-5');
    const last = { textBytes: 50_000, media: { ...NO_MEDIA, small: 1 }, promptTokens: 14_000 };
    const cost = (textBytes: number, small: number) =>
      likelyInputNanos({ textBytes, media: { ...NO_MEDIA, small } }, price, last);
    expect(cost(50_301, 1)).toBe(14_000 * 200 + 101 * 5_000);
    expect(cost(50_301, 3)).toBe(14_000 * 200 + (101 + 2 * 500) * 5_000);
    // Less than before: the last prompt still is the best guess.
    expect(cost(10, 0)).toBe(14_000 * 200);
  });

  it('prices a known conversation in the band of all its tokens', () => {
    const last = { textBytes: 300_000, media: NO_MEDIA, promptTokens: 100_000 };
    const cost = (textBytes: number) =>
      likelyInputNanos({ textBytes, media: NO_MEDIA }, rowOf('claude-haiku-5-5'), last);
    expect([cost(300_000), cost(300_001)]).toEqual([1_000_000, 5_000_000 + 625]);
  });

  it('is a whole amount that grows with the text, for every model and any body size', () => {
    const bytes = fc.integer({ min: 0, max: 32 * 1_048_576 });
    fc.assert(
      fc.property(fc.constantFrom(...LIST_PRICES), bytes, bytes, (price, a, b) => {
        const [less, more] = a < b ? [a, b] : [b, a];
        const cost = (textBytes: number) => likelyInputNanos({ textBytes, media: NO_MEDIA }, price);
        expect(Number.isSafeInteger(cost(more))).toBe(true);
        expect(cost(more)).toBeGreaterThanOrEqual(cost(less));
      }),
    );
  });
});

describe('likelyPromptTokens', () => {
  it('takes 2.6 bytes of an unknown conversation for a token, and its media', () => {
    const sizes = { textBytes: 2_600, media: { ...NO_MEDIA, medium: 1 } };
    expect(likelyPromptTokens(sizes, null)).toBe(1_000 + 1_600);
  });

  it('adds to the last prompt of a known conversation what has come since', () => {
    const last = { textBytes: 50_000, media: NO_MEDIA, promptTokens: 14_000 };
    const sizes = { textBytes: 50_301, media: { ...NO_MEDIA, small: 1 } };
    expect(likelyPromptTokens(sizes, last)).toBe(14_000 + 101 + 500);
  });
});

describe('newMedia', () => {
  it('counts of each size class what came in addition, and never less than none', () => {
    const last = {
      textBytes: 0,
      media: { small: 1, medium: 2, large: 3 },
      promptTokens: 1,
    };
    const now = (small: number, medium: number, large: number) =>
      newMedia({ textBytes: 0, media: { small, medium, large } }, last);
    expect(now(5, 7, 9)).toEqual({ small: 4, medium: 5, large: 6 });
    expect(now(0, 0, 0)).toEqual({ small: 0, medium: 0, large: 0 });
  });
});

describe('outputTokensDelivered', () => {
  it('believes the reported count when it is the larger', () => {
    expect(outputTokensDelivered({ reportedOutput: 500, deliveredBytes: 300 })).toBe(500);
  });

  it('takes a token for each three bytes begun when that is more', () => {
    expect(outputTokensDelivered({ reportedOutput: 1, deliveredBytes: 300 })).toBe(100);
    expect(outputTokensDelivered({ reportedOutput: 1, deliveredBytes: 301 })).toBe(101);
  });

  it('is zero when nothing was reported and nothing delivered', () => {
    expect(outputTokensDelivered({ reportedOutput: 0, deliveredBytes: 0 })).toBe(0);
  });
});

function rowOf(model: string) {
  const at = Date.UTC(2026, 10, 23);
  const row = findPrice({ version: 1, rows: LIST_PRICES, aliases: LIST_ALIASES }, model, at);
  if (row === null) throw new Error(`no price of ${model}`);
  return row;
}
