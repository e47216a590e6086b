// What a wallet knows of its conversations: how long each one's last prompt really was, so that
// the next is held by that and not by the worst case. It forgets freely: an unknown one is held as
// cold. What is kept depends on the rows alone, not on the order they are learned in, so that a
// rebuilt book equals the one that was lost.

import type { Usage } from '../usage/tokens';
import type { RequestSizes } from './calls';
import type { RequestRow } from './row';

/**
 * So many open requests of a wallet are held by what is known; with more open, others are cold.
 * Who warms many conversations and then replaces their text passes no more bounds at once.
 */
export const KNOWN_OPEN_MAX = 8;

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
  /**
   * That request ended before its prompt was reported: what the upstream has of it is not known, so
   * the next is cold. Otherwise a replaced text would be charged as the old one, again and again.
   */
  readonly unconfirmed?: true;
}

/** Mutable on purpose: one object, one writer, changed in place. */
export interface KnownConversations {
  /** By `nameOf`, as `open` is. */
  readonly known: Map<string, KnownConversation>;
  /** Open requests, of conversations known or not. Not saved: open rows tell it again. */
  readonly open: Map<string, number>;
}

/** A conversation with one model: what a client asks another one beside it is another. */
export type ConversationKey = Pick<KnownConversation, 'tag' | 'model'>;

/** A book that knows nothing. */
export function noConversations(): KnownConversations {
  return { known: new Map(), open: new Map() };
}

/**
 * The last prompt of a conversation with this model. null, so held as cold: nothing is known, or
 * not how the last request ended, or another request of the conversation is open, or too many
 * known ones are. One at a time, because each may add new text to the same known prompt.
 */
export function recall(book: KnownConversations, conversation: ConversationKey): LastPrompt | null {
  const { known, open } = book;
  const name = nameOf(conversation);
  const found = known.get(name);
  if (found === undefined || found.unconfirmed || open.has(name)) return null;
  let openKnown = 0;
  for (const other of open.keys()) {
    if (known.has(other)) openKnown += 1;
    if (openKnown >= KNOWN_OPEN_MAX) return null;
  }
  return found;
}

/** Counts a request as open: each that has a tag, after its `recall`, and again at waking. */
export function take(book: KnownConversations, conversation: ConversationKey): void {
  const name = nameOf(conversation);
  book.open.set(name, (book.open.get(name) ?? 0) + 1);
}

/** Takes back one `take`. One too many is the caller's bug (throws): two would share a prompt. */
export function giveBack(book: KnownConversations, conversation: ConversationKey): void {
  const name = nameOf(conversation);
  const open = book.open.get(name);
  if (open === undefined) throw new Error('no request of this conversation is open');
  if (open === 1) book.open.delete(name);
  else book.open.set(name, open - 1);
}

/** Keeps what a closed request has shown, unless a later request of the conversation is known. */
export function learn(book: KnownConversations, conversation: KnownConversation): void {
  const name = nameOf(conversation);
  const found = book.known.get(name);
  if (found !== undefined && found.seq > conversation.seq) return;
  book.known.set(name, conversation);
  if (book.known.size > CONVERSATIONS_MAX) forgetOldest(book.known);
}

/** The conversation that a row belongs to; null: it has no tag. */
export function conversationKeyOf({ opened }: RequestRow): ConversationKey | null {
  if (opened === null || opened.conversation === null) return null;
  return { tag: opened.conversation, model: opened.model };
}

/**
 * What a row shows of its conversation. null: it has none, or its figures are not simply what the
 * upstream reported for the asked model (estimated behind a reported prompt, served by another).
 */
export function conversationOfRow(row: RequestRow): KnownConversation | null {
  const { opened, closed, known, seq } = row;
  const key = conversationKeyOf(row);
  if (opened === null || key === null) return null;
  if (isPromptGuessed(row)) return { ...key, seq, ...NOTHING_SEEN, unconfirmed: true };
  if (closed === null) return null;
  if (known?.certainty !== 'reported' || closed.usage.flags.length > 0) return null;
  const promptTokens = promptTokensOf(closed.usage);
  if (promptTokens === 0) return null;
  const { textBytes, media } = opened.sizes;
  return { ...key, seq, textBytes, media, promptTokens };
}

/** Whether its prompt was charged unreported; what was never dispatched costs nothing. */
function isPromptGuessed({ known, closed }: RequestRow): boolean {
  if (known === null || known.certainty === 'reported' || known.costNanos === 0) return false;
  return closed === null || promptTokensOf(closed.usage) === 0;
}

/** Whoever overlooks that it is unconfirmed takes all of the next text for new. */
const NOTHING_SEEN: LastPrompt = {
  textBytes: 0,
  media: { small: 0, medium: 0, large: 0 },
  promptTokens: 0,
};

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
export function promptTokensOf({ entries }: Usage): number {
  return entries.reduce((longest, { counts }) => {
    const { input, cacheWrite5m, cacheWrite1h, cacheRead } = counts;
    return Math.max(longest, input + cacheWrite5m + cacheWrite1h + cacheRead);
  }, 0);
}

/** Forgets the one of which the row number is the lowest. */
export function forgetOldest<T extends ConversationKey & { readonly seq: number }>(
  known: Map<string, T>,
): void {
  let oldest: T | null = null;
  for (const conversation of known.values()) {
    if (oldest === null || conversation.seq < oldest.seq) oldest = conversation;
  }
  if (oldest !== null) known.delete(nameOf(oldest));
}

/** What books find it by. No model's name has a space in it. */
export function nameOf({ tag, model }: ConversationKey): string {
  return `${tag} ${model}`;
}
