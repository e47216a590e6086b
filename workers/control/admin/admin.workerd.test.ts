// Settings, the audit and the figures for monitoring, through the routes; and where a browser that
// asks for /admin is sent.

import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import {
  call,
  codeOf,
  newPerson,
  newServiceToken,
  read,
  withBearer,
} from '../../../tests/workerd/control-world';
import { charged, flush, withCredit } from '../../../tests/workerd/credit-world';
import { ID_RANDOM_BYTES, newId } from '../../domain/ids';
import { MINUTE_MS } from '../../domain/time';
import { HISTOGRAM_BUCKETS } from '../../domain/usage/histogram';
import { poolOf } from '../../platform/objects';
import type { AuditEntry } from '../contract/audit';

const METRICS_TOKEN = 'test-metrics-token-of-length';
const SLOT_MS = 15 * MINUTE_MS;

const admin = await newPerson({ role: 'admin' });
const viewer = await newPerson({ role: 'viewer' });
const user = await newPerson();

describe('settings', () => {
  it('are listed with their defaults, and as they are once they are set', async () => {
    const [before] = (await read<{ items: object[] }>(await viewer.call('GET', '/admin/settings')))
      .items;
    expect(before).toEqual({
      name: 'registration',
      value: 'invite',
      default: 'invite',
      summary: expect.any(String),
      version: null,
    });
    const put = await admin.call('PUT', '/admin/settings/registration', {
      body: { value: 'closed' },
    });
    expect(await read(put)).toEqual({ name: 'registration', value: 'closed' });
    const { items } = await read<{ items: object[] }>(await admin.call('GET', '/admin/settings'));
    expect(items[0]).toMatchObject({ value: 'closed', version: expect.any(Number) });
    const body = { email: 'x@example.com', password: 'long enough words', name: 'X' };
    const register = await call('POST', '/api/auth/register', { body });
    expect(await codeOf(register)).toBe('registration-closed');
  });

  it('take their own values alone, and only those that exist', async () => {
    const put = (name: string, body: object) =>
      admin.call('PUT', `/admin/settings/${name}`, { body });
    for (const body of [{ value: 'everyone' }, { value: null }, {}, { value: ['open'] }]) {
      expect((await put('registration', body)).status).toBe(400);
    }
    expect((await put('registration', { value: 'open', extra: 1 })).status).toBe(400);
    for (const name of ['snapshot_version', 'setup', 'price_ceiling', 'constructor', '__proto__']) {
      expect((await put(name, { value: 'open' })).status).toBe(404);
    }
  });

  it('of the relay path are in Pool at once, and take what they can be alone', async () => {
    const put = (name: string, value: unknown) =>
      admin.call('PUT', `/admin/settings/${name}`, { body: { value } });
    const inPool = async () => {
      const answer = await poolOf(env).snapshot(null);
      return answer.ok && answer.value !== 'unchanged' ? answer.value.settings : null;
    };
    const fresh = { egressCountries: [], egressRegion: 'enam', headerTimeoutMs: {} };
    expect(await inPool()).toEqual(fresh);
    await read(await put('egress_countries', ['US', 'DE']));
    await read(await put('egress_region', 'weur'));
    await read(await put('header_timeouts', { 'claude-x': 60_000 }));
    const set = {
      egressCountries: ['US', 'DE'],
      egressRegion: 'weur',
      headerTimeoutMs: { 'claude-x': 60_000 },
    };
    expect(await inPool()).toEqual(set);
    for (const [name, value] of [
      ['egress_countries', ['usa']],
      ['egress_countries', 'US'],
      ['egress_region', 'moon'],
      ['header_timeouts', { 'claude-x': 5 }],
    ] as const) {
      expect((await put(name, value)).status).toBe(400);
    }
    expect(await inPool()).toEqual(set);
    const { items } = await read<{ items: { name: string; default: unknown }[] }>(
      await viewer.call('GET', '/admin/settings'),
    );
    const named = new Map(items.map(({ name, default: usual }) => [name, usual]));
    expect([named.get('egress_countries'), named.get('egress_region')]).toEqual([[], 'enam']);
  });

  it('are seen by viewers and set by admins', async () => {
    const body = { value: 'invite' };
    const path = '/admin/settings/registration';
    const token = withBearer(await newServiceToken(['read:settings']));
    for (const ask of [user.call, viewer.call, token]) {
      expect((await ask('PUT', path, { body })).status).toBe(403);
    }
    expect((await call('PUT', path, { body })).status).toBe(401);
    expect((await user.call('GET', '/admin/settings')).status).toBe(403);
  });
});

describe('the audit', () => {
  async function listed(query: string): Promise<{ items: AuditEntry[]; next: string | null }> {
    return read(await viewer.call('GET', `/admin/audit?${query}`));
  }

  it('tells who did what to whom, newest first, in pages', async () => {
    const other = await newPerson({ role: 'admin' });
    for (const value of ['open', 'closed', 'invite']) {
      await read(await other.call('PUT', '/admin/settings/registration', { body: { value } }));
    }
    const mine = `actorId=${other.userId}`;
    const { items, next } = await listed(mine);
    expect(next).toBe(null);
    const afters = items.map(({ after }) => after);
    expect(new Set(items.map(({ id }) => id)).size).toBe(3);
    expect(afters).toHaveLength(3);
    expect(afters).toContainEqual({ value: 'open' });
    expect(items[0]).toMatchObject({
      actorId: other.userId,
      sessionId: other.sessionId,
      address: '192.0.2.1',
      action: 'admin.settings.set',
      targetId: 'registration',
    });
    expect(items.map(({ id }) => id)).toEqual(
      items
        .map(({ id }) => id)
        .sort()
        .reverse(),
    );
    const first = await listed(`${mine}&limit=2`);
    const second = await listed(`${mine}&limit=2&cursor=${first.next}`);
    expect([...first.items, ...second.items]).toEqual(items);
    expect(second.next).toBe(null);
  });

  it('is filtered by target, action and dates', async () => {
    const line = async (at: number, action: string, targetId: string) => {
      const id = newId('audit', at, new Uint8Array(ID_RANDOM_BYTES));
      await env.DB.prepare(
        `INSERT INTO audit VALUES (?, ?, 'cron', NULL, '', ?, ?, NULL, '{"a":1}', 'req_1')`,
      )
        .bind(id, at, action, targetId)
        .run();
    };
    const now = Date.now();
    const day = 24 * 60 * MINUTE_MS;
    await line(now - 100 * day, 'x.old', 'thing');
    await line(now - 10 * day, 'x.made', 'thing');
    await line(now - 5 * day, 'x.made', 'other');
    const found = async (query: string) => (await listed(query)).items.map(({ at }) => now - at);
    expect(await found('targetId=thing')).toEqual([10 * day, 100 * day]);
    expect(await found('action=x.made')).toEqual([5 * day, 10 * day]);
    expect(await found('action=x.made&targetId=thing')).toEqual([10 * day]);
    expect(await found(`actorId=cron&from=${now - 11 * day}&to=${now - 5 * day}`)).toEqual([
      10 * day,
    ]);
    // By action alone nothing finds a line: without a date only the last 90 days are looked at.
    expect(await found('action=x.old')).toEqual([]);
    expect(await found(`action=x.old&from=${now - 101 * day}`)).toEqual([100 * day]);
  });

  it('is a file when asked, with no cell that a spreadsheet would run', async () => {
    const name = '=cmd|calc';
    const body = { name, email: 'formula@example.com' };
    await read(await admin.call('POST', '/admin/users', { body }), 201);
    await env.DB.prepare("UPDATE audit SET address = '=1+1' WHERE action = 'admin.users.create'")
      .bind()
      .run();
    const path = `/admin/audit?actorId=${admin.userId}&action=admin.users.create&format=csv`;
    const response = await admin.call('GET', path);
    expect(response.headers.get('content-type')).toContain('text/csv');
    const [header, line] = (await response.text()).split('\r\n');
    expect(header).toBe('id,at,actor,action,target,before,after,address,session,request');
    expect(line).toContain(`${admin.userId},admin.users.create,usr_`);
    expect(line).toContain(",'=1+1,");
    const page = await admin.call('GET', '/admin/audit?format=csv&limit=1');
    expect(page.headers.get('x-next-cursor')).toMatch(/^aud_/);
  });

  it.each(['cursor=aud_1', 'from=-1', 'to=x', 'actorId=', 'sort=id', 'limit=0', 'format=xml'])(
    'is refused with %s',
    async (query) => {
      expect((await admin.call('GET', `/admin/audit?${query}`)).status).toBe(400);
    },
  );

  it('finds nothing by what is no word but a statement, and is closed to users', async () => {
    expect((await listed(`actorId=${encodeURIComponent("' OR 1=1 --")}`)).items).toEqual([]);
    expect((await user.call('GET', '/admin/audit')).status).toBe(403);
    expect((await call('GET', '/admin/audit')).status).toBe(401);
    const token = withBearer(await newServiceToken(['read:settings']));
    expect((await token('GET', '/admin/audit')).status).toBe(403);
  });
});

describe('/metrics', () => {
  const LINE = /^([a-z][a-z0-9_]*)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)$/;

  async function scraped(bindings: Env = env): Promise<ReadonlyMap<string, number>> {
    const response = await withBearer(METRICS_TOKEN)('GET', '/metrics', { bindings });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const found = new Map<string, number>();
    const announced = new Set<string>();
    const wrong: string[] = [];
    const text = await response.text();
    expect(text.endsWith('\n')).toBe(true);
    for (const line of text.slice(0, -1).split('\n')) {
      const [, kind, name = ''] = /^# (HELP|TYPE) (\S+) ./.exec(line) ?? [];
      if (kind !== undefined) announced.add(`${kind} ${name}`);
      else {
        const [, metric = '', labels, value = 'NaN'] = LINE.exec(line) ?? [];
        const key = labels === undefined ? metric : `${metric}{${labels}}`;
        const isTold = announced.has(`HELP ${metric}`) && announced.has(`TYPE ${metric}`);
        // Neither out of format, nor without its head, nor said twice.
        if (!isTold || !Number.isFinite(Number(value)) || found.has(key)) wrong.push(line);
        found.set(key, Number(value));
      }
    }
    expect(wrong).toEqual([]);
    return found;
  }

  it('tells of every part, and each line is in the format', async () => {
    await poolOf(env).ping();
    const who = await withCredit();
    await charged(who, 1_000_000_000);
    await flush(who);
    await env.DB.prepare(
      "INSERT INTO outbox VALUES ('x', 'credit', 'x', 'wal_x', 'weur', 1, 'null', ?)",
    )
      .bind(Date.now() - MINUTE_MS)
      .run();
    const found = await scraped();
    const at = (name: string) => found.get(name);
    expect(at('relay_part_up{part="pool"}')).toBe(1);
    expect(at('relay_part_up{part="database"}')).toBe(1);
    expect(at('relay_accounts{status="active"}')).toBeGreaterThan(0);
    expect(at('relay_snapshot_version')).toBe(at('relay_database_snapshot_version'));
    expect(at('relay_balances_dollars')).toBeCloseTo(9, 9);
    expect(at('relay_balances')).toBe(1);
    expect(at('relay_ledger_cursors')).toBe(1);
    expect(at('relay_users{status="active"}')).toBeGreaterThan(3);
    expect(at('relay_outbox_rows_by_kind{kind="credit"}')).toBe(1);
    expect(at('relay_outbox_oldest_seconds')).toBeGreaterThanOrEqual(60);
    expect(at('relay_late_settles_rows')).toBe(0);
    const text = JSON.stringify([...found.keys()]);
    for (const id of [who.userId, who.walletId, who.email]) expect(text).not.toContain(id);
    await env.DB.prepare("DELETE FROM outbox WHERE id = 'x'").run();
  });

  it('sums the last whole quarter of an hour by model and closing, others as one', async () => {
    const start = Math.floor((Date.now() - 2 * MINUTE_MS) / SLOT_MS) * SLOT_MS - SLOT_MS;
    const histogram = (bucket: number, count: number) =>
      JSON.stringify(
        Array.from({ length: HISTOGRAM_BUCKETS }, (_, index) => (index === bucket ? count : 0)),
      );
    const add = (slot: number, model: string, [closing, requests]: readonly [string, number]) =>
      env.DB.prepare(
        `INSERT INTO rollups VALUES (?1, 'usr_secret', ?2, ?3, '', ?4, ?5, 10, 1, 2, 30, 4, 1,
          2000000000, ?6, ?7)`,
      ).bind(
        slot,
        newId('key', Date.now(), crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES))),
        model,
        closing,
        requests,
        histogram(HISTOGRAM_BUCKETS - 1, requests),
        histogram(0, requests),
      );
    await env.DB.batch([
      add(start, 'm"x\\', ['completed', 300]),
      add(start, 'm"x\\', ['completed', 200]),
      add(start, 'm"x\\', ['client-left', 100]),
      add(start - SLOT_MS, 'm"x\\', ['completed', 1_000]),
      add(start + SLOT_MS, 'm"x\\', ['completed', 1_000]),
      ...Array.from({ length: 60 }, (_, n) => add(start, `rare-${n}`, ['completed', 1])),
    ]);
    const found = await scraped();
    const at = (name: string) => found.get(name);
    const model = 'model="m\\"x\\\\"';
    expect(at('relay_window_start_seconds')).toBe(start / 1_000);
    expect(at(`relay_window_requests{${model},closing="completed"}`)).toBe(500);
    expect(at(`relay_window_requests{${model},closing="client-left"}`)).toBe(100);
    expect(at('relay_window_requests{model="other",closing="completed"}')).toBe(11);
    expect(at(`relay_window_tokens{${model},kind="cache-write"}`)).toBe(9);
    expect(at(`relay_window_cost_dollars{${model},closing="completed"}`)).toBe(4);
    expect(at('relay_window_first_byte_seconds_bucket{le="0.001"}')).toBe(660);
    expect(at('relay_window_duration_seconds_bucket{le="0.001"}')).toBe(0);
    expect(at('relay_window_duration_seconds_bucket{le="+Inf"}')).toBe(660);
    expect([...found.keys()].join()).not.toContain('usr_secret');
  });

  it('says that the database is down, and tells of Pool all the same', async () => {
    const broken = { withSession: () => ({ prepare: () => null, batch: () => Promise.reject() }) };
    // Only what the statements ask of it.
    const found = await scraped({ ...env, DB: broken as unknown as D1Database });
    expect(found.get('relay_part_up{part="database"}')).toBe(0);
    expect(found.get('relay_part_up{part="pool"}')).toBe(1);
    expect(found.get('relay_accounts{status="active"}')).toBeGreaterThan(0);
    expect(found.has('relay_users{status="active"}')).toBe(false);
  });

  it('is opened by its own word alone, and by none where none is set', async () => {
    const wrong = withBearer('test-metrics-token-of-lengtH');
    for (const ask of [call, wrong, admin.call]) {
      const response = await ask('GET', '/metrics');
      expect([response.status, await codeOf(response)]).toEqual([401, 'token-not-valid']);
    }
    const unset = { ...env, METRICS_TOKEN: '' };
    for (const ask of [call, withBearer('')]) {
      const response = await ask('GET', '/metrics', { bindings: unset });
      expect([response.status, await codeOf(response)]).toEqual([503, 'not-configured']);
    }
    expect((await withBearer(METRICS_TOKEN)('POST', '/metrics')).status).toBe(405);
    expect((await withBearer(METRICS_TOKEN)('GET', '/admin/settings')).status).toBe(401);
  });
});

describe('a browser at /admin', () => {
  const bindings: Env = { ...env, ALLOWED_ORIGINS: 'https://dash.example,https://two.example' };
  const headers = { accept: 'text/html,application/xhtml+xml;q=0.9' };

  it('is sent to the dashboard where it is known', async () => {
    for (const path of ['/admin', '/admin/', '/admin/anything?x=1']) {
      const response = await call('GET', path, { headers, bindings });
      expect([response.status, response.headers.get('location')]).toEqual([
        302,
        'https://dash.example/',
      ]);
    }
  });

  it('is told that there is nothing where it is not known', async () => {
    const response = await call('GET', '/admin', {
      headers,
      bindings: { ...env, ALLOWED_ORIGINS: '' },
    });
    expect([response.status, await codeOf(response)]).toEqual([404, 'not-found']);
  });

  it('gets what a program gets at an address that exists, and a program is sent nowhere', async () => {
    const known = await call('GET', '/admin/users', { headers, bindings });
    expect([known.status, await codeOf(known)]).toEqual([401, 'sign-in-needed']);
    const program = { headers: { accept: 'application/json' }, bindings };
    expect((await call('GET', '/admin', program)).status).toBe(404);
    expect((await call('POST', '/admin', { headers, bindings })).status).toBe(404);
    expect((await call('GET', '/administrator', { headers, bindings })).status).toBe(404);
  });
});
