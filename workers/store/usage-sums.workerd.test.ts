// Sums by hours and days, beside the rollups that Ledger objects bring. That reading by them says
// the same as reading without is in control/usage/usage.workerd.test.ts.

import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NOW } from '../../tests/support/ledger';
import { closeMany, drain, later, settlement } from '../../tests/workerd/flushing';
import { admitted, newWallet } from '../../tests/workerd/wallet-object';
import { HOUR_MS } from '../domain/time';
import { summedUntil, sumUsage } from './usage-sums';

const DAY_MS = 24 * HOUR_MS;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
  await env.DB.prepare('DELETE FROM rollups').run();
  await forget(0);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function forget(beginAt: number): Promise<void> {
  const begin = "UPDATE settings SET value = ?, version = 0 WHERE name = 'usage_summed_until'";
  await env.DB.batch([
    env.DB.prepare('DELETE FROM usage_totals'),
    env.DB.prepare('DELETE FROM usage_days'),
    env.DB.prepare(begin).bind(String(beginAt)),
  ]);
}

async function rowsOf(table: 'usage_totals' | 'usage_days'): Promise<Record<string, unknown>[]> {
  return (await env.DB.prepare(`SELECT * FROM ${table}`).all()).results;
}

/** Both tables; sums in which everything is zero are what a correction has left. */
async function sums(): Promise<unknown> {
  const isSomething = (row: Record<string, unknown>) =>
    row['requests'] !== 0 || row['cost_nanos'] !== 0;
  const [totals, days] = [await rowsOf('usage_totals'), await rowsOf('usage_days')];
  return { totals: totals.filter(isSomething), days: days.filter(isSomething) };
}

const mark = async () => summedUntil(env.DB.withSession('first-primary'));
const hourOf = (at: number) => at - (at % HOUR_MS);

/** A rollup of one request of one key in each of so many hours. */
async function writeHours(count: number, from: number): Promise<void> {
  const histogram = JSON.stringify(Array.from({ length: 84 }, (_, n) => (n === 9 ? 1 : 0)));
  const slots = Array.from({ length: count }, (_, hour) => from + hour * HOUR_MS);
  await env.DB.prepare(
    `INSERT INTO rollups SELECT value, 'u', 'k', 'm', 'a', 'completed', 1, 2, 3, 4, 5, 6, 7, 8, ?2,
      ?2 FROM json_each(?1)`,
  )
    .bind(JSON.stringify(slots), histogram)
    .run();
}

describe('sums of usage', () => {
  it('are made of every hour that is over, by hours, six hours and days', async () => {
    const day = Math.floor(NOW / DAY_MS) * DAY_MS;
    await writeHours(31, day);
    expect(await sumUsage(env.DB, day + 31 * HOUR_MS + 14 * 60_000)).toBe(30);
    expect(await mark()).toBe(day + 30 * HOUR_MS);
    const shown = (await rowsOf('usage_totals')).map(({ hours, starts_at: at, requests }) => [
      hours,
      (Number(at) - day) / HOUR_MS,
      requests,
    ]);
    const hours = Array.from({ length: 30 }, (_, hour) => [1, hour, 1]);
    const blocks = [0, 6, 12, 18, 24].map((hour) => [6, hour, 6]);
    expect(shown).toEqual([...hours, ...blocks, [24, 0, 24], [24, 24, 6]]);
    const days = await rowsOf('usage_days');
    expect(days).toMatchObject([
      { day, user_id: 'u', key_id: 'k', requests: 24, errors: 0, cost_nanos: 192 },
      { day: day + DAY_MS, requests: 6, cost_nanos: 48 },
    ]);
    expect(days[0]?.['total_histogram']).toBe('{"9":24}');
  });

  it('take in what comes late and what is corrected, as if they were made only then', async () => {
    const wallet = await newWallet();
    await closeMany(wallet, 5);
    const lease = await admitted(wallet);
    const late = await admitted(wallet);
    await wallet.ledger.settle(settlement(lease, 7, { certainty: 'estimated' }));
    await drain(wallet);
    later(2 * HOUR_MS);
    await sumUsage(env.DB, Date.now());
    expect(await mark()).toBeGreaterThan(NOW);
    const before = await sums();
    await wallet.ledger.settle(settlement(lease, 9, { closing: 'client-left', model: 'other' }));
    await wallet.ledger.settle(settlement(late, 3));
    await closeMany(wallet, 2);
    await drain(wallet);
    const made = await sums();
    expect(made).not.toEqual(before);
    await forget(0);
    await sumUsage(env.DB, Date.now());
    // What has just been closed is in an hour that is not over.
    expect(await mark()).toBeLessThan(Date.now());
    expect(await sums()).toEqual(made);
  });

  it('are the same however many runs there are, one after the other or at once', async () => {
    const from = hourOf(NOW) - 5 * HOUR_MS;
    await writeHours(5, from);
    await Promise.all([1, 2, 3].map(async () => sumUsage(env.DB, NOW)));
    await sumUsage(env.DB, NOW);
    const made = await sums();
    await forget(0);
    await sumUsage(env.DB, NOW);
    expect(await sums()).toEqual(made);
    const hourly = (await rowsOf('usage_totals')).filter(({ hours }) => hours === 1);
    expect(hourly.map(({ requests }) => requests)).toEqual(hourly.map(() => 1));
  });

  it('are made of an old database some hours a run, and empty hours cost nothing', async () => {
    const from = hourOf(NOW) - 400 * HOUR_MS;
    await writeHours(130, from);
    expect(await sumUsage(env.DB, NOW)).toBe(100);
    expect(await mark()).toBe(from + 100 * HOUR_MS);
    // The rest, and one step over what is empty.
    expect(await sumUsage(env.DB, NOW)).toBe(31);
    expect(await mark()).toBeGreaterThan(NOW - 2 * HOUR_MS);
    expect(await sumUsage(env.DB, NOW)).toBe(0);
  });

  it('are not begun before their time: an older Worker may still bring what is late', async () => {
    await forget(NOW + 1);
    await writeHours(3, hourOf(NOW) - 5 * HOUR_MS);
    expect([await sumUsage(env.DB, NOW), await mark()]).toEqual([0, 0]);
    expect(await sumUsage(env.DB, NOW + 1)).toBeGreaterThan(0);
  });
});
