import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  admitCall,
  CATALOGUE,
  copiesOf,
  HOLD,
  idOf,
  MODEL,
  NOW,
  ownerOf,
} from '../../../tests/support/ledger';
import type { Nanos } from '../money';
import { nanos, ZERO_NANOS } from '../money';
import { findPrice } from '../pricing/find';
import type { TokenCounts, Usage, UsageFlag } from '../usage/tokens';
import { NO_TOKENS } from '../usage/tokens';
import type { KnownConversation, KnownConversations } from './conversation';
import {
  CONVERSATIONS_MAX,
  conversationOfRow,
  fromJson,
  giveBack,
  KNOWN_OPEN_MAX,
  learn,
  noConversations,
  recall,
  take,
  toJson,
} from './conversation';
import { openedOf, openRow } from './lease';
import type { RequestRow } from './row';

const NO_MEDIA = { small: 0, medium: 0, large: 0 };
const ASKED = { tag: 'a', model: MODEL };
/** A title call of the same session. */
const TITLE = { tag: 'a', model: 'claude-haiku-4-5' };

describe('a known conversation', () => {
  it('is recalled as its last request was, by its tag and its model', () => {
    const book = bookOf(known('a', 1), known('b', 2));
    expect(recall(book, ASKED)).toMatchObject({ textBytes: 1_000, promptTokens: 301 });
    expect(recall(book, { tag: 'c', model: MODEL })).toBeNull();
  });

  it('is cold for another model, which counts the same text otherwise', () => {
    expect(recall(bookOf(known('a', 1)), TITLE)).toBeNull();
  });

  it('is neither kept from use nor forgotten for what another model is asked beside it', () => {
    const book = bookOf(known('a', 1));
    take(book, TITLE);
    expect(recall(book, ASKED)).toMatchObject({ promptTokens: 301 });
    giveBack(book, TITLE);
    learn(book, { ...known('a', 2), ...TITLE });
    expect(recall(book, ASKED)).toMatchObject({ promptTokens: 301 });
    expect(recall(book, TITLE)).toMatchObject({ promptTokens: 302 });
  });

  it('is used by one open request at a time, however many there are', () => {
    const book = bookOf(known('a', 1));
    take(book, ASKED);
    expect(recall(book, ASKED)).toBeNull();
    take(book, ASKED);
    giveBack(book, ASKED);
    expect(recall(book, ASKED)).toBeNull();
    giveBack(book, ASKED);
    expect(recall(book, ASKED)).not.toBeNull();
  });

  it('stays cold when it is learned while another request of it is open', () => {
    const book = noConversations();
    take(book, ASKED);
    learn(book, known('a', 1));
    expect(recall(book, ASKED)).toBeNull();
  });

  it('does not keep others from being recalled while it is open', () => {
    const book = bookOf(known('a', 1), known('b', 2));
    take(book, { ...ASKED, tag: 'b' });
    expect(recall(book, ASKED)).not.toBeNull();
  });

  it(`is recalled beside fewer than ${KNOWN_OPEN_MAX} known ones that are open, and any others`, () => {
    const tags = Array.from({ length: KNOWN_OPEN_MAX }, (_, n) => `t${n}`);
    const book = bookOf(known('a', 99), ...tags.map((tag, n) => known(tag, n + 1)));
    for (let n = 0; n < 50; n += 1) take(book, { tag: `new${n}`, model: MODEL });
    for (const tag of tags) {
      expect(recall(book, ASKED)).not.toBeNull();
      take(book, { tag, model: MODEL });
    }
    expect(recall(book, ASKED)).toBeNull();
    giveBack(book, { tag: 't3', model: MODEL });
    expect(recall(book, ASKED)).not.toBeNull();
  });

  it('cannot be given back more often than it was taken', () => {
    const book = bookOf(known('a', 1));
    take(book, ASKED);
    giveBack(book, ASKED);
    expect(() => giveBack(book, ASKED)).toThrow('open');
  });

  it('is what its latest request shows, whichever closes last', () => {
    const book = bookOf(known('a', 9), known('a', 3));
    expect(recall(book, ASKED)).toMatchObject({ seq: 9 });
    learn(book, { ...known('a', 9), promptTokens: 777 });
    expect(recall(book, ASKED)).toMatchObject({ promptTokens: 777 });
  });
});

describe('a conversation whose last request ended before its prompt was reported', () => {
  it('is cold until one ends with reported usage', () => {
    const book = bookOf(known('a', 1), unconfirmed('a', 2));
    expect(recall(book, ASKED)).toBeNull();
    learn(book, unconfirmed('a', 3));
    expect(recall(book, ASKED)).toBeNull();
    learn(book, known('a', 4));
    expect(recall(book, ASKED)).toMatchObject({ promptTokens: 304 });
  });

  it('is confirmed by the late report of that request, and by none of an earlier one', () => {
    const book = bookOf(known('a', 1), unconfirmed('a', 3));
    learn(book, known('a', 2));
    expect(recall(book, ASKED)).toBeNull();
    learn(book, known('a', 3));
    expect(recall(book, ASKED)).toMatchObject({ promptTokens: 303 });
  });

  it('is the same in whatever order its requests are learned, and after a checkpoint', () => {
    const ends = fc.array(fc.tuple(fc.nat({ max: 5 }), fc.boolean()), { maxLength: 40 });
    fc.assert(
      fc.property(ends, fc.integer(), (list, seed) => {
        const rows = list.map(([tag, isReported], index) =>
          (isReported ? known : unconfirmed)(`t${tag}`, index + 1),
        );
        const saved = toJson(bookOf(...rows));
        expect(toJson(bookOf(...shuffled(rows, seed)))).toEqual(saved);
        expect(toJson(fromJson(JSON.parse(JSON.stringify(saved))))).toEqual(saved);
      }),
    );
  });
});

describe('the book', () => {
  it(`keeps ${CONVERSATIONS_MAX} conversations and forgets the one used longest ago`, () => {
    const book = noConversations();
    for (let seq = 1; seq <= CONVERSATIONS_MAX; seq += 1) learn(book, known(`t${seq}`, seq));
    learn(book, known('t1', CONVERSATIONS_MAX + 1));
    learn(book, known('new', CONVERSATIONS_MAX + 2));
    expect(book.known.size).toBe(CONVERSATIONS_MAX);
    expect(recall(book, { tag: 't2', model: MODEL })).toBeNull();
    expect(recall(book, { tag: 't1', model: MODEL })).not.toBeNull();
    expect(recall(book, { tag: 'new', model: MODEL })).not.toBeNull();
  });

  it('is the same in whatever order rows are learned, also when it overflows', () => {
    // Few tags beside many rows, and more tags than the book holds.
    const tags = fc.array(fc.nat({ max: CONVERSATIONS_MAX + 40 }), { maxLength: 600 });
    const seeds = fc.integer();
    fc.assert(
      fc.property(tags, seeds, (list, seed) => {
        const rows = list.map((tag, index) => known(`t${tag}`, index + 1));
        expect(toJson(bookOf(...shuffled(rows, seed)))).toEqual(toJson(bookOf(...rows)));
      }),
    );
  });

  it('comes back from a checkpoint and the rows after it as it was', () => {
    const rows = Array.from({ length: 700 }, (_, n) => known(`t${(n * 7) % 300}`, n + 1));
    const checkpoint = toJson(bookOf(...rows.slice(0, 500)));
    const again = fromJson(JSON.parse(JSON.stringify(checkpoint)));
    for (const row of rows.slice(500)) learn(again, row);
    expect(toJson(again)).toEqual(toJson(bookOf(...rows)));
    expect(again.open.size).toBe(0);
  });

  it('is written down by row number, each once, whatever was learned first', () => {
    const saved = toJson(bookOf(known('b', 3), known('a', 2), known('a', 1)));
    expect(saved).toEqual([known('a', 2), known('b', 3)]);
    expect([...fromJson(saved).known.values()]).toEqual(saved);
  });

  it('is empty after a checkpoint that knows of no conversations', () => {
    expect(toJson(fromJson(undefined))).toEqual([]);
  });
});

describe('conversationOfRow', () => {
  it('adds up the prompt as reported: input, writes and reads', () => {
    const counts = { input: 1, cacheWrite5m: 20, cacheWrite1h: 300, cacheRead: 4_000, output: 9 };
    expect(conversationOfRow(closedRow({ counts }))).toEqual({
      tag: 'a',
      model: MODEL,
      seq: 5,
      textBytes: 2_600,
      media: NO_MEDIA,
      promptTokens: 4_321,
    });
  });

  it('learns nothing from figures that are not simply those reported for the asked model', () => {
    const counts = { input: 100 };
    const flags: UsageFlag[] = ['estimated', 'model-differs', 'usage-missing', 'usage-absurd'];
    for (const flag of flags) {
      expect(conversationOfRow(closedRow({ counts, flags: [flag] }))).toBeNull();
    }
    expect(conversationOfRow(closedRow({ counts, certainty: 'estimated' }))).toBeNull();
  });

  it('is unconfirmed by a charge for a prompt that nobody reported, whoever closed it', () => {
    const guessed = { certainty: 'estimated', costNanos: nanos(7) } as const;
    const left = closedRow({ counts: {}, flags: ['estimated'], ...guessed });
    expect(conversationOfRow(left)).toEqual(unconfirmed('a', 5));
    const recovered = { certainty: 'recovered', costNanos: nanos(7) } as const;
    const given = { ...closedRow({ counts: {} }), known: recovered, closed: null };
    expect(conversationOfRow(given)).toEqual(unconfirmed('a', 5));
  });

  it('is left as it is by a broken answer whose prompt was reported, and by what cost nothing', () => {
    const guessed = { certainty: 'estimated', costNanos: nanos(7) } as const;
    const broken = closedRow({ counts: { input: 100 }, flags: ['estimated'], ...guessed });
    expect(conversationOfRow(broken)).toBeNull();
    const unsent = { certainty: 'recovered', costNanos: ZERO_NANOS } as const;
    const never = { ...closedRow({ counts: {} }), known: unsent, closed: null };
    expect(conversationOfRow(never)).toBeNull();
  });

  it('learns nothing without a prompt, a tag or a closing', () => {
    const counts = { input: 100 };
    expect(conversationOfRow(closedRow({ counts: {} }))).toBeNull();
    expect(conversationOfRow(closedRow({ counts, tag: null }))).toBeNull();
    expect(conversationOfRow({ ...closedRow({ counts }), closed: null })).toBeNull();
    expect(conversationOfRow({ ...closedRow({ counts }), opened: null })).toBeNull();
  });
});

function known(tag: string, seq: number): KnownConversation {
  return { tag, seq, model: MODEL, textBytes: 1_000, media: NO_MEDIA, promptTokens: 300 + seq };
}

function unconfirmed(tag: string, seq: number): KnownConversation {
  const nothing = { textBytes: 0, media: NO_MEDIA, promptTokens: 0 };
  return { tag, seq, model: MODEL, ...nothing, unconfirmed: true };
}

function bookOf(...conversations: readonly KnownConversation[]): KnownConversations {
  const book = noConversations();
  for (const conversation of conversations) learn(book, conversation);
  return book;
}

function shuffled<T>(list: readonly T[], seed: number): readonly T[] {
  const key = (index: number): number => Math.imul(index + 1, seed | 1) >>> 0;
  return list
    .map((item, index) => ({ item, key: key(index) }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

interface Differs {
  readonly counts: Partial<TokenCounts>;
  readonly flags?: readonly UsageFlag[];
  readonly certainty?: 'estimated' | 'reported';
  readonly costNanos?: Nanos;
  readonly tag?: string | null;
}

function closedRow(differs: Differs): RequestRow {
  const { counts, flags = [], certainty = 'reported', costNanos = ZERO_NANOS, tag = 'a' } = differs;
  const owner = ownerOf(1);
  const call = admitCall(owner.keyId, idOf('request', 1), { conversation: tag });
  const price = findPrice(CATALOGUE, MODEL, NOW);
  const admission = { model: MODEL, price, likelyInputNanos: nanos(1), ties: {} };
  const facts = { admission, copies: copiesOf(owner), catalogue: CATALOGUE, now: NOW };
  const opened = openedOf(call, facts);
  if (opened === null) throw new Error('not opened');
  const terms = { speed: null, geo: null, tier: null };
  const entry = { model: MODEL, counts: { ...NO_TOKENS, ...counts }, terms };
  const usage: Usage = { entries: [entry], flags };
  const figures = { certainty, costNanos };
  const details = { model: MODEL, accountId: null, status: 200, attempts: [], timings: null };
  return {
    ...openRow(opened, { seq: 5, now: NOW, hold: HOLD }),
    outcome: { closing: 'completed', ...figures, closedAt: NOW },
    known: figures,
    closed: { closing: 'completed', usage, ...details },
  };
}
