// One client's odd headers are nobody else's trouble.

import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { relayedWallet, skipLongWaits } from '../../tests/workerd/relayed';
import { relay } from './relay';

afterEach(() => vi.restoreAllMocks());

/** What goes upstream, in order, and the client's answer. */
async function ask(path: string, init: RequestInit): Promise<[Response, readonly Headers[]]> {
  const sent: Headers[] = [];
  skipLongWaits();
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (_url, given) => {
    sent.push(new Headers(given?.headers));
    return Response.json({ data: [] });
  });
  const { key } = await relayedWallet();
  const behind: Promise<unknown>[] = [];
  const ctx = { waitUntil: (work: Promise<unknown>) => void behind.push(work) };
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${key}`);
  const request = new Request(`https://relay.test${path}`, { ...init, headers });
  const answer = await relay(request, env, ctx);
  await answer.clone().text();
  await Promise.all(behind);
  return [answer, sent];
}

describe('a client with odd headers', () => {
  it('does not decide what the lists of models are that all others see', async () => {
    const headers = { 'anthropic-version': 'nonsense', 'anthropic-beta': 'odd-2026-01-01' };
    const [answer, sent] = await ask('/v1/models', { headers });
    expect(answer.status).toBe(200);
    expect(sent.length).toBeGreaterThan(0);
    for (const each of sent) {
      expect(each.get('anthropic-version')).toBe('2023-06-01');
      expect(each.get('anthropic-beta')).toBeNull();
    }
  });

  it('is refused when they are larger than an upstream may take', async () => {
    const messages = [{ role: 'user', content: 'Hi' }];
    const body = JSON.stringify({ model: 'claude-opus-5-5', max_tokens: 9, messages });
    const headers = { 'content-type': 'application/json', 'anthropic-beta': 'x,'.repeat(9_000) };
    const [answer, sent] = await ask('/v1/messages', { method: 'POST', headers, body });
    expect([answer.status, sent.length]).toEqual([400, 0]);
    expect(await answer.text()).toContain('headers: must be at most 16384 bytes');
  });
});
