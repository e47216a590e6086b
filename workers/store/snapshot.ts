// The snapshot that the relay works from, read whole and at one instant. Pool calls it; nobody on
// the relay path does.

import { asc, eq, inArray } from 'drizzle-orm';
import { relaySettingsOf } from '../domain/relay-settings';
import type { Snapshot } from '../domain/snapshot';
import { accountOf } from './accounts';
import type { Condition, Database, Part } from './db';
import { ALWAYS, primary } from './db';
import { pushSnapshot } from './outbox';
import { catalogueOf, readCeiling } from './prices';
import { accounts, aliases, prices, settings } from './schema';
import type { SettingName } from './settings';
import { putSetting } from './settings';

const NAMED: SettingName[] = [
  'snapshot_version',
  'price_ceiling',
  'egress_countries',
  'egress_region',
  'header_timeouts',
];

/** Accounts, prices, aliases and settings as they are, under the version in force (0: none yet). */
export async function loadSnapshot(d1: D1Database): Promise<Snapshot> {
  const db = primary(d1);
  // A batch is a transaction: version and content belong together.
  const [named, accountRows, priceRows, aliasRows] = await db.batch([
    db.select().from(settings).where(inArray(settings.name, NAMED)),
    db.select().from(accounts).orderBy(asc(accounts.id)),
    db.select().from(prices).orderBy(asc(prices.model), asc(prices.effectiveFrom)),
    db.select().from(aliases).orderBy(asc(aliases.alias)),
  ]);
  const setting = (name: SettingName) => named.find((row) => row.name === name);
  const version = setting('snapshot_version')?.version ?? 0;
  const ceiling = readCeiling(setting('price_ceiling')?.value);
  const valueOf = (name: SettingName) => jsonOf(setting(name)?.value);
  return {
    version,
    accounts: accountRows.map(accountOf),
    catalogue: {
      ...catalogueOf(version, { prices: priceRows, aliases: aliasRows }),
      ...(ceiling === null ? {} : { ceiling }),
    },
    settings: relaySettingsOf({
      egressCountries: valueOf('egress_countries'),
      egressRegion: valueOf('egress_region'),
      headerTimeoutMs: valueOf('header_timeouts'),
    }),
  };
}

function jsonOf(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The version in force; 0 before the first change. */
export async function snapshotVersion(d1: D1Database): Promise<number> {
  const [row] = await primary(d1)
    .select({ version: settings.version })
    .from(settings)
    .where(eq(settings.name, 'snapshot_version'));
  return row?.version ?? 0;
}

/** To be in the batch of every change of an account, a price, an alias or a setting. */
export function raiseSnapshotVersion(db: Database, now: number, when: Condition = ALWAYS): Part[] {
  return [
    putSetting(db, { name: 'snapshot_version', value: 'null' }, { now, when }),
    pushSnapshot(db, { now, when }),
  ];
}
