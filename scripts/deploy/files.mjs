// What a deployment keeps on this machine: a folder for its owner alone that git never sees, whose
// files are replaced whole (written beside, then renamed). `npm run reset` does not touch it.

import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { Stop, codeOf, wordsOf } from '../lib/say.mjs';

/** Makes the folder when missing; everything in it is ignored by git. @param {string} folder */
export function openFolder(folder) {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    fs.chmodSync(folder, 0o700);
    fs.writeFileSync(join(folder, '.gitignore'), '*\n');
    fs.rmSync(uploadFile(folder), { force: true });
  } catch (problem) {
    throw new Stop(`The folder ${folder} cannot be used (${wordsOf(problem)}).`);
  }
}

/**
 * A JSON file's object; null when there is no such file.
 * @param {string} file
 * @returns {Record<string, any> | null}
 */
export function readRecord(file) {
  let text;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (problem) {
    if (codeOf(problem) === 'ENOENT') return null;
    throw new Stop(`${file} cannot be read (${wordsOf(problem)}).`);
  }
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Answered below, like a JSON that is no object.
  }
  throw new Stop(`${file} does not hold what was written there: put it right or move it away.`);
}

/** Replaces a file of mode 600 whole. @param {string} file @param {string} text */
export function writePrivate(file, text) {
  const beside = `${file}.new`;
  try {
    fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    fs.rmSync(beside, { force: true });
    const handle = fs.openSync(beside, 'wx', 0o600);
    fs.writeSync(handle, text);
    fs.fsyncSync(handle);
    fs.closeSync(handle);
    fs.renameSync(beside, file);
  } catch (problem) {
    throw new Stop(`${file} cannot be written (${wordsOf(problem)}).`);
  }
}

/** @param {string} file @param {unknown} value */
export function writeRecord(file, value) {
  writePrivate(file, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Gives `use` the path of a file of mode 600 that holds `values`, and removes the file afterwards,
 * also when a signal ends the script. What a kill leaves behind, the next `openFolder` removes.
 * @template T
 * @param {string} folder
 * @param {Readonly<Record<string, string>>} values
 * @param {(file: string) => Promise<T>} use
 */
export async function withUpload(folder, values, use) {
  const file = uploadFile(folder);
  const remove = () => fs.rmSync(file, { force: true });
  const leave = () => {
    remove();
    process.exit(130);
  };
  for (const signal of SIGNALS) process.on(signal, leave);
  try {
    writeRecord(file, values);
    return await use(file);
  } finally {
    remove();
    for (const signal of SIGNALS) process.off(signal, leave);
  }
}

/** @type {readonly NodeJS.Signals[]} */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** @param {string} folder */
function uploadFile(folder) {
  return join(folder, 'upload.json');
}
