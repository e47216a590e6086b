import { describe, expect, it } from 'vitest';
import { idOf, NOW } from '../../tests/support/ledger';
import type { RequestRow } from '../domain/ledger/row';
import { MINUTE_MS } from '../domain/time';
import { RecentRequests } from './recent-requests';

const SEARCHED = 99;

/** Storage that holds whatever it is asked for. */
function recent(): RecentRequests {
  return new RecentRequests({
    row: (seq) => rowOf(seq),
    rowOf: () => rowOf(SEARCHED),
    closedBefore: () => [],
  });
}

function rowOf(seq: number): RequestRow {
  return { seq, requestId: idOf('request', seq) } as RequestRow;
}

describe('requests that were closed', () => {
  it('are known for ten minutes, those after the checkpoint for longer', () => {
    const known = recent();
    for (const seq of [1, 2, 3]) known.note(rowOf(seq), NOW);
    known.forgetOld(NOW + 9 * MINUTE_MS, 2);
    expect([1, 2, 3].map((seq) => known.has(idOf('request', seq)))).toEqual([true, true, true]);
    known.forgetOld(NOW + 10 * MINUTE_MS, 2);
    expect([1, 2, 3].map((seq) => known.has(idOf('request', seq)))).toEqual([false, false, true]);
  });

  it('are known up to 10,000 at once, the latest', () => {
    const known = recent();
    for (let seq = 1; seq <= 10_003; seq += 1) known.note(rowOf(seq), NOW);
    known.forgetOld(NOW, 0);
    expect([3, 4].map((seq) => known.has(idOf('request', seq)))).toEqual([false, true]);
  });

  it('are searched for when they are too old to be known, and not before', () => {
    const known = recent();
    known.note(rowOf(1), NOW);
    const seqOf = (seq: number, at: number | null) => known.row(idOf('request', seq), at)?.seq;
    expect(seqOf(1, NOW)).toBe(1);
    expect(seqOf(2, NOW + MINUTE_MS)).toBeUndefined();
    expect(seqOf(2, NOW + MINUTE_MS + 1)).toBe(SEARCHED);
    expect(seqOf(2, null)).toBeUndefined();
  });
});
