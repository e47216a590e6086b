// Ids: `prefix_` and 22 characters of base58 that sort by the time they were made.
// 48 bits of Unix milliseconds, then 80 random bits. Chance and time come from the caller.

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const BASE = 58n;
const BARE_LENGTH = 22;
export const ID_RANDOM_BYTES = 10;

/** Every kind of id and its prefix: the one table. */
export const ID_PREFIXES = {
  user: 'usr',
  wallet: 'wal',
  key: 'key',
  account: 'acc',
  request: 'req',
  session: 'ses',
  serviceToken: 'svc',
  invite: 'inv',
  codeBatch: 'cob',
  code: 'cod',
  entry: 'txn',
  audit: 'aud',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;
type Id<K extends IdKind> = `${(typeof ID_PREFIXES)[K]}_${string}`;

export type UserId = Id<'user'>;
export type WalletId = Id<'wallet'>;
export type KeyId = Id<'key'>;
export type AccountId = Id<'account'>;
export type RequestId = Id<'request'>;
export type SessionId = Id<'session'>;
export type ServiceTokenId = Id<'serviceToken'>;
export type InviteId = Id<'invite'>;
export type CodeBatchId = Id<'codeBatch'>;
export type CodeId = Id<'code'>;
export type AuditId = Id<'audit'>;

/** One base58 character class, for regular expressions elsewhere. */
export const BASE58_CLASS = '[1-9A-HJ-NP-Za-km-z]';

/** `bytes` as base58, left-padded to `length` characters so that the order of bytes is kept. */
export function base58(bytes: Uint8Array, length: number): string {
  let value = 0n;
  for (const byte of bytes) value = value * 256n + BigInt(byte);
  let text = '';
  while (value > 0n) {
    text = ALPHABET.charAt(Number(value % BASE)) + text;
    value /= BASE;
  }
  return text.padStart(length, ALPHABET.charAt(0));
}

/** A fresh id. `now` in Unix ms; `random` holds exactly ID_RANDOM_BYTES bytes (else RangeError). */
export function newId<K extends IdKind>(kind: K, now: number, random: Uint8Array): Id<K> {
  if (random.length !== ID_RANDOM_BYTES) throw new RangeError('an id takes 10 random bytes');
  const bytes = new Uint8Array(16);
  let time = Math.floor(now);
  for (let index = 5; index >= 0; index -= 1) {
    bytes[index] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes.set(random, 6);
  return `${ID_PREFIXES[kind]}_${base58(bytes, BARE_LENGTH)}`;
}

/** Whether a request's id is of an earlier time than this (Unix ms). */
export function madeBefore(requestId: RequestId, time: number): boolean {
  return requestId < newId('request', Math.max(0, time), new Uint8Array(ID_RANDOM_BYTES));
}

/** Whether `text` is an id of `kind`. */
export function isId<K extends IdKind>(kind: K, text: string): text is Id<K> {
  return new RegExp(`^${ID_PREFIXES[kind]}_${BASE58_CLASS}{${BARE_LENGTH}}$`).test(text);
}

/** Unix ms at which the id was made. */
export function timeOfId(id: Id<IdKind>): number {
  let value = 0n;
  for (const character of bareId(id)) value = value * BASE + BigInt(ALPHABET.indexOf(character));
  return Number(value >> BigInt(ID_RANDOM_BYTES * 8));
}

/** The id without its prefix. */
export function bareId(id: Id<IdKind>): string {
  return id.slice(id.indexOf('_') + 1);
}

/** A bare id with its prefix again. Throws RangeError when `bare` is not one: check first. */
export function prefixedId<K extends IdKind>(kind: K, bare: string): Id<K> {
  const id = `${ID_PREFIXES[kind]}_${bare}`;
  if (!isId(kind, id)) throw new RangeError(`not a bare ${kind} id`);
  return id;
}
