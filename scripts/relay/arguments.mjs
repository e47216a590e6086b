// From what is typed to what the API takes: words and flags, and each flag's text as its field's
// schema wants it. Money is typed in dollars, instants as dates, spans as `7d`.

import { Stop } from '../lib/say.mjs';
import { HOURS_WORDS, factorOf, hoursOf, pairsOf } from './spelling.mjs';

/** A command that was typed wrongly; exit code 2. */
export class Usage extends Stop {}

/**
 * @typedef {import('./operations.mjs').Field} Field
 * @typedef {import('./operations.mjs').Schema} Schema
 *
 * @typedef {object} Typed
 * @property {readonly string[]} words
 * @property {ReadonlyMap<string, string | true>} flags true: named without a value
 */

/** Flags that never have a value. */
const SWITCHES = ['json', 'csv', 'all', 'help'];

/** @param {readonly string[]} given @returns {Typed} */
export function parse(given) {
  /** @type {string[]} */
  const words = [];
  /** @type {Map<string, string | true>} */
  const flags = new Map();
  for (let index = 0; index < given.length; index += 1) {
    const text = given[index] ?? '';
    if (text === '-h') {
      flags.set('help', true);
      continue;
    }
    if (!text.startsWith('--')) {
      words.push(text);
      continue;
    }
    const [, name = '', value] = /^--([^=]*)(?:=([^]*))?$/.exec(text) ?? [];
    const next = given[index + 1];
    const takesNext = value === undefined && !SWITCHES.includes(name) && next !== undefined;
    const isTaken = takesNext && !next.startsWith('--');
    if (isTaken) index += 1;
    const typed = value ?? (isTaken ? next : true);
    const before = flags.get(name);
    // A flag that comes again adds to a list: `--model-name a=b --model-name c=d`.
    flags.set(name, typeof before === 'string' && typed !== true ? `${before},${typed}` : typed);
  }
  return { words, flags };
}

const NANOS_A_DOLLAR = 1_000_000_000;
/** @type {Readonly<Record<string, number>>} */
const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const PAST = /^(from|to|since|until)$/;
const INSTANT = /(At|^from|^to|^since|^until|^at|^effectiveFrom)$/;

/**
 * The value of `field` that `text` stands for; ends in a sentence when it stands for none.
 * @param {Field} field
 * @param {string} text
 * @param {number} now Unix ms
 * @returns {unknown}
 */
export function valueOf({ name, flag, schema }, text, now) {
  const choices = schema['anyOf'] ?? [schema];
  const isNullable = choices.some((/** @type {Schema} */ one) => one['type'] === 'null');
  if (isNullable && text === 'none') return null;
  const kind = choices.find((/** @type {Schema} */ one) => one['type'] !== 'null') ?? {};
  const wrong = (/** @type {string} */ wanted) => new Usage(`--${flag} takes ${wanted}.`);
  const spelt = SPELT[spellingOf(name, kind) ?? ''];
  if (spelt !== undefined && !/^[[{]/.test(text)) {
    const value = spelt.read(text);
    if (value === null) throw wrong(spelt.words);
    return value;
  }
  if (kind.type === 'integer' || kind.type === 'number') {
    const value = numberOf(name, text, now);
    if (value === null) throw wrong(wordsOf({ name, schema }));
    return value;
  }
  if (kind.type === 'boolean') {
    if (text !== 'true' && text !== 'false') throw wrong('true or false');
    return text === 'true';
  }
  if (kind.type === 'array' && !text.startsWith('[')) return listOf(kind.items ?? {}, text);
  if (kind.type === 'string' || kind.enum !== undefined) return text;
  try {
    return JSON.parse(text);
  } catch {
    // What takes anything takes plain words too.
    if (kind.type === undefined) return text;
    throw wrong('JSON');
  }
}

/**
 * Fields that people write otherwise than as JSON; each is read by its own rule.
 * @type {Readonly<Record<string, { words: string, read: (text: string) => unknown }>>}
 */
const SPELT = {
  hours: { words: HOURS_WORDS, read: hoursOf },
  factor: { words: 'a factor, such as 1.1', read: factorOf },
  pairs: { words: 'pairs such as public=own, with commas', read: pairsOf },
};

/** @param {string} name @param {Schema} schema */
function spellingOf(name, schema) {
  if (name === 'activeHours') return 'hours';
  if (name.endsWith('Factor')) return 'factor';
  const isOfTexts = schema['additionalProperties']?.type === 'string';
  return schema['type'] === 'object' && isOfTexts ? 'pairs' : null;
}

/** @param {Schema} items @param {string} text */
function listOf(items, text) {
  const parts = text.split(',').flatMap((part) => part.trim() || []);
  return items['type'] === 'integer' ? parts.map(Number) : parts;
}

/** @param {string} name @param {string} text @param {number} now @returns {number | null} */
function numberOf(name, text, now) {
  if (name.endsWith('Nanos')) return nanosOf(text);
  if (name.endsWith('Ms')) return spanOf(text);
  if (INSTANT.test(name)) return instantOf(text, PAST.test(name) ? -now : now);
  return /^-?\d+$/.test(text) ? Number(text) : null;
}

/** Dollars as they are typed, to the nano-dollar. @param {string} text */
export function nanosOf(text) {
  const [, sign, whole, part = ''] = /^(-?)\$?(\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (whole === undefined) return null;
  const nanos = Number(whole) * NANOS_A_DOLLAR + Number(part.padEnd(9, '0'));
  return sign === '-' ? -nanos : nanos;
}

/** `90`: milliseconds; `30s`, `5m`, `1h`, `7d`, `2w`. @param {string} text */
function spanOf(text) {
  const [, count, unit] = /^(\d+)([smhdw]?)$/.exec(text) ?? [];
  return count === undefined ? null : Number(count) * (UNITS_MS[unit ?? ''] ?? 1);
}

/**
 * A date, Unix ms, or a span: from now on, or (`now` below 0) before now.
 * @param {string} text @param {number} now
 */
function instantOf(text, now) {
  if (/^\d{11,}$/.test(text)) return Number(text);
  const span = spanOf(text);
  if (span !== null && !/^\d+$/.test(text)) return Math.abs(now + span);
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : at;
}

/**
 * What a field takes, in a few words.
 * @param {Pick<Field, 'name' | 'schema'>} field
 * @returns {string}
 */
export function wordsOf({ name, schema }) {
  if (schema['anyOf'] !== undefined) {
    const kinds = schema['anyOf'].map((/** @type {Schema} */ one) =>
      one['type'] === 'null' ? 'none' : wordsOf({ name, schema: one }),
    );
    return kinds.join(' or ');
  }
  if (schema['enum'] !== undefined) return schema['enum'].join(' | ');
  const spelt = SPELT[spellingOf(name, schema) ?? ''];
  if (spelt !== undefined) return spelt.words;
  if (schema['type'] === 'integer') {
    if (name.endsWith('Nanos')) return 'dollars, such as 2.50';
    if (name.endsWith('Ms')) return 'a span, such as 1h or 7d';
    return INSTANT.test(name) ? 'a date, or a span such as 7d' : 'a whole number';
  }
  if (schema['type'] === 'array') {
    const items = schema['items'] ?? {};
    return items.type === 'object' ? 'JSON, a list' : 'a list, with commas';
  }
  if (schema['type'] === 'string') return 'a text';
  return schema['type'] === 'boolean' ? 'true or false' : 'JSON';
}
