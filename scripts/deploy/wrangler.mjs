// Runs wrangler: always without a terminal (it asks nothing), with its report file read back.
// Nothing secret is ever among the arguments; secrets go by standard input or by a private file.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stop } from '../lib/say.mjs';

/**
 * @typedef {object} Answer
 * @property {number} code
 * @property {string} stdout
 * @property {string} stderr
 * @property {readonly Record<string, any>[]} reports the lines of WRANGLER_OUTPUT_FILE_PATH
 *
 * @typedef {(given: readonly string[], input?: string) => Promise<Answer>} Wrangler
 */

const SETTINGS = {
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  // Wrangler's own debug log would otherwise hold the bodies of its requests, secrets included.
  WRANGLER_LOG_SANITIZE: 'true',
  FORCE_COLOR: '0',
  NO_COLOR: '1',
};

/**
 * @param {{ root: string, environment: NodeJS.ProcessEnv, script?: string }} options `script`: the
 *   program to run in wrangler's place (tests)
 * @returns {Wrangler}
 */
export function wranglerOf({ root, environment, script }) {
  const bundled = join(root, 'node_modules', '.bin', 'node');
  const node = existsSync(bundled) ? bundled : process.execPath;
  const program = script ?? join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  if (!existsSync(program)) throw new Stop('The packages are not installed: run `npm ci` first.');
  const { ANTHROPIC_API_KEY: _notForWrangler, ...rest } = environment;
  return async (given, input = '') => {
    const folder = mkdtempSync(join(tmpdir(), 'cloud-relay-deploy-'));
    const report = join(folder, 'report.ndjson');
    const settings = { ...rest, ...SETTINGS, WRANGLER_OUTPUT_FILE_PATH: report };
    try {
      const ended = await run([node, program, ...given], { root, settings, input });
      return { ...ended, reports: reportsIn(report) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/**
 * @param {readonly string[]} command
 * @param {{ root: string, settings: NodeJS.ProcessEnv, input: string }} options
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>}
 */
function run([program = '', ...given], { root, settings, input }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, given, { cwd: root, env: settings, windowsHide: true });
    const stop = () => child.kill();
    process.once('exit', stop);
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (said.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (problem) => {
      process.off('exit', stop);
      reject(new Stop(`wrangler cannot be started (${problem.message}).`));
    });
    child.on('close', (code) => {
      process.off('exit', stop);
      resolve({ ...said, code: code ?? 1 });
    });
  });
}

/** @param {string} file @returns {Record<string, any>[]} */
function reportsIn(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}

/**
 * The JSON that a command printed, whatever warnings stand before it.
 * @param {Answer} answer
 * @returns {any} undefined when there is none
 */
export function jsonOf({ stdout }) {
  const start = stdout.search(/^[[{]/m);
  if (start < 0) return undefined;
  try {
    return JSON.parse(stdout.slice(start));
  } catch {
    return undefined;
  }
}
