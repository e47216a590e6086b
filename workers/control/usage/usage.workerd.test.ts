// Everybody's usage through its routes, on rows written into D1.

import { env } from 'cloudflare:workers';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  call,
  codeOf,
  newPerson,
  newServiceToken,
  read,
  withBearer,
} from '../../../tests/workerd/control-world';
import { admin } from '../../../tests/workerd/credit-world';
import type { Summary, Totals, UsageAnswer } from '../contract/usage';
import { GROUPS_MAX } from '../contract/usage';
import { ID_RANDOM_BYTES, newId } from '../../domain/ids';
import { CLOSINGS } from '../../domain/ledger/calls';
import { bucketOf, histogramOf } from '../../domain/usage/histogram';
import { SLOT_MS } from '../../domain/usage/timeline';
import { lateAdditions, sumUsage } from '../../store/usage-sums';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Long over, so that nothing else of this file is there. */
const START = Date.UTC(2025, 2, 1);
const SLOTS = (35 * DAY) / SLOT_MS;

function idOf<K extends 'user' | 'key' | 'account'>(kind: K, n: number) {
  const bytes = new Uint8Array(ID_RANDOM_BYTES);
  new DataView(bytes.buffer).setUint32(6, n);
  return newId(kind, START, bytes);
}

interface Sum {
  readonly slot: number;
  readonly user: number;
  readonly key: number;
  readonly model: string;
  readonly account: number | null;
  readonly closing: (typeof CLOSINGS)[number];
  readonly requests: number;
  readonly figure: number;
  readonly ms: number;
}

const sums: fc.Arbitrary<Sum> = fc.record({
  slot: fc.nat(SLOTS - 1),
  user: fc.nat(3),
  key: fc.nat(2),
  model: fc.constantFrom('claude-opus-5-5', 'claude-haiku-5-5', 'o\'"%_'),
  account: fc.constantFrom(0, 1, null),
  closing: fc.constantFrom(...CLOSINGS),
  requests: fc.integer({ min: 1, max: 120 }),
  figure: fc.nat(1_000_000),
  ms: fc.nat(100_000),
});

const COLUMNS =
  'slot user_id key_id model account_id closing requests input_tokens cache_write_5m_tokens ' +
  'cache_write_1h_tokens cache_read_tokens output_tokens web_searches cost_nanos ' +
  'total_histogram first_byte_histogram';

async function write(rows: readonly Sum[], from = START): Promise<void> {
  const values = rows.map((row) => {
    const times = JSON.stringify(histogramOf(row.ms, row.requests));
    return [
      from + row.slot * SLOT_MS,
      idOf('user', row.user),
      idOf('key', row.user * 10 + row.key),
      row.model,
      row.account === null ? '' : idOf('account', row.account),
      row.closing,
      row.requests,
      ...[1, 2, 3, 4, 5, 6].map((n) => row.figure + n),
      row.figure * 7,
      times,
      times,
    ];
  });
  const columns = COLUMNS.split(' ')
    .map((name, index) => `value ->> ${index} AS ${name}`)
    .join();
  const lines = `SELECT ${columns} FROM json_each(?) WHERE true`;
  // As a batch of a wallet writes them.
  await env.DB.batch(
    [`INSERT INTO rollups ${lines}`, ...lateAdditions(lines)].map((statement) =>
      env.DB.prepare(statement).bind(JSON.stringify(values)),
    ),
  );
}

/** Nothing is summed up, and it may begin. */
async function forgetSums(): Promise<void> {
  await env.DB.batch([
    env.DB.prepare('DELETE FROM usage_totals'),
    env.DB.prepare('DELETE FROM usage_days'),
    env.DB.prepare(
      "UPDATE settings SET value = '0', version = 0 WHERE name = 'usage_summed_until'",
    ),
  ]);
}

async function sumsMade(): Promise<unknown[]> {
  const tables = ['usage_totals', 'usage_days'].map((table) =>
    env.DB.prepare(`SELECT * FROM ${table}`),
  );
  return (await env.DB.batch(tables)).map(({ results }) => results);
}

async function usage(query: string): Promise<UsageAnswer> {
  return read<UsageAnswer>(await admin.call('GET', `/admin/usage?${query}`));
}

/** Sums without what a percentile is made of. */
function plain({ requests, errors, tokens, costNanos }: Omit<Totals, 'latencyMs' | 'firstByteMs'>) {
  return { requests, errors, costNanos, ...tokens };
}

function added(parts: readonly Parameters<typeof plain>[0][]) {
  const sum: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(plain(part))) sum[name] = (sum[name] ?? 0) + value;
  }
  return sum;
}

beforeEach(async () => {
  await env.DB.prepare('DELETE FROM rollups').run();
  await forgetSums();
});

describe('usage of all', () => {
  it('is the same by every grouping, zone and cut, however far it is summed up', async () => {
    const rows = fc.uniqueArray(sums, {
      minLength: 1,
      maxLength: 60,
      selector: ({ slot, user, key, model, account, closing }) =>
        JSON.stringify([slot, user, key, model, account, closing]),
    });
    const cuts = fc.integer({ min: 1, max: SLOTS - 1 });
    const zones = fc.constantFrom('UTC', 'Asia/Kathmandu', 'America/New_York');
    // How far sums are made, and how many of the rows come after that, wherever they belong.
    const summed = fc.record({ until: fc.nat(SLOTS), late: fc.nat(60) });
    await fc.assert(
      fc.asyncProperty(rows, cuts, zones, summed, async (list, cut, zone, { until, late }) => {
        await env.DB.prepare('DELETE FROM rollups').run();
        await forgetSums();
        await write(list.slice(late));
        await sumUsage(env.DB, START + until * SLOT_MS);
        await write(list.slice(0, late));
        const made = await sumsMade();
        const [from, to, middle] = [START, START + SLOTS * SLOT_MS, START + cut * SLOT_MS];
        const whole = await usage(`from=${from}&to=${to}`);
        const isFine = (closing: string) => ['completed', 'client-left'].includes(closing);
        const requests = list.reduce((sum, row) => sum + row.requests, 0);
        expect(whole.totals).toMatchObject({
          requests,
          errors: list.reduce((sum, row) => sum + (isFine(row.closing) ? 0 : row.requests), 0),
          costNanos: list.reduce((sum, row) => sum + row.figure * 7, 0),
        });
        const sorted = list.flatMap((row) => Array<number>(row.requests).fill(row.ms));
        sorted.sort((a, b) => a - b);
        const median = sorted[Math.ceil(requests / 2) - 1] ?? 0;
        expect(bucketOf(whole.totals.latencyMs.p50 ?? -1)).toBe(bucketOf(median));
        for (const group of ['none', 'user', 'key', 'model', 'day', 'account', 'closing']) {
          const granularity = group === 'day' ? 'hour' : 'week';
          const query = `group=${group}&granularity=${granularity}&timeZone=${zone}`;
          const told = await usage(`from=${from}&to=${to}&${query}`);
          expect(told.totals).toEqual(whole.totals);
          expect(added(told.series)).toEqual(plain(whole.totals));
          expect(added(told.groups)).toEqual(plain(whole.totals));
          for (const one of told.groups) expect(added(one.points)).toEqual(plain(one));
        }
        const parts = [
          await usage(`from=${from}&to=${middle}`),
          await usage(`from=${middle}&to=${to}`),
        ];
        expect(added(parts.map(({ totals }) => totals))).toEqual(plain(whole.totals));
        const users = await Promise.all(
          [0, 1, 2, 3].map((n) => usage(`from=${from}&to=${to}&userId=${idOf('user', n)}`)),
        );
        expect(added(users.map(({ totals }) => totals))).toEqual(plain(whole.totals));
        const again = `from=${from}&to=${to}&timeZone=${zone}`;
        const told = await usage(again);
        await forgetSums();
        expect(await usage(again)).toEqual(told);
        await sumUsage(env.DB, START + until * SLOT_MS);
        expect(await sumsMade()).toEqual(made);
      }),
      { numRuns: 12 },
    );
  });

  it('names the dearest of many users and keys, and tells the others as one', async () => {
    const row = { key: 1, model: 'm', account: 0, closing: 'completed', ms: 10 } as const;
    const count = GROUPS_MAX + 5;
    await write(
      Array.from({ length: count }, (_, user) => {
        return { ...row, slot: user * 3, user, requests: 2, figure: 1_000 + user };
      }),
    );
    await sumUsage(env.DB, START + SLOTS * SLOT_MS);
    const range = `from=${START}&to=${START + 5 * DAY}&granularity=day`;
    const whole = await usage(range);
    for (const group of ['user', 'key']) {
      const told = await usage(`${range}&group=${group}`);
      expect(told.groups).toHaveLength(GROUPS_MAX);
      expect(told.groups.at(-1)?.costNanos).toBe((1_000 + 5) * 7);
      const { others, series, totals } = told;
      if (others === null) throw new Error('five are left');
      expect([others.requests, others.costNanos]).toEqual([10, 7 * (5_000 + 10)]);
      expect(others.latencyMs).toEqual(totals.latencyMs);
      expect(added([...told.groups, others])).toEqual(plain(totals));
      expect({ series, totals }).toEqual({ series: whole.series, totals: whole.totals });
    }
    expect((await usage(`${range}&group=model`)).others).toBeNull();
  });

  it('has percentiles for every span of every name', async () => {
    const row = { user: 1, key: 1, account: 0, closing: 'completed', requests: 3 } as const;
    await write([
      { ...row, model: 'fast', slot: 0, figure: 9, ms: 5 },
      { ...row, model: 'slow', slot: 0, figure: 1, ms: 6_000 },
      { ...row, model: 'fast', slot: 96, figure: 9, ms: 50 },
    ]);
    const times = async () => {
      const query = `from=${START}&to=${START + 2 * DAY}&group=model&granularity=day`;
      const { groups, series } = await usage(query);
      const bucket = ({ latencyMs }: Totals) => bucketOf(latencyMs.p50 ?? -1);
      return [...groups.map(({ points }) => points.map(bucket)), series.map(bucket)];
    };
    const expected = [[5, bucketOf(50)], [bucketOf(6_000)], [5, bucketOf(50)]];
    expect(await times()).toEqual(expected);
    await sumUsage(env.DB, START + 3 * DAY);
    expect(await times()).toEqual(expected);
  });

  it('is cut into the viewer’s days, which begin at a quarter of an hour', async () => {
    const slot = Date.UTC(2025, 2, 9, 18, 15);
    const row = { user: 1, key: 1, model: 'm', account: 0, closing: 'completed' } as const;
    const more = { requests: 1, figure: 1, ms: 1 };
    await write(
      [
        { ...row, ...more, slot: 0 },
        { ...row, ...more, slot: 1 },
      ],
      slot - SLOT_MS,
    );
    const query = `from=${slot - DAY}&to=${slot + DAY}&group=day&granularity=day`;
    const told = await usage(`${query}&timeZone=Asia/Kathmandu`);
    expect(told.groups.map(({ name, requests }) => [name, requests])).toEqual([
      ['2025-03-09', 1],
      ['2025-03-10', 1],
    ]);
    expect((await usage(query)).groups.map(({ name }) => name)).toEqual(['2025-03-09']);
  });

  it('is filtered by what is asked for, and groups have names', async () => {
    const who = await newPerson();
    const row = {
      key: 1,
      account: 0,
      closing: 'completed',
      requests: 1,
      figure: 1,
      ms: 1,
    } as const;
    await write([
      { ...row, slot: 0, user: 1, model: 'o\'"%_' },
      { ...row, slot: 0, user: 2, model: 'other', closing: 'void' },
    ]);
    await env.DB.prepare('UPDATE rollups SET user_id = ? WHERE model = ?')
      .bind(who.userId, 'other')
      .run();
    const range = `from=${START}&to=${START + HOUR}`;
    const model = encodeURIComponent('o\'"%_');
    expect((await usage(`${range}&model=${model}`)).totals.requests).toBe(1);
    expect((await usage(`${range}&model=%25`)).totals.requests).toBe(0);
    expect((await usage(`${range}&closing=void`)).totals).toMatchObject({ requests: 1, errors: 1 });
    expect((await usage(`${range}&accountId=${idOf('account', 1)}`)).totals.requests).toBe(0);
    const users = await usage(`${range}&group=user`);
    expect(new Set(users.groups.map(({ label }) => label))).toEqual(new Set([null, who.email]));
  });

  it.each([
    'from=5&to=5',
    'to=5',
    'range=week&from=5',
    'group=day&granularity=month',
    `from=0&to=${500 * DAY}`,
    `from=0&to=${100 * DAY}&granularity=hour`,
    'from=-1',
    'from=999999999999999',
    'from=1&to=99999999999999999999',
    'timeZone=Mars',
    'granularity=minute',
    'group=wallet',
    'userId=1',
    'sort=cost',
  ])('refuses to answer %s', async (query) => {
    const answer = await admin.call('GET', `/admin/usage?${query}`);
    expect([answer.status, await codeOf(answer)]).toEqual([400, 'not-valid']);
  });

  it('is for staff and for tokens with the scope', async () => {
    const [user, viewer] = [await newPerson(), await newPerson({ role: 'viewer' })];
    const token = withBearer(await newServiceToken(['read:usage']));
    const other = withBearer(await newServiceToken(['read:users']));
    for (const path of ['/admin/usage', '/admin/summary']) {
      expect((await call('GET', path)).status).toBe(401);
      expect((await user.call('GET', path)).status).toBe(403);
      expect((await viewer.call('GET', path)).status).toBe(200);
      expect((await token('GET', path)).status).toBe(200);
      expect((await other('GET', path)).status).toBe(403);
    }
  });
});

describe('the summary', () => {
  it('says in one call what the questions one by one say', async () => {
    const today = Date.now() - (Date.now() % DAY);
    const row = { user: 1, key: 1, model: 'm', account: 0, closing: 'completed' } as const;
    const others = { requests: 2, figure: 10, ms: 40 };
    const days = [0, 1, 3, 8, 20, 40, 59];
    await write(
      days.map((day) => ({ ...row, ...others, slot: ((60 - day) * DAY) / SLOT_MS })),
      today - 60 * DAY,
    );
    await sumUsage(env.DB, today - 2 * DAY);
    await write([{ ...row, ...others, closing: 'void', user: 2, slot: 0 }], today);
    const told = await read<Summary>(await admin.call('GET', '/admin/summary?range=month'));
    const { day, week, month } = told.spans;
    expect([day.now.requests, day.before.requests]).toEqual([4, 2]);
    expect([week.now.requests, week.before.requests]).toEqual([8, 2]);
    expect([month.now.requests, month.before.requests]).toEqual([12, 4]);
    const asked = await usage('range=month&group=model&granularity=day');
    expect(told.usage.totals).toEqual(asked.totals);
    expect(told.usage.series.map(plain)).toEqual(asked.series.map(plain));
    expect(plain(month.now)).toEqual(plain(asked.totals));
    expect(told.models.map(plain)).toEqual(asked.groups.map(plain));
    expect(told.users.map(({ name, requests }) => [name, requests])).toEqual([
      [idOf('user', 1), 10],
      [idOf('user', 2), 2],
    ]);
    for (const part of [told.models, told.users, told.accounts, told.closings]) {
      expect(added(part)).toEqual(plain(asked.totals));
    }
    expect(told.counts).toMatchObject({ usedKeys: 2, usingUsers: 2 });
    const people = await env.DB.prepare(
      "SELECT count(*) AS n FROM users WHERE status <> 'deleted'",
    ).first('n');
    expect(told.counts.users).toBe(people);
  });

  it('shows hours of a day, and an empty relay as nothing', async () => {
    const told = await read<Summary>(await admin.call('GET', '/admin/summary?range=day'));
    expect(told.usage.granularity).toBe('hour');
    expect(told.usage.totals).toMatchObject({ requests: 0, latencyMs: { p50: null } });
    expect([told.models, told.users]).toEqual([[], []]);
  });
});
