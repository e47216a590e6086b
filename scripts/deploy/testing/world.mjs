// What a test of a deployment needs: a project in a folder of its own, an account, a relay, and
// ways to look at them. `useWorld` makes a new one for each test.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { inProject } from '../../lib/places.mjs';
import { deploy } from '../run.mjs';
import { newAccount, readAccount, runCommand, saveAccount } from './fake-cloudflare.mjs';
import { startRelay } from './fake-relay.mjs';

/** One object for the whole file, new inside for each test. */
export function useWorld() {
  const world = new World();
  beforeEach(() => world.open());
  afterEach(() => world.close());
  return world;
}

class World {
  root = '';
  cloud = '';
  /** @type {string[]} */
  printed = [];
  /** @type {Awaited<ReturnType<typeof startRelay>>} */
  relay = { url: '', door: {}, stop: async () => {} };

  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'cloud-relay-test-'));
    this.root = join(folder, 'project');
    this.cloud = join(folder, 'cloud');
    this.printed = [];
    mkdirSync(join(this.root, 'migrations'), { recursive: true });
    cpSync(inProject('wrangler.toml'), join(this.root, 'wrangler.toml'));
    const schema = 'CREATE TABLE users (id TEXT PRIMARY KEY, role TEXT NOT NULL)';
    writeFileSync(join(this.root, 'migrations', '0001_start.sql'), schema);
    newAccount(this.cloud);
    this.relay = await startRelay(this.cloud);
    this.change({ url: this.relay.url });
  }

  async close() {
    await this.relay.stop();
    rmSync(join(this.root, '..'), { recursive: true, force: true });
  }

  /**
   * Deploys, in this process.
   * @param {string[]} [given]
   * @param {NodeJS.ProcessEnv} [environment]
   * @param {Partial<import('../run.mjs').Options>} [options]
   */
  run(given = [], environment = {}, options = {}) {
    return deploy({
      arguments: given,
      root: this.root,
      environment,
      wrangler: async (command, input = '') => runCommand(this.cloud, command, input),
      print: (line) => this.printed.push(line),
      pause: async () => {},
      confirm: async () => true,
      ...options,
    });
  }

  /** What the account holds now. @returns {Record<string, any>} */
  account() {
    return readAccount(this.cloud);
  }

  /** @param {Record<string, unknown>} changes of the account */
  change(changes) {
    saveAccount(this.cloud, { ...this.account(), ...changes });
  }

  /** A JSON file that deployments keep. @param {string} name @returns {Record<string, any>} */
  kept(name) {
    return JSON.parse(readFileSync(join(this.root, '.deploy', 'cloud-relay', name), 'utf8'));
  }

  /** The calls of one command. @param {string} name @returns {{ given: string[] }[]} */
  commandsOf(name) {
    /** @type {{ given: string[] }[]} */
    const calls = this.account()['calls'];
    return calls.filter(({ given }) => given.join(' ').startsWith(name));
  }
}
