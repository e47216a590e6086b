// The secrets of the local relay, and the files by which wrangler hands them to the Worker: never
// by arguments, which every process of the machine can read.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { broken, readText, writePrivate } from './state.mjs';

const SECRET_BYTES = 32;

/** @type {Record<string, () => string>} */
const MAKERS = {
  KEY_TAG_SECRETS: () => JSON.stringify({ 1: randomBytes(SECRET_BYTES).toString('base64url') }),
  MASTER_KEYS: () => JSON.stringify({ 1: randomBytes(SECRET_BYTES).toString('base64') }),
  CONVERSATION_SECRET: () => randomBytes(SECRET_BYTES).toString('base64url'),
  SESSION_SECRETS: () => JSON.stringify({ 1: randomBytes(SECRET_BYTES).toString('base64url') }),
  SETUP_SECRET: () => randomBytes(SECRET_BYTES).toString('base64url'),
};

/** What older folders lack and nothing in their database depends on: made when missing. */
const ADDED_LATER = ['SESSION_SECRETS'];

/**
 * Reads the secrets, or makes them for a folder that has none. A folder that has a database but no
 * secrets is broken: with new ones no key of it would be accepted again.
 * @param {string} folder
 * @returns {{ file: string, values: Record<string, string>, made: boolean }}
 */
export function localSecrets(folder) {
  const file = join(folder, 'secrets.env');
  const text = readText(file);
  if (text !== null) return { file, values: completed(file, text), made: false };
  if (existsSync(join(folder, 'wrangler'))) {
    throw broken(`${file} is missing, and the database cannot be used without it`);
  }
  const values = Object.fromEntries(Object.entries(MAKERS).map(([name, make]) => [name, make()]));
  writePrivate(file, environmentFile(values));
  return { file, values, made: true };
}

/**
 * The secrets of a file, and those that it is too old to have: written into it before any use.
 * @param {string} file @param {string} text
 */
function completed(file, text) {
  const lines = text.matchAll(/^(\w+)='(.*)'$/gm);
  const values = Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
  const missing = Object.keys(MAKERS).filter((name) => !values[name]);
  const lost = missing.find((name) => !ADDED_LATER.includes(name));
  if (lost !== undefined) throw broken(`${file} has no ${lost}`);
  if (missing.length === 0) return values;
  for (const name of missing) values[name] = MAKERS[name]?.() ?? '';
  writePrivate(file, environmentFile(values));
  return values;
}

/**
 * The text of a file for `--env-file`. Its reader expands `$` even between single quotes and knows
 * no escape for the quote itself, so JSON spells both as \u escapes; no other value may hold them.
 * @param {Readonly<Record<string, string>>} values
 */
export function environmentFile(values) {
  const lines = Object.entries(values).map(([name, value]) => {
    if (/[$'\n\r]/.test(value)) throw new Error(`${name} cannot be written to an env file`);
    return `${name}='${value}'\n`;
  });
  return lines.join('');
}

/**
 * JSON with nothing in it that an env file's reader would take for its own.
 * @param {unknown} value
 */
export function plainJson(value) {
  return JSON.stringify(value).replace(/[^\x20-\x7e]|[$'`]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
