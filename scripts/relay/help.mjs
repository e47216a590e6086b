// What the CLI says of itself: made of the table of commands and of what the API says of each.

import { wordsOf } from './arguments.mjs';
import { COMMANDS } from './commands.mjs';
import { operations } from './operations.mjs';
import { isSecret } from './secrets.mjs';

/** @typedef {import('./operations.mjs').Field} Field */

const HEAD = `npm run relay -- <group> <command> [words] [--flags]

  login                  logs in: e-mail address and password are asked for, or come from
                         RELAY_EMAIL and RELAY_PASSWORD
  logout                 ends that login
  whoami                 says who is logged in
  rotate-master          seals every account's credential under the newest master key`;

const FOOT = `
  call <operation>       does any operation of the API (openapi.json), such as: call auth.me

  --url <address>        the relay; else RELAY_URL, else http://127.0.0.1 at RELAY_PORT or 3000
  --json                 prints the answer as it came
  --csv                  prints a file, where there is one
  --all                  reads a list to its end
  --idempotency-key <k>  the same again has one effect
  --help                 after a group: its commands; after a command: its words and flags

A service token in RELAY_TOKEN goes before a login.`;

/** All commands. */
export function overview() {
  return [HEAD, ...COMMANDS.map(rowOf), FOOT].join('\n');
}

/**
 * The commands of one group.
 * @param {readonly import('./commands.mjs').Command[]} commands
 */
export function groupHelp(commands) {
  return [...commands.map(rowOf), '', '  --help after one of them: its words and flags'].join('\n');
}

/** @param {import('./commands.mjs').Command} command */
function rowOf({ command, does, says }) {
  return `  ${command.padEnd(22)} ${says ?? operations().get(does)?.summary ?? ''}`;
}

/**
 * @param {import('./commands.mjs').Command} command
 * @param {import('./operations.mjs').Operation} operation
 */
export function helpOf({ command, takes, says }, { summary, fields }) {
  const inPath = fields.flatMap(({ place, name }) => (place === 'path' ? name : []));
  const words = takes ?? inPath;
  const flagOf = (/** @type {string} */ name) =>
    fields.find((field) => field.name === name)?.flag ?? name;
  const isNeeded = (/** @type {string} */ name) =>
    fields.find((one) => one.name === name)?.required;
  const usage = [
    'npm run relay --',
    command,
    ...words.map((name) => (isNeeded(name) ? `<${flagOf(name)}>` : `[${flagOf(name)}]`)),
  ];
  const flags = fields
    .filter(({ name }) => name !== 'format')
    .map((field) => `  ${`--${field.flag}`.padEnd(24)} ${takenBy(field)}${mark(field, words)}`);
  return [usage.join(' '), says ?? summary, ...flags].join('\n');
}

/** @param {Field} field */
function takenBy(field) {
  if (!isSecret(field)) return wordsOf(field);
  return 'asked for, or of the environment, or --credential-file <path, or - for the input>';
}

/** @param {Field} field @param {readonly string[]} words */
function mark({ name, required }, words) {
  if (words.includes(name)) return ', or as a word';
  return required ? ' (needed)' : '';
}
