// What providers hold for a wallet: which account made which id. An id is let through only for the
// wallet that it was made for. What is kept follows from the rows alone, whatever order they are
// learned in: of each shelf the ids used last, so that a rebuilt book equals the one that was lost.
// It asks no provider, so an id that was deleted there is still known here.

import type { RelayError } from '../errors';
import type { AccountId } from '../ids';
import type { Result } from '../result';
import { fail, ok } from '../result';
import { HOUR_MS, MINUTE_MS } from '../time';
import type { HeldId, SettleCall } from './calls';
import type { RequestRow } from './row';

/** Of containers, files and tokens together, and as many characters of ids. */
export const THINGS_MAX = 2_000;
/** Of messages: every answer is one, and its id is asked for by the next turn at most. */
export const MESSAGES_MAX = 1_000;
const CHARACTERS_PER_ID = 100;
/** Of one answer; further ones are not kept, and so not let through. */
const ROW_IDS_MAX = 100;
const ROW_CHARACTERS_MAX = 16_384;
const LIVES_MS = 30 * 24 * HOUR_MS;
/** A use within this of the last one is not written down: it would say nothing new. */
const RENEWED_AFTER_MS = 10 * MINUTE_MS;

interface Thing {
  readonly id: string;
  readonly accountId: AccountId;
  /** Unix ms of its making or last use, and the row that says so: what it is ordered by. */
  readonly at: number;
  readonly seq: number;
}

/** Mutable on purpose, as what holds it. `order`: the one used longest ago first. */
interface Shelf {
  readonly byId: Map<string, Thing>;
  readonly order: Thing[];
  characters: number;
  readonly most: number;
}

/** Mutable on purpose: one object, one writer, changed in place. */
export interface KnownThings {
  readonly things: Shelf;
  readonly messages: Shelf;
}

/** For the checkpoint. `of`: an index into `accounts`. */
export interface ThingsJson {
  readonly accounts: readonly AccountId[];
  readonly things: readonly SavedThing[];
  readonly messages: readonly SavedThing[];
}

type SavedThing = readonly [id: string, of: number, at: number, seq: number];

/** A book in which nothing is known. */
export function noThings(): KnownThings {
  return { things: shelfOf(THINGS_MAX), messages: shelfOf(MESSAGES_MAX) };
}

function shelfOf(most: number): Shelf {
  return { byId: new Map(), order: [], characters: 0, most };
}

/**
 * The account that holds everything that a request names; null: it names nothing. Fails with
 * `held-elsewhere` for an id that is not known at `now` (Unix ms), and for one of another account
 * than those before it: no account could serve both.
 */
export function holderOf(
  book: KnownThings,
  heldIds: readonly HeldId[],
  now: number,
): Result<AccountId | null, RelayError> {
  let holder: AccountId | null = null;
  for (const { field, id } of heldIds) {
    const thing = knownThing(book, id, now);
    if (thing === null || (holder !== null && thing.accountId !== holder)) {
      return fail({ kind: 'held-elsewhere', field });
    }
    holder = thing.accountId;
  }
  return ok(holder);
}

/** Whether one of them is not known: a request that runs may still bring it. */
export function isAnyUnknown(book: KnownThings, heldIds: readonly HeldId[], now: number): boolean {
  return heldIds.some(({ id }) => knownThing(book, id, now) === null);
}

/** Those of them whose use at `now` (Unix ms) is worth writing down. */
export function usesToNote(
  { things }: KnownThings,
  heldIds: readonly HeldId[],
  now: number,
): readonly string[] {
  return heldIds
    .map(({ id }) => id)
    .filter((id) => (things.byId.get(id)?.at ?? Infinity) <= now - RENEWED_AFTER_MS);
}

/** What of an answer's ids a row keeps; absent where there is none. */
export function keptIds({
  heldIds = [],
  messageId,
}: Pick<SettleCall, 'heldIds' | 'messageId'>): Pick<SettleCall, 'heldIds' | 'messageId'> {
  let characters = 0;
  const kept = heldIds.filter((id, index) => {
    characters += id.length;
    return index < ROW_IDS_MAX && characters <= ROW_CHARACTERS_MAX && id !== messageId;
  });
  const isKept = messageId !== undefined && messageId.length <= ROW_CHARACTERS_MAX;
  return {
    ...(kept.length === 0 ? {} : { heldIds: kept }),
    ...(isKept ? { messageId } : {}),
  };
}

/** Learns what the closed row's account made, known since `at` (Unix ms); twice does no harm. */
export function learnMade(book: KnownThings, { closed, seq }: RequestRow, at: number): void {
  const { accountId = null, heldIds = [], messageId } = closed ?? {};
  if (accountId === null) return;
  for (const id of heldIds) put(book.things, { id, accountId, at, seq });
  if (messageId !== undefined) put(book.messages, { id: messageId, accountId, at, seq });
}

/** Learns what the row's request used; twice does no harm. */
export function learnUsed(book: KnownThings, { opened, admittedAt: at, seq }: RequestRow): void {
  const { owner: accountId, usedIds = [] } = opened ?? {};
  if (accountId === undefined) return;
  for (const id of usedIds) put(book.things, { id, accountId, at, seq });
}

/** For the checkpoint: in their order, so that equal books give equal JSON. */
export function thingsToJson({ things, messages }: KnownThings): ThingsJson {
  const accounts = new Map<AccountId, number>();
  const save = ({ id, accountId, at, seq }: Thing): SavedThing => {
    const of = accounts.get(accountId) ?? accounts.size;
    accounts.set(accountId, of);
    return [id, of, at, seq];
  };
  const saved = { things: things.order.map(save), messages: messages.order.map(save) };
  return { accounts: [...accounts.keys()], ...saved };
}

/** A book from a checkpoint; from an older one without any, an empty book. */
export function thingsFromJson(saved: ThingsJson | undefined): KnownThings {
  const book = noThings();
  if (saved === undefined) return book;
  for (const shelf of ['things', 'messages'] as const) {
    for (const [id, of, at, seq] of saved[shelf]) {
      const accountId = saved.accounts[of];
      if (accountId !== undefined) put(book[shelf], { id, accountId, at, seq });
    }
  }
  return book;
}

function knownThing({ things, messages }: KnownThings, id: string, now: number): Thing | null {
  const thing = things.byId.get(id) ?? messages.byId.get(id);
  return thing === undefined || thing.at <= now - LIVES_MS ? null : thing;
}

/** Keeps the later of two words of one id, and of all ids the latest that there is room for. */
function put(shelf: Shelf, thing: Thing): void {
  const { byId, order, most } = shelf;
  const known = byId.get(thing.id);
  if (known !== undefined) {
    // Of one row the word that comes later is its correction.
    if (compare(known, thing) > 0) return;
    order.splice(placeOf(order, known), 1);
    shelf.characters -= thing.id.length;
  }
  const place = placeOf(order, thing);
  if (place === order.length) order.push(thing);
  else order.splice(place, 0, thing);
  byId.set(thing.id, thing);
  shelf.characters += thing.id.length;
  while (order.length > most || shelf.characters > most * CHARACTERS_PER_ID) {
    const oldest = order.shift();
    if (oldest === undefined) return;
    byId.delete(oldest.id);
    shelf.characters -= oldest.id.length;
  }
}

/** Where `thing` stands, or would: nearly always at the end. */
function placeOf(order: readonly Thing[], thing: Thing): number {
  let [low, high] = [0, order.length];
  const last = order.at(-1);
  if (last === undefined || compare(last, thing) < 0) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = order[middle];
    if (other !== undefined && compare(other, thing) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** No two of one shelf are equal. */
function compare(one: Thing, other: Thing): number {
  if (one.at !== other.at) return one.at - other.at;
  if (one.seq !== other.seq) return one.seq - other.seq;
  if (one.id === other.id) return 0;
  return one.id < other.id ? -1 : 1;
}
