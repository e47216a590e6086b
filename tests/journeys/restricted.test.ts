// What a key may be used for: its holder is told, lists show no more, and what is not in them is
// refused.

import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { json } from '../support/answers';
import { ask, send } from '../support/client';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

const { keys } = inject('relay');
const key = keys.restricted;
const headers = { 'user-agent': 'agent/1' };
/** Of models that have a price. */
const MODELS = ['claude-opus-5-5', 'claude-haiku-4-5'];
const RULES = { models: { allow: ['claude-*'], deny: ['claude-opus-*'] }, clients: ['agent/*'] };
let owner: Owner;
/** Lists of models are kept for some minutes: each test has an account of its own. */
let free: Own;
let bound: Own;
let silent: Own;
beforeAll(async () => {
  owner = await ownerOfAccounts();
  free = await owner.own(['only'], { models: MODELS });
  bound = await owner.own(['only'], { models: MODELS }, RULES);
  silent = await owner.own(['only'], { models: MODELS }, RULES);
  await owner.known();
});
afterAll(() => owner.end());

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

const entry = (id: string) => ({ type: 'model', id, display_name: id, created_at: '2026-01-01' });

async function listOf(of: Own): Promise<{ readonly data: readonly { readonly id: string }[] }> {
  return JSON.parse((await send('/v1/models?limit=2', { key: of.key, headers })).text);
}

test('models that a key may not use are not listed, the others as the upstream has them', async () => {
  const page = { data: MODELS.map(entry), has_more: false };
  for (const { upstream } of [free, bound]) upstream.on('/v1/models', json(page));
  expect((await listOf(free)).data).toEqual(page.data);
  expect((await listOf(bound)).data).toEqual([entry('claude-haiku-4-5')]);
});

test('what no upstream lists is listed by its price, of what the key may use', async () => {
  silent.upstream.on('/v1/models', json({}, 500));
  expect((await listOf(silent)).data.map(({ id }) => id)).toEqual(['claude-haiku-4-5']);
});

test('models that a key may not use are not answered', async () => {
  expect((await send('/v1/models/claude-opus-5-5', { key, headers })).status).toBe(403);
  for (const { key: own } of [bound, { key }]) {
    const refused = await send('/v1/messages', { key: own, headers, body: ask('restricted') });
    expect(refused.status).toBe(403);
  }
  expect(bound.upstream.seen('restricted')).toHaveLength(0);
});
