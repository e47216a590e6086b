// GET /metrics: asks Pool and D1 and lays out what they say. A part that does not answer is told as
// down; the others are told all the same.

import {
  databaseFamilies,
  partFamilies,
  slotTold,
  snapshotFamilies,
  windowFamilies,
} from './families';
import type { Family } from './text';
import { METRICS_TYPE, metricsText } from './text';
import { metrics } from '../contract/metrics';
import type { Call, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import { ok } from '../../domain/result';
import { SECOND_MS } from '../../domain/time';
import { causeOf, log } from '../../observe/log';
import { withinMs } from '../../platform/clock';
import { poolOf } from '../../platform/objects';
import { readFigures } from '../../store/metrics';
import { snapshotVersion } from '../../store/snapshot';

const PART_MS_MAX = 5 * SECOND_MS;

export const METRICS_ROUTES: readonly Route[] = [on(metrics.read, read)];

async function read(visit: Visit<typeof metrics.read>): Promise<Outcome<typeof metrics.read>> {
  const [pool, database] = await Promise.all([
    asked('pool', () => poolFamilies(visit)),
    asked('database', () => figureFamilies(visit)),
  ]);
  const families = [
    ...partFamilies({ pool: pool !== null, database: database !== null }),
    ...(pool ?? []),
    ...(database ?? []),
  ];
  const headers = { 'content-type': METRICS_TYPE };
  return ok(new Response(metricsText(families), { headers }));
}

async function poolFamilies({ env }: Pick<Call, 'env'>): Promise<readonly Family[] | null> {
  const answer = await poolOf(env).snapshot(null);
  return answer.ok && answer.value !== 'unchanged' ? snapshotFamilies(answer.value) : null;
}

async function figureFamilies({ env, now }: Pick<Call, 'env' | 'now'>): Promise<readonly Family[]> {
  const slot = slotTold(now);
  const [figures, version] = await Promise.all([
    readFigures(env.DB, slot),
    snapshotVersion(env.DB),
  ]);
  return [...databaseFamilies(figures, { now, version }), ...windowFamilies(figures, slot)];
}

async function asked(
  part: string,
  ask: () => Promise<readonly Family[] | null>,
): Promise<readonly Family[] | null> {
  try {
    const answer = await withinMs(ask(), PART_MS_MAX);
    if (answer !== 'late') return answer;
    log('metrics-part-failed', { part, error: 'late' });
  } catch (error) {
    log('metrics-part-failed', { part, error: causeOf(error) });
  }
  return null;
}
