// The minute's work: each job finishes what was left, whatever became of the others.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { scheduled } from '.';
import { poolOf } from '../platform/objects';
import { primary, runBatch } from '../store/db';
import { raiseSnapshotVersion } from '../store/snapshot';

const NOW = 1_795_000_000_000;

/** Bindings whose Pool notes the versions that it is told of, and has no account to look after. */
function withPool() {
  const told: number[] = [];
  const refresh = (version: number) => Promise.resolve(told.push(version));
  const snapshot = () => Promise.resolve({ ok: true, value: 'unchanged' });
  const port = () => ({ refresh, snapshot });
  // Only what platform/objects.ts calls.
  const POOL = { idFromName: () => 'id', get: port } as unknown as Env['POOL'];
  return { told, bindings: { ...env, POOL } };
}

function reports() {
  const lines: { event: string; fields: Readonly<Record<string, string | number>> }[] = [];
  const report = (event: string, fields: Readonly<Record<string, string | number>>) => {
    lines.push({ event, fields });
  };
  return { lines, report };
}

/** Of the snapshot that the real Pool holds. */
async function heldVersion(): Promise<number | null> {
  const held = await poolOf(env).snapshot(null);
  return held.ok && held.value !== 'unchanged' ? held.value.version : null;
}

function gone(): never {
  throw new Error('D1 is down');
}

beforeEach(async () => {
  await env.DB.batch([
    env.DB.prepare('DELETE FROM outbox'),
    env.DB.prepare('DELETE FROM settings'),
    env.DB.prepare('DELETE FROM late_settles'),
  ]);
});

describe('the cron', () => {
  it('tells Pool the version in force, even when its outbox row is gone', async () => {
    const db = primary(env.DB);
    await runBatch(db, raiseSnapshotVersion(db, NOW));
    await env.DB.prepare('DELETE FROM outbox').run();
    const { told, bindings } = withPool();
    const { lines, report } = reports();
    await scheduled(bindings, NOW + 60_000, report);
    expect(told).toEqual([NOW]);
    expect(lines).toEqual([]);
  });

  it('runs the other jobs when one fails, and says which', async () => {
    const db = primary(env.DB);
    await runBatch(db, raiseSnapshotVersion(db, NOW));
    await env.DB.prepare(
      "INSERT INTO late_settles VALUES ('req_x', 'wal_x', 'nowhere', '{}', 1)",
    ).run();
    const { lines, report } = reports();
    const fail = () => Promise.reject(BAD);
    const down = { idFromName: () => 'id', get: () => ({ refresh: fail, snapshot: fail }) };
    // Only what platform/objects.ts calls.
    const POOL = down as unknown as Env['POOL'];
    await scheduled({ ...env, POOL }, NOW + 60_000, report);
    const told = lines.map(({ event, fields }) => `${event} ${fields.job ?? fields.request ?? ''}`);
    expect(told.toSorted()).toEqual([
      'job-failed account-probes',
      'job-failed snapshot',
      'late-settle-failed req_x',
      'push-failed ',
    ]);
  });

  it('survives a database that is down', async () => {
    // Only what the jobs call first.
    const DB = { withSession: gone, prepare: gone } as unknown as Env['DB'];
    const { lines, report } = reports();
    await scheduled({ ...env, DB }, NOW, report);
    const jobs = lines.map(({ event, fields }) => `${event} ${fields.job}`);
    expect(jobs.toSorted()).toEqual([
      'job-failed deleted-users',
      'job-failed kept-answers',
      'job-failed late-settles',
      'job-failed outbox',
      'job-failed request-log',
      'job-failed snapshot',
      'job-failed usage-sums',
    ]);
  });

  it('brings a raised version to the real Pool', async () => {
    const before = await heldVersion();
    expect(before).not.toBeNull();
    const db = primary(env.DB);
    const later = Date.now() + 1_000_000;
    await runBatch(db, raiseSnapshotVersion(db, later));
    await env.DB.prepare('DELETE FROM outbox').run();
    expect(await heldVersion()).toBe(before);
    await scheduled(env, Date.now(), reports().report);
    expect(await heldVersion()).toBe(later);
  });
});

const BAD = new Error('Pool is down');
