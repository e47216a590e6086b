// What can be set, and setting it. contract/settings.ts holds the table.

import type * as z from 'zod/mini';
import { commit } from '../commit';
import type { AdminSetting } from '../contract/settings';
import { SETTINGS, settings } from '../contract/settings';
import { refused } from '../refusals';
import { readSetting } from '../settings';
import type { Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import { fail, ok } from '../../domain/result';
import { primary } from '../../store/db';
import { putSetting, readSettings } from '../../store/settings';
import { raiseSnapshotVersion } from '../../store/snapshot';

export const SETTING_ROUTES: readonly Route[] = [on(settings.list, list), on(settings.set, set)];

// The keys of a table that is written down in one place.
const NAMES = Object.keys(SETTINGS) as readonly AdminSetting[];

async function list({ env }: Visit<typeof settings.list>): Promise<Outcome<typeof settings.list>> {
  const stored = await readSettings(primary(env.DB), NAMES);
  const items = await Promise.all(
    NAMES.map(async (name) => ({
      name,
      value: await readSetting(env.DB, name),
      default: SETTINGS[name].default,
      summary: SETTINGS[name].summary,
      version: stored.get(name)?.version ?? null,
    })),
  );
  return ok({ body: { items } });
}

async function set(visit: Visit<typeof settings.set>): Promise<Outcome<typeof settings.set>> {
  const { env, parameters, body, now } = visit;
  const name = NAMES.find((known) => known === parameters['name']);
  if (name === undefined) return fail({ kind: 'not-found', what: 'setting' });
  const schema: z.ZodMiniType = SETTINGS[name].schema;
  const read = schema.safeParse(body.value);
  if (!read.success) {
    const message = read.error.issues[0]?.message ?? 'is not valid';
    return refused('not-valid', { fields: { value: message } });
  }
  const before = await readSetting(env.DB, name);
  const value = read.data;
  return commit(visit, {
    audit: { targetId: name, before: { value: before }, after: { value } },
    parts: (db, when) => [
      putSetting(db, { name, value: JSON.stringify(value) }, { now, when }),
      ...raiseSnapshotVersion(db, now, when),
    ],
    push: { pool: true },
    reply: { body: { name, value } },
  });
}
