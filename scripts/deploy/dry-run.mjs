// `npm run deploy -- --dry-run`: the plan of a first deploy, the real bundle, and the migrations
// applied to an empty local database. Needs no network, no login and no secrets; changes nothing.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stop } from '../lib/say.mjs';
import { migrationsIn } from './account.mjs';
import { productionConfig } from './config.mjs';
import { failure } from './failures.mjs';
import { planOf, wordsOfPlan } from './plan.mjs';
import { accountsOf } from './secrets.mjs';

/**
 * @typedef {import('./wrangler.mjs').Wrangler} Wrangler
 *
 * @param {import('./run.mjs').Journey} journey
 * @returns {Promise<number>} the exit code
 */
export async function dryRun({ flags, root, environment, wrangler, print, files }) {
  const migrations = migrationsIn(join(root, 'migrations'));
  const plan = planOf(
    { databaseId: null, pending: migrations, admins: 0, secrets: null },
    { copies: [], credentials: null, accounts: accountsOf(environment).length },
    flags,
  );
  const place = { name: flags.name, account: '(not asked)', domain: flags.domain, files };
  for (const line of wordsOfPlan(plan, place)) print(line);
  print('What the account already has would be used as it is. Nothing is changed by this dry run.');
  const folder = mkdtempSync(join(tmpdir(), 'cloud-relay-dry-run-'));
  try {
    const config = join(folder, 'wrangler.toml');
    const tracked = readFileSync(join(root, 'wrangler.toml'), 'utf8');
    const where = { root, folder, name: flags.name, domain: flags.domain };
    writeFileSync(
      config,
      productionConfig(tracked, { ...where, accountId: null, databaseId: null }),
    );
    // Both to their end before the folder goes, whichever fails.
    const [bundled, migrated] = await Promise.allSettled([
      bundle(wrangler, config, folder),
      migrate(wrangler, config, folder),
    ]);
    if (bundled.status === 'rejected') throw bundled.reason;
    if (migrated.status === 'rejected') throw migrated.reason;
    const bytes = bundled.value;
    print(`The Worker bundles: ${kilobytes(bytes.raw)}, ${kilobytes(bytes.gzip)} gzipped.`);
    print(`${migrations.length} migration(s) apply to an empty database.`);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {Wrangler} wrangler @param {string} config @param {string} folder */
async function bundle(wrangler, config, folder) {
  const out = join(folder, 'bundle');
  const answer = await wrangler(['deploy', '--dry-run', '--config', config, '--outdir', out]);
  if (answer.code !== 0) throw failure('Bundling the Worker', answer);
  const size = answer.reports.find(({ type }) => type === 'deploy')?.['bundle_size'];
  if (size === undefined) throw new Stop('Wrangler did not report the size of the bundle.');
  return { raw: Number(size.raw_bytes), gzip: Number(size.gzip_bytes) };
}

/** @param {Wrangler} wrangler @param {string} config @param {string} folder */
async function migrate(wrangler, config, folder) {
  const state = join(folder, 'state');
  const target = ['--local', '--persist-to', state, '--config', config];
  const answer = await wrangler(['d1', 'migrations', 'apply', 'DB', ...target]);
  if (answer.code !== 0) throw failure('Applying the migrations to an empty database', answer);
}

/** @param {number} bytes */
function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
