import { describe, expect, it } from 'vitest';
import {
  admitCall,
  CATALOGUE,
  copiesOf,
  creditCall,
  extendCall,
  HOLD,
  HOLD_NANOS,
  idOf,
  keyCopy,
  LIKELY_INPUT_NANOS,
  MODEL,
  NEEDED_NANOS,
  NOW,
  ownerOf,
  PRICE,
  userCopy,
  walletCopy,
} from '../../../tests/support/ledger';
import { PaperLedger } from '../../../tests/support/paper-ledger';
import type { LimitSet } from '../limits/limit-set';
import type { Nanos } from '../money';
import { nanos } from '../money';
import type { PriceRow } from '../pricing/catalogue';
import { HOUR_MS, MINUTE_MS } from '../time';
import { decideAdmit } from './admission';
import type { AdmitAnswer, AdmitCall } from './calls';
import { emptyState } from './state';

const OWNER = ownerOf(1);
const OTHER_KEY = idOf('key', 2);
/** Costs twice as much, and is of another family. */
const DEAR: PriceRow = {
  ...PRICE,
  id: 'dear@2026-01-01',
  model: 'dear',
  family: 'mythos',
  bands: [{ ...PRICE.bands[0], input: 8_000_000, cacheWrite5m: 10_000_000 }],
};
const BOTH = { ...CATALOGUE, rows: [PRICE, DEAR] };

function ledgerOf(limits: LimitSet, balanceNanos = nanos(100 * HOLD_NANOS)): PaperLedger {
  const copies = { ...copiesOf(OWNER), key: keyCopy(OWNER, { limits }) };
  const ledger = new PaperLedger(copies, { wallClock: NOW, every: 5, catalogue: BOTH });
  ledger.credit(creditCall('txn_first', { amountNanos: balanceNanos }));
  return ledger;
}

function admit(ledger: PaperLedger, n: number, differs: Partial<AdmitCall> = {}): AdmitAnswer {
  return ledger.admit(admitCall(OWNER.keyId, idOf('request', n), differs));
}

/** The refusal of the request number `n` among such that stay open; null: it was admitted. */
function refusalOf(limits: LimitSet, n: number) {
  const ledger = ledgerOf(limits);
  const answers = Array.from({ length: n }, (_, index) => admit(ledger, index + 1));
  const last = answers.pop();
  expect(answers.every(({ ok }) => ok)).toBe(true);
  return last?.ok === false ? last.error : null;
}

describe('limits at admit', () => {
  const tokens = (limit: number) => ({ tokens: [{ limit, spanMs: HOUR_MS }] });
  const cost = (limit: number) => ({ cost: [{ limit, spanMs: HOUR_MS }] });
  const waits = { kind: 'rate-limited', scope: 'key', spanMs: null, retryAfterMs: 2_000 };
  const never = { ...waits, spanMs: HOUR_MS, retryAfterMs: null };

  it('refuse before the balance is asked', () => {
    const refusal = refusalOf({ requests: [{ limit: 1, spanMs: MINUTE_MS }] }, 2);
    expect(refusal).toMatchObject({ kind: 'rate-limited', what: 'requests' });
  });

  it('ask for the likely prompt and the smallest slice of output', () => {
    expect(refusalOf(tokens(1_000 + 1_000), 1)).toBeNull();
    expect(refusalOf(tokens(1_999), 1)).toEqual({ ...never, what: 'tokens', limit: 1_999 });
    expect(refusalOf(cost(NEEDED_NANOS), 1)).toBeNull();
    const limit = NEEDED_NANOS - 1;
    expect(refusalOf(cost(limit), 1)).toEqual({ ...never, what: 'cost', limit });
  });

  it('ask beside others for the bound of the prompt and the slice', () => {
    const held = 3_300 + 1_000;
    expect(refusalOf(tokens(2 * held), 2)).toBeNull();
    const limit = 2 * held - 1;
    expect(refusalOf(tokens(limit), 2)).toEqual({ ...waits, what: 'tokens', limit });
    expect(refusalOf(cost(2 * HOLD_NANOS), 2)).toBeNull();
    const least = 2 * HOLD_NANOS - 1;
    expect(refusalOf(cost(least), 2)).toEqual({ ...waits, what: 'cost', limit: least });
  });

  it('cut the hold to what they leave when the balance has more', () => {
    const left = nanos(NEEDED_NANOS + 7);
    const budgets = [{ period: 'day', limitNanos: left }] as const;
    const ledger = ledgerOf({ budgets });
    expect(admit(ledger, 1).ok).toBe(true);
    expect(ledger.state.heldNanos).toBe(left);
    expect([...ledger.state.open.values()]).toMatchObject([{ hold: { parts: { all: true } } }]);
    const loose = ledgerOf({ budgets: [{ period: 'day', limitNanos: HOLD_NANOS }] });
    expect(admit(loose, 1).ok).toBe(true);
    expect(loose.state.heldNanos).toBe(HOLD_NANOS);
  });

  it('let nobody in beside a request that the balance has to wait for', () => {
    // Alone it would be let in at a low balance; its own budget leaves even less.
    const limits = { budgets: [{ period: 'day', limitNanos: NEEDED_NANOS }] } as const;
    const ledger = ledgerOf({}, nanos(2 * HOLD_NANOS - 1));
    ledger.apply({ ...keyCopy(OWNER, { limits }), id: OTHER_KEY });
    expect(admit(ledger, 1).ok).toBe(true);
    expect(ledger.admit(admitCall(OTHER_KEY, idOf('request', 2)))).toMatchObject({
      ok: false,
      error: { kind: 'rate-limited', scope: 'wallet', what: 'cost' },
    });
  });

  it('count a request in the budgets of its model and of every fallback', () => {
    const budget = (family: string) => ({ period: 'day', limitNanos: nanos(1), family }) as const;
    const spent = { ok: false, error: { kind: 'budget-spent' } };
    expect(admit(ledgerOf({ budgets: [budget('opus')] }), 1)).toMatchObject(spent);
    const others = ledgerOf({ budgets: [budget('mythos')] });
    expect(admit(others, 1).ok).toBe(true);
    expect(admit(others, 2, { fallbackModels: ['dear'] })).toMatchObject(spent);
  });
});

describe('a window of tokens', () => {
  const LIMIT = 100_000;
  const tokens = (limit: number): LimitSet => ({ tokens: [{ limit, spanMs: MINUTE_MS }] });
  /** `max_tokens` 128,000, cut to what the model gives. */
  const long = (stream: boolean) => {
    const { sizes } = admitCall(OWNER.keyId, idOf('request', 1));
    return { sizes: { ...sizes, stream, maxTokens: 128_000 } };
  };
  const upTo = (answer: AdmitAnswer) =>
    answer.ok ? answer.lease.hold?.heldOutputTokensUpTo : null;
  const rich = nanos(1_000_000 * HOLD_NANOS);

  it('gives the first stream of a rich wallet an eighth of it, so that others fit beside it', () => {
    const ledger = ledgerOf(tokens(LIMIT), rich);
    const first = Math.floor((LIMIT - HOLD.inputTokens) / 8);
    expect(upTo(admit(ledger, 1, long(true)))).toBe(first);
    const left = LIMIT - 2 * HOLD.inputTokens - first;
    expect(upTo(admit(ledger, 2, long(true)))).toBe(Math.floor(left / 8));
  });

  it('gives a stream the smallest slice where an eighth is less', () => {
    const ledger = ledgerOf(tokens(HOLD.inputTokens + 1_024), rich);
    expect(upTo(admit(ledger, 1, long(true)))).toBe(1_024);
  });

  it('holds all output of a whole answer from the start', () => {
    expect(upTo(admit(ledgerOf({}, rich), 1, long(false)))).toBe(PRICE.maxOutputTokens);
    expect(admit(ledgerOf(tokens(LIMIT), rich), 1, long(false))).toMatchObject({
      error: { what: 'tokens', limit: LIMIT, retryAfterMs: null },
    });
  });

  it.each(['key', 'user', 'wallet'] as const)('of the %s ends the stream that fills it', (kind) => {
    const ledger = ledgerOf({}, rich);
    const copy = { key: keyCopy, user: userCopy, wallet: walletCopy }[kind];
    ledger.apply({ ...copy(OWNER, { version: 2 }), limits: tokens(5_000) });
    const answer = admit(ledger, 1, long(true));
    if (!answer.ok) throw new Error(answer.error.kind);
    const most = 5_000 - HOLD.inputTokens;
    const more = extendCall(answer.lease, 60_000);
    expect(ledger.extend(more)).toEqual({ state: 'held', heldOutputTokensUpTo: most });
    expect(ledger.extend(more)).toEqual({ state: 'stop', closing: 'cut-by-limit' });
  });

  it('leaves a stream what others have not used and do not hold', () => {
    const ledger = ledgerOf(tokens(20_000), rich);
    const first = admit(ledger, 1, long(true));
    const second = admit(ledger, 2, long(true));
    if (!first.ok || !second.ok) throw new Error('refused');
    const other = HOLD.inputTokens + (upTo(second) ?? 0);
    const heldOutputTokensUpTo = 20_000 - HOLD.inputTokens - other;
    const more = extendCall(first.lease, 60_000);
    expect(ledger.extend(more)).toEqual({ state: 'held', heldOutputTokensUpTo });
  });
});

describe('a limit of money', () => {
  it('ends a stream as cut by a limit; credit that is used up too comes first', () => {
    const limits = { budgets: [{ period: 'day', limitNanos: HOLD_NANOS }] } as const;
    const { sizes } = admitCall(OWNER.keyId, idOf('request', 1));
    const endOf = (balanceNanos: Nanos) => {
      const ledger = ledgerOf(limits, balanceNanos);
      const answer = admit(ledger, 1, { sizes: { ...sizes, maxTokens: 100_000 } });
      if (!answer.ok) throw new Error(answer.error.kind);
      const more = extendCall(answer.lease, 60_000);
      ledger.extend(more);
      return ledger.extend(more);
    };
    expect(endOf(nanos(100 * HOLD_NANOS))).toEqual({ state: 'stop', closing: 'cut-by-limit' });
    expect(endOf(HOLD_NANOS)).toEqual({ state: 'refused' });
  });
});

describe('fallback models', () => {
  const twice = nanos(2 * LIKELY_INPUT_NANOS);

  it('bound the hold by the dearest of all models that may answer', () => {
    const ledger = ledgerOf({});
    const plain = admit(ledger, 1);
    const wider = admit(ledger, 2, { fallbackModels: ['dear'] });
    const bounds = [plain, wider].map((answer) => answer.ok && answer.lease.hold?.boundNanos);
    expect(bounds).toEqual([16_500_000, 33_000_000]);
    expect(wider).toMatchObject({ lease: { model: MODEL, price: PRICE } });
    expect(admit(ledger, 3, { model: 'dear' })).toMatchObject({
      lease: { likelyInputNanos: twice },
    });
  });

  it('are refused by name when they are not known or not allowed', () => {
    expect(admit(ledgerOf({}), 1, { fallbackModels: ['gpt'] })).toEqual({
      ok: false,
      error: { kind: 'unknown-model', model: 'gpt' },
    });
    const models = { allow: [MODEL] };
    expect(admit(ledgerOf({ models }), 1).ok).toBe(true);
    expect(admit(ledgerOf({ models }), 1, { fallbackModels: ['dear'] })).toEqual({
      ok: false,
      error: { kind: 'not-allowed', what: 'model' },
    });
  });
});

describe('a key whose life begins with its first use', () => {
  const at = (firstUsedAt: number | null, now: number) => {
    const key = keyCopy(OWNER, { limits: { activation: { lifetimeMs: HOUR_MS } } });
    const totals = { usedNanos: nanos(0), requests: 0, overrunNanos: nanos(0), firstUsedAt };
    const keys = new Map([[OWNER.keyId, totals]]);
    const state = { ...emptyState(), balanceNanos: nanos(100 * HOLD_NANOS), keys };
    const facts = { copies: { ...copiesOf(OWNER), key }, catalogue: CATALOGUE, state, now };
    return decideAdmit(admitCall(OWNER.keyId, idOf('request', 1)), facts);
  };

  it('may be used to the last millisecond of it, and before it began', () => {
    expect(at(null, NOW).ok).toBe(true);
    expect(at(NOW, NOW + HOUR_MS - 1).ok).toBe(true);
    expect(at(NOW, NOW + HOUR_MS)).toEqual({
      ok: false,
      error: { kind: 'unauthenticated', why: 'expired' },
    });
  });
});

describe('a request that names no model', () => {
  const facts = (limits: LimitSet) => {
    const copies = { ...copiesOf(OWNER), key: keyCopy(OWNER, { limits }) };
    return { copies, catalogue: CATALOGUE, state: emptyState(), now: NOW };
  };
  const call = (differs: Partial<AdmitCall>) =>
    admitCall(OWNER.keyId, idOf('request', 1), { class: 'free', ...differs });

  it('is refused when it costs money: there would be no price and nobody who pays', () => {
    expect(decideAdmit(call({ class: 'metered', model: null }), facts({}))).toEqual({
      ok: false,
      error: { kind: 'bad-request', message: 'model: Field required' },
    });
  });

  it('asks nothing of the models of its key when it is free; one that names a model does', () => {
    const limited = facts({ models: { allow: ['dear'] } });
    const nothing = { likelyInputNanos: 0, ties: {}, hold: null };
    expect(decideAdmit(call({ model: null }), limited)).toEqual({
      ok: true,
      value: { model: null, price: null, ...nothing },
    });
    expect(decideAdmit(call({}), limited)).toEqual({
      ok: false,
      error: { kind: 'not-allowed', what: 'model' },
    });
    expect(decideAdmit(call({}), facts({ models: { allow: [MODEL] } }))).toEqual({
      ok: true,
      value: { model: MODEL, price: PRICE, ...nothing },
    });
  });
});
