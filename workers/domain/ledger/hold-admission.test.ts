import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundsFor, dollars, rowOf } from '../../../tests/support/holds';
import type { Nanos } from '../money';
import { addNanos, nanos, subtractNanos } from '../money';
import type { RequestSizes } from './calls';
import type { Bounds, Hold } from './hold';
import { afterMessageStart, decideHold, extendHold, holdTotal } from './hold';

const NO_MEDIA = { small: 0, medium: 0, large: 0 };
/** Of claude-opus-5-5: a token of output, and the smallest slice. */
const TOKEN_NANOS = 20_000;
const LEAST_SLICE_NANOS = 1_024 * TOKEN_NANOS;

describe('what is held at admit', () => {
  it('is the bound and a slice of output, an eighth of what is left', () => {
    const bounds = boundsFor();
    const { hold } = admitted(new Wallet(dollars(1)), bounds);
    const left = dollars(1) - bounds.inputNanos;
    const tokens = Math.floor(left / 8 / TOKEN_NANOS);
    expect(hold).toEqual({
      inputNanos: bounds.inputNanos,
      toolsNanos: 0,
      outputNanos: tokens * TOKEN_NANOS,
      heldOutputTokensUpTo: tokens,
      all: false,
      inputReported: false,
    });
  });

  it('is the whole of max_tokens for a rich wallet, so that nothing is ever extended', () => {
    const { hold } = admitted(new Wallet(dollars(100)), boundsFor());
    expect(hold.heldOutputTokensUpTo).toBe(128_000);
  });

  it('is a slice of at least 1,024 tokens, but never more than max_tokens', () => {
    const bounds = boundsFor();
    const just = addNanos(bounds.inputNanos, nanos(LEAST_SLICE_NANOS));
    expect(admitted(new Wallet(just), bounds).hold).toMatchObject({
      heldOutputTokensUpTo: 1_024,
      all: false,
    });
    const short = boundsFor({ sizes: { maxTokens: 10 } });
    expect(admitted(new Wallet(dollars(100)), short).hold.heldOutputTokensUpTo).toBe(10);
  });

  it('is all that is available when only the likely cost fits and nothing else runs', () => {
    const bounds = boundsFor({ sizes: { serverToolUses: 1 } });
    const needed = addNanos(bounds.likelyInputNanos, nanos(LEAST_SLICE_NANOS));
    for (const more of [0, 1, 1_000_000, 30_000_000]) {
      const balance = nanos(needed + more);
      const { hold } = admitted(new Wallet(balance), bounds);
      expect(hold).toMatchObject({ all: true, heldOutputTokensUpTo: 1_024 });
      expect(holdTotal(hold, nanos(0))).toBe(balance);
      expect(hold.inputNanos).toBeGreaterThanOrEqual(bounds.likelyInputNanos);
    }
  });

  it('is freed for others once the input of a low-balance request is reported', () => {
    const wallet = new Wallet(dollars(0.15));
    const request = admitted(wallet, boundsFor());
    expect(wallet.admit(boundsFor()).do).toBe('held');
    request.hold = afterMessageStart(request.hold, { inputNanos: dollars(0.003) });
    expect(wallet.available()).toBe(dollars(0.15 - 0.003) - LEAST_SLICE_NANOS);
    const known = { textBytes: 54_000, media: NO_MEDIA, promptTokens: 14_000 };
    expect(wallet.admit(boundsFor({ conversation: known })).do).toBe('hold');
  });

  it('is the whole of max_tokens where output costs nothing', () => {
    const row = rowOf('claude-opus-5-5');
    const price = { ...row, bands: [{ ...row.bands[0], output: 0 }] as const };
    const bounds = boundsFor({ price });
    expect(admitted(new Wallet(bounds.inputNanos), bounds).hold).toMatchObject({
      heldOutputTokensUpTo: 128_000,
      outputNanos: 0,
    });
  });

  it('is the whole of max_tokens for JSON, cut to what the model gives', () => {
    const price = rowOf('claude-haiku-4-5');
    const bounds = boundsFor({ price, sizes: { stream: false, maxTokens: 128_000 } });
    const { hold } = admitted(new Wallet(dollars(1)), bounds, false);
    expect(hold).toMatchObject({ heldOutputTokensUpTo: 64_000, outputNanos: dollars(0.32) });
  });
});

describe('a refusal', () => {
  it('says spent when the balance is too small for the likely cost, and what is needed', () => {
    const bounds = boundsFor();
    const needed = addNanos(bounds.likelyInputNanos, nanos(LEAST_SLICE_NANOS));
    const figures = { neededNanos: needed, neededAsStreamNanos: needed };
    const balance = nanos(needed - 1);
    expect(new Wallet(balance).admit(bounds)).toEqual({
      do: 'spent',
      ...figures,
      availableNanos: balance,
    });
    expect(new Wallet(dollars(-3)).admit(bounds)).toMatchObject({ do: 'spent' });
  });

  it('says held while own requests in flight hold what it needs', () => {
    const wallet = new Wallet(dollars(0.2));
    admitted(wallet, boundsFor());
    expect(wallet.admit(boundsFor())).toMatchObject({ do: 'held' });
    wallet.closeAll();
    expect(wallet.admit(boundsFor()).do).toBe('hold');
  });

  it('says held to a low balance beside any open request, however little that one holds', () => {
    const bounds = boundsFor();
    const wallet = new Wallet(dollars(0.16));
    const other = admitted(wallet, boundsFor({ sizes: { textBytes: 0, maxTokens: 1 } }));
    other.hold = afterMessageStart(other.hold, { inputNanos: nanos(1) });
    const decision = wallet.admit(bounds);
    expect(decision).toMatchObject({ do: 'held', availableNanos: dollars(0.16) - TOKEN_NANOS - 1 });
    // The likely cost would fit, and does when the other has ended.
    if (decision.do === 'hold') throw new Error('admitted');
    expect(decision.neededNanos).toBeLessThan(decision.availableNanos);
    wallet.closeAll();
    expect(admitted(wallet, bounds).hold.all).toBe(true);
  });

  it('says held, not spent, when the balance is exactly what is needed', () => {
    const bounds = boundsFor();
    const wallet = new Wallet(nanos(bounds.likelyInputNanos + LEAST_SLICE_NANOS));
    admitted(wallet, bounds);
    expect(wallet.admit(bounds)).toMatchObject({ do: 'held', neededNanos: wallet.balance });
  });

  it('of JSON names what a stream would need', () => {
    const bounds = boundsFor({ sizes: { stream: false } });
    expect(new Wallet(dollars(1)).admit(bounds, false)).toMatchObject({
      do: 'spent',
      neededNanos: bounds.likelyInputNanos + 128_000 * TOKEN_NANOS,
      neededAsStreamNanos: bounds.likelyInputNanos + LEAST_SLICE_NANOS,
    });
  });
});

describe("Claude Code's shape: max_tokens 128,000 and a prompt of 55 kB", () => {
  const known = { textBytes: 54_500, media: NO_MEDIA, promptTokens: 15_000 };

  it.each(['5m', '1h'] as const)(
    'runs on half a dollar in a known conversation beside its title call (cache %s)',
    (cacheTtl) => {
      const wallet = new Wallet(dollars(0.5));
      admitted(wallet, boundsFor({ conversation: known, sizes: { cacheTtl } }));
      admitted(wallet, boundsFor({ sizes: { textBytes: 4_000, cacheTtl: 'none' } }));
      expect(wallet.available()).toBeGreaterThan(0);
    },
  );

  it('runs on half a dollar with two sub-agents as well', () => {
    const wallet = new Wallet(dollars(0.5));
    admitted(wallet, boundsFor({ sizes: { textBytes: 4_000 } }));
    admitted(wallet, boundsFor({ conversation: known }));
    for (const agent of [30_000, 30_000]) {
      admitted(wallet, boundsFor({ sizes: { textBytes: agent } }));
    }
    expect(wallet.held()).toBeLessThanOrEqual(dollars(0.5));
  });

  it('takes two cold sub-agents of the full 55 kB once its own input is reported', () => {
    const wallet = new Wallet(dollars(0.5));
    const title = admitted(wallet, boundsFor({ sizes: { textBytes: 4_000 } }));
    const main = admitted(wallet, boundsFor({ conversation: known }));
    title.hold = afterMessageStart(title.hold, { inputNanos: dollars(0.005) });
    main.hold = afterMessageStart(main.hold, { inputNanos: dollars(0.004) });
    expect([wallet.admit(boundsFor()).do, wallet.admit(boundsFor()).do]).toEqual(['hold', 'hold']);
  });

  it('is refused as spent on a tenth of a cent', () => {
    const wallet = new Wallet(dollars(0.001));
    expect(wallet.admit(boundsFor({ conversation: known }))).toMatchObject({ do: 'spent' });
  });
});

describe('10,000 requests at once, each of the price p, on a balance of 137 p', () => {
  it.each([
    ['streamed', true],
    ['as JSON', false],
  ])('lets 137 in, %s, and they spend it to the last nano-dollar', (_, stream) => {
    const bounds = boundsFor({ sizes: { stream, textBytes: 2_000, maxTokens: 500 } });
    const price = addNanos(bounds.inputNanos, nanos(500 * TOKEN_NANOS));
    const wallet = new Wallet(nanos(137 * price));
    const decisions = Array.from({ length: 10_000 }, () => wallet.admit(bounds, stream).do);
    expect(decisions.filter((each) => each === 'hold')).toHaveLength(137);
    expect(decisions.filter((each) => each === 'held')).toHaveLength(9_863);
    wallet.closeAll((hold) => holdTotal(hold, nanos(0)));
    expect(wallet.balance).toBe(0);
    expect(wallet.admit(bounds, stream).do).toBe('spent');
  });
});

describe('any traffic on a wallet', () => {
  const size = fc.record({
    textBytes: fc.nat({ max: 200_000 }),
    maxTokens: fc.nat({ max: 200_000 }),
    serverToolUses: fc.nat({ max: 2 }),
    stream: fc.boolean(),
  });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('admit' as const), size }),
    fc.record({
      kind: fc.constantFrom('start' as const, 'extend' as const, 'close' as const),
      which: fc.nat({ max: 40 }),
      share: fc.integer({ min: 0, max: 100 }),
    }),
  );
  const steps = fc.array(step, { maxLength: 60 });
  const balance = fc.oneof(fc.nat({ max: 3_000_000_000 }), fc.integer({ min: -1_000, max: 1_000 }));

  it('holds no more than the balance and spends no more, while costs stay in their holds', () => {
    fc.assert(
      fc.property(balance, steps, (start, list) => {
        const wallet = new Wallet(nanos(start));
        for (const each of list) {
          if (each.kind === 'admit') tryToAdmit(wallet, each.size);
          else wallet.move(each);
          if (start >= 0) expect(wallet.held()).toBeLessThanOrEqual(wallet.balance);
          else expect(wallet.open).toEqual([]);
        }
        wallet.closeAll((hold) => holdTotal(hold, nanos(0)));
        if (start >= 0) expect(wallet.balance).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 500 },
    );
  });

  function tryToAdmit(wallet: Wallet, sizes: Partial<RequestSizes>): void {
    const bounds = boundsFor({ sizes });
    const before = { open: wallet.open.length, available: wallet.available() };
    const decision = wallet.admit(bounds, sizes.stream);
    if (decision.do === 'hold') {
      expect(holdTotal(decision.hold, nanos(0))).toBeLessThanOrEqual(before.available);
    } else if (decision.do === 'held') {
      expect(before.open).toBeGreaterThan(0);
      expect(decision.neededNanos).toBeLessThanOrEqual(wallet.balance);
    } else {
      expect(decision.neededNanos).toBeGreaterThan(wallet.balance);
    }
  }
});

interface OpenRequest {
  readonly bounds: Bounds;
  hold: Hold;
}

interface Move {
  readonly kind: 'start' | 'extend' | 'close';
  readonly which: number;
  /** Percent of what is held that is used, or asked for. */
  readonly share: number;
}

/** The least book of holds: what the object keeps, without storage. */
class Wallet {
  balance: Nanos;
  open: OpenRequest[] = [];

  constructor(balance: Nanos) {
    this.balance = balance;
  }

  admit(bounds: Bounds, stream = true) {
    const figures = { balanceNanos: this.balance, heldNanos: this.held() };
    const decision = decideHold({ bounds, stream, ...figures, openMetered: this.open.length });
    if (decision.do === 'hold') this.open.push({ bounds, hold: decision.hold });
    return decision;
  }

  held(): Nanos {
    return addNanos(...this.open.map(({ hold }) => holdTotal(hold, nanos(0))));
  }

  available(): Nanos {
    return subtractNanos(this.balance, this.held());
  }

  move({ kind, which, share }: Move): void {
    const request = this.open[which % Math.max(1, this.open.length)];
    if (request === undefined) return;
    const { hold, bounds } = request;
    const part = (amount: number): Nanos => nanos(Math.floor((amount * share) / 100));
    if (kind === 'close') {
      this.balance = subtractNanos(this.balance, part(holdTotal(hold, nanos(0))));
      this.open = this.open.filter((other) => other !== request);
    } else if (kind === 'start') {
      request.hold = afterMessageStart(hold, { inputNanos: part(hold.inputNanos) });
    } else {
      const decision = extendHold(hold, {
        upToTokens: part(bounds.outputTokensMax),
        outputPicosPerToken: bounds.outputPicosPerToken,
        availableNanos: this.available(),
      });
      if (decision.do === 'grant') request.hold = decision.hold;
    }
  }

  closeAll(costOf: (hold: Hold) => Nanos = () => nanos(0)): void {
    this.balance = subtractNanos(this.balance, addNanos(...this.open.map((r) => costOf(r.hold))));
    this.open = [];
  }
}

function admitted(wallet: Wallet, bounds: Bounds, stream = true): OpenRequest {
  const decision = wallet.admit(bounds, stream);
  const request = wallet.open.at(-1);
  if (decision.do !== 'hold' || request === undefined) throw new Error(`refused: ${decision.do}`);
  return request;
}
