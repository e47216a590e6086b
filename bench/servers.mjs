// The servers of a run: a bare pass-through and the relay, each its own workerd process before the
// same fake upstream. The relay is what `wrangler deploy` would upload, set up through its own
// door.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { floorConfig, relayConfig, simpleConfig } from './config.mjs';
import { startWorkerd } from './processes.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OWN = fileURLToPath(new URL('workers/', import.meta.url));

/** A few lines of Worker: fetch, return the response. */
export function startPassThrough(dir, upstreamPort) {
  mkdirSync(dir, { recursive: true });
  copyFileSync(join(OWN, 'pass-through.mjs'), join(dir, 'pass-through.mjs'));
  return startWorkerd(dir, simpleConfig('pass-through.mjs', upstreamPort));
}

/** The same with two durable object calls a request; `storage`: where the object writes. */
export function startFloor(dir, upstreamPort, storage) {
  mkdirSync(dir, { recursive: true });
  mkdirSync(storage, { recursive: true });
  copyFileSync(join(OWN, 'two-calls.mjs'), join(dir, 'two-calls.mjs'));
  return startWorkerd(dir, floorConfig('two-calls.mjs', upstreamPort, storage));
}

/** Builds the production bundle into `dir`; answers the names of its modules. */
export function buildRelay(dir) {
  const wrangler = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');
  execFileSync(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', dir], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      WRANGLER_SEND_METRICS: 'false',
    },
  });
  return readdirSync(dir).filter((file) => /\.(?:js|wasm|html)$/.test(file));
}

/**
 * What makes a relay: kept by a run, so that its process can be started again on the same state.
 */
export function relayPlan(place) {
  const { dir, storage, bundle, modules, upstreamPort, counted = false, accounts = 1 } = place;
  const secret = () => JSON.stringify({ 1: randomBytes(32).toString('base64') });
  const accountOf = (_, index) => ({
    name: `bench ${index + 1}`,
    kind: 'anthropic',
    baseUrl: `http://127.0.0.1:${upstreamPort}`,
    apiKey: 'bench-upstream-key',
  });
  const vars = {
    RELAY_ENVIRONMENT: 'development',
    CORS_ORIGINS: '',
    KEY_TAG_SECRETS: secret(),
    MASTER_KEYS: secret(),
    SESSION_SECRETS: secret(),
    CONVERSATION_SECRET: randomBytes(32).toString('base64'),
    SETUP_SECRET: randomBytes(32).toString('base64'),
    ENVIRONMENT_ACCOUNTS: JSON.stringify(Array.from({ length: accounts }, accountOf)),
  };
  const entry = counted ? 'counted.mjs' : 'index.js';
  return { dir, storage, bundle, vars, entry, modules: counted ? [entry, ...modules] : modules };
}

/** Starts the relay of `plan` on the state that it left, if any; `extra` goes to workerd. */
export function startRelay(plan, extra = []) {
  const { dir, storage, bundle, entry, modules, vars } = plan;
  mkdirSync(dir, { recursive: true });
  mkdirSync(storage, { recursive: true });
  for (const file of modules.filter((name) => name !== 'counted.mjs')) {
    copyFileSync(join(bundle, file), join(dir, file));
  }
  for (const file of ['platform.mjs', 'rate-limit.mjs', 'counted.mjs']) {
    copyFileSync(join(OWN, file), join(dir, file));
  }
  return startWorkerd(dir, relayConfig({ entry, modules, vars, storage }), extra);
}

/** Applies the migrations and goes through the setup door: answers a key with credit. */
export async function setUpRelay(relay, plan) {
  const folder = join(ROOT, 'migrations');
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort()) {
    await post(relay.ports.platform, '/script', { body: readFileSync(join(folder, file), 'utf8') });
  }
  const person = (name) => ({
    email: `${name}@bench.example`,
    password: randomBytes(18).toString('hex'),
  });
  const answer = await post(relay.port, '/admin/setup', {
    headers: {
      authorization: `Bearer ${plan.vars.SETUP_SECRET}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ setupId: 'bench-setup', admin: person('admin'), user: person('user') }),
  });
  return JSON.parse(answer).key;
}

async function post(port, path, init) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', ...init });
  const body = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${body}`);
  return body;
}
