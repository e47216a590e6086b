// What a wallet knows of its conversations: how long each one's last prompt really was, so that
// the next is held by that and not by the worst case. It forgets freely: an unknown one is held as
// cold. What is kept depends on the rows alone, not on the order they are learned in, so that a
// rebuilt book equals the one that was lost.

import type { Usage } from '../usage/tokens';
import type { RequestSizes } from './calls';
import type { RequestRow } from './row';

/** More are not kept; the one whose last request is the oldest goes first. */
export const CONVERSATIONS_MAX = 256;

/** The last request of a conversation: what was sent, and what it came to. */
export interface LastPrompt {
  readonly textBytes: number;
  readonly media: RequestSizes['media'];
  /** Input, cache writes and cache reads together, as the upstream reported them. */
  readonly promptTokens: number;
}

export interface KnownConversation extends LastPrompt {
  /** 64-bit tag, as the Worker made it. */
  readonly tag: string;
  /** Another model counts the same text otherwise (up to 30 %): known for this one only. */
  readonly model: string;
  /** Row number of that last request. */
  readonly seq: number;
}

/** Mutable on purpose: one object, one writer, changed in place. */
export interface KnownConversations {
  readonly known: Map<string, KnownConversation>;
  /** Open requests by tag, of conversations known or not. Not saved: open rows tell it again. */
  readonly open: Map<string, number>;
}

/** A book that knows nothing. */
export function noConversations(): KnownConversations {
  return { known: new Map(), open: new Map() };
}

/**
 * The last prompt of a conversation with this model. null, so held as cold: nothing is known, or
 * another request of the conversation is open. One at a time, because each may add new text to the
 * same known prompt.
 */
export function recall(
  book: KnownConversations,
  { tag, model }: Pick<KnownConversation, 'tag' | 'model'>,
): LastPrompt | null {
  const found = book.known.get(tag);
  if (found === undefined || found.model !== model || book.open.has(tag)) return null;
  return found;
}

/** Counts a request as open: each that has a tag, after its `recall`, and again at waking. */
export function take(book: KnownConversations, tag: string): void {
  book.open.set(tag, (book.open.get(tag) ?? 0) + 1);
}

/** Takes back one `take`. One too many is the caller's bug (throws): two would share a prompt. */
export function giveBack(book: KnownConversations, tag: string): void {
  const open = book.open.get(tag);
  if (open === undefined) throw new Error('no request of this conversation is open');
  if (open === 1) book.open.delete(tag);
  else book.open.set(tag, open - 1);
}

/** Keeps what a closed request has shown, unless a later request of the conversation is known. */
export function learn(book: KnownConversations, conversation: KnownConversation): void {
  const found = book.known.get(conversation.tag);
  if (found !== undefined && found.seq > conversation.seq) return;
  book.known.set(conversation.tag, conversation);
  if (book.known.size > CONVERSATIONS_MAX) forgetOldest(book.known);
}

/**
 * What a row shows of its conversation. null: it has none, or its figures are not simply what the
 * upstream reported for the asked model (estimated, corrected, served by another).
 */
export function conversationOfRow(row: RequestRow): KnownConversation | null {
  const { opened, closed, known, seq } = row;
  if (opened === null || closed === null || opened.conversation === null) return null;
  if (known?.certainty !== 'reported' || closed.usage.flags.length > 0) return null;
  const promptTokens = promptTokensOf(closed.usage);
  if (promptTokens === 0) return null;
  const { conversation: tag, model, sizes } = opened;
  return { tag, model, seq, textBytes: sizes.textBytes, media: sizes.media, promptTokens };
}

/** For the checkpoint: by row number, so that equal books give equal JSON. */
export function toJson(book: KnownConversations): readonly KnownConversation[] {
  return [...book.known.values()].toSorted((a, b) => a.seq - b.seq);
}

/** A book from a checkpoint; from an older one without any, an empty book. */
export function fromJson(saved: readonly KnownConversation[] | undefined): KnownConversations {
  const book = noConversations();
  for (const conversation of saved ?? []) learn(book, conversation);
  return book;
}

/** The longest prompt of a request's attempts; with several, they are not one prompt's parts. */
function promptTokensOf({ entries }: Usage): number {
  return entries.reduce((longest, { counts }) => {
    const { input, cacheWrite5m, cacheWrite1h, cacheRead } = counts;
    return Math.max(longest, input + cacheWrite5m + cacheWrite1h + cacheRead);
  }, 0);
}

function forgetOldest(known: Map<string, KnownConversation>): void {
  let oldest: KnownConversation | null = null;
  for (const conversation of known.values()) {
    if (oldest === null || conversation.seq < oldest.seq) oldest = conversation;
  }
  if (oldest !== null) known.delete(oldest.tag);
}
