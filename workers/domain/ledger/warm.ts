// Who answered a conversation last, and until when that account's prompt cache may still be warm:
// the next turn goes there. It decides no account; it forgets freely, and then a turn is only
// placed as a first one is. What is kept depends on the rows alone, not on the order they are
// learned in.

import type { AccountId } from '../ids';
import { HOUR_MS, MINUTE_MS } from '../time';
import type { RequestSizes, WarmAccount } from './calls';
import type { ConversationKey } from './conversation';
import {
  conversationKeyOf,
  CONVERSATIONS_MAX,
  forgetOldest,
  nameOf,
  promptTokensOf,
} from './conversation';
import type { RequestRow } from './row';

/** How long a cache lives after its last use, by the longest lifetime that was asked for. */
const WARM_MS: Readonly<Record<RequestSizes['cacheTtl'], number>> = {
  none: 5 * MINUTE_MS,
  '5m': 5 * MINUTE_MS,
  '1h': HOUR_MS,
};

/** What a conversation left behind where it was answered last. */
export interface WarmCache extends WarmAccount {
  /** Accounts with the same word share their cache; absent: the account has its own. */
  readonly cacheGroup?: string;
}

export interface WarmConversation extends ConversationKey, WarmCache {
  /** Row number of that last request. */
  readonly seq: number;
}

/** By name. Mutable on purpose: one object, one writer, changed in place. */
export type WarmBook = Map<string, WarmConversation>;

/** What may be warm at `now` (Unix ms) for the next turn; null: nothing is known to be. */
export function warmFor(
  book: WarmBook,
  conversation: ConversationKey,
  now: number,
): WarmCache | null {
  const found = book.get(nameOf(conversation));
  if (found === undefined || found.until <= now) return null;
  const { tag: _tag, model: _model, seq: _seq, ...cache } = found;
  return cache;
}

/** Keeps what a closed row shows, unless a later request of the conversation is known. */
export function learnWarm(book: WarmBook, row: RequestRow): void {
  const warm = warmOf(row);
  if (warm === null) return;
  const name = nameOf(warm);
  const found = book.get(name);
  if (found !== undefined && found.seq > warm.seq) return;
  book.set(name, warm);
  if (book.size > CONVERSATIONS_MAX) forgetOldest(book);
}

/** null: no conversation, or no account that is known to have read its prompt. */
function warmOf(row: RequestRow): WarmConversation | null {
  const { opened, closed, seq, admittedAt } = row;
  const key = conversationKeyOf(row);
  const accountId = answeredBy(row);
  if (opened === null || key === null || accountId === null) return null;
  const until = admittedAt + WARM_MS[opened.sizes.cacheTtl];
  const cached = cachedTokensOf(row);
  const group = closed?.cacheGroup;
  return {
    ...key,
    seq,
    accountId,
    until,
    ...(cached === null ? {} : { cachedTokens: cached }),
    ...(group === undefined ? {} : { cacheGroup: group }),
  };
}

/** A refusal is free of charge, and reads no prompt; so is what was never dispatched. */
function answeredBy({ closed, known }: RequestRow): AccountId | null {
  if (closed === null || known === null) return null;
  return known.costNanos > 0 || promptTokensOf(closed.usage) > 0 ? closed.accountId : null;
}

/** How much of the longest prompt is in the cache; null: nobody said. */
function cachedTokensOf({ closed }: RequestRow): number | null {
  if (closed === null || promptTokensOf(closed.usage) === 0) return null;
  return closed.usage.entries.reduce((most, { counts }) => {
    const { cacheWrite5m, cacheWrite1h, cacheRead } = counts;
    return Math.max(most, cacheWrite5m + cacheWrite1h + cacheRead);
  }, 0);
}

/** For the checkpoint: by row number, so that equal books give equal JSON. */
export function warmToJson(book: WarmBook): readonly WarmConversation[] {
  return [...book.values()].toSorted((a, b) => a.seq - b.seq);
}

/** A book from a checkpoint; from an older one without any, an empty book. */
export function warmFromJson(saved: readonly WarmConversation[] | undefined): WarmBook {
  return new Map((saved ?? []).map((warm) => [nameOf(warm), warm]));
}
