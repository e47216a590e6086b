import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idOf, NOW, settleCall } from '../../../tests/support/ledger';
import { nanos } from '../money';
import type { EntryKind } from './calls';
import { strangerRow } from './lease';
import { postingsOfEntry, postingsOfRow, sumOf } from './posting';
import type { Entry, RequestRow } from './row';

const MAX = Number.MAX_SAFE_INTEGER;
const KINDS: readonly EntryKind[] = ['grant', 'redeem', 'adjust', 'refund', 'correction'];
const OPEN = strangerRow(
  settleCall({ seq: 1, requestId: idOf('request', 1), keyId: idOf('key', 1) }),
  { seq: 1, now: NOW },
);

describe('postings', () => {
  it('of a closed request sum to zero and take its cost out of the wallet', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX }), (costNanos) => {
        const postings = postingsOfRow(closedAt(costNanos));
        expect(sumOf(postings)).toBe(0);
        expect(walletPart(postings)).toBe(-costNanos + 0);
      }),
    );
  });

  it('of an entry of any kind sum to zero and put its amount into the wallet', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...KINDS),
        fc.integer({ min: -MAX, max: MAX }),
        (kind, amountNanos) => {
          const postings = postingsOfEntry(entryOf(kind, amountNanos));
          expect(sumOf(postings)).toBe(0);
          expect(walletPart(postings)).toBe(amountNanos);
        },
      ),
    );
  });

  it('come to their sum, each by its own sign', () => {
    const of = (amount: number) => ({ book: 'wallet', amountNanos: nanos(amount) }) as const;
    expect([sumOf([of(7), of(-2)]), sumOf([of(-7)]), sumOf([])]).toEqual([5, -7, 0]);
  });

  it('of what moved nothing are none', () => {
    expect(postingsOfRow(OPEN)).toEqual([]);
    expect(postingsOfRow(closedAt(0))).toEqual([]);
    expect(postingsOfEntry(entryOf('grant', 0))).toEqual([]);
  });

  it('name where the money came from or went to', () => {
    const books = KINDS.map((kind) => postingsOfEntry(entryOf(kind, 1))[1]?.book);
    expect(books).toEqual(['grants', 'codes', 'adjustments', 'refunds', 'revenue']);
    expect(postingsOfRow(closedAt(1))).toEqual([
      { book: 'wallet', amountNanos: -1 },
      { book: 'revenue', amountNanos: 1 },
    ]);
  });
});

function closedAt(costNanos: number): RequestRow {
  const outcome = {
    closing: 'completed',
    certainty: 'reported',
    costNanos: nanos(costNanos),
    closedAt: NOW,
  } as const;
  return { ...OPEN, outcome, known: outcome };
}

function entryOf(kind: EntryKind, amountNanos: number): Entry {
  const rest = { n: 1, entryId: 'txn_1', at: NOW, keyId: null, reason: '', actor: '' };
  return { ...rest, kind, amountNanos: nanos(amountNanos) };
}

function walletPart(postings: ReturnType<typeof postingsOfRow>): number {
  return postings
    .filter(({ book }) => book === 'wallet')
    .reduce((sum, { amountNanos }) => sum + amountNanos, 0);
}
