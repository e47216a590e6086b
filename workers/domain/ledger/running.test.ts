import { describe, expect, it } from 'vitest';
import {
  admitCall,
  CATALOGUE,
  copiesOf,
  extendCall,
  HOLD,
  HOLD_NANOS,
  idOf,
  LIKELY_INPUT_NANOS,
  MODEL,
  NOW,
  ownerOf,
  PRICE,
  progressCall,
  settleCall,
} from '../../../tests/support/ledger';
import type { Nanos } from '../money';
import { nanos } from '../money';
import { HOUR_MS, MINUTE_MS } from '../time';
import type { Usage, UsageFlag } from '../usage/tokens';
import { NO_TOKENS } from '../usage/tokens';
import type { Certainty } from './calls';
import { decideExtend, heldBy, overrunOfRow, rowAfterProgress, waryAfter } from './held';
import type { LeftForOutput } from './limited';
import { closedOf, openedOf, openRow, strangerRow } from './lease';
import type { RequestRow, RowHold } from './row';

const OWNER = ownerOf(1);
const REQUEST = { seq: 1, requestId: idOf('request', 1) };
const STRANGER = strangerRow(settleCall({ ...REQUEST, keyId: OWNER.keyId }), { seq: 1, now: NOW });
const LATER = NOW + 5_000;

function running(hold: Partial<RowHold> = {}): RequestRow {
  const admission = { model: MODEL, price: PRICE, likelyInputNanos: LIKELY_INPUT_NANOS, ties: {} };
  const facts = { admission, copies: copiesOf(OWNER), catalogue: CATALOGUE, now: NOW };
  const opened = openedOf(admitCall(OWNER.keyId, REQUEST.requestId), facts);
  if (opened === null) throw new Error('not opened');
  return openRow(opened, { seq: 1, now: NOW, hold: { ...HOLD, ...hold } });
}

describe('a request of which nothing was held', () => {
  it('takes nothing from the balance and has no overrun, whatever it cost', () => {
    expect([heldBy(STRANGER), overrunOfRow(STRANGER, nanos(5))]).toEqual([0, 0]);
  });

  it('is kept from no output, and its row stays as it is', () => {
    const known = { creditNanos: nanos(-5), now: LATER };
    expect(decideExtend(STRANGER, extendCall(REQUEST, 9_000), known)).toEqual({
      answer: { state: 'held', heldOutputTokensUpTo: 9_000 },
      row: null,
    });
  });

  it('lives on with a sign of life that reports its input', () => {
    const after = rowAfterProgress(
      STRANGER,
      progressCall(REQUEST, { inputNanos: nanos(7) }),
      LATER,
    );
    expect(after).toEqual({
      ...STRANGER,
      leaseUntil: LATER + MINUTE_MS,
      progress: { n: 1, costNanos: 0, dispatched: true },
    });
  });
});

describe('a sign of life', () => {
  it('carries the lease a minute on and keeps what it says', () => {
    const said = { n: 3, costNanos: nanos(9), dispatched: false };
    expect(rowAfterProgress(running(), progressCall(REQUEST, said), LATER)).toEqual({
      ...running(),
      leaseUntil: LATER + MINUTE_MS,
      progress: said,
    });
  });

  it('does not shorten the lease when the clock went back', () => {
    const longer = { ...running(), leaseUntil: LATER + 2 * MINUTE_MS };
    const after = rowAfterProgress(longer, progressCall(REQUEST, { n: 3 }), LATER);
    expect(after).toMatchObject({ leaseUntil: LATER + 2 * MINUTE_MS });
  });

  it('puts the reported input in the place of its bound', () => {
    const call = progressCall(REQUEST, { inputNanos: nanos(7) });
    const { inputNanos, inputReported } =
      rowAfterProgress(running(), call, LATER)?.hold?.parts ?? {};
    expect([inputNanos, inputReported]).toEqual([7, true]);
  });

  it('changes nothing when one as late or later was heard', () => {
    const row = { ...running(), progress: { n: 3, costNanos: nanos(1), dispatched: true } };
    for (const n of [1, 3])
      expect(rowAfterProgress(row, progressCall(REQUEST, { n }), LATER)).toBeNull();
    expect(rowAfterProgress(row, progressCall(REQUEST, { n: 4 }), LATER)).not.toBeNull();
  });
});

describe('a request for more output', () => {
  const row = running({ outputTokensMax: 3_000 });
  const ask = (upTo: number, creditNanos: Nanos, limits: Partial<LeftForOutput> = {}) =>
    decideExtend(row, extendCall(REQUEST, upTo), { creditNanos, ...limits, now: LATER });
  const held = (heldOutputTokensUpTo: number) => ({ state: 'held', heldOutputTokensUpTo });

  it('is held, and carries the lease a minute on', () => {
    const parts = { ...HOLD.parts, outputNanos: 40_000_000, heldOutputTokensUpTo: 2_000 };
    expect(ask(2_000, nanos(20_000_000))).toEqual({
      answer: held(2_000),
      row: { ...row, leaseUntil: LATER + MINUTE_MS, hold: { ...row.hold, parts } },
    });
  });

  it('is never held beyond the most that the request may bring', () => {
    const extended = ask(50_000, nanos(10 * HOLD_NANOS));
    expect(extended.answer).toEqual(held(3_000));
    expect(extended.row?.hold?.parts.outputNanos).toBe(60_000_000);
  });

  it('is answered with what is held when that is enough, and nothing is written', () => {
    expect(ask(1_000, nanos(0))).toEqual({ answer: held(1_000), row: null });
    expect(ask(10, nanos(0))).toEqual({ answer: held(1_000), row: null });
  });

  it('is held as far as is available, and refused when that is not one token', () => {
    expect(ask(2_000, nanos(20_000)).answer).toEqual(held(1_001));
    expect(ask(2_000, nanos(19_999))).toEqual({ answer: { state: 'refused' }, row: null });
  });

  it('is held as far as limits of money and tokens leave, and ends by them after that', () => {
    const rich = nanos(10 * HOLD_NANOS);
    const cut = { answer: { state: 'stop', closing: 'cut-by-limit' }, row: null };
    expect(ask(2_000, rich, { limitNanos: nanos(20_000) }).answer).toEqual(held(1_001));
    expect(ask(2_000, rich, { limitNanos: nanos(19_999) })).toEqual(cut);
    expect(ask(2_000, rich, { limitTokens: 1 }).answer).toEqual(held(1_001));
    expect(ask(2_000, rich, { limitTokens: 0 })).toEqual(cut);
    expect(ask(2_000, rich, { limitTokens: -5_000 })).toEqual(cut);
    // What is held already is not taken back.
    expect(ask(900, rich, { limitNanos: nanos(0), limitTokens: -5_000 }).answer).toEqual(
      held(1_000),
    );
  });

  it('is refused by credit where neither credit nor a limit leaves anything', () => {
    const limits = { limitNanos: nanos(-1), limitTokens: 0 };
    expect(ask(2_000, nanos(19_999), limits).answer).toEqual({ state: 'refused' });
  });
});

describe('a wallet is wary for a day', () => {
  const beyond = 4_126;
  interface Differs {
    readonly input?: number;
    readonly output?: number;
    readonly model?: string;
    readonly certainty?: Certainty;
    readonly flags?: readonly UsageFlag[];
  }

  function closed(differs: Differs = {}, row: RequestRow = running()): RequestRow {
    const {
      input = beyond,
      output = 0,
      model = MODEL,
      certainty = 'reported',
      flags = [],
    } = differs;
    const terms = { speed: null, geo: null, tier: null };
    const counts = { ...NO_TOKENS, input, output };
    const usage: Usage = { entries: [{ model, counts, terms }], flags };
    const call = settleCall({ ...REQUEST, keyId: OWNER.keyId }, { usage });
    return { ...row, known: { certainty, costNanos: nanos(1) }, closed: closedOf(call, row) };
  }

  it('after a request whose reported input cost more than its bound', () => {
    expect(waryAfter(closed(), LATER)).toBe(LATER + 24 * HOUR_MS);
    expect(waryAfter(closed({ input: beyond - 1 }), LATER)).toBeNull();
  });

  it('but not for output, which was held apart', () => {
    expect(waryAfter(closed({ input: 10, output: 100_000 }), LATER)).toBeNull();
  });

  it('after an answer of another model that has read by far more than was bounded', () => {
    const others = { model: 'another', flags: ['model-differs'] } as const;
    // 3,300 tokens were bounded, and another model may count 30 % more.
    expect(waryAfter(closed({ ...others, input: 4_291 }), LATER)).toBe(LATER + 24 * HOUR_MS);
    expect(waryAfter(closed({ ...others, input: 4_290 }), LATER)).toBeNull();
    const absurd = { ...others, flags: ['usage-absurd'] } as const;
    expect(waryAfter(closed({ ...absurd, input: 4_291 }), LATER)).toBeNull();
  });

  it('so also after an unknown model or unknown terms, by what was reported alone', () => {
    const input = 4_291;
    for (const flag of ['model-differs', 'model-unknown', 'terms-unknown'] as const) {
      const said = { model: 'another', input, flags: [flag] };
      expect(waryAfter(closed(said), LATER)).toBe(LATER + 24 * HOUR_MS);
      expect(waryAfter(closed({ ...said, certainty: 'estimated' }), LATER)).toBeNull();
      const broken = { ...said, flags: [flag, 'usage-negative'] as const };
      expect(waryAfter(closed(broken), LATER)).toBeNull();
    }
  });

  it('so only beyond what server tools may have brought in', () => {
    const row = running();
    if (row.opened === null) throw new Error('not opened');
    const sizes = { ...row.opened.sizes, serverToolUses: 1 };
    const withTool = { ...row, opened: { ...row.opened, sizes } };
    const after = (input: number) =>
      waryAfter(closed({ input, flags: ['model-differs'] }, withTool), LATER);
    // 3,300 tokens were bounded and 10,000 a call, and 30 % more.
    expect([after(17_290), after(17_291)]).toEqual([null, LATER + 24 * HOUR_MS]);
  });

  it('but not by figures that are not simply what the asked model reported', () => {
    expect(waryAfter(closed({ certainty: 'estimated' }), LATER)).toBeNull();
    expect(waryAfter(closed({ flags: ['usage-missing'] }), LATER)).toBeNull();
    expect(waryAfter(closed({ model: 'another' }), LATER)).toBeNull();
  });

  it('but not while nothing is known of the request, or nothing was bounded', () => {
    expect(waryAfter(running(), LATER)).toBeNull();
    expect(waryAfter(closed({}, STRANGER), LATER)).toBeNull();
    const { hold: _, ...unbounded } = running();
    expect(waryAfter(closed({}, unbounded), LATER)).toBeNull();
    expect(waryAfter({ ...closed(), closed: null }, LATER)).toBeNull();
    expect(waryAfter({ ...closed(), known: null }, LATER)).toBeNull();
  });
});
