// `npm start`: from a bare clone to a relay that answers on this machine, and nothing left behind
// when it ends. The steps are in `journey`, in order; each lives in a file of scripts/lib. Plain
// Node; what runs before the packages are installed uses only what Node 18 has.

import { join } from 'node:path';
import { rmSync } from 'node:fs';
import { credentialsOf, requireReadable } from './lib/first-start.mjs';
import { requireFreePort } from './lib/ports.mjs';
import { endAll, killAll, pause } from './lib/programs.mjs';
import { startSandbox } from './lib/sandbox.mjs';
import { Stop, explain, say, tail } from './lib/say.mjs';
import { environmentFile, localSecrets, plainJson } from './lib/secrets.mjs';
import { readSettings } from './lib/settings.mjs';
import { lockState, openState, writePrivate } from './lib/state.mjs';
import { SIGNALS, watchParent, withToolchain } from './lib/toolchain.mjs';
import { welcome } from './lib/welcome.mjs';
import { migrate, startRelay } from './lib/wrangler.mjs';

const CRON_MS = 60_000;
const CRON_PATH = '/cdn-cgi/local/scheduled?cron=*+*+*+*+*';
const HEALTH_MS_MAX = 120_000;
const HEALTH_EVERY_MS = 200;
/** npm passes a Ctrl-C on that the terminal has sent already: the second one counts after this. */
const SECOND_SIGNAL_MS = 1000;

/** What is undone last, when everything that was started has ended. @type {(() => void)[]} */
const undo = [];
let isEnding = false;

await withToolchain(import.meta.url, async () => {
  endOnSignals();
  try {
    await journey();
    return 0;
  } catch (problem) {
    if (isEnding) return await forever();
    explain(problem);
    return await leave(1);
  }
});

async function journey() {
  const settings = readSettings(process.env);
  const { stateFolder: folder, relayPort, relayUrl, dashboardUrl } = settings;
  openState(folder);
  undo.push(await lockState(folder));
  requireReadable(folder);
  await requireFreePort(relayPort);

  const secrets = localSecrets(folder);
  say(secrets.made ? 'Made the local secrets.' : 'Read the local secrets.');
  const { accounts, sandbox } = await upstream(settings);
  const runFile = join(folder, 'run.env');
  writePrivate(runFile, runEnvironment(settings, accounts));
  undo.push(() => rmSync(runFile, { force: true }));

  say('Applying migrations ...');
  await migrate(folder);
  say(`Starting the relay on ${relayUrl} ...`);
  const relay = startRelay({ folder, port: relayPort, files: [secrets.file, runFile] });
  await untilHealthy(relayUrl, relay);
  relay.showLog();

  const setupSecret = secrets.values['SETUP_SECRET'] ?? '';
  const credentials = await credentialsOf({ folder, relayUrl, dashboardUrl, setupSecret });
  const file = join(folder, 'credentials.json');
  say(welcome(credentials, { isSandbox: sandbox !== null, file }));
  setInterval(() => void runCron(relayUrl), CRON_MS);

  const ends = [relay, ...(sandbox === null ? [] : [sandbox])].map(async (program) => {
    const code = await program.ended;
    throw new Stop(`The ${program.name} stopped (code ${code}).`, tail(program.output(), 10));
  });
  await Promise.race(ends);
}

/**
 * The accounts of the environment, else the sandbox.
 * @param {import('./lib/settings.mjs').Settings} settings
 */
async function upstream({ accounts, stateFolder, upstreamUrl }) {
  if (accounts.length > 0) {
    say(`Upstream: ${upstreamUrl}, ${accounts.length} key${accounts.length > 1 ? 's' : ''}.`);
    return { accounts, sandbox: null };
  }
  say('No ANTHROPIC_API_KEY: starting the sandbox in place of a provider ...');
  const { account, started } = await startSandbox(stateFolder);
  say(`The sandbox listens on ${account.baseUrl}.`);
  return { accounts: [account], sandbox: started };
}

/**
 * @param {import('./lib/settings.mjs').Settings} settings
 * @param {readonly unknown[]} accounts
 */
function runEnvironment({ dashboardPort }, accounts) {
  const origins = ['127.0.0.1', 'localhost'].map((host) => `http://${host}:${dashboardPort}`);
  return environmentFile({
    RELAY_ENVIRONMENT: 'development',
    CORS_ORIGINS: origins.join(','),
    ENVIRONMENT_ACCOUNTS: plainJson(accounts),
  });
}

/** @param {string} relayUrl @param {import('./lib/programs.mjs').Started} relay */
async function untilHealthy(relayUrl, relay) {
  const deadline = Date.now() + HEALTH_MS_MAX;
  let hasEnded = false;
  let last = 'it did not answer';
  void relay.ended.then(() => {
    hasEnded = true;
  });
  while (Date.now() < deadline) {
    if (hasEnded) throw new Stop('The relay stopped before it answered.', tail(relay.output()));
    try {
      const signal = AbortSignal.timeout(10_000);
      const response = await fetch(`${relayUrl}/health`, { signal });
      if (response.ok) return;
      last = `/health answered ${response.status}: ${await response.text()}`;
    } catch {
      // Not listening yet.
    }
    await pause(HEALTH_EVERY_MS);
  }
  throw new Stop(`The relay did not become healthy (${last}).`, tail(relay.output()));
}

/** Locally nothing calls the Worker's cron but this. @param {string} relayUrl */
async function runCron(relayUrl) {
  try {
    const signal = AbortSignal.timeout(CRON_MS);
    const response = await fetch(`${relayUrl}${CRON_PATH}`, { signal });
    if (!response.ok) say(`The cron's run failed (${response.status}).`);
    await response.arrayBuffer();
  } catch {
    // A relay that does not answer is told of elsewhere.
  }
}

function endOnSignals() {
  let firstAtMs = 0;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (!isEnding) {
        firstAtMs = Date.now();
        say('Stopping ...');
        void leave(0);
      } else if (Date.now() - firstAtMs > SECOND_SIGNAL_MS) {
        killAll();
        process.exit(130);
      }
    });
  }
  watchParent(() => void leave(0));
  // The terminal may be gone before this script is.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/** Ends everything that was started, then this process. @param {number} code */
async function leave(code) {
  if (isEnding) return await forever();
  isEnding = true;
  await endAll();
  for (const step of undo.reverse()) step();
  return process.exit(code);
}

/** For whoever waits while `leave` is under way. @returns {Promise<never>} */
function forever() {
  return new Promise(() => {});
}
