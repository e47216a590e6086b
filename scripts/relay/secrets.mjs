// Secrets that a command takes: never typed, where every process of the machine could read them,
// but asked for, or out of the environment, or, for a credential, out of a file or the input.

import { readFileSync } from 'node:fs';
import { Stop, wordsOf } from '../lib/say.mjs';
import { Usage } from './arguments.mjs';
import { ask } from './prompt.mjs';

/** @typedef {import('./operations.mjs').Field} Field */

const SECRETS = /^(password|credential)$/;
/** Names the file that holds a credential; `-` is the standard input. */
export const FILE_FLAG = 'credential-file';

/** @param {Field} field */
export function isSecret({ name, place }) {
  return place === 'body' && SECRETS.test(name);
}

/**
 * @param {Field} field
 * @param {{ given: string | true | undefined, file: string | true | undefined,
 *   environment: NodeJS.ProcessEnv }} source
 * @returns {Promise<string | undefined>}
 */
export async function secretOf({ name, required }, { given, file, environment }) {
  // Not the password that one logs in with oneself.
  const variable = name === 'password' ? 'RELAY_NEW_PASSWORD' : 'RELAY_CREDENTIAL';
  if (typeof given === 'string') {
    throw new Usage(`A ${name} is not typed: it is asked for, or comes from ${variable}.`);
  }
  if (name === 'credential' && file !== undefined) return fromFile(file);
  if (given === undefined && !required) return undefined;
  return environment[variable] || ask(`New ${name}`, { hidden: true });
}

/** @param {string | true} file */
async function fromFile(file) {
  if (file === true) throw new Usage(`--${FILE_FLAG} needs a path, or - for the standard input.`);
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (problem) {
    throw new Stop(`${file} cannot be read (${wordsOf(problem)}).`);
  }
}
