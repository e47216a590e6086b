// Passwords: argon2id (RFC 9106) as PHC strings. About 70 ms and 19 MiB a hash: for doors that
// people come through, never for the relay path. It decides nothing about a password's strength.

import simd from 'argon2id/dist/simd.wasm';
import type { Argon2idParams, computeHash } from 'argon2id/lib/setup.js';
import setupWasm from 'argon2id/lib/setup.js';
import { base64, fromBase64 } from './base64';
import { randomBytes } from './random';

/** OWASP's first recommendation for argon2id. */
const COST = { memorySize: 19_456, passes: 2, parallelism: 1 } as const;
const PREFIX = `$argon2id$v=19$m=${COST.memorySize},t=${COST.passes},p=${COST.parallelism}$`;
const SALT_BYTES = 16;
const TAG_BYTES = 32;
/** Takes as long as any, and is no password's. */
export const NOBODYS_HASH = `${PREFIX}${'A'.repeat(22)}$${'A'.repeat(43)}`;
/** More than the cost of any hash that was ever stored: a bad row cannot exhaust the isolate. */
const MEMORY_KIB_MAX = 65_536;
const PASSES_MAX = 10;
const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=1\$([A-Za-z0-9+/]{22,64})\$([A-Za-z0-9+/]{22,88})$/;

/** The PHC string of `password` with a fresh salt; throws for an empty one. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const tag = await argon2id(password, { ...COST, salt, tagLength: TAG_BYTES });
  return `${PREFIX}${unpadded(salt)}$${unpadded(tag)}`;
}

/** Whether `phc` was made at another cost than is asked today. */
export function needsRehash(phc: string): boolean {
  return !phc.startsWith(PREFIX);
}

/** Whether `password` is the one that `phc` was made of; false for a string that is no hash. */
export async function verifyPassword(password: string, phc: string): Promise<boolean> {
  // The package takes no empty password.
  if (password === '') return false;
  const [, memory = '', passCount = '', saltText = '', tagText = ''] = PHC.exec(phc) ?? [];
  const memorySize = Number(memory);
  const passes = Number(passCount);
  if (memorySize < 8 || memorySize > MEMORY_KIB_MAX) return false;
  if (passes < 1 || passes > PASSES_MAX) return false;
  const expected = fromBase64(tagText);
  const cost = { memorySize, passes, parallelism: 1 };
  const salt = fromBase64(saltText);
  const tag = await argon2id(password, { ...cost, salt, tagLength: expected.length });
  return crypto.subtle.timingSafeEqual(tag, expected);
}

type Parameters = Omit<Argon2idParams, 'password'>;

/** The module with its memory (65 MB of addresses), while a hash is wanted. */
let loaded: Promise<computeHash> | null = null;

/**
 * One hash at a time: the computation is synchronous. Who waits at the same time shares the
 * memory, and it is let go after use, because it is half of what an isolate may have.
 */
async function argon2id(password: string, parameters: Parameters): Promise<Uint8Array> {
  loaded ??= setupWasm(instantiate, instantiate);
  const compute = await loaded;
  try {
    return compute({ ...parameters, password: new TextEncoder().encode(password) });
  } finally {
    loaded = null;
  }
}

/** The platform compiled the module when the Worker was uploaded; it only gets its memory here. */
function instantiate(imports: WebAssembly.Imports) {
  return { module: simd, instance: new WebAssembly.Instance(simd, imports) };
}

function unpadded(bytes: Uint8Array): string {
  return base64(bytes).replaceAll('=', '');
}
