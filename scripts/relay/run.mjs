// One command from what was typed to what is shown. Exit codes: 0 done, 1 refused by the relay,
// 2 typed wrongly, 3 nobody is logged in, 4 no answer.

import { randomUUID } from 'node:crypto';
import { Stop, say } from '../lib/say.mjs';
import { Usage, parse, valueOf, wordsOf } from './arguments.mjs';
import { COMMANDS } from './commands.mjs';
import { groupHelp, helpOf, overview } from './help.mjs';
import { LOGIN_COMMANDS } from './login.mjs';
import { operationOf } from './operations.mjs';
import { rotateMaster } from './rotate-master.mjs';
import { FILE_FLAG, isSecret, secretOf } from './secrets.mjs';
import { NoLogin, Refusal, Unreachable, callAs, urlOf } from './session.mjs';
import { lines, table } from './show.mjs';

/**
 * @typedef {import('./arguments.mjs').Typed} Typed
 * @typedef {import('./commands.mjs').Command} Command
 * @typedef {import('./operations.mjs').Field} Field
 * @typedef {import('./operations.mjs').Operation} Operation
 * @typedef {{ url: string, environment: NodeJS.ProcessEnv }} Place
 */

/** Items that `--all` gathers at most. */
const ITEMS_MAX = 100_000;
/** What every command takes. */
const COMMON = ['url', 'json', 'csv', 'all', 'help', 'idempotency-key'];

/**
 * The exit code.
 * @param {readonly string[]} given
 * @param {NodeJS.ProcessEnv} environment
 */
export async function main(given, environment) {
  const typed = parse(given);
  try {
    await run(typed, environment);
    return 0;
  } catch (problem) {
    if (!(problem instanceof Stop)) throw problem;
    const isJson = typed.flags.has('json') && problem instanceof Refusal;
    process.stderr.write(`${isJson ? JSON.stringify(problem.body) : problem.message}\n`);
    return codeOf(problem);
  }
}

/** @param {Stop} problem */
function codeOf(problem) {
  if (problem instanceof Usage) return 2;
  if (problem instanceof NoLogin) return 3;
  if (problem instanceof Unreachable) return 4;
  return problem instanceof Refusal && problem.status === 401 ? 3 : 1;
}

/** @param {Typed} typed @param {NodeJS.ProcessEnv} environment */
async function run(typed, environment) {
  const [group, name] = typed.words;
  const isHelp = typed.flags.has('help');
  if (group === undefined || group === 'help') return say(overview());
  if (isHelp && LOGIN_COMMANDS[group] !== undefined) return say(overview());
  const ofGroup = COMMANDS.filter(({ command }) => command.startsWith(`${group} `));
  if (isHelp && name === undefined && ofGroup.length > 0) return say(groupHelp(ofGroup));
  const place = { url: urlOf(environment, typed.flags.get('url')), environment };
  const login = LOGIN_COMMANDS[group];
  if (login !== undefined) return login(place, typed);
  if (group === 'rotate-master') return rotateMaster(place, typed);
  const command = commandOf(group, name);
  const operation = operationOf(command.does);
  if (isHelp) return say(helpOf(command, operation));
  const words = typed.words.slice(command.command.split(' ').length);
  const values = await valuesOf({ command, operation }, { words, flags: typed.flags }, environment);
  await perform(place, { command, operation, values, flags: typed.flags });
}

/** @param {string} group @param {string | undefined} name @returns {Command} */
function commandOf(group, name) {
  if (group === 'call') {
    if (name === undefined) throw new Usage('Name an operation: npm run relay -- call <name>');
    return { command: `call ${name}`, does: name };
  }
  const ofGroup = COMMANDS.filter(({ command }) => command.startsWith(`${group} `));
  const [only] = ofGroup;
  if (only === undefined) throw new Usage(`There is no "${group}".\n\n${overview()}`);
  if (ofGroup.length === 1 && `${group} ${name}` !== only.command) {
    return { ...only, command: group };
  }
  const found = ofGroup.find(({ command }) => command === `${group} ${name}`);
  if (found !== undefined) return found;
  const names = ofGroup.map(({ command }) => command.slice(group.length + 1)).join(', ');
  throw new Usage(`"${group}" takes one of: ${names}.`);
}

/**
 * Values by the API's names, from words, flags and, for secrets, from where nobody reads along.
 * @param {{ command: Command, operation: Operation }} asked
 * @param {Typed} typed
 * @param {NodeJS.ProcessEnv} environment
 */
async function valuesOf({ command, operation }, { words, flags }, environment) {
  const { fields } = operation;
  const takes =
    command.takes ?? fields.flatMap(({ place, name }) => (place === 'path' ? name : []));
  if (words.length > takes.length) {
    throw new Usage(
      `"${words[takes.length]}" is one word too many.\n\n${helpOf(command, operation)}`,
    );
  }
  const takesFile = fields.some((field) => isSecret(field) && field.name === 'credential');
  const known = [...COMMON, ...(takesFile ? [FILE_FLAG] : []), ...fields.map(({ flag }) => flag)];
  const strange = [...flags.keys()].find((flag) => !known.includes(flag));
  if (strange !== undefined) {
    throw new Usage(`There is no --${strange} here.\n\n${helpOf(command, operation)}`);
  }
  /** @type {Map<string, unknown>} */
  const values = new Map();
  for (const field of fields) {
    const word = words[takes.indexOf(field.name)];
    const given = word ?? flags.get(field.flag);
    const value = isSecret(field)
      ? await secretOf(field, { given, file: flags.get(FILE_FLAG), environment })
      : valueFor(field, given);
    if (value !== undefined) values.set(field.name, value);
    else if (field.required && ![...flags.keys()].some((one) => one.startsWith(`${field.flag}.`))) {
      const how = takes.includes(field.name) ? `<${field.flag}>` : `--${field.flag}`;
      throw new Usage(`${how} is missing: ${wordsOf(field)}.\n\n${helpOf(command, operation)}`);
    }
  }
  return values;
}

/** @param {Field} field @param {string | true | undefined} given */
function valueFor(field, given) {
  if (given === true) {
    if (field.schema['type'] === 'boolean') return true;
    throw new Usage(`--${field.flag} needs a value: ${wordsOf(field)}.`);
  }
  return given === undefined ? undefined : valueOf(field, given, Date.now());
}

/**
 * @param {Place} place
 * @param {{ command: Command, operation: Operation, values: Map<string, unknown>,
 *   flags: Typed['flags'] }} asked
 */
async function perform(place, { command, operation, values, flags }) {
  const isCsv = flags.has('csv');
  if (isCsv && !operation.givesCsv) throw new Usage(`There is no --csv of "${command.command}".`);
  if (isCsv) values.set('format', 'csv');
  const key = flags.get('idempotency-key');
  const repeatable = operation.isIdempotent
    ? { 'idempotency-key': typeof key === 'string' ? key : randomUUID() }
    : {};
  const isWhole = flags.has('all') || command.counts === true;
  if (isWhole && !values.has('limit') && operation.givesPages) values.set('limit', 200);
  const { text, json } = await callAs(place, callOf(operation, values, repeatable));
  if (isCsv) return process.stdout.write(text);
  const answer =
    isWhole && operation.givesPages ? await withRest(place, { operation, values, json }) : json;
  if (command.counts) return say(String(answer.items.length));
  say(flags.has('json') ? JSON.stringify(answer ?? null, null, 2) : shown(command, answer));
}

/**
 * @param {Place} place
 * @param {{ operation: Operation, values: Map<string, unknown>, json: any }} first
 */
async function withRest(place, { operation, values, json }) {
  let { items, next } = json;
  while (next !== null && items.length < ITEMS_MAX) {
    values.set('cursor', next);
    const { json: page } = await callAs(place, callOf(operation, values, {}));
    items = [...items, ...page.items];
    next = page.next;
  }
  return { items, next };
}

/**
 * @param {Operation} operation
 * @param {ReadonlyMap<string, unknown>} values
 * @param {Readonly<Record<string, string>>} headers
 */
function callOf(operation, values, headers) {
  let { path } = operation;
  const query = new URLSearchParams();
  /** @type {Record<string, any>} */
  const body = {};
  for (const { name, place } of operation.fields) {
    if (!values.has(name)) continue;
    const value = values.get(name);
    if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(String(value)));
    else if (place === 'query') query.set(name, String(value));
    else put(body, name, value);
  }
  const search = query.size === 0 ? '' : `?${query}`;
  const { method, takesBody } = operation;
  return { method, path: `${path}${search}`, headers, ...(takesBody ? { body } : {}) };
}

/**
 * @param {Record<string, any>} body
 * @param {string} name maybe with a dot
 * @param {unknown} value
 */
function put(body, name, value) {
  const [first = '', second] = name.split('.');
  if (second === undefined) body[first] = value;
  else body[first] = { ...body[first], [second]: value };
}

/** @param {Command} command @param {any} answer */
function shown({ columns }, answer) {
  if (answer === null) return 'Done.';
  const isList = Array.isArray(answer.items);
  if (!isList || columns === undefined) return lines(answer);
  if (answer.items.length === 0) return 'Nothing.';
  const more = typeof answer.next === 'string' ? `\nMore: --all, or --cursor ${answer.next}` : '';
  return `${table(columns, answer.items)}${more}`;
}
