// Double entry: every row and every entry becomes postings that sum to zero. They are computed,
// never stored: the row is the record.

import type { Nanos } from '../money';
import { nanos } from '../money';
import type { Entry, RequestRow } from './row';

/** `wallet` is what the user can spend; the others are where money comes from and goes to. */
export type Book = 'wallet' | 'revenue' | 'grants' | 'codes' | 'adjustments' | 'refunds';

export interface Posting {
  readonly book: Book;
  readonly amountNanos: Nanos;
}

const BOOK_OF: Readonly<Record<Entry['kind'], Book>> = {
  grant: 'grants',
  redeem: 'codes',
  adjust: 'adjustments',
  refund: 'refunds',
  correction: 'revenue',
};

/** What a closed request moved; nothing while it is open or when it cost nothing. */
export function postingsOfRow(row: RequestRow): readonly Posting[] {
  return pair('revenue', nanos(-(row.outcome?.costNanos ?? 0)));
}

/** What an entry moved. */
export function postingsOfEntry(entry: Entry): readonly Posting[] {
  return pair(BOOK_OF[entry.kind], entry.amountNanos);
}

/** `amount` into the wallet, the same out of `book`. */
function pair(book: Book, amountNanos: Nanos): readonly Posting[] {
  if (amountNanos === 0) return [];
  return [
    { book: 'wallet', amountNanos },
    { book, amountNanos: nanos(-amountNanos) },
  ];
}

/** Sum over postings; zero for every row and entry, always. */
export function sumOf(postings: readonly Posting[]): Nanos {
  return nanos(postings.reduce((sum, posting) => sum + posting.amountNanos, 0));
}
