// Starts the real Worker once for all journeys, the way `npm start` does (wrangler, a state folder
// of its own, migrations, the setup door), in front of two accounts whose servers each test file
// brings itself. Everything it started ends with the run, whatever happens to the run.

import {
  createWriteStream,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { credentialsOf } from '../../scripts/lib/first-start.mjs';
import { inProject } from '../../scripts/lib/places.mjs';
import { endAll, pause, run, start } from '../../scripts/lib/programs.mjs';
import { environmentFile, localSecrets, plainJson } from '../../scripts/lib/secrets.mjs';
import { writePrivate } from '../../scripts/lib/state.mjs';
import { leaksIn, placesBelow } from './leaks';
import type { Keys } from './people';
import { makePeople } from './people';

const WRANGLER = inProject('node_modules', 'wrangler', 'bin', 'wrangler.js');
const HEALTHY_WITHIN_MS = 60_000;

/** The relay as the test files meet it. */
export interface RelayFacts {
  readonly url: string;
  /**
   * The Worker's runtime itself. At `url` wrangler has a proxy of its own in front, which tells the
   * Worker that a client has left only when something is written to that client.
   */
  readonly runtimeUrl: string;
  /** Made through the setup door. */
  readonly firstKey: string;
  readonly keys: Keys;
  /** Of a hundred ordinary people. */
  readonly crowd: readonly string[];
  /** Ports on which the accounts `first` and `second` are expected; their API keys. */
  readonly accounts: Readonly<Record<AccountName, { readonly port: number; readonly key: string }>>;
  /** Everything that the relay wrote. */
  readonly logFile: string;
  readonly origin: string;
}

export type AccountName = 'first' | 'second';

declare module 'vitest' {
  interface ProvidedContext {
    relay: RelayFacts;
  }
}

/** vitest's global setup of the journeys; gives the teardown. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'cloud-relay-journeys-'));
  const end = async (): Promise<void> => {
    await endAll();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const relay = await startRelay(folder);
    project.provide('relay', relay);
    return async () => {
      await endAll();
      try {
        requireNoLeaks(relay);
      } finally {
        await end();
      }
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** After all journeys: nothing that they made or used is left where it could be read. */
function requireNoLeaks({ logFile, keys, crowd, firstKey, accounts }: RelayFacts): void {
  const stored = placesBelow(join(dirname(logFile), 'wrangler'));
  const log = { name: 'the log', text: readFileSync(logFile, 'utf8') };
  const upstream = Object.values(accounts).map(({ key }) => key);
  const known = [...Object.values(keys), ...crowd, firstKey, ...upstream];
  const secrets = Object.fromEntries(known.map((secret, index) => [`secret ${index}`, secret]));
  const leaks = leaksIn([...stored, log], secrets);
  if (leaks.length > 0) throw new Error(`the journeys left secrets behind:\n${leaks.join('\n')}`);
}

async function startRelay(folder: string): Promise<RelayFacts> {
  const [port = 0, first = 0, second = 0] = await freePorts(3);
  const accounts = {
    first: { port: first, key: 'sk-upstream-canary-first' },
    second: { port: second, key: 'sk-upstream-canary-second' },
  };
  const secrets = localSecrets(folder);
  const people = makePeople(tagSecretOf(secrets.values));
  const sqlFile = join(folder, 'people.sql');
  writeFileSync(sqlFile, people.sql);
  await wrangler(folder, ['d1', 'migrations', 'apply', 'DB', '--local']);
  await wrangler(folder, ['d1', 'execute', 'DB', '--local', '--yes', `--file=${sqlFile}`]);

  const origin = 'http://127.0.0.1:3001';
  const runFile = join(folder, 'run.env');
  writePrivate(runFile, runEnvironment(accounts, origin));
  const url = `http://127.0.0.1:${port}`;
  const logFile = join(folder, 'relay.log');
  const relay = serve(folder, { port, logFile, envFiles: [secrets.file, runFile] });
  await untilHealthy(url, relay);
  const door = { folder, relayUrl: url, dashboardUrl: origin };
  const setupSecret = secrets.values['SETUP_SECRET'] ?? '';
  const { key: firstKey } = await credentialsOf({ ...door, setupSecret });
  await deliverOutbox(url);
  const runtimeUrl = runtimeUrlOf(folder);
  const { keys, crowd } = people;
  return { url, runtimeUrl, firstKey, keys, crowd, accounts, logFile, origin };
}

function tagSecretOf(values: Readonly<Record<string, string>>): string {
  const secrets: unknown = JSON.parse(values['KEY_TAG_SECRETS'] ?? '{}');
  const known = typeof secrets === 'object' && secrets !== null && '1' in secrets;
  if (!known || typeof secrets[1] !== 'string') throw new Error('no key tag secret');
  return secrets[1];
}

function runEnvironment(accounts: RelayFacts['accounts'], origin: string): string {
  return environmentFile({
    RELAY_ENVIRONMENT: 'development',
    CORS_ORIGINS: origin,
    ENVIRONMENT_ACCOUNTS: plainJson(
      Object.entries(accounts).map(([name, { port, key }]) => ({
        name,
        kind: 'anthropic-compatible',
        baseUrl: `http://127.0.0.1:${port}`,
        apiKey: key,
      })),
    ),
  });
}

/** What would lead wrangler elsewhere, or hand a person's own keys to the Worker. */
const NOT_PASSED_ON = /^(?:ANTHROPIC_|CLOUDFLARE_|WRANGLER_|NODE_OPTIONS$|VITEST)/;

function environment(folder: string): NodeJS.ProcessEnv {
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

async function wrangler(folder: string, words: readonly string[]): Promise<void> {
  const { code, output } = await run({
    name: words.slice(0, 2).join(' '),
    program: process.execPath,
    arguments: [WRANGLER, ...words, `--persist-to=${join(folder, 'wrangler')}`],
    environment: environment(folder),
  });
  if (code !== 0) throw new Error(`wrangler ${words.join(' ')} failed:\n${output}`);
}

interface Serving {
  readonly port: number;
  readonly logFile: string;
  readonly envFiles: readonly string[];
}

function serve(folder: string, { port, logFile, envFiles }: Serving): ReturnType<typeof start> {
  const file = createWriteStream(logFile);
  return start({
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
      `--persist-to=${join(folder, 'wrangler')}`,
      ...envFiles.map((name) => `--env-file=${name}`),
    ],
    environment: environment(folder),
    onLine: (line) => file.write(`${line}\n`),
  });
}

async function untilHealthy(url: string, relay: ReturnType<typeof start>): Promise<void> {
  const deadline = Date.now() + HEALTHY_WITHIN_MS;
  let last = 'no answer';
  while (Date.now() < deadline) {
    const answer = await fetch(`${url}/health`).catch(() => null);
    if (answer?.ok) return;
    if (answer !== null) last = await answer.text();
    await pause(100);
  }
  throw new Error(`the relay did not become healthy (${last}):\n${relay.output()}`);
}

/** Told by nothing but wrangler's own log; the last one named is the one in use. */
function runtimeUrlOf(folder: string): string {
  const logs = join(folder, 'logs');
  const text = readdirSync(logs).map((name) => readFileSync(join(logs, name), 'utf8'));
  const named = /"userWorkerUrl":\{"protocol":"http:","hostname":"([\d.]+)","port":"(\d+)"/g;
  const [, host, port] = [...text.join('\n').matchAll(named)].at(-1) ?? [];
  if (port === undefined) throw new Error('wrangler does not say where the runtime listens');
  return `http://${host}:${port}`;
}

/** Changes the database of a running relay, and lets the cron bring what its outbox holds. */
export async function changeDatabase(relay: RelayFacts, sql: string): Promise<void> {
  const folder = dirname(relay.logFile);
  const sqlFile = join(folder, 'change.sql');
  writeFileSync(sqlFile, sql);
  await wrangler(folder, ['d1', 'execute', 'DB', '--local', '--yes', `--file=${sqlFile}`]);
  await deliverOutbox(relay.url);
}

/** One run of the cron: what waits in the outbox reaches its objects. */
async function deliverOutbox(url: string): Promise<void> {
  const answer = await fetch(`${url}/cdn-cgi/local/scheduled?cron=*+*+*+*+*`);
  if (!answer.ok) throw new Error(`the cron answered ${answer.status}: ${await answer.text()}`);
}

/** Ports that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
