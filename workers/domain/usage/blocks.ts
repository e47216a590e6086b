// Sums are kept by quarters of an hour, and of what is over also by blocks of whole hours (UTC):
// this cuts spans of time into as few of either as there can be. It reads nothing.

import { HOUR_MS } from '../time';
import type { Span } from './timeline';
import { SLOT_MS } from './timeline';

/** How many hours blocks have, the longest first: each is whole blocks of the next. */
export const BLOCK_HOURS = [24, 6, 1] as const;

/** A part of a span: whole blocks that follow each other; of 0 hours: quarters of an hour. */
export interface Piece extends Span {
  /** Index of the span. */
  readonly span: number;
  readonly hours: number;
}

/** What there is to cut with. */
export interface Blocks {
  /** The longest first. */
  readonly hours: readonly number[];
  /** Unix ms: no block goes beyond it. */
  readonly until: number;
}

/**
 * The pieces of `spans`, those of each span in the order of time. Quarters of an hour belong where
 * they begin, so a span has those that begin in it; one in which none begins has no piece.
 */
export function cutIntoBlocks(spans: readonly Span[], blocks: Blocks): readonly Piece[] {
  return spans.flatMap(({ startsAt, endsAt }, span) => {
    const slots = { startsAt: slotFrom(startsAt), endsAt: slotFrom(endsAt) };
    return cut(slots, blocks).map((piece) => ({ span, ...piece }));
  });
}

function cut(span: Span, { hours: [longest, ...shorter], until }: Blocks): Omit<Piece, 'span'>[] {
  if (span.startsAt >= span.endsAt) return [];
  if (longest === undefined) return [{ ...span, hours: 0 }];
  const lengthMs = longest * HOUR_MS;
  const startsAt = Math.ceil(span.startsAt / lengthMs) * lengthMs;
  const endsAt = Math.floor(Math.min(span.endsAt, until) / lengthMs) * lengthMs;
  const rest = { hours: shorter, until };
  if (startsAt >= endsAt) return cut(span, rest);
  return [
    ...cut({ startsAt: span.startsAt, endsAt: startsAt }, rest),
    { startsAt, endsAt, hours: longest },
    ...cut({ startsAt: endsAt, endsAt: span.endsAt }, rest),
  ];
}

function slotFrom(at: number): number {
  return Math.ceil(at / SLOT_MS) * SLOT_MS;
}
