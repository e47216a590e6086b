import { describe, expect, it } from 'vitest';
import {
  admitCall,
  CATALOGUE,
  copiesOf,
  HOLD,
  idOf,
  LIKELY_INPUT_NANOS,
  MODEL,
  NOW,
  ownerOf,
  PRICE,
  settleCall,
} from '../../../tests/support/ledger';
import { nanos } from '../money';
import { MINUTE_MS } from '../time';
import { answerOf, closedOf, freeLease, leaseOf, openedOf, openRow, strangerRow } from './lease';

const OWNER = ownerOf(1);
const REQUEST = idOf('request', 1);
const FACTS = {
  admission: { model: MODEL, price: PRICE, likelyInputNanos: LIKELY_INPUT_NANOS, ties: {} },
  copies: copiesOf(OWNER),
  catalogue: CATALOGUE,
  now: NOW,
};

describe('an opened row', () => {
  const call = admitCall(OWNER.keyId, REQUEST, { conversation: '0123456789abcdef' });
  const opened = openedOf(call, FACTS);

  it('stands for the same lease before and after it was written down as JSON', () => {
    if (opened === null) throw new Error('not opened');
    const row = openRow(opened, { seq: 4, now: NOW, hold: HOLD });
    const lease = leaseOf(row, opened, OWNER.walletId);
    expect(lease).toEqual({
      ...OWNER,
      seq: 4,
      requestId: REQUEST,
      model: MODEL,
      price: PRICE,
      pricesVersion: CATALOGUE.version,
      admittedAt: NOW,
      likelyInputNanos: LIKELY_INPUT_NANOS,
      hold: {
        heldOutputTokensUpTo: 1_000,
        outputTokensMax: 1_000,
        outputPicosPerToken: 20_000_000,
        boundNanos: 16_500_000,
        reportInput: false,
      },
    });
    const read = JSON.parse(JSON.stringify(row)) as typeof row;
    expect(read).toEqual(row);
    expect(read.opened && leaseOf(read, read.opened, OWNER.walletId)).toEqual(lease);
  });

  it('is open for a lease’s length and keeps what the request said of itself', () => {
    if (opened === null) throw new Error('not opened');
    const row = openRow(opened, { seq: 4, now: NOW, hold: HOLD });
    expect(row).toMatchObject({ leaseUntil: NOW + MINUTE_MS, outcome: null, known: null });
    expect(row.opened).toMatchObject({ tags: call.tags, sizes: call.sizes });
    expect(() => answerOf(row)).toThrow('row 4 is open');
  });

  it('of which nothing is held stands for a lease without a hold', () => {
    if (opened === null) throw new Error('not opened');
    const { hold: _, ...row } = openRow(opened, { seq: 4, now: NOW, hold: HOLD });
    expect(leaseOf(row, opened, OWNER.walletId)).not.toHaveProperty('hold');
  });

  it('answers, once closed, its first closing at the best-known cost', () => {
    if (opened === null) throw new Error('not opened');
    const first = { certainty: 'recovered', costNanos: nanos(5) } as const;
    const known = { certainty: 'reported', costNanos: nanos(7) } as const;
    const row = openRow(opened, { seq: 4, now: NOW, hold: HOLD });
    const outcome = { ...first, closing: 'recovered', closedAt: NOW } as const;
    expect(answerOf({ ...row, outcome, known })).toEqual({ closing: 'recovered', ...known });
    expect(() => answerOf({ ...row, outcome })).toThrow('row 4 is open');
    expect(() => answerOf({ ...row, known })).toThrow('row 4 is open');
  });

  it('does not exist for class free nor without a model', () => {
    expect(openedOf({ ...call, class: 'free' }, FACTS)).toBeNull();
    const admission = { ...FACTS.admission, model: null, price: null };
    expect(openedOf(call, { ...FACTS, admission })).toBeNull();
    for (const lacks of [{ model: null }, { price: null }]) {
      const lacking = { ...FACTS.admission, ...lacks };
      expect(openedOf(call, { ...FACTS, admission: lacking })).toBeNull();
    }
  });
});

describe('a free lease', () => {
  it('has no row, no price and no cost', () => {
    const lease = freeLease(admitCall(OWNER.keyId, REQUEST, { class: 'free' }), FACTS);
    expect(lease).toMatchObject({ ...OWNER, seq: 0, price: null, likelyInputNanos: 0 });
  });
});

describe('the row of an unknown request', () => {
  const call = settleCall({ seq: 9, requestId: REQUEST, keyId: OWNER.keyId });

  it('is dated by its admit, or by now where that is not known', () => {
    const place = { seq: 5, now: NOW + 1 };
    expect(strangerRow(call, place)).toMatchObject({ seq: 5, admittedAt: NOW, opened: null });
    expect(strangerRow({ ...call, admittedAt: null }, place)).toMatchObject({
      admittedAt: NOW + 1,
    });
  });

  it('takes the details of the settle', () => {
    const { closing, usage, model, accountId, status, attempts, timings } = call;
    const details = { closing, usage, model, accountId, status, attempts, timings };
    const row = strangerRow(call, { seq: 5, now: NOW });
    expect(closedOf(call, row)).toEqual(details);
  });
});
