// Claude Code on half a dollar: it asks for 128,000 tokens of output with every request, and most
// of them must run side by side all the same. Sizes are those seen with version 2.1.330.

import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { beginning, ending, openStream, sendPieces } from '../support/answers';
import type { Reply } from '../support/client';
import { eventually, send, settledInfo } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import { FakeUpstream } from '../support/fake-upstream';

const relay = inject('relay');
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

const HAIKU = 'claude-haiku-5-5';
const OPUS = 'claude-opus-5-5';

/** One request of a session. */
interface Turn {
  readonly mark: string;
  readonly bytes: number;
  readonly model?: string;
  readonly agent?: string;
}

/** What a session sends at once: its next turn, a title for it, and two sub-agents. */
function sideBySide(name: string): readonly Turn[] {
  return [
    { mark: `${name}-title`, bytes: 4_000, model: HAIKU },
    { mark: `${name}-main`, bytes: 55_000 },
    { mark: `${name}-agent-1`, bytes: 28_500, agent: `${name}1` },
    { mark: `${name}-agent-2`, bytes: 28_500, agent: `${name}2` },
  ];
}

function sendTurn(key: string, session: string, turn: Turn): Promise<Reply> {
  const { mark, bytes, model = OPUS, agent } = turn;
  const request = {
    model,
    max_tokens: 128_000,
    stream: true,
    thinking: { type: 'adaptive', display: 'omitted' },
    system: [{ type: 'text', text: '', cache_control: { type: 'ephemeral' } }],
    messages: [{ role: 'user', content: mark }],
  };
  const text = 'instruct '.repeat(bytes).slice(0, bytes - JSON.stringify(request).length);
  const system = request.system.map((block) => ({ ...block, text }));
  const body = JSON.stringify({ ...request, system });
  expect(body).toHaveLength(bytes);
  const headers = {
    'x-claude-code-session-id': session,
    ...(agent === undefined ? {} : { 'x-claude-code-agent-id': agent }),
  };
  return send('/api/v1/messages?beta=true', { key, headers, body });
}

/** Streams that begin at once and end together, when all have begun. */
function togetherOnly(turns: readonly Turn[]): void {
  const answer: Answer = async (response, seen) => {
    const usage = { input_tokens: 10, cache_read_input_tokens: Math.ceil(seen.body.length / 4) };
    const model = seen.body.includes(HAIKU) ? HAIKU : OPUS;
    openStream(response);
    response.write(beginning('Well.', { model, usage: { ...usage, output_tokens: 1 } }));
    await eventually('all turns have begun', async () =>
      turns.every(({ mark }) => upstream.seen(mark).length > 0) ? true : null,
    );
    await sendPieces(response, ending({ ...usage, output_tokens: 20 }));
    response.end();
  };
  for (const { mark } of turns) upstream.on(mark, answer);
}

async function statusesOf(key: string, name: string): Promise<readonly number[]> {
  const turns = sideBySide(name);
  togetherOnly(turns);
  const replies = await Promise.all(turns.map((turn) => sendTurn(key, 'a-session', turn)));
  for (const { text } of replies) expect(text).toContain('message_stop');
  return replies.map(({ status }) => status);
}

describe('half a dollar', () => {
  test('bears a turn of a known conversation beside its title call and two sub-agents', async () => {
    const key = relay.keys.agent;
    const first = [{ mark: 'known-first', bytes: 54_000 }] as const;
    togetherOnly(first);
    expect((await sendTurn(key, 'a-session', first[0])).status).toBe(200);
    await settledInfo(key);
    expect(await statusesOf(key, 'known')).toEqual([200, 200, 200, 200]);
    await settledInfo(key);
    // Again: what the others have shown is not taken for the session's own prompt.
    expect(await statusesOf(key, 'again')).toEqual([200, 200, 200, 200]);
    expect(await settledInfo(key)).toMatchObject({ key: { overrun_nanos: 0 } });
  });

  test('bears the same when nothing is known yet', async () => {
    expect(await statusesOf(relay.keys.coldAgent, 'cold')).toEqual([200, 200, 200, 200]);
  });
});

describe('a tenth of a cent', () => {
  test('refuses at once, in words that say what is missing and that stop a client', async () => {
    const turn = { mark: 'too-poor', bytes: 55_000 };
    const reply = await sendTurn(relay.keys.nearlySpent, 'poor-session', turn);
    expect(reply.status).toBe(429);
    expect(reply.headers['x-should-retry']).toBe('false');
    expect(reply.headers).not.toHaveProperty('retry-after');
    expect(JSON.parse(reply.text)).toMatchObject({
      error: {
        type: 'billing_error',
        message: expect.stringMatching(
          /^Credit is used up: this request needs about \$0\.\d+, available is \$0\.001\. Add/,
        ),
      },
    });
    expect(upstream.seen('too-poor')).toHaveLength(0);
    expect(await settledInfo(relay.keys.nearlySpent)).toMatchObject({
      wallet: { balance_nanos: 1_000_000 },
    });
  });
});
