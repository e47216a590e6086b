import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR_MS } from '../time';
import { BLOCK_HOURS, cutIntoBlocks } from './blocks';
import { SLOT_MS } from './timeline';

const DAY_MS = 24 * HOUR_MS;
const slots = fc.nat(40 * 96).map((n) => n * SLOT_MS);

describe('pieces of a span', () => {
  it('follow each other from its first quarter of an hour to its last', () => {
    fc.assert(
      fc.property(slots, slots, slots, (a, b, until) => {
        const [startsAt, endsAt] = [Math.min(a, b), Math.max(a, b)];
        const pieces = cutIntoBlocks([{ startsAt, endsAt }], { hours: BLOCK_HOURS, until });
        let at = startsAt;
        for (const piece of pieces) {
          expect(piece.startsAt).toBe(at);
          expect(piece.endsAt).toBeGreaterThan(at);
          at = piece.endsAt;
        }
        expect(at).toBe(endsAt);
      }),
    );
  });

  it('are whole blocks, none of them beyond what is summed up', () => {
    fc.assert(
      fc.property(slots, slots, slots, (startsAt, endsAt, until) => {
        for (const piece of cutIntoBlocks([{ startsAt, endsAt }], { hours: BLOCK_HOURS, until })) {
          if (piece.hours === 0) continue;
          expect(piece.startsAt % (piece.hours * HOUR_MS)).toBe(0);
          expect(piece.endsAt % (piece.hours * HOUR_MS)).toBe(0);
          expect(piece.endsAt).toBeLessThanOrEqual(until);
        }
      }),
    );
  });

  it('are as long as there can be: days inside, hours and quarters at the ends', () => {
    const span = { startsAt: 21.75 * HOUR_MS, endsAt: 3 * DAY_MS + 7.5 * HOUR_MS };
    const until = 5 * DAY_MS;
    const told = (hours: readonly number[], end: number) =>
      cutIntoBlocks([span], { hours, until: end }).map((piece) => [
        piece.hours,
        (piece.endsAt - piece.startsAt) / HOUR_MS,
      ]);
    expect(told(BLOCK_HOURS, until)).toEqual([
      [0, 0.25],
      [1, 2],
      [24, 48],
      [6, 6],
      [1, 1],
      [0, 0.5],
    ]);
    expect(told([24], until)).toEqual([
      [0, 2.25],
      [24, 48],
      [0, 7.5],
    ]);
    expect(told(BLOCK_HOURS, 0)).toEqual([[0, 57.75]]);
  });

  it('name their span, and there is none where no quarter of an hour begins', () => {
    const spans = [
      { startsAt: 1, endsAt: SLOT_MS },
      { startsAt: SLOT_MS, endsAt: SLOT_MS + 1 },
    ];
    expect(cutIntoBlocks(spans, { hours: [1], until: DAY_MS })).toEqual([
      { span: 1, hours: 0, startsAt: SLOT_MS, endsAt: 2 * SLOT_MS },
    ]);
  });
});
