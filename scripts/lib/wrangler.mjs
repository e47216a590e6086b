// How wrangler is called for the local relay: offline, without questions, with all it keeps inside
// the state folder.

import { join } from 'node:path';
import { inProject } from './places.mjs';
import { run, start } from './programs.mjs';
import { Stop, tail } from './say.mjs';

const WRANGLER = inProject('node_modules', 'wrangler', 'bin', 'wrangler.js');
/** Lines of wrangler's own; the relay writes one of its own per request. */
const NOISE = /^\[wrangler:info\]|^⎔ |^\s*$/;
/** What would lead wrangler elsewhere, or hand the person's own keys to the Worker. */
const NOT_PASSED_ON = /^(ANTHROPIC_|CLOUDFLARE_|WRANGLER_|NODE_OPTIONS$)/;

/** @param {string} folder the state folder */
function environment(folder) {
  const own = Object.entries(process.env).filter(([name]) => !NOT_PASSED_ON.test(name));
  return {
    ...Object.fromEntries(own),
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_LOG_PATH: join(folder, 'logs'),
    WRANGLER_REGISTRY_PATH: join(folder, 'registry'),
  };
}

/** Brings the local database up to date. @param {string} folder the state folder */
export async function migrate(folder) {
  const { code, output } = await run({
    name: 'migrations',
    program: process.execPath,
    arguments: [WRANGLER, 'd1', 'migrations', 'apply', 'DB', '--local', ...persistTo(folder)],
    environment: environment(folder),
  });
  if (code === 0) return;
  throw new Stop(
    'The migrations could not be applied; wrangler says why above. If the state folder is ' +
      'broken, begin anew with `npm run reset`.',
    tail(output),
  );
}

/**
 * Runs SQL on the local database, also beside a running relay.
 * @param {string} folder the state folder
 * @param {string} sql
 */
export async function execute(folder, sql) {
  const { code, output } = await run({
    name: 'SQL',
    program: process.execPath,
    arguments: [
      WRANGLER,
      'd1',
      'execute',
      'DB',
      '--local',
      '--yes',
      `--command=${sql}`,
      ...persistTo(folder),
    ],
    environment: environment(folder),
  });
  if (code !== 0) throw new Stop('The local database did not take it.', tail(output));
}

/**
 * Starts the relay on a loopback port. Its secrets come from files, later ones win.
 * @param {{ folder: string, port: number, files: readonly string[] }} relay
 */
export function startRelay({ folder, port, files }) {
  let isReady = false;
  const started = start({
    name: 'relay',
    program: process.execPath,
    arguments: [
      WRANGLER,
      'dev',
      '--ip=127.0.0.1',
      `--port=${port}`,
      '--inspector-port=0',
      '--show-interactive-dev-session=false',
      '--log-level=log',
      ...persistTo(folder),
      ...files.map((file) => `--env-file=${file}`),
    ],
    environment: environment(folder),
    onLine: (line) => {
      if (isReady && !NOISE.test(line)) process.stdout.write(`${line}\n`);
    },
  });
  return {
    ...started,
    /** From now on the relay's own log is shown. */
    showLog: () => {
      isReady = true;
    },
  };
}

/** @param {string} folder */
function persistTo(folder) {
  return [`--persist-to=${join(folder, 'wrangler')}`];
}
