import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idOf, NOW } from '../../../tests/support/ledger';
import type { AccountId } from '../ids';
import { HOUR_MS, MINUTE_MS } from '../time';
import { NO_TOKENS } from '../usage/tokens';
import type { TokenCounts } from '../usage/tokens';
import { CONVERSATIONS_MAX } from './conversation';
import type { RequestRow } from './row';
import type { WarmBook } from './warm';
import { learnWarm, warmFor, warmFromJson, warmToJson } from './warm';

const [A, B] = [idOf('account', 1), idOf('account', 2)];
const TALK = { tag: 'talk', model: 'opus' };

interface Differs {
  readonly seq?: number;
  readonly at?: number;
  readonly tag?: string | null;
  readonly ttl?: 'none' | '5m' | '1h';
  readonly accountId?: AccountId | null;
  readonly counts?: Partial<TokenCounts>;
  readonly costNanos?: number;
  readonly cacheGroup?: string;
}

/** As much of a closed row as this reads. */
function closed(differs: Differs = {}): RequestRow {
  const { seq = 1, at = NOW, tag = 'talk', ttl = '5m', accountId = A, costNanos = 7 } = differs;
  const { counts = { cacheRead: 900, cacheWrite5m: 90, input: 9 }, cacheGroup } = differs;
  const terms = { speed: null, geo: null, tier: null };
  const entries = [{ model: 'opus', counts: { ...NO_TOKENS, ...counts }, terms }];
  return {
    seq,
    admittedAt: at,
    opened: { conversation: tag, model: 'opus', sizes: { cacheTtl: ttl } },
    known: { certainty: 'reported', costNanos },
    closed: { accountId, usage: { entries, flags: [] }, ...(cacheGroup ? { cacheGroup } : {}) },
  } as unknown as RequestRow;
}

function bookOf(...rows: readonly RequestRow[]): WarmBook {
  const book: WarmBook = new Map();
  for (const row of rows) learnWarm(book, row);
  return book;
}

describe('the account that answered last', () => {
  it.each([
    ['5m', 5 * MINUTE_MS],
    ['none', 5 * MINUTE_MS],
    ['1h', HOUR_MS],
  ] as const)('is warm from its admit on as long as a cache of %s lives', (ttl, livesMs) => {
    const book = bookOf(closed({ ttl }));
    const until = NOW + livesMs;
    expect(warmFor(book, TALK, until - 1)).toEqual({ accountId: A, until, cachedTokens: 990 });
    expect(warmFor(book, TALK, until)).toBeNull();
    expect(warmFor(book, { ...TALK, model: 'haiku' }, NOW)).toBeNull();
  });

  it('is that of the latest request, whichever was closed last', () => {
    const [first, second] = [closed({ seq: 1 }), closed({ seq: 2, at: NOW + 9, accountId: B })];
    for (const book of [bookOf(first, second), bookOf(second, first)]) {
      expect(warmFor(book, TALK, NOW)).toMatchObject({ accountId: B });
    }
  });

  it('does not change by a refusal, by what never was dispatched or has no conversation', () => {
    const free = { costNanos: 0, counts: {} } as const;
    for (const other of [
      closed({ seq: 2, accountId: B, ...free }),
      closed({ seq: 2, accountId: null }),
      closed({ seq: 2, accountId: B, tag: null }),
      { ...closed({ seq: 2, accountId: B }), closed: null },
    ]) {
      expect(warmFor(bookOf(closed(), other), TALK, NOW)).toMatchObject({ accountId: A });
    }
  });

  it('is known without how much is cached when nobody reported the prompt', () => {
    const book = bookOf(closed({ counts: {}, costNanos: 5 }));
    expect(warmFor(book, TALK, NOW)).toEqual({ accountId: A, until: NOW + 5 * MINUTE_MS });
    const uncached = bookOf(closed({ counts: { input: 500 } }));
    expect(warmFor(uncached, TALK, NOW)).toMatchObject({ cachedTokens: 0 });
  });

  it('is told with the group that shares its cache', () => {
    expect(warmFor(bookOf(closed({ cacheGroup: 'org' })), TALK, NOW)).toMatchObject({
      cacheGroup: 'org',
    });
  });
});

describe('the book of warm accounts', () => {
  it('keeps the conversations with the latest requests', () => {
    const rows = Array.from({ length: CONVERSATIONS_MAX + 1 }, (_, n) =>
      closed({ seq: n + 1, tag: `talk-${n}` }),
    );
    const book = bookOf(...rows);
    expect(book.size).toBe(CONVERSATIONS_MAX);
    expect(warmFor(book, { ...TALK, tag: 'talk-0' }, NOW)).toBeNull();
    expect(warmFor(book, { ...TALK, tag: 'talk-1' }, NOW)).not.toBeNull();
  });

  it('is the same in whatever order rows are learned, and through a checkpoint', () => {
    const seqs = fc.uniqueArray(fc.integer({ min: 1, max: 900 }), { maxLength: 400 });
    fc.assert(
      fc.property(seqs, fc.nat(), (order, cut) => {
        const row = (seq: number): RequestRow => closed({ seq, tag: `talk-${seq % 300}` });
        const inOrder = bookOf(...order.toSorted((a, b) => a - b).map(row));
        const first = bookOf(...order.slice(0, cut % 400).map(row));
        const other = warmFromJson(JSON.parse(JSON.stringify(warmToJson(first))));
        for (const seq of order.slice(cut % 400)) learnWarm(other, row(seq));
        expect(warmToJson(other)).toEqual(warmToJson(inOrder));
      }),
      { seed: 5, numRuns: 100 },
    );
  });

  it('of a checkpoint from before there was any is empty', () => {
    expect(warmFromJson(undefined).size).toBe(0);
  });
});
