import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idOf, NOW } from '../../../tests/support/ledger';
import type { AccountId } from '../ids';
import { HOUR_MS, MINUTE_MS } from '../time';
import type { KnownThings } from './things';
import {
  holderOf,
  isAnyUnknown,
  keptIds,
  learnMade,
  learnUsed,
  MESSAGES_MAX,
  noThings,
  THINGS_MAX,
  thingsFromJson,
  thingsToJson,
  usesToNote,
} from './things';
import type { RequestRow } from './row';

const [A, B] = [idOf('account', 1), idOf('account', 2)];
const DAY_MS = 24 * HOUR_MS;

/** As much of a closed row as tells what was made. */
function made(
  seq: number,
  accountId: AccountId | null,
  ids: { readonly heldIds?: readonly string[]; readonly messageId?: string },
): RequestRow {
  return { seq, closed: { accountId, ...ids } } as unknown as RequestRow;
}

/** As much of a row as tells what its request used. */
function used(seq: number, at: number, owner: AccountId, usedIds: readonly string[]): RequestRow {
  return { seq, admittedAt: at, opened: { owner, usedIds } } as unknown as RequestRow;
}

function named(...ids: readonly string[]) {
  return ids.map((id) => ({ field: id.split('_')[0] ?? '', id }));
}

function bookOf(...rows: readonly [RequestRow, number][]): KnownThings {
  const book = noThings();
  for (const [row, at] of rows) learnMade(book, row, at);
  return book;
}

describe('what a provider holds', () => {
  const book = bookOf(
    [made(1, A, { heldIds: ['file_a', 'container_a'], messageId: 'msg_a' }), NOW],
    [made(2, B, { heldIds: ['file_b'] }), NOW],
    [made(3, null, { heldIds: ['file_c'] }), NOW],
  );

  it('goes to the account that made it, files and messages alike', () => {
    expect(holderOf(book, [], NOW)).toEqual({ ok: true, value: null });
    expect(holderOf(book, named('file_b'), NOW)).toEqual({ ok: true, value: B });
    const all = named('file_a', 'container_a', 'msg_a');
    expect(holderOf(book, all, NOW)).toEqual({ ok: true, value: A });
    expect(isAnyUnknown(book, all, NOW)).toBe(false);
  });

  it('is not let through when no account of this wallet is known to have made it', () => {
    const error = { kind: 'held-elsewhere', field: 'other' };
    expect(holderOf(book, named('file_a', 'other_1'), NOW)).toEqual({ ok: false, error });
    expect(isAnyUnknown(book, named('file_a', 'other_1'), NOW)).toBe(true);
    expect(holderOf(book, named('file_c'), NOW).ok).toBe(false);
  });

  it('of two accounts is refused by the field of the second, and waiting would not help', () => {
    const error = { kind: 'held-elsewhere', field: 'file' };
    expect(holderOf(book, named('container_a', 'file_b'), NOW)).toEqual({ ok: false, error });
    expect(isAnyUnknown(book, named('container_a', 'file_b'), NOW)).toBe(false);
  });

  it('is forgotten 30 days after its last use', () => {
    const renewed = thingsFromJson(thingsToJson(book));
    learnUsed(renewed, used(9, NOW + 29 * DAY_MS, A, ['file_a']));
    const later = NOW + 30 * DAY_MS;
    expect(holderOf(renewed, named('container_a'), later - 1).ok).toBe(true);
    expect(holderOf(renewed, named('container_a'), later).ok).toBe(false);
    expect(holderOf(renewed, named('file_a'), later)).toEqual({ ok: true, value: A });
  });

  it('is noted as used at most once in ten minutes, and never a message', () => {
    const names = named('file_a', 'msg_a', 'other_1');
    expect(usesToNote(book, names, NOW + 10 * MINUTE_MS - 1)).toEqual([]);
    expect(usesToNote(book, names, NOW + 10 * MINUTE_MS)).toEqual(['file_a']);
  });

  it('is known by the correction of a row, whoever was said to have made it before', () => {
    const twice = bookOf(
      [made(1, A, { heldIds: ['file_1'] }), NOW],
      [made(1, B, { heldIds: ['file_1'] }), NOW],
    );
    expect(holderOf(twice, named('file_1'), NOW)).toEqual({ ok: true, value: B });
  });
});

describe('what is kept', () => {
  it('of one answer is at most 100 ids and 16 kB of them, without its own', () => {
    const heldIds = Array.from({ length: 150 }, (_, n) => `file_${n}`);
    expect(keptIds({ heldIds: ['msg_1', ...heldIds], messageId: 'msg_1' })).toEqual({
      heldIds: heldIds.slice(0, 99),
      messageId: 'msg_1',
    });
    const long = ['a', 'b', 'c'].map((letter) => letter.repeat(8_192));
    expect(keptIds({ heldIds: [...long, 'd'] })).toEqual({ heldIds: long.slice(0, 2) });
    expect(keptIds({ messageId: 'm'.repeat(20_000) })).toEqual({});
    expect(keptIds({ heldIds: [] })).toEqual({});
  });

  it('of a wallet is so many things and messages, the one used longest ago goes first', () => {
    const book = noThings();
    for (let n = 0; n < THINGS_MAX; n += 1) {
      learnMade(book, made(n, A, { heldIds: [`file_${n}`], messageId: `msg_${n}` }), NOW + n);
    }
    learnUsed(book, used(9_000, NOW + 9_000, A, ['file_0']));
    learnMade(book, made(9_001, A, { heldIds: ['file_new'] }), NOW + 9_001);
    const knows = (id: string): boolean => holderOf(book, named(id), NOW + 9_001).ok;
    expect(['file_0', 'file_1', 'file_2', 'file_new'].map(knows)).toEqual([
      true,
      false,
      true,
      true,
    ]);
    const oldest = THINGS_MAX - MESSAGES_MAX;
    expect([`msg_${oldest - 1}`, `msg_${oldest}`].map(knows)).toEqual([false, true]);
  });

  it('makes room for long ids by their length', () => {
    const book = noThings();
    const id = (n: number): string => `${n}_`.padEnd(4_000, 'x');
    for (let n = 0; n < 60; n += 1) learnMade(book, made(n, A, { heldIds: [id(n)] }), NOW + n);
    const known = Array.from({ length: 60 }, (_, n) => holderOf(book, named(id(n)), NOW).ok);
    expect(known).toEqual([...Array<boolean>(10).fill(false), ...Array<boolean>(50).fill(true)]);
  });

  it('is the same in whatever order it is learned, through a checkpoint at any point', () => {
    const fact = fc.record({
      id: fc.integer({ min: 0, max: 40 }),
      length: fc.constantFrom(10, 3_000, 9_000),
      at: fc.integer({ min: 0, max: 12 }),
      isUse: fc.boolean(),
    });
    type Fact = { id: number; length: number; at: number; isUse: boolean };
    // A row closes or uses once; an id has one length and one account.
    const learn = (book: KnownThings, { id, length, at, isUse }: Fact, seq: number): void => {
      const name = `${id}_${length}_`.padEnd(length, 'x');
      const account = id % 2 === 0 ? A : B;
      if (isUse) learnUsed(book, used(seq, NOW + at, account, [name]));
      else learnMade(book, made(seq, account, { heldIds: [name], messageId: name }), NOW + at);
    };
    fc.assert(
      fc.property(fc.array(fact, { maxLength: 120 }), fc.nat(), fc.nat(), (facts, cut, shift) => {
        const inOrder = noThings();
        facts.forEach((each, seq) => learn(inOrder, each, seq));
        const numbered = facts.map((each, seq) => ({ each, seq }));
        const by = 1 + (shift % 7);
        const mixed = numbered.toSorted((a, b) => (a.seq % by) - (b.seq % by) || b.seq - a.seq);
        let other = noThings();
        mixed.forEach(({ each, seq }, index) => {
          if (index === cut % (facts.length + 1)) {
            other = thingsFromJson(JSON.parse(JSON.stringify(thingsToJson(other))));
          }
          learn(other, each, seq);
          // Said again, as at waking.
          learn(other, each, seq);
        });
        expect(shelves(other)).toEqual(shelves(inOrder));
      }),
      { seed: 5, numRuns: 200 },
    );
  });

  it('of a checkpoint from before there was any is nothing', () => {
    expect(thingsToJson(thingsFromJson(undefined))).toEqual(thingsToJson(noThings()));
  });
});

function shelves(book: KnownThings): unknown {
  const { accounts, things, messages } = thingsToJson(book);
  const plain = (saved: typeof things) =>
    saved.map(([id, of, ...rank]) => [id, accounts[of], rank]);
  return { things: plain(things), messages: plain(messages) };
}
