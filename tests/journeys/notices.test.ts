// What a user is told of the own limits: the headers of answers and the document that Claude Code
// reads (reference: its gateway contract), from the first cent to the refusal, through one day of a
// user whose day is not UTC's.

import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { beginning, ending, events, json, message } from '../support/answers';
import type { Reply } from '../support/client';
import { ask, send, settledInfo } from '../support/client';
import { FakeUpstream } from '../support/fake-upstream';

const relay = inject('relay');
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

const UNIFIED = 'anthropic-ratelimit-unified';
/** Of MODEL. */
const OUTPUT_TOKENS_A_DOLLAR = 50_000;

interface UsageDocument {
  readonly extra_usage: Readonly<Record<string, unknown>>;
  readonly limits: readonly {
    readonly percent: number;
    readonly resets_at: string;
    readonly severity: string;
    readonly [field: string]: unknown;
  }[];
}

async function usage(key: string): Promise<{ reply: Reply; document: UsageDocument }> {
  await settledInfo(key);
  const reply = await send('/api/oauth/usage', { key });
  expect(reply.status).toBe(200);
  // The relay's own document; its fields are what is tested.
  return { reply, document: JSON.parse(reply.text) as UsageDocument };
}

let asked = 0;

/** Sends a request that costs just this much of a dollar. */
async function spend(key: string, dollars: number): Promise<Reply> {
  const output_tokens = Math.round(dollars * OUTPUT_TOKENS_A_DOLLAR);
  const usage = { input_tokens: 0, output_tokens };
  asked += 1;
  const mark = `notice ${asked}.`;
  // Whole and streamed in turn: both tell the same.
  const stream = asked % 2 === 0;
  const streamed = beginning('seen', { usage: { ...usage, output_tokens: 1 } }) + ending(usage);
  upstream.on(mark, stream ? events(streamed) : json(message('seen', { usage })));
  return send('/v1/messages', { key, body: ask(mark, { max_tokens: output_tokens, stream }) });
}

/** The headers that tell of money. */
function unified({ headers }: Reply): Readonly<Record<string, unknown>> {
  const own = Object.entries(headers).filter(([name]) => name.startsWith(UNIFIED));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(UNIFIED.length + 1), value]));
}

describe('a user with a dollar a day', () => {
  const key = relay.keys.capped;

  test('is told of a reset at the next midnight of the own zone, everywhere the same', async () => {
    const first = await spend(key, 0.01);
    expect(first.status).toBe(200);
    const { reset, ...others } = unified(first);
    expect(others).toEqual({
      status: 'allowed',
      'overage-status': 'allowed',
      'representative-claim': 'overage',
      'overage-utilization': '0.00',
      'overage-reset': reset,
    });
    const resetsAt = Number(reset) * 1_000;
    // Both zones are half an hour off the hours of UTC.
    expect(new Date(resetsAt).getUTCMinutes()).toBe(30);
    expect(resetsAt).toBeGreaterThan(Date.now());
    expect(resetsAt).toBeLessThan(Date.now() + 24 * 3_600_000);
    const { document, reply } = await usage(key);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(document).toEqual({
      extra_usage: {
        is_enabled: true,
        monthly_limit: 100,
        used_credits: 1,
        utilization: 1,
        currency: 'USD',
      },
      limits: [
        {
          kind: 'spend',
          group: 'daily',
          percent: 1,
          resets_at: new Date(resetsAt).toISOString().replace('.000Z', 'Z'),
          severity: 'normal',
          is_active: true,
        },
      ],
    });
  });

  test('is warned from 75 percent on, again from 95, in headers and document alike', async () => {
    // What an answer shows stood before it: the cap of the request itself is not known yet.
    const steps: readonly (readonly [dollars: number, before: string, threshold?: string])[] = [
      [0.73, '0.01'],
      [0.01, '0.74'],
      [0.19, '0.75', '0.75'],
      [0.01, '0.94', '0.75'],
      [0.01, '0.95', '0.95'],
    ];
    for (const [dollars, before, threshold] of steps) {
      const { document } = await usage(key);
      const headers = unified(await spend(key, dollars));
      const status = threshold === undefined ? 'allowed' : 'allowed_warning';
      expect(headers).toMatchObject({
        status,
        'overage-status': status,
        'overage-utilization': before,
      });
      expect(headers['overage-surpassed-threshold']).toBe(threshold);
      const [limit] = document.limits;
      expect(limit?.percent).toBe(Math.round(Number(before) * 100));
      expect(limit?.severity).toBe(threshold === '0.95' ? 'critical' : 'normal');
      expect(Date.parse(limit?.resets_at ?? '')).toBe(Number(headers['reset']) * 1_000);
    }
  });

  test('is refused when it is spent, in one sentence, with what stops a client', async () => {
    const { document } = await usage(key);
    const refused = await spend(key, 0.5);
    const [limit] = document.limits;
    const reset = String(Date.parse(limit?.resets_at ?? '') / 1_000);
    expect(unified(refused)).toEqual({
      status: 'rejected',
      reset,
      'overage-reset': reset,
      'overage-utilization': '1',
      'overage-surpassed-threshold': '1',
      'overage-period': 'daily',
      'overage-disabled-reason': 'org_spend_cap_reached',
    });
    expect(refused.status).toBe(429);
    expect(refused.headers['x-should-retry']).toBe('false');
    const waitMs = Number(refused.headers['retry-after']) * 1_000;
    expect(Math.abs(Date.now() + waitMs - Number(reset) * 1_000)).toBeLessThan(60_000);
    const { error } = JSON.parse(refused.text) as { error: { type: string; message: string } };
    expect(error.type).toBe('billing_error');
    expect(error.message).toMatch(
      /^The daily budget of this key, \$1\.00, does not leave enough .* \$0\.\d+ left, and resets /,
    );
    // Claude Code puts the local time for the date; one sentence says what, until when, what to do.
    expect(error.message).toMatch(/ resets [A-Z][a-z]{2} \d{1,2} \(\d\d:30 UTC\); [^.]*\.$/);
    expect(upstream.seen(`notice ${asked}.`)).toHaveLength(0);
  });

  test('hears nothing of it from a free request, which is never refused for money', async () => {
    upstream.on('count-under-a-cap', json({ input_tokens: 5 }));
    const body = ask('count-under-a-cap');
    const counted = await send('/v1/messages/count_tokens', { key, body });
    expect([counted.status, unified(counted)]).toEqual([200, {}]);
  });
});

describe('a user without a cap', () => {
  const key = relay.keys.uncapped;

  test('is told of no limit, but of what was spent', async () => {
    const answer = await spend(key, 0.25);
    expect([answer.status, unified(answer)]).toEqual([200, {}]);
    const { document } = await usage(key);
    const spent = { limit: null, used_credits: 25, utilization: null };
    expect(document).toEqual({
      extra_usage: {
        is_enabled: true,
        monthly_limit: null,
        used_credits: 25,
        utilization: null,
        currency: 'USD',
        daily: spent,
        weekly: spent,
      },
      limits: [],
    });
  });

  test('finds the document where a base URL that ends in /api puts it', async () => {
    const reply = await send('/api/api/oauth/usage', { headers: { 'x-api-key': key } });
    expect([reply.status, reply.headers['cache-control']]).toEqual([200, 'no-store']);
  });
});

test('nobody is told of usage without a true key', async () => {
  const key = relay.keys.uncapped;
  const wrong = `${key.slice(0, -1)}${key.endsWith('2') ? '3' : '2'}`;
  for (const call of [{}, { key: wrong }, { key: relay.keys.deleted }]) {
    const reply = await send('/api/oauth/usage', call);
    expect([reply.status, reply.headers['x-should-retry']]).toEqual([401, 'false']);
  }
});
