// Models that have no price: the ceiling that lets them in, through a whole request, and the list
// of those that were asked for.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { admitCall, HASH, NOW } from '../../../tests/support/ledger';
import { newPerson, read } from '../../../tests/workerd/control-world';
import { inDatabase } from '../../../tests/workerd/drained';
import { later, useFakeDate } from '../../../tests/workerd/fake-date';
import { alarm } from '../../../tests/workerd/flushing';
import { relayedWallet, scriptUpstream, send } from '../../../tests/workerd/relayed';
import { newRequest, newWallet } from '../../../tests/workerd/wallet-object';
import type { Catalogue } from '../../domain/pricing/catalogue';
import { MINUTE_MS } from '../../domain/time';
import { poolOf } from '../../platform/objects';
import { noteUnknownModel, UNKNOWN_MODELS_MAX } from '../../store/unknown-models';
import type { Ceiling, Price } from '../contract/prices';

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

let admin = await newPerson({ role: 'admin' });

beforeEach(async () => {
  admin = await newPerson({ role: 'admin' });
  await poolOf(env).ping();
  await admin.call('DELETE', '/admin/prices/ceiling');
});

async function inPool(): Promise<Catalogue> {
  const answer = await poolOf(env).snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') throw new Error('Pool has no snapshot');
  return answer.value.catalogue;
}

describe('the ceiling', () => {
  it('is set, shown and taken away, and Pool knows each time', async () => {
    const set = await admin.call('PUT', '/admin/prices/ceiling', { body: NUMBERS });
    const ceiling = await read<Ceiling>(set);
    expect(ceiling).toMatchObject({ id: `ceiling:${new Date(NOW).toISOString()}`, bands: [BAND] });
    const { items, ceiling: shown } = await read<{ items: Price[]; ceiling: Ceiling }>(
      await admin.call('GET', '/admin/prices'),
    );
    expect(shown).toEqual(ceiling);
    expect(items.some(({ model }) => model === 'ceiling')).toBe(false);
    expect((await inPool()).ceiling).toMatchObject({ id: ceiling.id, isCeiling: true });
    expect((await admin.call('DELETE', '/admin/prices/ceiling')).status).toBe(204);
    expect((await inPool()).ceiling ?? null).toBe(null);
    const { results } = await env.DB.prepare(
      "SELECT action FROM audit WHERE target_id = 'ceiling' AND actor_id = ? ORDER BY action",
    )
      .bind(admin.userId)
      .all();
    // One before each test.
    expect(results.map(({ action }) => action)).toEqual([
      'admin.prices.deleteCeiling',
      'admin.prices.deleteCeiling',
      'admin.prices.setCeiling',
    ]);
  });

  it('lets a request for a model without a price through, priced and flagged in its line', async () => {
    const answer = {
      type: 'message',
      model: 'gpt-9',
      content: [{ type: 'text', text: 'Hi' }],
      usage: { input_tokens: 100, output_tokens: 10, service_tier: 'standard' },
    };
    // Of a known length, so that it is read whole.
    const headers = { 'content-length': String(JSON.stringify(answer).length) };
    scriptUpstream(new Map([['ceiling', () => Response.json(answer, { headers })]]));
    const wallet = await relayedWallet();
    const body = JSON.stringify({
      model: 'gpt-9',
      max_tokens: 10,
      messages: [{ role: 'user', content: 'ceiling' }],
    });
    const ask = async (session: string) => {
      const sent = send(wallet, { body, session });
      const { status } = await sent.response;
      await (await sent.response).text();
      await sent.finished();
      return status;
    };
    expect(await ask('before')).toBe(404);
    const set = await admin.call('PUT', '/admin/prices/ceiling', { body: NUMBERS });
    const { id } = await read<Ceiling>(set);
    // An isolate looks for a newer snapshot after a minute at the latest, and tells the object of
    // it from the next request on.
    later(2 * MINUTE_MS);
    await ask('between');
    expect(await ask('after')).toBe(200);
    await alarm(wallet);
    const lines = Object.values((await inDatabase(wallet)).log);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      expect(line).toMatchObject({
        model: 'gpt-9',
        price_id: id,
        cost_nanos: 150_000,
        flags: '["priced-by-ceiling"]',
      });
    }
  });
});

describe('models without a price', () => {
  async function seen(): Promise<readonly Record<string, unknown>[]> {
    const response = await admin.call('GET', '/admin/prices/unknown');
    return (await read<{ items: Record<string, unknown>[] }>(response)).items;
  }

  /** What the object has put behind its answers is done. */
  async function settled(count: number): Promise<void> {
    await vi.waitFor(async () => expect(await seen()).toHaveLength(count));
  }

  beforeEach(async () => {
    await admin.call('DELETE', '/admin/prices/unknown');
  });

  it('are noted when somebody asks for one, at most one a minute from a wallet', async () => {
    const { ledger, owner } = await newWallet();
    const ask = (model: string) =>
      ledger.admit(admitCall(owner.keyId, newRequest(), { model, keyHash: HASH }));
    expect(await ask('gpt-9')).toMatchObject({ error: { kind: 'unknown-model' } });
    await settled(1);
    await ask('gpt-10');
    await ask('gpt-9');
    later(MINUTE_MS);
    await ask('gpt-9');
    await vi.waitFor(async () =>
      expect(await seen()).toEqual([
        {
          model: 'gpt-9',
          firstSeenAt: NOW,
          // vi.waitFor moves the date on while it waits.
          lastSeenAt: expect.toSatisfy((at: number) => at >= NOW + MINUTE_MS),
          times: 2,
          isPriced: false,
        },
      ]),
    );
    later(MINUTE_MS);
    await ask('x'.repeat(1_000));
    await settled(2);
    expect((await seen())[0]).toMatchObject({ model: 'x'.repeat(200) });
  });

  it('are not noted of a key that is none', async () => {
    const { ledger, owner } = await newWallet();
    const wrong = { model: 'gpt-9', keyHash: 'wrong' };
    await ledger.admit(admitCall(owner.keyId, newRequest(), wrong));
    const right = { model: 'gpt-10' };
    await ledger.admit(admitCall(owner.keyId, newRequest(), right));
    await settled(1);
    expect((await seen())[0]).toMatchObject({ model: 'gpt-10' });
  });

  it('say when they have a price by now, and are forgotten when an admin says so', async () => {
    const model = 'claude-opus-5-5';
    await noteUnknownModel(env.DB, model, NOW);
    expect(await seen()).toMatchObject([{ model, isPriced: true }]);
    expect((await admin.call('DELETE', '/admin/prices/unknown')).status).toBe(204);
    expect(await seen()).toEqual([]);
  });

  it('are no more than a thousand, and known ones still count on', async () => {
    await env.DB.prepare(
      `INSERT INTO unknown_models SELECT 'm' || value, 1, 1, 1 FROM
        (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < ?)
        SELECT value FROM n)`,
    )
      .bind(UNKNOWN_MODELS_MAX)
      .run();
    await noteUnknownModel(env.DB, 'one-more', NOW);
    await noteUnknownModel(env.DB, 'm7', NOW);
    const items = await seen();
    expect(items).toHaveLength(UNKNOWN_MODELS_MAX);
    expect(items[0]).toMatchObject({ model: 'm7', times: 2 });
  });
});
