// `npm run seed`: fills the local state (RELAY_STATE) with 1,000 users, their keys, a request log
// of 100,000 lines and sums of 90 days, to look at the control plane as it is in use. It knows no
// other database than the one in that folder. `-- --users 50 --requests 2000 --seed 3` for less.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Stop, say } from './lib/say.mjs';
import { localSecrets } from './lib/secrets.mjs';
import { seedData } from './lib/seed-data.mjs';
import { stateFolderOf } from './lib/settings.mjs';
import { lockState, openState } from './lib/state.mjs';
import { withToolchain } from './lib/toolchain.mjs';
import { migrate } from './lib/wrangler.mjs';

const DAY_MS = 24 * 3_600_000;
/** In the order in which they are written. */
const TABLES = /** @type {const} */ ([
  'users',
  'wallets',
  'keys',
  'balances',
  'requests',
  'rollups',
  'usage_totals',
  'usage_days',
]);
const SUMS = ['usage_totals', 'usage_days'];

await withToolchain(import.meta.url, async () => {
  const wanted = wantedOf(process.argv.slice(2));
  const folder = stateFolderOf(process.env);
  openState(folder);
  const giveBack = await lockState(folder);
  try {
    // A database without secrets is one that `npm start` does not take.
    localSecrets(folder);
    await migrate(folder);
    await write(databaseIn(folder), wanted);
    return 0;
  } finally {
    giveBack();
  }
});

/** @param {readonly string[]} given */
function wantedOf(given) {
  const options = /** @type {const} */ ({
    seed: { type: 'string', default: '1' },
    users: { type: 'string', default: '1000' },
    requests: { type: 'string', default: '100000' },
  });
  const { values } = parseArgs({ args: [...given], options });
  const [seed, users, requests] = [values.seed, values.users, values.requests].map(Number);
  if (![seed, users, requests].every((value) => Number.isInteger(value) && Number(value) > 0)) {
    throw new Stop('--seed, --users and --requests take whole numbers above 0.');
  }
  // Whole days, so that two runs on one day write the same.
  const endAt = Date.now() - (Date.now() % DAY_MS);
  return { seed: seed ?? 1, users: users ?? 1, requests: requests ?? 1, endAt };
}

/** The file of the local D1, as wrangler has made it. @param {string} folder */
function databaseIn(folder) {
  const place = join(folder, 'wrangler', 'v3', 'd1', 'miniflare-D1DatabaseObject');
  const names = existsSync(place)
    ? readdirSync(place).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
    : [];
  const [name] = names;
  if (name === undefined || names.length > 1) {
    throw new Stop(`There is not one database in ${place}: begin anew with \`npm run reset\`.`);
  }
  return join(place, name);
}

/** @param {string} file @param {import('./lib/seed-data.mjs').Wanted} wanted */
async function write(file, wanted) {
  // Not at the top: this script must be read by a Node that does not have it.
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(file);
  try {
    const known = database.prepare("SELECT 1 FROM users WHERE email LIKE 'seed-%@example.com'");
    if (known.get() !== undefined) {
      throw new Stop('This state is seeded already; `npm run reset` forgets all of it.');
    }
    const data = seedData(wanted);
    // Beside rollups of real use, sums of the seeded ones alone would be wrong.
    const isNew = database.prepare('SELECT 1 FROM rollups').get() === undefined;
    database.exec('BEGIN');
    for (const table of TABLES) {
      if (!isNew && SUMS.includes(table)) {
        database.exec(`DELETE FROM ${table}`);
        say(`No rows in ${table}: the cron makes them, some days of them a minute.`);
        continue;
      }
      insert(database, table, data[table]);
      say(`${data[table].length} rows in ${table}.`);
    }
    const mark = "UPDATE settings SET version = ? WHERE name = 'usage_summed_until'";
    database.prepare(mark).run(isNew ? wanted.endAt : 0);
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}

/**
 * @param {import('node:sqlite').DatabaseSync} database
 * @param {string} table
 * @param {readonly import('./lib/seed-data.mjs').Row[]} rows
 */
function insert(database, table, rows) {
  const columns = Object.keys(rows[0] ?? {});
  const places = columns.map(() => '?').join(', ');
  const statement = database.prepare(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places})`,
  );
  for (const row of rows) statement.run(...columns.map((column) => row[column] ?? null));
}
