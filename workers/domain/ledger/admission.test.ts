import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  admitCall,
  CATALOGUE,
  copiesOf,
  HASH,
  HOLD,
  HOLD_NANOS,
  idOf,
  LIKELY_INPUT_NANOS,
  MODEL,
  NEEDED_NANOS,
  NOW,
  ownerOf,
  PRICE,
} from '../../../tests/support/ledger';
import type { Nanos } from '../money';
import { nanos, ZERO_NANOS } from '../money';
import type { AdmitFacts } from './admission';
import { decideAdmit } from './admission';
import type { AdmitCall, RequestSizes } from './calls';
import { learn, take } from './conversation';
import { openedOf, openRow } from './lease';
import type { WalletState } from './state';
import { emptyState, foldOpened } from './state';

const OWNER = ownerOf(1);
const REQUEST = idOf('request', 1);
const FACTS = factsOf(NEEDED_NANOS);

function call(differs?: Partial<AdmitCall>): AdmitCall {
  return admitCall(OWNER.keyId, REQUEST, differs);
}

function sized(differs: Partial<RequestSizes>): AdmitCall {
  return call({ sizes: { ...call().sizes, ...differs } });
}

function factsOf(balanceNanos: Nanos, differs: Partial<WalletState> = {}): AdmitFacts {
  const state = { ...emptyState(), balanceNanos, ...differs };
  return { copies: copiesOf(OWNER), catalogue: CATALOGUE, state, now: NOW };
}

/** A wallet in which one request like `call()` runs. */
function busyFacts(balanceNanos: Nanos): AdmitFacts {
  const facts = factsOf(balanceNanos);
  const admission = { model: MODEL, price: PRICE, likelyInputNanos: LIKELY_INPUT_NANOS, ties: {} };
  const opened = openedOf(call(), { ...facts, admission });
  if (opened === null) throw new Error('not opened');
  foldOpened(facts.state, openRow(opened, { seq: 1, now: NOW, hold: HOLD }));
  return facts;
}

describe('decideAdmit', () => {
  it('admits with the row in force, the likely input and the hold', () => {
    const priced = { model: MODEL, price: PRICE, likelyInputNanos: LIKELY_INPUT_NANOS, ties: {} };
    const rich = factsOf(nanos(HOLD_NANOS * 10));
    expect(decideAdmit(call(), rich)).toEqual({ ok: true, value: { ...priced, hold: HOLD } });
  });

  it('resolves aliases, and refuses what has no row at this date', () => {
    const alias = decideAdmit(call({ model: 'claude-opus-latest' }), FACTS);
    expect(alias).toMatchObject({ value: { model: MODEL } });
    const rows = [{ ...PRICE, effectiveFrom: NOW + 1 }];
    const early = decideAdmit(call(), { ...FACTS, catalogue: { ...CATALOGUE, rows } });
    expect(early).toMatchObject({ error: { kind: 'unknown-model', model: MODEL } });
    const constructor = decideAdmit(call({ model: 'constructor' }), FACTS);
    expect(constructor).toMatchObject({ error: { kind: 'unknown-model' } });
  });

  it('lets an unknown model in at the ceiling, under its own name and with a hold', () => {
    const ceiling = { ...PRICE, id: 'ceiling:x', model: 'ceiling', isCeiling: true } as const;
    const rich = factsOf(nanos(HOLD_NANOS * 10));
    const facts = { ...rich, catalogue: { ...CATALOGUE, ceiling } };
    const row = { ...ceiling, model: 'gpt-9', displayName: 'gpt-9' };
    expect(decideAdmit(call({ model: 'gpt-9' }), facts)).toEqual({
      ok: true,
      value: {
        model: 'gpt-9',
        price: row,
        likelyInputNanos: LIKELY_INPUT_NANOS,
        ties: {},
        hold: HOLD,
      },
    });
    expect(decideAdmit(call(), facts)).toMatchObject({ value: { price: PRICE } });
    const fallback = decideAdmit(call({ fallbackModels: ['gpt-9'] }), facts);
    expect(fallback).toMatchObject({ ok: true, value: { model: MODEL } });
    const unnameable = decideAdmit(call({ model: 'gpt 9' }), facts);
    expect(unnameable).toMatchObject({ error: { kind: 'unknown-model' } });
  });

  it('asks first the key, then models and held ids, then the balance', () => {
    const heldIds = [{ field: 'file_id', id: 'file_1' }];
    const wrong = { keyHash: 'wrong', model: 'gpt', heldIds };
    const poor = factsOf(ZERO_NANOS);
    expect(decideAdmit(call(wrong), poor)).toMatchObject({ error: { kind: 'unauthenticated' } });
    const held = call({ heldIds });
    expect(decideAdmit(held, poor)).toMatchObject({ error: { kind: 'held-elsewhere' } });
    const model = call({ model: 'gpt' });
    expect(decideAdmit(model, poor)).toMatchObject({ error: { kind: 'unknown-model' } });
    const fallback = call({ fallbackModels: [MODEL, 'gpt'] });
    expect(decideAdmit(fallback, poor)).toMatchObject({ error: { model: 'gpt' } });
    expect(decideAdmit(call(), poor)).toMatchObject({ error: { kind: 'out-of-credit' } });
  });

  it('decides for a key that its owner chose as for one that was sent, but for the hash', () => {
    const chosen = call({ keyHash: '', by: 'session' });
    const rich = factsOf(nanos(HOLD_NANOS * 10));
    expect(decideAdmit(chosen, rich)).toEqual(decideAdmit(call(), rich));
    const poor = factsOf(ZERO_NANOS);
    expect(decideAdmit(chosen, poor)).toEqual(decideAdmit(call(), poor));
    const disabled: AdmitFacts = {
      ...rich,
      copies: { ...rich.copies, key: { ...rich.copies.key, status: 'disabled' } },
    };
    expect(decideAdmit(chosen, disabled)).toMatchObject({ error: { why: 'revoked' } });
    expect(decideAdmit(call({ keyHash: '' }), rich)).toMatchObject({ error: { why: 'unknown' } });
  });

  it('never admits a metered request without a price or a balance, whatever it says', () => {
    const calls = fc.record({
      model: fc.constantFrom(null, MODEL, 'claude-opus-latest', 'gpt'),
      keyHash: fc.constantFrom(HASH, 'wrong'),
      class: fc.constantFrom('metered' as const, 'free' as const),
    });
    const balances = fc.integer({ min: NEEDED_NANOS - 2, max: NEEDED_NANOS + 2 });
    fc.assert(
      fc.property(calls, balances, (differs, balance) => {
        const answer = decideAdmit(call(differs), factsOf(nanos(balance)));
        const isMetered = differs.class === 'metered';
        const known = differs.model === MODEL || differs.model === 'claude-opus-latest';
        const may = isMetered ? known && balance >= NEEDED_NANOS : known || differs.model === null;
        expect(answer.ok).toBe(may && differs.keyHash === HASH);
        if (answer.ok && isMetered) expect(answer.value.price).toBe(PRICE);
      }),
    );
  });

  it('holds all that is there of a low balance, and only while nothing else runs', () => {
    const low = nanos(HOLD_NANOS - 1);
    const alone = decideAdmit(call(), factsOf(low));
    const setAsideNanos = low - HOLD.parts.outputNanos;
    expect(alone).toMatchObject({
      value: { hold: { parts: { all: true }, setAsideNanos, reportInput: true } },
    });
    const beside = decideAdmit(call(), busyFacts(nanos(HOLD_NANOS + low)));
    const wait = { spanMs: null, retryAfterMs: 2_000 };
    expect(beside).toEqual({
      ok: false,
      error: {
        kind: 'rate-limited',
        scope: 'wallet',
        what: 'cost',
        limit: HOLD_NANOS + low,
        ...wait,
      },
    });
    const enough = decideAdmit(call(), busyFacts(nanos(2 * HOLD_NANOS)));
    expect(enough).toMatchObject({ ok: true, value: { hold: { parts: { all: false } } } });
  });

  it('names what is needed, and for a whole answer how much less a stream needs', () => {
    const spent = { kind: 'out-of-credit', availableNanos: NEEDED_NANOS - 1 };
    const poor = factsOf(nanos(NEEDED_NANOS - 1));
    expect(decideAdmit(call(), poor)).toEqual({
      ok: false,
      error: { ...spent, neededNanos: NEEDED_NANOS },
    });
    expect(decideAdmit(sized({ stream: false, maxTokens: 50_000 }), poor)).toEqual({
      ok: false,
      error: {
        ...spent,
        neededNanos: LIKELY_INPUT_NANOS + 1_000_000_000,
        neededAsStreamNanos: LIKELY_INPUT_NANOS + 20_480_000,
      },
    });
  });

  it('holds a known conversation by its last prompt, once at a time', () => {
    const facts = factsOf(nanos(HOLD_NANOS * 10));
    const { textBytes, media } = call().sizes;
    const last = { tag: 'a', model: MODEL, seq: 1, textBytes, media, promptTokens: 600 };
    const { conversations } = facts.state;
    learn(conversations, last);
    const known = decideAdmit(call({ conversation: 'a' }), facts);
    expect(known).toMatchObject({ value: { hold: { inputTokens: 600, boundNanos: 3_000_000 } } });
    take(conversations, { tag: 'a', model: MODEL });
    const second = decideAdmit(call({ conversation: 'a' }), facts);
    expect(second).toMatchObject({ value: { hold: { inputTokens: HOLD.inputTokens } } });
  });

  it('holds a token a byte until the wallet is no longer wary', () => {
    const balanceNanos = nanos(HOLD_NANOS * 10);
    const wary = decideAdmit(call(), factsOf(balanceNanos, { waryUntil: NOW + 1 }));
    expect(wary).toMatchObject({ value: { hold: { inputTokens: 4_600 } } });
    const over = decideAdmit(call(), factsOf(balanceNanos, { waryUntil: NOW }));
    expect(over).toMatchObject({ value: { hold: HOLD } });
  });

  it('holds nothing for class free', () => {
    const free = decideAdmit(call({ class: 'free' }), factsOf(ZERO_NANOS));
    expect(free).toMatchObject({ ok: true, value: { hold: null, likelyInputNanos: 0 } });
  });
});
