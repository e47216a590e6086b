// What a key may be used for: its holder is told, lists show no more, and what is not in them is
// refused.

import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { json } from '../support/answers';
import { ask, send } from '../support/client';
import { FakeUpstream } from '../support/fake-upstream';

const { keys, accounts } = inject('relay');
const key = keys.restricted;
const headers = { 'user-agent': 'agent/1' };
const upstream = new FakeUpstream(accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

test('a restricted key tells what it may be used for, another that it is for all', async () => {
  const told = JSON.parse((await send('/api/v1/key-info', { key })).text);
  expect(told.key).toMatchObject({
    clients: ['agent/*'],
    addresses: ['0.0.0.0/0', '::/0'],
    protocols: ['anthropic'],
    when_client_leaves: 'cancel',
  });
  const all = JSON.parse((await send('/api/v1/key-info', { key: keys.draining })).text);
  const open = { clients: null, addresses: null, protocols: null, when_client_leaves: 'drain' };
  expect(all.key).toMatchObject(open);
  expect(all.models).toContain('claude-opus-5-5');
  const isAllowed = (model: string): boolean => !model.startsWith('claude-opus-');
  expect(told.models).toEqual(all.models.filter(isAllowed));
  expect(told.models).toContain('claude-haiku-4-5');
});

test('models that a key may not use are neither listed nor answered', async () => {
  const entry = (id: string) => ({ type: 'model', id, display_name: id, created_at: '2026-01-01' });
  const page = { data: [entry('claude-opus-5-5'), entry('claude-haiku-4-5')], has_more: false };
  upstream.on('/v1/models?limit=2', json(page));
  const list = async (of: string) =>
    JSON.parse((await send('/v1/models?limit=2', { key: of, headers })).text);
  expect(await list(keys.draining)).toEqual(page);
  expect(await list(key)).toEqual({ ...page, data: [entry('claude-haiku-4-5')] });
  upstream.on('/v1/models?limit=2', json({}, 500));
  const ids = (await list(key)).data.map(({ id }: { id: string }) => id);
  const told = JSON.parse((await send('/api/v1/key-info', { key })).text);
  expect(ids).toEqual(told.models);
  expect((await send('/v1/models/claude-opus-5-5', { key, headers })).status).toBe(403);
  const refused = await send('/v1/messages', { key, headers, body: ask('restricted') });
  expect(refused.status).toBe(403);
  expect(upstream.seen('restricted')).toHaveLength(0);
});
