import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nanos } from '../money';
import type { Hold } from './hold';
import {
  afterMessageStart,
  extendHold,
  hiddenThinkingTokens,
  holdTotal,
  isLargeHold,
  nextExtensionAt,
} from './hold';

describe('a hold', () => {
  const hold: Hold = {
    inputNanos: nanos(100),
    toolsNanos: nanos(20),
    outputNanos: nanos(3),
    heldOutputTokensUpTo: 3,
    all: false,
    inputReported: false,
  };

  it('is the sum of its parts, never below the cost so far', () => {
    expect(holdTotal(hold, nanos(0))).toBe(123);
    expect(holdTotal(hold, nanos(123))).toBe(123);
    expect(holdTotal(hold, nanos(124))).toBe(124);
  });

  it('gives back what the input did not need, and keeps the tools until the answer ends', () => {
    const after = afterMessageStart({ ...hold, all: true }, { inputNanos: nanos(7) });
    expect(after).toEqual({ ...hold, inputNanos: 7, inputReported: true, all: false });
  });

  it('rises with what is reported later and does not fall again', () => {
    const after = [7, 50, 9].reduce((held, inputNanos) => {
      return afterMessageStart(held, { inputNanos: nanos(inputNanos) });
    }, hold);
    expect(after.inputNanos).toBe(50);
  });

  it('is large when it keeps all, or an eighth of what others could have', () => {
    expect(isLargeHold(hold, nanos(800))).toBe(false);
    expect(isLargeHold(hold, nanos(799))).toBe(true);
    expect(isLargeHold({ ...hold, all: true }, nanos(1_000_000))).toBe(true);
  });

  it('is asked to grow when 60 % of the last slice is used', () => {
    expect(nextExtensionAt(1_000, 1_000)).toBe(600);
    expect(nextExtensionAt(3_000, 1_000)).toBe(2_600);
    expect(nextExtensionAt(1, 1)).toBe(1);
  });
});

describe('extendHold', () => {
  const hold: Hold = {
    inputNanos: nanos(0),
    toolsNanos: nanos(0),
    outputNanos: nanos(20_000),
    heldOutputTokensUpTo: 1_000,
    all: false,
    inputReported: true,
  };
  const ask = (upToTokens: number, available: number) =>
    extendHold(hold, {
      upToTokens,
      outputPicosPerToken: 20_000,
      availableNanos: nanos(available),
    });
  const granted = (tokens: number) => ({
    do: 'grant',
    hold: { ...hold, heldOutputTokensUpTo: tokens, outputNanos: tokens * 20 },
  });

  it('holds up to the count that is asked', () => {
    expect(ask(2_000, 20_000)).toEqual(granted(2_000));
  });

  it('keeps the larger count when two asks overtake each other', () => {
    expect(ask(1_000, 0)).toEqual(granted(1_000));
    expect(ask(10, -5)).toEqual(granted(1_000));
  });

  it('grants what is left when that is less, and refuses only when nothing is', () => {
    expect(ask(2_000, 19_999)).toEqual(granted(1_999));
    expect(ask(2_000, 20)).toEqual(granted(1_001));
    expect(ask(2_000, 19)).toEqual({ do: 'refuse' });
    expect(ask(2_000, -1_000_000)).toEqual({ do: 'refuse' });
    expect(ask(Number.MAX_SAFE_INTEGER, 0)).toEqual({ do: 'refuse' });
  });

  it('never takes more than is available, to the last nano-dollar', () => {
    const amount = fc.nat({ max: 1_000_000_000 });
    const picos = fc.nat({ max: 90_000_000 });
    fc.assert(
      fc.property(amount, amount, picos, (upToTokens, available, outputPicosPerToken) => {
        const none = { ...hold, outputNanos: nanos(0), heldOutputTokensUpTo: 0 };
        const availableNanos = nanos(available);
        const decision = extendHold(none, { upToTokens, outputPicosPerToken, availableNanos });
        if (decision.do === 'refuse') return;
        expect(decision.hold.outputNanos).toBeLessThanOrEqual(available);
        const next = (decision.hold.heldOutputTokensUpTo + 1) * outputPicosPerToken;
        const isAll = decision.hold.heldOutputTokensUpTo === upToTokens;
        expect(isAll || next > available * 1_000).toBe(true);
      }),
    );
  });
});

describe('hiddenThinkingTokens', () => {
  it('counts time at top speed, 300 tokens a second when none is known', () => {
    expect(hiddenThinkingTokens(10_000)).toBe(3_000);
    expect(hiddenThinkingTokens(1)).toBe(1);
    expect(hiddenThinkingTokens(2_000, 80)).toBe(160);
    expect(hiddenThinkingTokens(0)).toBe(0);
  });
});
