// What a request would cost: tokens by length, and a prompt cache as a provider keeps it: per key
// and model, by exact prefix over tools, system, messages, five minutes or an hour from the last
// use. Bounded memory. Its counts are made up, its arithmetic is not.

import { createHash } from 'node:crypto';
import { blocksOf, isFields, turnsOf } from './conversation.mjs';

/** Characters a token. */
export const TOKEN_CHARACTERS = 4;
const MEDIA_TOKENS = 1500;
const ENTRIES_MAX = 5000;
const HOUR_MS = 3_600_000;
const FIVE_MINUTES_MS = 300_000;

/**
 * @typedef {import('./server.mjs').Fields} Fields
 * @typedef {{ tokens: number, prefix: string, ttl: '5m' | '1h' | null }} Piece a block of the
 *   prompt, the hash of everything up to its end, and its breakpoint if it has one
 */

/** @param {string} text */
export function tokensOf(text) {
  return Math.ceil(text.length / TOKEN_CHARACTERS);
}

/** The input side of `usage`, with a cache of its own. */
export function createUsage() {
  /** When an entry is forgotten, by prefix; in order of use. @type {Map<string, number>} */
  const cache = new Map();
  return {
    /** All tokens of a prompt. @param {Fields} body */
    size: (body) => sum(piecesOf('', body)),
    /** The input's figures for one request. @param {string} key @param {Fields} body */
    count: (key, body) => figures(cache, piecesOf(key, body)),
  };
}

/** @param {Map<string, number>} cache @param {Piece[]} pieces */
function figures(cache, pieces) {
  const now = Date.now();
  const last = pieces.findLastIndex(({ ttl }) => ttl !== null);
  const read = pieces.findLastIndex(
    ({ prefix }, index) => index <= last && (cache.get(prefix) ?? 0) > now,
  );
  const created = { '5m': 0, '1h': 0 };
  for (const [index, { tokens }] of pieces.entries()) {
    const breakpoint = pieces.slice(index).find(({ ttl }) => ttl !== null);
    if (index > read && index <= last) created[breakpoint?.ttl ?? '5m'] += tokens;
  }
  for (const piece of pieces) remember(cache, piece, now);
  return {
    input_tokens: sum(pieces.slice(last + 1)),
    cache_creation_input_tokens: created['5m'] + created['1h'],
    cache_read_input_tokens: sum(pieces.slice(0, read + 1)),
    cache_creation: {
      ephemeral_5m_input_tokens: created['5m'],
      ephemeral_1h_input_tokens: created['1h'],
    },
  };
}

/** @param {Map<string, number>} cache @param {Piece} piece @param {number} now */
function remember(cache, { prefix, ttl }, now) {
  if (ttl === null) return;
  cache.delete(prefix);
  cache.set(prefix, now + (ttl === '1h' ? HOUR_MS : FIVE_MINUTES_MS));
  const [oldest] = cache.keys();
  if (cache.size > ENTRIES_MAX && oldest !== undefined) cache.delete(oldest);
}

/**
 * The prompt in the order in which a provider caches it.
 * @param {string} key
 * @param {Fields} body
 */
function piecesOf(key, body) {
  const blocks = [
    ...blocksOf(body['tools']).map((block) => ({ role: 'tools', block })),
    ...blocksOf(body['system'])
      .filter(isPrompt)
      .map((block) => ({ role: 'system', block })),
    ...turnsOf(body).flatMap((turn) => turn.blocks.map((block) => ({ role: turn.role, block }))),
  ];
  const hash = createHash('sha256').update(JSON.stringify([key, body['model']]));
  /** @type {Piece[]} */
  const pieces = blocks.map(({ role, block: { cache_control: control, ...block } }) => {
    hash.update(JSON.stringify([role, block]));
    return { tokens: blockTokens(block), prefix: hash.copy().digest('hex'), ttl: ttlOf(control) };
  });
  const marked = pieces.at(-1);
  if (marked !== undefined) marked.ttl ??= ttlOf(body['cache_control']);
  return pieces;
}

/** Clients put a first system block that is for billing only. @param {Fields} block */
function isPrompt({ text }) {
  return !String(text).startsWith('x-anthropic-billing-header');
}

/** @param {Fields} block */
function blockTokens(block) {
  if (isFields(block['source']) && block['source']['type'] === 'base64') return MEDIA_TOKENS;
  if (typeof block['text'] === 'string') return tokensOf(block['text']);
  return tokensOf(JSON.stringify(block));
}

/** @param {unknown} control */
function ttlOf(control) {
  if (!isFields(control)) return null;
  return control['ttl'] === '1h' ? '1h' : '5m';
}

/** @param {Piece[]} pieces */
function sum(pieces) {
  return pieces.reduce((total, { tokens }) => total + tokens, 0);
}
