// Named values in D1. Each has a version that rises with every change.

import { inArray, sql } from 'drizzle-orm';
import type { Condition, Database, Part } from './db';
import { ALWAYS, raised } from './db';
import { settings } from './schema';

/** Every name in use. */
export type SettingName =
  | 'snapshot_version' // its row's version is the snapshot's; the value says nothing
  | 'environment_fingerprint' // of the accounts that the environment gave last
  | 'list_prices_version' // of the shipped prices that were taken over last
  | 'setup' // who the first people are, and whether the door is shut
  | 'price_ceiling' // a PriceRow for models without a price, or null
  | 'usage_summed_until' // its row's version is the mark of usage-sums.ts; the value: not before
  | 'registration' // an admin's to set, as are the rest; control/contract/settings.ts has them all
  | 'egress_countries'
  | 'egress_region'
  | 'header_timeouts';

export interface Setting {
  /** JSON. */
  readonly value: string;
  readonly version: number;
}

/** Those of `names` that exist. */
export async function readSettings(
  db: Database,
  names: readonly SettingName[],
): Promise<ReadonlyMap<string, Setting>> {
  const rows = await db
    .select()
    .from(settings)
    .where(inArray(settings.name, [...names]));
  return new Map(rows.map(({ name, value, version }) => [name, { value, version }]));
}

/** Sets `name` to `value` (JSON), raising its version. `now` in Unix ms. */
export function putSetting(
  db: Database,
  setting: { readonly name: SettingName; readonly value: string },
  { now, when = ALWAYS }: { readonly now: number; readonly when?: Condition },
): Part {
  return db
    .insert(settings)
    .select(sql`SELECT ${setting.name}, ${setting.value}, ${now} WHERE ${when}`)
    .onConflictDoUpdate({
      target: settings.name,
      set: { value: sql`excluded.value`, version: raised(settings.version, now) },
    });
}
