import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idOf } from '../../../tests/support/ledger';
import { nanos } from '../money';
import type { Batch, Mark } from './batch';
import { BATCH_ITEMS_MAX, cutBatch, FIRST_MARK, firstSeqFrom, pendingCount } from './batch';

const OWNER = idOf('user', 1);
const FACTS = { now: 5, ownerId: OWNER };

/** As much of a wallet's state as batches are cut from. */
function newState() {
  return { lastSeq: 0, lastEntry: 0, balanceNanos: nanos(7), open: new Set<number>() };
}
type State = ReturnType<typeof newState>;

type Step =
  | { readonly do: 'open' | 'entry' }
  | { readonly do: 'close'; readonly which: number }
  | { readonly do: 'cut'; readonly max: number };

const steps = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ do: 'open' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'entry' }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('close' as const), which: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('cut' as const), max: fc.integer({ min: 1, max: 4 }) }),
  },
);

function take(state: State, step: Step): void {
  if (step.do === 'open') state.open.add((state.lastSeq += 1));
  else if (step.do === 'entry') state.lastEntry += 1;
  else if (step.do === 'close') {
    const open = [...state.open];
    state.open.delete(open[step.which % open.length] ?? 0);
  }
}

describe('batches', () => {
  it('name every closed row and every entry once, whenever they are cut', () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 80 }), (history) => {
        const state = newState();
        const batches: Batch[] = [];
        let mark: Mark = FIRST_MARK;
        const cut = (max: number): boolean => {
          const pending = pendingCount(mark, state);
          // What a batch says is what is stored: it must survive that.
          const batch: Batch | null = JSON.parse(
            JSON.stringify(cutBatch(mark, state, { ...FACTS, max })),
          );
          const items = (batch?.seqs.length ?? 0) + (batch?.entries.length ?? 0);
          expect(items).toBe(Math.min(pending, max));
          if (batch === null) return false;
          batches.push(batch);
          mark = batch.mark;
          return true;
        };
        for (const step of history) {
          if (step.do === 'cut') cut(step.max);
          else take(state, step);
        }
        while (cut(3));
        const named = batches.flatMap(({ seqs }) => seqs).toSorted((a, b) => a - b);
        const closed = numbers(state.lastSeq).filter((seq) => !state.open.has(seq));
        expect(named).toEqual(closed);
        expect(batches.flatMap(({ entries }) => entries)).toEqual(numbers(state.lastEntry));
        for (const [index, batch] of batches.entries()) {
          const later = batches.slice(index).flatMap(({ seqs }) => seqs);
          expect(Math.min(...later, Infinity)).toBeGreaterThanOrEqual(firstSeqFrom(batch));
        }
      }),
    );
  });

  it('hold at most 500 items and carry balance, time and owner as they are then', () => {
    const state = { ...newState(), lastSeq: 700, lastEntry: 3, open: new Set([1, 600]) };
    const first = cutBatch(FIRST_MARK, state, FACTS);
    expect(first).toMatchObject({ balanceNanos: 7, cutAt: 5, ownerId: OWNER, entries: [] });
    expect(first?.seqs).toHaveLength(BATCH_ITEMS_MAX);
    expect(first?.mark).toEqual({ seq: 501, entry: 0, left: [1] });
    const second = cutBatch(first?.mark ?? FIRST_MARK, state, FACTS);
    expect(second?.seqs).toHaveLength(198);
    expect(second?.mark).toEqual({ seq: 700, entry: 3, left: [1, 600] });
    expect(cutBatch(second?.mark ?? FIRST_MARK, state, FACTS)).toBeNull();
  });
});

describe('a batch that is full', () => {
  const state = { ...newState(), lastSeq: 5, lastEntry: 2 };
  const mark = { seq: 3, entry: 0, left: [1, 2, 3] };

  it('leaves for the next one what was left before', () => {
    const first = cutBatch(mark, state, { ...FACTS, max: 2 });
    expect(first).toMatchObject({ seqs: [1, 2], entries: [], mark: { ...mark, left: [3] } });
    const second = cutBatch(first?.mark ?? mark, state, { ...FACTS, max: 2 });
    expect(second).toMatchObject({ seqs: [3, 4], mark: { seq: 4, entry: 0, left: [] } });
  });
});

describe('a batch of entries alone', () => {
  it('says that rows above its mark are in later batches', () => {
    const state = { ...newState(), lastSeq: 5, lastEntry: 1 };
    const batch = cutBatch({ seq: 5, entry: 0, left: [] }, state, FACTS);
    if (batch === null) throw new Error('nothing was cut');
    expect([batch.seqs, batch.entries, firstSeqFrom(batch)]).toEqual([[], [1], 6]);
  });
});

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
