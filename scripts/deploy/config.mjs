// Makes the configuration that is deployed: the tracked wrangler.toml with the name, the database
// and the domain of one account. It is written outside the tracked tree, so an account's id is
// never committed by surprise. Line by line: what it cannot find exactly once is a failure.

import { relative, sep } from 'node:path';
import { Stop } from '../lib/say.mjs';

/**
 * @typedef {readonly [RegExp, string]} Edit
 *
 * @typedef {object} Place
 * @property {string} root the project's folder
 * @property {string} folder where the configuration will lie
 * @property {string} name
 * @property {string | null} accountId null: wrangler finds it
 * @property {string | null} databaseId null: the placeholder stays
 * @property {string | null} domain
 */

/** @param {string} tracked the text of wrangler.toml @param {Place} place @returns {string} */
export function productionConfig(tracked, place) {
  const up = relative(place.folder, place.root).split(sep).join('/');
  const [head = '', rest = ''] = splitHead(tracked);
  /** @type {Edit[]} */
  const edits = [
    [/^name = ".*"$/gm, `name = "${place.name}"\n${addresses(place)}`],
    [/^main = "(.*)"$/gm, `main = "${up}/$1"`],
  ];
  /** @type {Edit[]} */
  const tables = [
    [/^database_name = ".*"$/gm, `database_name = "${place.name}"`],
    [/^database_id = "(.*)"$/gm, `database_id = "${place.databaseId ?? '$1'}"`],
    [/^migrations_dir = "(.*)"$/gm, `migrations_dir = "${up}/$1"`],
  ];
  const note = '# Made by `npm run deploy` from wrangler.toml: edit that one.\n';
  return `${note}${replaceAll(head, edits)}${replaceAll(rest, tables)}`;
}

/** What stands before the first table, and the tables. @param {string} text */
function splitHead(text) {
  const start = text.search(/^\[/m);
  return start < 0 ? [text, ''] : [text.slice(0, start), text.slice(start)];
}

/** @param {string} text @param {readonly Edit[]} edits */
function replaceAll(text, edits) {
  return edits.reduce((rest, [pattern, becomes]) => {
    const found = [...rest.matchAll(pattern)].length;
    if (found === 1) return rest.replace(pattern, becomes);
    throw new Stop(`wrangler.toml: ${pattern} was expected once and found ${found} times.`);
  }, text);
}

/** @param {Place} place */
function addresses({ accountId, domain }) {
  const lines = ['workers_dev = true', 'preview_urls = false'];
  if (accountId !== null) lines.push(`account_id = "${accountId}"`);
  if (domain !== null) lines.push(`routes = [{ pattern = "${domain}", custom_domain = true }]`);
  return lines.join('\n');
}
