// What the door of the data plane hands on to the wallet's object, and by it to D1: through the
// whole relay, in front of an upstream that refuses.

import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { inDatabase } from '../../tests/workerd/drained';
import { useFakeDate } from '../../tests/workerd/fake-date';
import { alarm } from '../../tests/workerd/flushing';
import { relayedWallet, skipLongWaits } from '../../tests/workerd/relayed';
import { nanosFromDollars } from '../domain/money';
import { relay } from './relay';

useFakeDate();

/** The answer once everything behind it is done. */
async function ask(path: string, init: RequestInit): Promise<Response> {
  const behind: Promise<unknown>[] = [];
  const ctx = { waitUntil: (promise: Promise<unknown>) => void behind.push(promise) };
  const answer = await relay(new Request(`https://relay.test${path}`, init), env, ctx);
  await Promise.all(behind);
  return answer;
}

const BODY = JSON.stringify({
  model: 'claude-opus-5-5',
  max_tokens: 10,
  messages: [{ role: 'user', content: 'Hello' }],
});

describe('the ids that Claude Code sends', () => {
  it('stand in the line of the request log, cut to what a row can carry', async () => {
    const refusal = { type: 'error', error: { type: 'invalid_request_error', message: 'no' } };
    skipLongWaits();
    vi.spyOn(globalThis, 'fetch').mockImplementation(async () =>
      Response.json(refusal, { status: 400 }),
    );
    const wallet = await relayedWallet();
    const { key } = wallet;
    const own = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const headers = {
      ...own,
      'x-claude-code-session-id': '4b5a1c1e-0000-4000-8000-000000000001',
      'x-claude-code-agent-id': 'a7c4ea5e0c1c7f5c7',
      'x-claude-code-request-class': 'main',
      'x-claude-code-prompt-id': 'p'.repeat(1_000),
    };
    await ask('/api/v1/messages', { method: 'POST', headers, body: BODY });
    await ask('/v1/messages', { method: 'POST', headers: own, body: BODY });
    await alarm(wallet);
    const lines = Object.values((await inDatabase(wallet)).log);
    expect(lines).toHaveLength(2);
    expect(lines).toContainEqual(
      expect.objectContaining({
        session: '4b5a1c1e-0000-4000-8000-000000000001',
        agent: 'a7c4ea5e0c1c7f5c7',
        request_class: 'main',
        prompt: 'p'.repeat(64),
      }),
    );
    const none = { session: null, agent: null, request_class: null, prompt: null };
    expect(lines).toContainEqual(expect.objectContaining(none));
  });
});

describe('the own usage', () => {
  const path = '/api/oauth/usage';

  it('is told in the shape of Claude Code, is never stored, and writes no row', async () => {
    const limitNanos = nanosFromDollars(10);
    const wallet = await relayedWallet({ limits: { budgets: [{ period: 'week', limitNanos }] } });
    const { key } = wallet;
    const answer = await ask(path, { headers: { 'x-api-key': key } });
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(await answer.json()).toEqual({
      extra_usage: {
        is_enabled: true,
        monthly_limit: 1_000,
        used_credits: 0,
        utilization: 0,
        currency: 'USD',
      },
      limits: [
        {
          kind: 'spend',
          group: 'weekly',
          percent: 0,
          // Of the Friday on which these tests stand.
          resets_at: '2035-11-26T00:00:00Z',
          severity: 'normal',
          is_active: true,
        },
      ],
    });
    await alarm(wallet);
    expect((await inDatabase(wallet)).log).toEqual({});
  });

  it('is told under /api as well, where clients with a base URL of /api look for it', async () => {
    const { key } = await relayedWallet();
    const answer = await ask(`/api${path}`, { headers: { authorization: `Bearer ${key}` } });
    expect(await answer.json()).toMatchObject({ limits: [] });
  });

  it('is refused to a wrong key, to none and to one that was disabled', async () => {
    const wallet = await relayedWallet();
    const { key, copy } = wallet;
    const wrong = `${key.slice(0, -1)}${key.endsWith('2') ? '3' : '2'}`;
    for (const headers of [{}, { 'x-api-key': wrong }]) {
      expect((await ask(path, { headers })).status).toBe(401);
    }
    await wallet.ledger.apply([{ ...copy, status: 'disabled', version: 3 }]);
    const answer = await ask(path, { headers: { 'x-api-key': key } });
    expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([401, 'false']);
  });
});
