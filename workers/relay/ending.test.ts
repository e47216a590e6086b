import { describe, expect, it } from 'vitest';
import type { Lease } from '../domain/ledger/calls';
import { nanos } from '../domain/money';
import { findPrice } from '../domain/pricing/find';
import { LIST_ALIASES, LIST_PRICES } from '../domain/pricing/list-prices';
import { NO_TOKENS } from '../domain/usage/tokens';
import type { MeterReading } from '../protocols/protocol';
import { costSoFar, endingOf, leftBeforeHeaders } from './ending';

const at = Date.UTC(2026, 10, 23);
const catalogue = { version: 1, rows: LIST_PRICES, aliases: LIST_ALIASES };
const price = findPrice(catalogue, 'claude-opus-5-5', at);
const lease: Lease = {
  seq: 1,
  requestId: 'req_1',
  walletId: 'wal_1',
  userId: 'usr_1',
  keyId: 'key_1',
  model: 'claude-opus-5-5',
  price,
  pricesVersion: 1,
  admittedAt: at,
  likelyInputNanos: nanos(7_000),
};
const priced = { lease, snapshot: { version: 1, accounts: [], catalogue }, body: null };

const nothing: MeterReading = {
  started: false,
  finished: false,
  usage: null,
  flags: [],
  deliveredBytes: 0,
  reportedOutputTokens: 0,
  estimatedThinkingTokens: 0,
  hiddenThinkingOpen: false,
  hiddenThinkingClosed: 0,
  serverTools: { calls: 0, searches: 0, unreportedCalls: 0 },
  error: null,
  messageId: null,
  model: null,
  stopReason: null,
  heldIds: [],
};

/** Opus 5.5: input 4,000 nano a token, output 20,000. */
function reading(counts: { input: number; output: number }, more: Partial<MeterReading> = {}) {
  const terms = { speed: null, geo: null, tier: null };
  const entry = { model: 'claude-opus-5-5', counts: { ...NO_TOKENS, ...counts }, terms };
  const usage = { entries: [entry], flags: [] };
  return { ...nothing, started: true, usage, reportedOutputTokens: counts.output, ...more };
}

describe('endingOf', () => {
  it('charges a finished answer exactly what was reported', () => {
    const whole = reading({ input: 10, output: 5 }, { finished: true, deliveredBytes: 9_999 });
    expect(
      endingOf({ status: 200, how: 'whole', reading: whole, hiddenThinkingMs: 0 }, priced),
    ).toMatchObject({
      closing: 'completed',
      certainty: 'reported',
      costNanos: 10 * 4_000 + 5 * 20_000,
    });
  });

  it('charges a client that left the input reported and the output delivered', () => {
    const left = reading({ input: 10, output: 1 }, { deliveredBytes: 300 });
    expect(
      endingOf({ status: 200, how: 'left', reading: left, hiddenThinkingMs: 0 }, priced),
    ).toMatchObject({
      closing: 'client-left',
      certainty: 'estimated',
      costNanos: 10 * 4_000 + 100 * 20_000,
    });
  });

  it('never charges less than what was reported when the bytes say less', () => {
    const left = reading({ input: 10, output: 50 }, { deliveredBytes: 3 });
    const { costNanos } = endingOf(
      { status: 200, how: 'left', reading: left, hiddenThinkingMs: 0 },
      priced,
    );
    expect(costNanos).toBe(10 * 4_000 + 50 * 20_000);
  });

  it('charges thinking that no byte showed by its count or its time', () => {
    const thinking = reading({ input: 10, output: 1 }, { hiddenThinkingOpen: true });
    const timed = { status: 200, how: 'left', reading: thinking, hiddenThinkingMs: 2_000 } as const;
    expect(endingOf(timed, priced).costNanos).toBe(10 * 4_000 + 120 * 20_000);
    const counted = { ...timed, reading: { ...thinking, estimatedThinkingTokens: 500 } };
    expect(endingOf(counted, priced).costNanos).toBe(10 * 4_000 + 500 * 20_000);
  });

  it('charges a client that left the tools that ran upstream and what they brought', () => {
    const serverTools = { calls: 4, searches: 3, unreportedCalls: 4 };
    const begun = reading({ input: 10, output: 1 }, { serverTools });
    const left = { status: 200, how: 'left', reading: begun, hiddenThinkingMs: 0 } as const;
    const costNanos = (10 + 40_000) * 4_000 + 20_000 + 3 * 10_000_000;
    expect(endingOf(left, priced)).toMatchObject({ certainty: 'estimated', costNanos });
    expect(costSoFar(left, priced)).toBe(costNanos);
  });

  it('charges 12 s of thinking in blocks that have closed by its time', () => {
    const closed = reading({ input: 10, output: 1 }, { hiddenThinkingClosed: 1 });
    const left = { status: 200, how: 'left', reading: closed, hiddenThinkingMs: 12_000 } as const;
    expect(endingOf(left, priced).costNanos).toBe(10 * 4_000 + 12 * 60 * 20_000);
  });

  it('does not take figures for reported that the meter calls missing', () => {
    const odd = reading({ input: 10, output: 0 }, { finished: true, flags: ['usage-missing'] });
    const answered = { status: 200, how: 'whole', reading: odd, hiddenThinkingMs: 0 } as const;
    expect(endingOf(answered, priced)).toMatchObject({ certainty: 'estimated', costNanos: 40_000 });
  });

  it('counts an answer as completed when the client left after its last event', () => {
    const whole = reading({ input: 10, output: 5 }, { finished: true });
    expect(
      endingOf({ status: 200, how: 'left', reading: whole, hiddenThinkingMs: 0 }, priced).closing,
    ).toBe('completed');
  });

  it('charges the likely input when the client left before anything was known', () => {
    expect(
      endingOf({ status: 200, how: 'left', reading: nothing, hiddenThinkingMs: 0 }, priced),
    ).toMatchObject({
      closing: 'client-left',
      costNanos: 7_000,
    });
    expect(leftBeforeHeaders(lease, 'client-left')).toMatchObject({
      certainty: 'estimated',
      costNanos: 7_000,
    });
  });

  it('never takes an answer without usage for free', () => {
    const unread = { ...nothing, finished: true, deliveredBytes: 30 };
    const ending = endingOf(
      { status: 200, how: 'whole', reading: unread, hiddenThinkingMs: 0 },
      priced,
    );
    expect(ending).toMatchObject({ certainty: 'estimated', costNanos: 7_000 + 10 * 20_000 });
    expect(ending.usage.flags).toContain('usage-missing');
  });

  it('guesses no more output than the request allowed, and believes what was reported', () => {
    const allowing = { ...priced, body: { essentials: { sizes: { maxTokens: 100 } } } };
    const flood = reading({ input: 10, output: 1 }, { deliveredBytes: 3_000_000 });
    const left = { status: 200, how: 'left', reading: flood, hiddenThinkingMs: 60_000 } as const;
    expect(endingOf(left, allowing).costNanos).toBe(10 * 4_000 + 100 * 20_000);
    const told = { ...left, reading: reading({ input: 10, output: 150 }) };
    expect(endingOf(told, allowing).costNanos).toBe(10 * 4_000 + 150 * 20_000);
  });

  it('does not believe a count that no model can produce', () => {
    const absurd = reading(
      { input: 1_000_000_000, output: 1_000_000_000 },
      { finished: true, flags: ['usage-absurd'], deliveredBytes: 30 },
    );
    const answered = { status: 200, how: 'whole', reading: absurd, hiddenThinkingMs: 0 } as const;
    const ending = endingOf(answered, priced);
    expect(ending).toMatchObject({ certainty: 'estimated', costNanos: 7_000 + 10 * 20_000 });
    expect(ending.usage.flags).toEqual(['usage-absurd', 'usage-missing']);
    expect(costSoFar(answered, priced)).toBe(7_000 + 10 * 20_000);
  });

  it('marks a whole answer that nobody could read for a person to look at', () => {
    const answered = { status: 200, reading: nothing, hiddenThinkingMs: 0 } as const;
    expect(endingOf({ ...answered, how: 'whole' }, priced).usage.flags).toEqual(['usage-missing']);
    expect(endingOf({ ...answered, how: 'cut' }, priced).usage.flags).toEqual(['estimated']);
  });

  it('charges nothing for a refusal, a failure, and an error before the message began', () => {
    const error = { type: 'overloaded_error', message: 'Overloaded' };
    const cases = [
      { status: 400, how: 'whole', reading: nothing, closing: 'upstream-refused' },
      { status: 429, how: 'whole', reading: nothing, closing: 'upstream-refused' },
      { status: 529, how: 'whole', reading: nothing, closing: 'upstream-failed' },
      { status: 200, how: 'whole', reading: { ...nothing, error }, closing: 'upstream-failed' },
    ] as const;
    for (const { closing, ...answered } of cases) {
      expect(endingOf({ ...answered, hiddenThinkingMs: 0 }, priced)).toMatchObject({
        closing,
        certainty: 'reported',
        costNanos: 0,
      });
    }
  });

  it('charges what came before an upstream broke off or reported an error', () => {
    const error = { type: 'api_error', message: 'Internal' };
    const begun = reading({ input: 10, output: 2 }, { deliveredBytes: 30 });
    const expected = { closing: 'upstream-failed', certainty: 'estimated', costNanos: 240_000 };
    expect(
      endingOf({ status: 200, how: 'cut', reading: begun, hiddenThinkingMs: 0 }, priced),
    ).toMatchObject(expected);
    const failed = { ...begun, error };
    expect(
      endingOf({ status: 200, how: 'whole', reading: failed, hiddenThinkingMs: 0 }, priced),
    ).toMatchObject(expected);
  });

  it('names the relay own reason when it ended the answer', () => {
    const begun = reading({ input: 10, output: 2 });
    expect(
      endingOf({ status: 200, how: 'revoked', reading: begun, hiddenThinkingMs: 0 }, priced)
        .closing,
    ).toBe('revoked');
  });
});
