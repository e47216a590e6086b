// An outage of every account, seen by requests that come all the while: hardly any of them is sent
// on, and the first one that may is what brings the service back. The whole relay and the real
// Pool, with a date that is moved.

import { beforeEach, describe, expect, it } from 'vitest';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { RelayedWallet, Script } from '../../tests/workerd/relayed';
import { relayedWallet, scriptUpstream, send } from '../../tests/workerd/relayed';
import { MINUTE_MS, SECOND_MS } from '../domain/time';

useFakeDate();

const MODEL = 'claude-opus-5-5';
const BODY = JSON.stringify({
  model: MODEL,
  max_tokens: 16,
  messages: [{ role: 'user', content: 'mark' }],
});
const MESSAGE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: MODEL,
  content: [{ type: 'text', text: 'back' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 10, output_tokens: 1 },
};
const REFUSAL = { type: 'error', error: { type: 'authentication_error', message: 'no' } };

let wallet: RelayedWallet;
let isDown = true;
/** Unix ms of each call upstream. */
let calledAt: number[] = [];

beforeEach(async () => {
  isDown = true;
  calledAt = [];
  const script: Script = () => {
    calledAt.push(Date.now());
    const text = JSON.stringify(isDown ? REFUSAL : MESSAGE);
    const headers = { 'content-type': 'application/json', 'content-length': `${text.length}` };
    return new Response(text, { status: isDown ? 401 : 200, headers });
  };
  scriptUpstream(new Map([['mark', script]]));
  wallet = await relayedWallet();
});

async function ask(): Promise<number> {
  const sent = send(wallet, { body: BODY, session: 'resort' });
  const response = await sent.response;
  await response.text();
  await sent.finished();
  return response.status;
}

describe('while every account refuses its credential', () => {
  it('one request in five seconds asks, and the service is back with the first good answer', async () => {
    expect(await ask()).toBe(502);
    const statuses: number[] = [];
    const beganAt = Date.now();
    while (Date.now() - beganAt < MINUTE_MS) {
      later(SECOND_MS);
      statuses.push(await ask());
    }
    // What was sent on came back as the account's refusal, the rest at once.
    expect(new Set(statuses)).toEqual(new Set([502, 503]));
    expect(calledAt.length).toBeGreaterThanOrEqual(10);
    expect(calledAt.length).toBeLessThanOrEqual(14);
    const gaps = calledAt.slice(2).map((at, index) => at - (calledAt[index + 1] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(5 * SECOND_MS);

    isDown = false;
    const recoveredAt = Date.now();
    let status = 0;
    while (status !== 200 && Date.now() - recoveredAt < MINUTE_MS) {
      later(SECOND_MS);
      status = await ask();
    }
    expect(status).toBe(200);
    expect(Date.now() - recoveredAt).toBeLessThanOrEqual(30 * SECOND_MS);
    // And from then on everybody is answered at once.
    const calls = calledAt.length;
    for (let count = 0; count < 5; count += 1) expect(await ask()).toBe(200);
    expect(calledAt).toHaveLength(calls + 5);
  });
});
