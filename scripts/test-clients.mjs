// `npm run test:clients`: the real Claude Code, freshly installed into a temporary folder, through
// a relay of its own in front of the sandbox. Prints what the client printed; ends with 1 when one
// of its ways failed. Needs the package registry, so it is no part of `npm test`.
//
//   npm run test:clients [-- VERSION]      a version or tag of @anthropic-ai/claude-code

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentialsOf } from './lib/first-start.mjs';
import { endAll, killAll, pause, run } from './lib/programs.mjs';
import { startSandbox } from './lib/sandbox.mjs';
import { Stop, explain, say, tail } from './lib/say.mjs';
import { environmentFile, localSecrets, plainJson } from './lib/secrets.mjs';
import { openState, writePrivate } from './lib/state.mjs';
import { SIGNALS, withToolchain } from './lib/toolchain.mjs';
import { execute, migrate, startRelay } from './lib/wrangler.mjs';

const CLIENT = '@anthropic-ai/claude-code';
const CRON_PATH = '/cdn-cgi/local/scheduled?cron=*+*+*+*+*';
const HEALTH_TRIES_MAX = 600;
const HEALTH_EVERY_MS = 100;
/** A client that retries what cannot be helped goes on for minutes. */
const CLIENT_MS_MAX = 60_000;
/** One that is told to stop ends within 2 s; a busy machine takes as long again to start it. */
const REFUSED_MS_MAX = 5_000;
/** What is left for the last ways: no request of Claude Code can begin with a tenth of a cent. */
const LITTLE_NANOS = 1_000_000;
/** The client gets what a person would set for it, and nothing of this person's own. */
const NOT_PASSED_ON = /^(ANTHROPIC_|CLAUDE|HOME$|XDG_)/;
/** What the tool must find, and only a finished round trip can show. */
const NOTE = 'the-note-that-a-tool-has-read';

/**
 * @typedef {object} Folders all inside one temporary folder
 * @property {string} state the relay's
 * @property {string} client where Claude Code is installed
 * @property {string} home its HOME
 * @property {string} work where it is run
 *
 * @typedef {object} Ground the relay that all ways lead through
 * @property {string} url
 * @property {string} key
 * @property {() => string} log what it has written
 *
 * @typedef {object} Way one way of using the client
 * @property {string} name
 * @property {readonly string[]} words what follows `claude -p`
 * @property {string} [key] default: the relay's own
 * @property {Readonly<Record<string, string>>} [settings] more of its environment
 * @property {(said: Said) => boolean} isRight
 *
 * @typedef {object} Said
 * @property {number} code
 * @property {string} output
 * @property {number} durationMs
 * @property {number} refusals requests that the relay refused meanwhile
 */

await withToolchain(import.meta.url, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloud-relay-clients-'));
  const clean = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      killAll();
      clean();
      process.exit(130);
    });
  }
  try {
    return (await journey(folder)) ? 0 : 1;
  } catch (problem) {
    explain(problem);
    return 1;
  } finally {
    await endAll();
    clean();
  }
});

/** @param {string} folder */
async function journey(folder) {
  const folders = foldersIn(folder);
  say('Installing Claude Code ...');
  const program = await installClient(folders.client);
  say('Starting a relay in front of the sandbox ...');
  const { url, key, log } = await startOwnRelay(folders.state);
  writeFileSync(join(folders.work, 'note.txt'), `${NOTE}\n`);
  /** @type {string[]} */
  const failed = [];
  const walkAll = async (/** @type {readonly Way[]} */ list) => {
    for (const way of list) {
      const isRight = await walk(way, { folders, program, url, key, log });
      if (!isRight) failed.push(way.name);
    }
  };
  await walkAll(ways(join(folders.work, 'note.txt'), key));
  await leaveLittle({ folder: folders.state, url, key });
  await walkAll(poorWays());
  say(`\n${await keyInfo(url, key)}`);
  say(failed.length === 0 ? 'All ways were right.' : `Wrong: ${failed.join(', ')}.`);
  return failed.length === 0;
}

/** @param {string} folder @returns {Folders} */
function foldersIn(folder) {
  const inside = (/** @type {string} */ name) => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  return {
    state: inside('state'),
    client: inside('client'),
    home: inside('home'),
    work: inside('work'),
  };
}

/** @param {string} note @param {string} key @returns {readonly Way[]} */
function ways(note, key) {
  return [
    {
      name: 'a plain prompt',
      words: ['Hello, who are you?'],
      isRight: ({ code, output }) => code === 0 && output.includes('sandbox'),
    },
    {
      name: 'a tool round trip',
      words: [`use tool Read ${JSON.stringify({ file_path: note })}`, '--allowedTools', 'Read'],
      isRight: ({ code, output }) => code === 0 && output.includes(NOTE),
    },
    {
      name: 'a long answer',
      words: ['[fast] [words:2000]'],
      isRight: ({ code, output }) => code === 0 && output.split(/\s+/).length > 1_500,
    },
    {
      name: 'a refusal of the model',
      words: ['[refuse]'],
      // It tells the model of the refusal and shows what is said to that.
      isRight: ({ code, output }) => code === 0 && /safety classifier|refus/i.test(output),
    },
    {
      name: 'a wrong key',
      words: ['Hello'],
      key: `${key.slice(0, -1)}${key.endsWith('2') ? '3' : '2'}`,
      isRight: ({ code, output }) => code !== 0 && /401|authenticat/i.test(output),
    },
    {
      name: 'a model without a price',
      words: ['Hello', '--model', 'claude-opus-9'],
      isRight: ({ code, output }) => code !== 0 && /model/i.test(output),
    },
  ];
}

/** With next to nothing left: refused once, in words that say so. @returns {readonly Way[]} */
function poorWays() {
  const isRight = (/** @type {Said} */ { code, output, durationMs, refusals }) =>
    code !== 0 &&
    refusals === 1 &&
    /Credit is used up: this request needs about \$[\d.]+, available is \$0\.001/.test(output) &&
    !/not your usage limit/.test(output) &&
    durationMs < REFUSED_MS_MAX;
  return [
    { name: 'a spent wallet', words: ['Hello'], isRight },
    {
      name: 'a spent wallet, as a gateway',
      words: ['Hello'],
      settings: { CLAUDE_CODE_USE_GATEWAY: '1' },
      isRight,
    },
  ];
}

/**
 * @param {Way} way
 * @param {Ground & { folders: Folders, program: string }} ground
 */
async function walk(way, { folders, program, url, key: ownKey, log }) {
  const { name, words, key = ownKey, settings = {}, isRight } = way;
  const startedAtMs = Date.now();
  const refusedBefore = refusalsIn(log());
  const running = run({
    name: 'claude',
    program,
    arguments: ['-p', ...words],
    folder: folders.work,
    environment: { ...clientEnvironment(folders, url, key), ...settings },
  });
  const late = pause(CLIENT_MS_MAX).then(() => ({ code: -1, output: 'It did not end in time.' }));
  const said = await Promise.race([running, late]);
  const durationMs = Date.now() - startedAtMs;
  const refusals = refusalsIn(log()) - refusedBefore;
  const isGood = said.code !== -1 && isRight({ ...said, durationMs, refusals });
  const seconds = (durationMs / 1000).toFixed(1);
  say(`\n== ${name}: ${isGood ? 'right' : 'WRONG'} (exit ${said.code}, ${seconds} s)`);
  say(shortened(said.output));
  return isGood;
}

/** @param {string} log */
function refusalsIn(log) {
  return log.split('"event":"refused"').length - 1;
}

/** @param {string} output */
function shortened(output) {
  const text = output.trim();
  return text.length <= 600 ? text : `${text.slice(0, 400)} ... ${text.slice(-100)}`;
}

/** @param {Folders} folders @param {string} url @param {string} key */
function clientEnvironment({ home }, url, key) {
  const own = Object.entries(process.env).filter(([name]) => !NOT_PASSED_ON.test(name));
  return {
    ...Object.fromEntries(own),
    HOME: home,
    ANTHROPIC_BASE_URL: `${url}/api`,
    ANTHROPIC_AUTH_TOKEN: key,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  };
}

/** Gives the program's path. @param {string} folder */
async function installClient(folder) {
  const version = process.argv[2] ?? 'latest';
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder];
  await mustRun({ program: npm, arguments: ['install', ...quiet, `${CLIENT}@${version}`], folder });
  const packed = join(folder, 'node_modules', ...CLIENT.split('/'));
  // The package's own install script, which npm was told not to run: it puts the program in place.
  const script = join(packed, 'install.cjs');
  await mustRun({ program: process.execPath, arguments: [script], folder: packed });
  return join(folder, 'node_modules', '.bin', 'claude');
}

/** @param {{ program: string, arguments: readonly string[], folder: string }} wanted */
async function mustRun(wanted) {
  const { code, output } = await run({ name: 'install', ...wanted });
  if (code !== 0) throw new Stop(`Claude Code could not be installed (${code}).`, tail(output));
}

/** @param {string} folder @returns {Promise<Ground>} */
async function startOwnRelay(folder) {
  openState(folder);
  const secrets = localSecrets(folder);
  const { account } = await startSandbox(folder);
  const runFile = join(folder, 'run.env');
  const values = {
    RELAY_ENVIRONMENT: 'development',
    CORS_ORIGINS: '',
    ENVIRONMENT_ACCOUNTS: plainJson([account]),
  };
  writePrivate(runFile, environmentFile(values));
  await migrate(folder);
  const port = await freePort();
  const relay = startRelay({ folder, port, files: [secrets.file, runFile] });
  const url = `http://127.0.0.1:${port}`;
  await untilHealthy(url, relay);
  const setupSecret = secrets.values['SETUP_SECRET'] ?? '';
  const door = { folder, relayUrl: url, dashboardUrl: url, setupSecret };
  const { key } = await credentialsOf(door);
  return { url, key, log: relay.output };
}

/** @param {string} url @param {import('./lib/programs.mjs').Started} relay */
async function untilHealthy(url, relay) {
  for (let tries = 0; tries < HEALTH_TRIES_MAX; tries += 1) {
    const answer = await fetch(`${url}/health`).catch(() => null);
    if (answer?.ok) return;
    await pause(HEALTH_EVERY_MS);
  }
  throw new Stop('The relay did not become healthy.', tail(relay.output()));
}

/**
 * Takes all but LITTLE_NANOS out of the key's wallet, the way an adjustment comes: through the
 * outbox, whose cron the relay runs when it is asked to.
 * @param {{ folder: string, url: string, key: string }} relay
 */
async function leaveLittle({ folder, url, key }) {
  const { wallet } = JSON.parse(await keyInfo(url, key));
  const amountNanos = LITTLE_NANOS - wallet.balance_nanos;
  const entryId = 'txn_leave_little';
  const reason = { reason: 'a test of clients', actor: 'test-clients' };
  const payload = JSON.stringify({ entryId, kind: 'adjust', amountNanos, ...reason });
  await execute(
    folder,
    `INSERT INTO outbox
      (id, kind, subject_id, wallet_id, region, version, payload, created_at)
      SELECT 'credit:${entryId}', 'credit', '${entryId}', id, region, 1, '${payload}', 1
      FROM wallets WHERE id = '${wallet.id}'`,
  );
  const answer = await fetch(`${url}${CRON_PATH}`);
  if (!answer.ok) throw new Stop(`The cron's run failed (${answer.status}).`, '');
}

/** What the relay tells the key's holder. @param {string} url @param {string} key */
async function keyInfo(url, key) {
  const headers = { authorization: `Bearer ${key}` };
  return (await fetch(`${url}/api/v1/key-info`, { headers })).text();
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
