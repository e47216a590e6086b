// Prices and names of models as admins manage them, through the routes and on to Pool.
// Models without a price are unknown.workerd.test.ts.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  call,
  codeOf,
  newPerson,
  newServiceToken,
  read,
  withBearer,
} from '../../../tests/workerd/control-world';
import { NOW } from '../../../tests/support/ledger';
import { later, useFakeDate } from '../../../tests/workerd/fake-date';
import type { Catalogue } from '../../domain/pricing/catalogue';
import { LIST_ALIASES, LIST_PRICES } from '../../domain/pricing/list-prices';
import { HOUR_MS, MINUTE_MS } from '../../domain/time';
import { poolOf } from '../../platform/objects';
import type { Price } from '../contract/prices';

useFakeDate();

const BAND = {
  promptAbove: 0,
  input: 1_000_000,
  cacheWrite5m: 1_250_000,
  cacheWrite1h: 2_000_000,
  cacheRead: 100_000,
  output: 5_000_000,
};
const NUMBERS = { bands: [BAND], maxOutputTokens: 8_000 };
const LISTED = 'claude-opus-5-5';

let admin = await newPerson({ role: 'admin' });
let models = 0;

beforeEach(async () => {
  admin = await newPerson({ role: 'admin' });
  await poolOf(env).ping();
  await admin.call('DELETE', '/admin/prices/ceiling');
});

/** No login lasts so long: the admin has another then. */
async function inAnHour(): Promise<void> {
  later(HOUR_MS);
  admin = await newPerson({ role: 'admin' });
}

function freshModel(): string {
  models += 1;
  return `model-${models}`;
}

async function made(more: object = {}): Promise<Price> {
  const body = { model: freshModel(), family: 'test', ...NUMBERS, ...more };
  const response = await admin.call('POST', '/admin/prices', { body });
  return (await read<{ price: Price }>(response, 201)).price;
}

async function listed(query: string): Promise<Price[]> {
  const response = await admin.call('GET', `/admin/prices?${query}`);
  return (await read<{ items: Price[] }>(response)).items;
}

async function inPool(): Promise<Catalogue> {
  const answer = await poolOf(env).snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') throw new Error('Pool has no snapshot');
  return answer.value.catalogue;
}

describe('the list', () => {
  it('shows what is in force, and all of a model when asked', async () => {
    const items = await listed('');
    expect(items.every(({ state }) => state === 'in-force')).toBe(true);
    expect(new Set(items.map(({ model }) => model)).size).toBe(items.length);
    const { length } = LIST_PRICES.filter(({ model }) => model === 'claude-sonnet-5-5');
    const all = await listed('model=claude-sonnet-5-5&state=all');
    expect(all.map(({ state, source }) => [state, source])).toEqual([
      ...Array.from({ length: length - 1 }, () => ['past', 'list']),
      ['in-force', 'list'],
    ]);
  });
});

describe('a new price', () => {
  it('holds from its instant on, for Pool at once, and the one before it until then', async () => {
    const first = await made({ effectiveFrom: NOW - HOUR_MS });
    const { model } = first;
    expect(first).toMatchObject({ state: 'in-force', source: 'admin', displayName: model });
    const next = await made({ model, effectiveFrom: NOW + HOUR_MS, displayName: 'Dearer' });
    expect(next).toMatchObject({ state: 'future' });
    const states = async () => (await listed(`model=${model}&state=all`)).map(({ state }) => state);
    expect(await states()).toEqual(['in-force', 'future']);
    expect((await inPool()).rows.filter((row) => row.model === model)).toHaveLength(2);
    await inAnHour();
    expect(await states()).toEqual(['past', 'in-force']);
  });

  it('knows what answers usually say, so that the usual costs no double', async () => {
    const { speed, geo, tier, webSearchPicos } = await made();
    expect({ speed, geo, tier, webSearchPicos }).toEqual({
      speed: { standard: [1, 1] },
      geo: { global: [1, 1], not_available: [1, 1] },
      tier: { standard: [1, 1], priority: [1, 1] },
      webSearchPicos: 10_000_000_000,
    });
  });

  it('lies in the past only where the model has none', async () => {
    const body = { model: LISTED, family: 'opus', ...NUMBERS, effectiveFrom: NOW - 1 };
    const response = await admin.call('POST', '/admin/prices', { body });
    const { error } = await response.json<{ error: { fields: object } }>();
    expect([response.status, error.fields]).toEqual([400, { effectiveFrom: 'lies in the past' }]);
    expect((await made({ ...body, effectiveFrom: NOW })).id).toBe(
      `${LISTED}@${new Date(NOW).toISOString()}`,
    );
  });

  it('is the only one of its instant', async () => {
    const { model } = await made({ effectiveFrom: NOW });
    const body = { model, family: 'test', ...NUMBERS, effectiveFrom: NOW };
    const again = await admin.call('POST', '/admin/prices', { body });
    expect([again.status, await codeOf(again)]).toEqual([409, 'conflict']);
  });

  it('is made once for one Idempotency-Key', async () => {
    const body = { model: freshModel(), family: 'test', ...NUMBERS };
    const headers = { 'idempotency-key': 'price-1' };
    const ask = () => admin.call('POST', '/admin/prices', { body, headers });
    const first = await read<{ price: Price }>(await ask(), 201);
    later(MINUTE_MS);
    expect(await read(await ask(), 201)).toEqual({ ...first, replayed: true });
    expect(await listed(`model=${body.model}&state=all`)).toHaveLength(1);
  });

  it.each([
    { bands: [] },
    { bands: [{ ...BAND, promptAbove: 1 }] },
    { bands: [BAND, BAND] },
    { bands: [{ ...BAND, input: 0.5 }] },
    { bands: [{ ...BAND, input: -1 }] },
    { bands: [{ ...BAND, input: 10_000_000_001 }] },
    { bands: [{ ...BAND, extra: 1 }] },
    { speed: { fast: [1, 0] } },
    { speed: { fast: [2] } },
    { tier: { 'a b': [1, 1] } },
    { maxOutputTokens: 0 },
    { effectiveFrom: 'tomorrow' },
    { effectiveFrom: 8_000_000_000_000_000 },
    { model: 'two words' },
    { source: 'list' },
    { isCeiling: true },
  ])('is refused with %j', async (more) => {
    const body = { model: freshModel(), family: 'test', ...NUMBERS, ...more };
    const response = await admin.call('POST', '/admin/prices', { body });
    expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
  });

  it('can go while it is ahead, and neither when it is in force nor when it is listed', async () => {
    const ahead = await made({ effectiveFrom: NOW + HOUR_MS });
    const remove = (id: string) => admin.call('DELETE', `/admin/prices/${encodeURIComponent(id)}`);
    expect((await remove(ahead.id)).status).toBe(204);
    expect((await remove(ahead.id)).status).toBe(404);
    expect((await inPool()).rows.some(({ id }) => id === ahead.id)).toBe(false);
    const { id } = await made();
    const [listedPrice] = LIST_PRICES;
    for (const fixed of [id, listedPrice?.id ?? '']) {
      expect(await codeOf(await remove(fixed))).toBe('conflict');
    }
    const late = await made({ effectiveFrom: NOW + HOUR_MS });
    await inAnHour();
    expect((await remove(late.id)).status).toBe(409);
  });
});

describe('other names', () => {
  const [shipped = '', target = ''] = Object.entries(LIST_ALIASES)[0] ?? [];

  async function set(alias: string, model: string): Promise<Response> {
    const path = `/admin/prices/aliases/${encodeURIComponent(alias)}`;
    return admin.call('PUT', path, { body: { model } });
  }

  async function all(): Promise<readonly { alias: string; model: string; source: string }[]> {
    const response = await admin.call('GET', '/admin/prices/aliases');
    return (await read<{ items: { alias: string; model: string; source: string }[] }>(response))
      .items;
  }

  it('are made, moved and taken away, and Pool knows each time', async () => {
    expect((await set('team/best', LISTED)).status).toBe(200);
    expect((await inPool()).aliases['team/best']).toBe(LISTED);
    expect(await read(await set('team/best', 'claude-opus-5'))).toEqual({
      alias: 'team/best',
      model: 'claude-opus-5',
      source: 'admin',
    });
    expect((await admin.call('DELETE', '/admin/prices/aliases/team%2Fbest')).status).toBe(204);
    expect((await inPool()).aliases['team/best']).toBeUndefined();
    expect((await admin.call('DELETE', '/admin/prices/aliases/team%2Fbest')).status).toBe(404);
  });

  it('of the release can be given another model, and mean the old one again afterwards', async () => {
    const path = `/admin/prices/aliases/${shipped}`;
    expect((await admin.call('DELETE', path)).status).toBe(409);
    await read(await set(shipped, LISTED));
    expect(await all()).toContainEqual({ alias: shipped, model: LISTED, source: 'admin' });
    expect((await admin.call('DELETE', path)).status).toBe(204);
    expect(await all()).toContainEqual({ alias: shipped, model: target, source: 'list' });
  });

  it.each([
    [LISTED, 'claude-opus-5', 'alias'],
    ['nick', 'gpt-9', 'model'],
    ['nick', shipped, 'model'],
    ['two words', LISTED, 'alias'],
  ])('cannot be %s for %s', async (alias, model, field) => {
    const response = await set(alias, model);
    const { error } = await response.json<{ error: { fields: object } }>();
    expect([response.status, Object.keys(error.fields)]).toEqual([400, [field]]);
  });
});

describe('a preview', () => {
  async function previewed(body: object) {
    const response = await admin.call('POST', '/admin/prices/preview', { body });
    return read<{ lines: unknown[] } & Record<string, unknown>>(response);
  }

  it('adds up line by line to what a request is charged', async () => {
    const usage = { input: 10, cacheRead: 1_000, output: 3, webSearches: 1, tier: 'standard' };
    const { model, id } = await made();
    expect(await previewed({ model, usage })).toMatchObject({
      model,
      priceId: id,
      byCeiling: false,
      picos: '10125000000',
      costNanos: 10_125_000,
      flags: [],
      lines: [
        { kind: 'input', count: 10, unitPicos: 1_000_000, picos: '10000000' },
        { kind: 'cacheRead', count: 1_000, unitPicos: 100_000, picos: '100000000' },
        { kind: 'output', count: 3, unitPicos: 5_000_000, picos: '15000000' },
        { kind: 'webSearches', count: 1, unitPicos: 10_000_000_000, picos: '10000000000' },
      ],
    });
  });

  it('takes the price of the date that is asked for, and resolves names', async () => {
    const usage = { input: 1_000 };
    const { model } = await made({ effectiveFrom: NOW - HOUR_MS });
    const bands = [{ ...BAND, input: 2_000_000 }];
    await made({ model, effectiveFrom: NOW + HOUR_MS, bands });
    const at = NOW + HOUR_MS;
    expect(await previewed({ model, usage })).toMatchObject({ costNanos: 1_000_000 });
    expect(await previewed({ model, usage, at })).toMatchObject({ costNanos: 2_000_000 });
    const dated = { model: `${model}-20260101`, usage, at };
    expect(await previewed(dated)).toMatchObject({ model, costNanos: 2_000_000 });
  });

  it('knows no model without a price, unless there is a ceiling', async () => {
    const body = { model: 'gpt-9', usage: { input: 1_000 } };
    const response = await admin.call('POST', '/admin/prices/preview', { body });
    expect([response.status, await codeOf(response)]).toEqual([404, 'unknown-model']);
    await read(await admin.call('PUT', '/admin/prices/ceiling', { body: NUMBERS }));
    expect(await previewed(body)).toMatchObject({
      model: 'gpt-9',
      byCeiling: true,
      costNanos: 1_000_000,
      flags: ['priced-by-ceiling'],
    });
  });

  it.each([{ input: -1 }, { input: 0.5 }, { thinking: 1 }, { speed: 'a b' }])(
    'is refused for %j',
    async (usage) => {
      const body = { model: LISTED, usage };
      const response = await admin.call('POST', '/admin/prices/preview', { body });
      expect(response.status).toBe(400);
    },
  );
});

describe('who may', () => {
  it('read prices are viewers and tokens for it; change them, admins and tokens to write', async () => {
    const viewer = await newPerson({ role: 'viewer' });
    const user = await newPerson();
    const reading = withBearer(await newServiceToken(['read:prices']));
    const writing = withBearer(await newServiceToken(['write:prices']));
    const statuses = async (method: string, path: string, body?: object) => {
      const answers: number[] = [];
      for (const ask of [call, user.call, viewer.call, reading, writing]) {
        const response = await ask(method, path, body === undefined ? {} : { body });
        answers.push(response.status);
      }
      return answers;
    };
    const seeing = [401, 403, 200, 200, 200];
    for (const path of ['', '/aliases', '/unknown']) {
      expect(await statuses('GET', `/admin/prices${path}`)).toEqual(seeing);
    }
    const sample = { model: LISTED, usage: {} };
    expect(await statuses('POST', '/admin/prices/preview', sample)).toEqual(seeing);
    const price = { model: freshModel(), family: 'test', ...NUMBERS };
    expect(await statuses('POST', '/admin/prices', price)).toEqual([401, 403, 403, 403, 201]);
    const changing = [401, 403, 403, 403, 200];
    expect(await statuses('PUT', '/admin/prices/ceiling', NUMBERS)).toEqual(changing);
    expect(await statuses('PUT', '/admin/prices/aliases/a', { model: LISTED })).toEqual(changing);
    const removing = [401, 403, 403, 403, 204];
    for (const path of ['/aliases/a', '/ceiling', '/unknown']) {
      expect(await statuses('DELETE', `/admin/prices${path}`)).toEqual(removing);
    }
  });
});
