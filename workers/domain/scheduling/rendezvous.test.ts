import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rank } from './rendezvous';

const TAGS = 100_000;

describe('rank', () => {
  it('shares tags out by weight, within 2 % of each share', () => {
    const accounts = [account('acc_a', 1), account('acc_b', 2), account('acc_c', 3)];
    const won = firstChoices(accounts);
    for (const { id, weight } of accounts) {
      expect(Math.abs((won.get(id) ?? 0) / (TAGS * (weight / 6)) - 1)).toBeLessThan(0.02);
    }
  });

  it('shares tags out evenly over many ids that differ in one character', () => {
    const accounts = [...'abcde'].map((letter) => account(`acc_1111111111111111111${letter}`, 1));
    for (const count of firstChoices(accounts).values()) {
      expect(Math.abs(count / (TAGS / 5) - 1)).toBeLessThan(0.02);
    }
  });

  it('gives a group the sum of its weights, and each member its own share', () => {
    const accounts = [
      account('acc_a', 1, 'org'),
      account('acc_b', 2, 'org'),
      account('acc_c', 2),
      account('acc_d', 1),
    ];
    const won = firstChoices(accounts);
    for (const { id, weight } of accounts) {
      expect(Math.abs((won.get(id) ?? 0) / (TAGS * (weight / 6)) - 1)).toBeLessThan(0.02);
    }
  });

  it('moves only the tags of an account that goes away, also within a group', () => {
    const accounts = [
      account('acc_a', 1, 'org'),
      account('acc_b', 1, 'org'),
      account('acc_c', 1),
      account('acc_d', 2),
    ];
    for (const gone of accounts) {
      const left = accounts.filter((other) => other !== gone);
      for (let n = 0; n < 2_000; n += 1) {
        const before = rank(`tag-${n}`, accounts)[0];
        const after = rank(`tag-${n}`, left)[0];
        if (before !== gone) expect(after).toBe(before);
        else expect(after).not.toBe(gone);
      }
    }
  });

  it('spreads the tags of an account that goes away over all that stay', () => {
    const accounts = [...'abcde'].map((letter) => account(`acc_${letter}`, 1));
    const left = accounts.slice(1);
    const heirs = new Map<string, number>();
    let moved = 0;
    for (let n = 0; n < TAGS; n += 1) {
      if (rank(`tag-${n}`, accounts)[0] !== accounts[0]) continue;
      const heir = rank(`tag-${n}`, left)[0]?.id ?? '';
      heirs.set(heir, (heirs.get(heir) ?? 0) + 1);
      moved += 1;
    }
    expect([...heirs.keys()].toSorted()).toEqual(left.map(({ id }) => id));
    for (const count of heirs.values()) expect(Math.abs(count / (moved / 4) - 1)).toBeLessThan(0.1);
  });

  const weighted = fc.uniqueArray(
    fc.record({
      id: fc.string({ minLength: 1, maxLength: 8 }),
      weight: fc.integer({ min: -1, max: 5 }),
      group: fc.constantFrom(null, 'x', 'y'),
    }),
    { maxLength: 8, selector: ({ id }) => id },
  );

  it('ranks every account of some weight once, and no other', () => {
    fc.assert(
      fc.property(fc.string(), weighted, (tag, accounts) => {
        const expected = accounts.filter(({ weight }) => weight > 0).map(({ id }) => id);
        expect(new Set(rank(tag, accounts).map(({ id }) => id))).toEqual(new Set(expected));
        expect(rank(tag, accounts)).toHaveLength(expected.length);
      }),
    );
  });

  it('keeps the members of a group together', () => {
    fc.assert(
      fc.property(fc.string(), weighted, (tag, accounts) => {
        const groups = rank(tag, accounts).map(({ id, group }) => group ?? `alone ${id}`);
        const runs = groups.filter((group, index) => group !== groups[index - 1]);
        expect(runs).toEqual([...new Set(groups)]);
      }),
    );
  });

  it('gives the same order whatever the order it is given', () => {
    fc.assert(
      fc.property(fc.string(), weighted, (tag, accounts) => {
        expect(rank(tag, accounts.toReversed())).toEqual(rank(tag, accounts));
      }),
    );
  });

  it('does not take an account for the group that bears its name', () => {
    const accounts = [account('x', 1), account('b', 1, 'x'), account('c', 1, 'x')];
    const orders = Array.from({ length: 200 }, (_, n) =>
      rank(`tag-${n}`, accounts)
        .map(({ id }) => id)
        .join(''),
    );
    expect(new Set(orders)).toEqual(new Set(['xbc', 'xcb', 'bcx', 'cbx']));
  });

  it('still ranks this example as ever: a change would move every conversation', () => {
    const accounts = [...'abcdef'].map((letter) => account(`acc_${letter}`, 1));
    const order = rank('conversation', accounts).map(({ id }) => id.slice(4));
    expect(order.join('')).toBe('efcbda');
  });
});

function account(id: string, weight: number, group: string | null = null) {
  return { id, weight, group };
}

function firstChoices(accounts: readonly ReturnType<typeof account>[]): Map<string, number> {
  const won = new Map<string, number>();
  for (let n = 0; n < TAGS; n += 1) {
    const id = rank(`tag-${n}`, accounts)[0]?.id ?? '';
    won.set(id, (won.get(id) ?? 0) + 1);
  }
  return won;
}
