import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundsFor, dollars, LIST, LIST_AT, rowOf } from '../../../tests/support/holds';
import { nanos } from '../money';
import { LIST_PRICES } from '../pricing/list-prices';
import { priceUsage } from '../pricing/price';
import { HOUR_MS } from '../time';
import type { AskedTerms, RequestSizes } from './calls';
import type { LastPrompt } from './conversation';
import { boundsOf, decideHold, holdTotal, leastHold, overrunOf, wariness } from './hold';

const NO_MEDIA = { small: 0, medium: 0, large: 0 };
const LAST: LastPrompt = { textBytes: 54_000, media: NO_MEDIA, promptTokens: 14_000 };
const PLAIN: AskedTerms = { speed: null, geo: null, tier: null };
/** Of claude-opus-5-5, picos a token. */
const WRITE_5M = 5_000_000;
const WRITE_1H = 8_000_000;

describe('the bound of the input', () => {
  it('is a token for each two bytes of a cold prompt, and what a vendor adds unseen', () => {
    const { inputTokens, inputNanos, toolsNanos } = boundsFor();
    expect(inputTokens).toBe(27_500 + 2_000);
    expect([inputNanos, toolsNanos]).toEqual([(29_500 * WRITE_5M) / 1_000, 0]);
    expect(boundsFor({ sizes: { textBytes: 55_001 } }).inputTokens).toBe(27_501 + 2_000);
  });

  it('is the last prompt and a token for each new byte of a known conversation', () => {
    expect(boundsFor({ conversation: LAST }).inputTokens).toBe(14_000 + 1_000);
    const shrunk = boundsFor({ conversation: LAST, sizes: { textBytes: 20_000 } });
    expect(shrunk.inputTokens).toBe(14_000);
  });

  it('is never below a token for each five bytes, whatever was known', () => {
    const conversation = { ...LAST, textBytes: 55_000, promptTokens: 10 };
    expect(boundsFor({ conversation }).inputTokens).toBe(11_000);
  });

  it('is a token a byte for a wary wallet, known conversation or not', () => {
    for (const conversation of [null, LAST]) {
      expect(boundsFor({ conversation, isWary: true }).inputTokens).toBe(55_000 + 2_000);
    }
  });

  it('uses the 1-hour write price only when that lifetime is asked for', () => {
    const costs = (['none', '5m', '1h'] as const).map((cacheTtl) => {
      return boundsFor({ sizes: { cacheTtl } }).inputNanos;
    });
    expect(costs).toEqual([WRITE_5M, WRITE_5M, WRITE_1H].map((each) => (29_500 * each) / 1_000));
  });

  it('counts media by size class, never by their bytes', () => {
    const tokens = (media: Partial<RequestSizes['media']>, conversation: LastPrompt | null) =>
      boundsFor({ conversation, sizes: { textBytes: 0, media: { ...NO_MEDIA, ...media } } })
        .inputTokens;
    expect(tokens({ small: 2, medium: 1, large: 1 }, null)).toBe(2_000 + 10_000 + 25_000 + 100_000);
    // Known: those that came since; the others are in the last prompt.
    const media = { small: 2, medium: 0, large: 0 };
    const last = { textBytes: 0, media, promptTokens: 6_000 };
    expect(tokens({ small: 2 }, last)).toBe(6_000);
    expect(tokens({ small: 3 }, last)).toBe(6_000 + 5_000);
    expect(tokens({ small: 2, medium: 1 }, last)).toBe(6_000 + 25_000);
  });

  it('keeps a floor under media that may have been replaced', () => {
    const media = { small: 0, medium: 100, large: 0 };
    const conversation = { textBytes: 0, media, promptTokens: 10 };
    const bounds = boundsFor({ conversation, sizes: { textBytes: 0, media } });
    expect(bounds.inputTokens).toBe(100 * 1_600);
    const documents = { small: 0, medium: 0, large: 2 };
    const shown = { ...conversation, media: documents };
    const again = boundsFor({ conversation: shown, sizes: { textBytes: 0, media: documents } });
    expect(again.inputTokens).toBe(2 * 100_000);
  });

  it('adds a call and 10,000 tokens for each use of a server tool', () => {
    const { toolsNanos } = boundsFor({ sizes: { serverToolUses: 5 } });
    expect(toolsNanos).toBe(5 * (10_000_000 + (10_000 * WRITE_5M) / 1_000));
  });

  it('adds for server tools of a wary wallet what a whole prompt can take, never less', () => {
    const of = (serverToolUses: number, isWary: boolean) =>
      boundsFor({ sizes: { serverToolUses }, isWary }).toolsNanos;
    expect(of(0, true)).toBe(0);
    expect(of(5, true)).toBe(5 * 10_000_000 + (1_000_000 * WRITE_5M) / 1_000);
    expect(of(500, true)).toBe(of(500, false));
  });

  it('takes the dearest band that the prompt can fall into, output too', () => {
    const price = rowOf('claude-haiku-5-5');
    const at = (textBytes: number, serverToolUses: number) =>
      boundsFor({ price, sizes: { textBytes, serverToolUses } }).outputPicosPerToken;
    expect(at(196_000, 0)).toBe(500_000);
    expect(at(196_002, 0)).toBe(2_500_000);
    expect(at(180_000, 1)).toBe(2_500_000);
  });

  it('has a price also for the output of a prompt of nothing', () => {
    const conversation = { textBytes: 0, media: NO_MEDIA, promptTokens: 0 };
    const bounds = boundsFor({ conversation, sizes: { textBytes: 0 } });
    expect([bounds.inputTokens, bounds.outputPicosPerToken]).toEqual([0, 20_000_000]);
  });

  it('is cut at a million dollars a part, above which no request is charged', () => {
    const price = { ...rowOf('claude-opus-5-5'), webSearchPicos: Number.MAX_SAFE_INTEGER };
    const { toolsNanos } = boundsFor({ price, sizes: { serverToolUses: 1_000_000 } });
    expect(toolsNanos).toBe(dollars(1_000_000));
  });

  it('takes the dearest of all models that may answer', () => {
    const price = rowOf('claude-sonnet-5-5');
    const fallbacks = [rowOf('claude-haiku-4-5'), rowOf('claude-opus-4')];
    const bounds = boundsFor({ price, fallbacks });
    expect(bounds.inputNanos).toBe((29_500 * 18_750_000) / 1_000);
    expect([bounds.outputPicosPerToken, bounds.outputTokensMax]).toEqual([75_000_000, 128_000]);
    expect(bounds.likelyInputNanos).toBe(boundsFor({ price }).likelyInputNanos);
  });
});

describe('the terms that were asked for', () => {
  const output = (asked: Partial<AskedTerms>) =>
    boundsFor({ asked: { ...PLAIN, ...asked } }).outputPicosPerToken;

  it('multiply by their factors', () => {
    expect(output({ speed: 'fast' })).toBe(40_000_000);
    expect(output({ geo: 'us' })).toBe(22_000_000);
    expect(output({ speed: 'fast', geo: 'us' })).toBe(44_000_000);
    const asked = { ...PLAIN, speed: 'fast' };
    expect(boundsFor({ asked }).inputNanos).toBe(2 * boundsFor().inputNanos);
    expect(boundsFor({ asked }).likelyInputNanos).toBe(2 * boundsFor().likelyInputNanos);
  });

  it('never make a hold smaller: the answer may come at the usual terms', () => {
    expect(output({ tier: 'batch' })).toBe(20_000_000);
    expect(output({ speed: 'standard', geo: 'global', tier: 'auto' })).toBe(20_000_000);
  });

  it('are twice the dearest that is listed when they are not', () => {
    expect(output({ speed: 'warp' })).toBe(2 * 40_000_000);
    expect(output({ geo: 'moon' })).toBe(2 * 22_000_000);
    expect(output({ speed: 'constructor' })).toBe(2 * 40_000_000);
  });

  it('are compared as fractions', () => {
    const speed = { brisk: [11, 10], fast: [6, 5], slow: [1, 2] } as const;
    const price = { ...rowOf('claude-opus-5-5'), speed };
    const asked = { ...PLAIN, speed: 'warp' };
    expect(boundsFor({ price, asked }).outputPicosPerToken).toBe(48_000_000);
  });
});

describe('the most output', () => {
  it('is what was asked, cut to what the model gives', () => {
    const max = (maxTokens: number | null, model = 'claude-opus-5-5') =>
      boundsFor({ price: rowOf(model), sizes: { maxTokens } }).outputTokensMax;
    expect([max(500), max(200_000), max(null)]).toEqual([500, 128_000, 128_000]);
    expect(max(128_000, 'claude-haiku-4-5')).toBe(64_000);
    expect([max(-5), max(0.5), max(1e300)]).toEqual([0, 1, 128_000]);
  });
});

describe('the least that a request takes', () => {
  const least = (maxTokens: number, stream: boolean) =>
    leastHold(boundsFor({ sizes: { maxTokens, serverToolUses: 1 } }), stream);

  it('is its prompt and the smallest slice of output, all of it where that is less', () => {
    const { inputNanos, toolsNanos, likelyInputNanos } = boundsFor({
      sizes: { serverToolUses: 1 },
    });
    const outputNanos = 1_024 * 20_000;
    expect(least(128_000, true)).toEqual({
      outputTokens: 1_024,
      neededNanos: likelyInputNanos + outputNanos,
      holdNanos: inputNanos + toolsNanos + outputNanos,
    });
    expect(least(1_023, true).outputTokens).toBe(1_023);
  });

  it('is the whole of max_tokens for JSON', () => {
    expect(least(1_025, false).outputTokens).toBe(1_025);
    expect(least(7, false).outputTokens).toBe(7);
  });
});

describe('bounds of any request', () => {
  const media = fc.record({
    small: fc.nat({ max: 100 }),
    medium: fc.nat({ max: 100 }),
    large: fc.nat({ max: 100 }),
  });
  const sizes = fc.record({
    stream: fc.boolean(),
    maxTokens: fc.option(fc.integer({ min: 0, max: 300_000 })),
    textBytes: fc.oneof(fc.nat({ max: 300_000 }), fc.nat({ max: 32 * 1_048_576 })),
    media,
    cacheTtl: fc.constantFrom('none' as const, '5m' as const, '1h' as const),
    serverToolUses: fc.oneof(fc.constant(0), fc.nat({ max: 20 }), fc.nat({ max: 1_000_000 })),
  });
  const conversation = fc.option(
    fc.record({
      textBytes: fc.nat({ max: 4_000_000 }),
      media,
      promptTokens: fc.nat({ max: 1_000_000 }),
    }),
  );
  const asked = fc.option(
    fc.record({
      speed: fc.constantFrom(null, 'standard', 'fast'),
      geo: fc.constantFrom(null, 'global', 'us'),
      tier: fc.constantFrom(null, 'standard', 'batch'),
    }),
  );
  const price = fc.constantFrom(...LIST_PRICES);
  const question = fc.record({
    sizes,
    asked,
    price,
    fallbacks: fc.array(price, { maxLength: 2 }),
    conversation,
    isWary: fc.boolean(),
  });

  it('are whole, and the likely input is never above its bound', () => {
    fc.assert(
      fc.property(question, (given) => {
        const bounds = boundsOf(given);
        for (const amount of Object.values(bounds)) expect(Number.isSafeInteger(amount)).toBe(true);
        if (!given.isWary) expect(bounds.likelyInputNanos).toBeLessThanOrEqual(bounds.inputNanos);
      }),
    );
  });

  it('never fall when anything that is sent grows', () => {
    const grown = fc.record({
      textBytes: fc.nat({ max: 100_000 }),
      serverToolUses: fc.nat({ max: 3 }),
      small: fc.nat({ max: 3 }),
      large: fc.nat({ max: 3 }),
    });
    fc.assert(
      fc.property(question, grown, (given, more) => {
        const larger = {
          ...given.sizes,
          textBytes: given.sizes.textBytes + more.textBytes,
          serverToolUses: given.sizes.serverToolUses + more.serverToolUses,
          media: {
            small: given.sizes.media.small + more.small,
            medium: given.sizes.media.medium,
            large: given.sizes.media.large + more.large,
          },
        };
        const before = boundsOf(given);
        const after = boundsOf({ ...given, sizes: larger });
        expect(after.inputNanos).toBeGreaterThanOrEqual(before.inputNanos);
        expect(after.toolsNanos).toBeGreaterThanOrEqual(before.toolsNanos);
        expect(after.likelyInputNanos).toBeGreaterThanOrEqual(before.likelyInputNanos);
        expect(after.outputPicosPerToken).toBeGreaterThanOrEqual(before.outputPicosPerToken);
      }),
    );
  });

  it('hold a JSON request by no less than any true cost within them', () => {
    const part = fc.double({ min: 0, max: 1, noNaN: true });
    const parts = fc.tuple(part, part, part, part, part, part);
    fc.assert(
      fc.property(question, parts, fc.nat({ max: 2 }), (given, shares, served) => {
        const once = { ...given, sizes: { ...given.sizes, stream: false } };
        const bounds = boundsOf(once);
        // Above a million dollars a bound is cut, as the price is.
        fc.pre(bounds.toolsNanos < dollars(1_000_000));
        const rich = { balanceNanos: dollars(4_000_000), heldNanos: nanos(0), openMetered: 0 };
        const decision = decideHold({ bounds, stream: false, ...rich });
        if (decision.do !== 'hold') throw new Error('not held');
        const row = [given.price, ...given.fallbacks][served] ?? given.price;
        const counts = countsWithin(once.sizes, bounds, shares);
        const entry = { model: row.model, counts, terms: answeredTerms(row, given.asked) };
        const context = { asked: row, catalogue: LIST, at: LIST_AT };
        const { costNanos } = priceUsage({ entries: [entry], flags: [] }, context);
        expect(holdTotal(decision.hold, nanos(0))).toBeGreaterThanOrEqual(costNanos);
      }),
      { numRuns: 500 },
    );
  });
});

describe('text that is denser than its bound', () => {
  // Emoji, encoded data and rare scripts come to most of a token a byte; no text comes to more.
  const dense = fc.integer({ min: 60, max: 100 });
  const texts = fc.integer({ min: 20_000, max: 1_000_000 });
  const costOf = (tokens: number) => nanos((tokens * WRITE_5M) / 1_000);

  it('shows as overrun and makes the wallet wary for a day, which then covers it', () => {
    fc.assert(
      fc.property(texts, dense, fc.boolean(), (textBytes, percent, isKnown) => {
        const trueTokens = Math.floor((textBytes * percent) / 100);
        const trueInputNanos = costOf(trueTokens);
        // A warmed conversation whose whole text is replaced by dense text of the same length.
        const last = { textBytes, media: NO_MEDIA, promptTokens: Math.floor(textBytes / 4) };
        const conversation = isKnown ? last : null;
        const first = boundsFor({ sizes: { textBytes }, conversation });
        const boundInputNanos = first.inputNanos;
        fc.pre(trueInputNanos > boundInputNanos);
        expect(overrunOf({ costNanos: trueInputNanos, boundNanos: boundInputNanos })).toBe(
          trueInputNanos - boundInputNanos,
        );
        expect(wariness({ trueInputNanos, boundInputNanos, now: 1_000 })).toBe(
          1_000 + 24 * HOUR_MS,
        );
        const next = boundsFor({ sizes: { textBytes }, conversation, isWary: true });
        expect(next.inputNanos).toBeGreaterThanOrEqual(trueInputNanos);
      }),
    );
  });

  it('is within the cold bound for CJK text, at 3 bytes and up to 1.5 tokens a character', () => {
    const textBytes = 3 * 20_000;
    const trueInputNanos = costOf(30_000);
    const boundInputNanos = boundsFor({ sizes: { textBytes } }).inputNanos;
    expect(wariness({ trueInputNanos, boundInputNanos, now: 1 })).toBeNull();
    expect(overrunOf({ costNanos: trueInputNanos, boundNanos: boundInputNanos })).toBe(0);
  });
});

/** Usage that fills `shares` of the bounds: five kinds of tokens, and searches. */
function countsWithin(
  sizes: RequestSizes,
  { inputTokens, outputTokensMax }: ReturnType<typeof boundsOf>,
  shares: readonly [number, number, number, number, number, number],
) {
  const [first, second, third, filled, output, searches] = shares;
  const most = inputTokens + sizes.serverToolUses * 10_000;
  const prompt = Math.floor(most * filled);
  const input = Math.floor(prompt * first);
  const cacheRead = Math.floor((prompt - input) * second);
  const writes = prompt - input - cacheRead;
  const cacheWrite1h = sizes.cacheTtl === '1h' ? Math.floor(writes * third) : 0;
  return {
    input,
    cacheRead,
    cacheWrite1h,
    cacheWrite5m: writes - cacheWrite1h,
    output: Math.floor(outputTokensMax * output),
    webSearches: Math.floor(sizes.serverToolUses * searches),
  };
}

/** What of the asked terms a model answers: those that it has a price for. */
function answeredTerms(row: ReturnType<typeof rowOf>, asked: AskedTerms | null) {
  const { speed, geo, tier } = asked ?? PLAIN;
  const listed = (table: object, name: string | null) =>
    name !== null && Object.hasOwn(table, name) ? name : null;
  return {
    speed: listed(row.speed, speed),
    geo: listed(row.geo, geo),
    tier: listed(row.tier, tier),
  };
}
