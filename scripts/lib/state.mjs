// The folder that holds all local state (RELAY_STATE): opened, locked, read and written here. Files
// are replaced whole (written beside, then renamed), so a crash leaves the old one or the new one.
// The database and the objects' storage in `wrangler/` are wrangler's; this file only deletes them.

import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { pause } from './programs.mjs';
import { Stop, codeOf, wordsOf } from './say.mjs';

/** Everything that may lie in a state folder. `reset` deletes these and nothing else. */
const KNOWN_NAMES = [
  'secrets.env',
  'run.env',
  'credentials.json',
  'setup-pending.json',
  'sandbox.json',
  'wrangler',
  'registry',
  'logs',
  'lock',
];
const LOCK_SETTLE_MS = 100;
const RESET_HINT = 'Repair it, or begin anew with `npm run reset`.';

/** A broken piece of the folder. @param {string} what */
export function broken(what) {
  return new Stop(`The state folder is broken: ${what}. ${RESET_HINT}`);
}

/** Makes the folder when missing, for its owner alone. @param {string} folder */
export function openState(folder) {
  try {
    const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
    const isForeign = names.length > 0 && !names.some((name) => KNOWN_NAMES.includes(name));
    if (isForeign) throw new Stop(`RELAY_STATE (${folder}) holds other things: name a new folder.`);
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    fs.chmodSync(folder, 0o700);
    fs.accessSync(folder, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (problem) {
    if (problem instanceof Stop) throw problem;
    throw new Stop(`The state folder cannot be used (${wordsOf(problem)}): check RELAY_STATE.`);
  }
}

/**
 * Takes the folder for this process; a second start on it is refused.
 * @param {string} folder
 * @returns {Promise<() => void>} gives it back
 */
export async function lockState(folder) {
  const file = join(folder, 'lock');
  const owner = `${process.pid}\n`;
  const other = lockOwner(folder);
  if (other !== null) throw inUse(folder, other);
  fs.rmSync(file, { force: true, recursive: true });
  try {
    fs.writeFileSync(file, owner, { flag: 'wx', mode: 0o600 });
  } catch (problem) {
    if (codeOf(problem) === 'EEXIST') throw inUse(folder, lockOwner(folder));
    throw broken(`its lock file cannot be written (${wordsOf(problem)})`);
  }
  // Two starts may both have removed a dead one's lock; the later writer stays.
  await pause(LOCK_SETTLE_MS);
  if (readText(file) !== owner) throw inUse(folder, lockOwner(folder));
  return () => {
    if (readText(file) === owner) fs.rmSync(file, { force: true });
  };
}

/** @param {string} folder @param {number | null} pid */
function inUse(folder, pid) {
  const who = pid === null ? 'Another start' : `A relay (process ${pid})`;
  return new Stop(`${who} is running on ${folder}: stop it, or set another RELAY_STATE.`);
}

/** The process that holds the folder; null when none lives. @param {string} folder */
export function lockOwner(folder) {
  const pid = Number(readText(join(folder, 'lock'))?.trim());
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return null;
  return isStartScript(pid) ? pid : null;
}

/** Process ids are reused, so the command is looked at as well. @param {number} pid */
function isStartScript(pid) {
  try {
    process.kill(pid, 0);
  } catch (problem) {
    if (codeOf(problem) !== 'EPERM') return false;
  }
  if (process.platform === 'win32') return true;
  try {
    return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], commandOptions).includes(
      'start.mjs',
    );
  } catch (problem) {
    // `ps` answers 1 for a process that has just gone; without `ps` the pid alone decides.
    return codeOf(problem) === 'ENOENT';
  }
}

/** @type {import('node:child_process').ExecFileSyncOptionsWithStringEncoding} */
const commandOptions = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };

/**
 * Deletes what the relay wrote into the folder; what else lies there stays.
 * @param {string} folder
 */
export function forgetState(folder) {
  for (const name of KNOWN_NAMES) {
    fs.rmSync(join(folder, name), { force: true, recursive: true });
  }
  if (fs.readdirSync(folder).length === 0) fs.rmdirSync(folder);
}

/** A file's text; null when there is no such file. @param {string} file */
export function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (problem) {
    if (codeOf(problem) === 'ENOENT') return null;
    throw broken(`${file} cannot be read (${wordsOf(problem)})`);
  }
}

/**
 * A JSON file's object; null when there is no such file.
 * @param {string} file
 * @returns {Record<string, unknown> | null}
 */
export function readRecord(file) {
  const text = readText(file);
  if (text === null) return null;
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Answered below, like a JSON that is no object.
  }
  throw broken(`${file} does not hold what was written there`);
}

/** Replaces a file of mode 600 whole. @param {string} file @param {string} text */
export function writePrivate(file, text) {
  const beside = `${file}.new`;
  try {
    const handle = fs.openSync(beside, 'w', 0o600);
    fs.writeSync(handle, text);
    fs.fsyncSync(handle);
    fs.closeSync(handle);
    fs.renameSync(beside, file);
  } catch (problem) {
    throw broken(`${file} cannot be written (${wordsOf(problem)})`);
  }
}

/** @param {string} file @param {unknown} value */
export function writeRecord(file, value) {
  writePrivate(file, `${JSON.stringify(value, null, 2)}\n`);
}
