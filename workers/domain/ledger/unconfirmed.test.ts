import { describe, expect, it } from 'vitest';
import {
  admitCall,
  copiesOf,
  creditCall,
  idOf,
  LIKELY_INPUT_NANOS,
  MODEL,
  NOW,
  ownerOf,
  settleCall,
} from '../../../tests/support/ledger';
import { PaperLedger } from '../../../tests/support/paper-ledger';
import { nanos } from '../money';
import { SECOND_MS } from '../time';
import { NO_TOKENS } from '../usage/tokens';
import type { Lease, SettleCall } from './calls';

const OWNER = ownerOf(1);
/** The whole text of `admitCall` as one prompt: at the read price a small part of what it costs. */
const PROMPT_TOKENS = 1_000;

const LEFT = {
  closing: 'client-left',
  certainty: 'estimated',
  usage: { entries: [], flags: ['estimated'] },
} as const;

/** A conversation whose first prompt was reported, so that its second would be charged as read. */
class Talk {
  readonly ledger = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every: 1 });
  #asked = 0;

  constructor() {
    this.ledger.credit(creditCall('txn_first'));
    this.report(this.ask());
  }

  ask(): Lease {
    this.#asked += 1;
    const request = admitCall(OWNER.keyId, idOf('request', this.#asked), { conversation: 'talk' });
    const answer = this.ledger.admit(request);
    if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
    return answer.lease;
  }

  settle(lease: Lease, differs: Partial<SettleCall>): void {
    this.ledger.settle(settleCall(lease, differs));
  }

  leave(lease: Lease): void {
    this.settle(lease, { ...LEFT, costNanos: lease.likelyInputNanos });
  }

  report(lease: Lease): void {
    const terms = { speed: null, geo: null, tier: null };
    const counts = { ...NO_TOKENS, input: PROMPT_TOKENS };
    const usage = { entries: [{ model: MODEL, counts, terms }], flags: [] };
    this.settle(lease, { usage, costNanos: nanos(1_000) });
  }
}

describe('who replaces the text of a known conversation and leaves before the headers', () => {
  it('pays what reading the old prompt costs once, and the price of new text from then on', () => {
    const talk = new Talk();
    const first = talk.ask();
    expect(first.likelyInputNanos).toBeLessThan(LIKELY_INPUT_NANOS / 5);
    talk.leave(first);
    for (let again = 0; again < 3; again += 1) {
      const next = talk.ask();
      expect(next.likelyInputNanos).toBe(LIKELY_INPUT_NANOS);
      talk.leave(next);
    }
  });

  it('is not forgotten with the memory of the object', () => {
    const talk = new Talk();
    talk.leave(talk.ask());
    talk.ledger.evict();
    expect(talk.ask().likelyInputNanos).toBe(LIKELY_INPUT_NANOS);
  });

  it('pays as little as before once a request has ended with reported usage', () => {
    const talk = new Talk();
    const known = talk.ask();
    talk.leave(known);
    talk.report(talk.ask());
    expect(talk.ask().likelyInputNanos).toBe(known.likelyInputNanos);
  });

  it('pays as little as before once the report of the unfinished request has come late', () => {
    const talk = new Talk();
    const known = talk.ask();
    talk.leave(known);
    talk.ledger.evict();
    talk.report(known);
    expect(talk.ask().likelyInputNanos).toBe(known.likelyInputNanos);
  });

  it('pays the price of new text too when nobody ever settled', () => {
    const talk = new Talk();
    talk.ask();
    talk.ledger.wallClock += 100 * SECOND_MS;
    talk.ledger.alarm();
    expect(talk.ask().likelyInputNanos).toBe(LIKELY_INPUT_NANOS);
  });
});
