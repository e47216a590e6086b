// Reading what an admin has set. A value that cannot be read counts as not set: defaults are chosen
// so that they open nothing.

import type * as z from 'zod/mini';
import type { AdminSetting, SettingValue } from './contract/settings';
import { SETTINGS } from './contract/settings';
import { log } from '../observe/log';
import { primary } from '../store/db';
import { readSettings } from '../store/settings';

/** The setting's value as it now is, or its default. Throws as D1 does. */
export async function readSetting<N extends AdminSetting>(
  d1: D1Database,
  name: N,
): Promise<SettingValue<N>> {
  // An entry of the table is of its own name's type, which the compiler cannot follow through N.
  const { schema, default: value } = SETTINGS[name] as unknown as Definition<SettingValue<N>>;
  const stored = (await readSettings(primary(d1), [name])).get(name)?.value;
  if (stored === undefined) return value;
  const read = schema.safeParse(jsonOf(stored));
  if (read.success) return read.data;
  log('setting-not-valid', { setting: name });
  return value;
}

interface Definition<T> {
  readonly schema: z.ZodMiniType<T>;
  readonly default: T;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
