// A stream whose upstream only pings for a while: its pings leave before its answer, and the answer
// comes behind them whole; or another account's, or a truthful error.

import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { event, events, openStream, sendPieces, stream, USAGE_NANOS } from '../support/answers';
import { ask, send } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

/** Longer than pings are held. */
const HELD_MS = 5_300;
const PING = event('ping', {});
const OVERLOADED = event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } });
const WHOLE = stream('an answer of many words '.repeat(50));

let owner: Owner;
let patient: Own;
let moved: Own;
let lost: Own;
beforeAll(async () => {
  owner = await ownerOfAccounts();
  patient = await owner.own(['first', 'second']);
  moved = await owner.own(['first', 'second']);
  lost = await owner.own(['first']);
  await owner.known();
});
afterAll(() => owner.end());

/** Pings, waits until pings have left, then says that. */
function late(text: string): Answer {
  return async (response) => {
    openStream(response);
    response.write(PING);
    await pause(HELD_MS);
    await sendPieces(response, text, 97);
    response.end();
  };
}

describe.concurrent('a stream that only pings for longer than pings are held', () => {
  test('is answered behind them, whole', async () => {
    patient.upstream.on('late', late(WHOLE));
    const body = ask('late', { stream: true });
    const reply = await send('/v1/messages', { key: patient.key, body });
    expect([reply.status, reply.text]).toEqual([200, PING + WHOLE]);
    expect(await owner.row(reply)).toMatchObject({ closing: 'completed', costNanos: USAGE_NANOS });
    expect(patient.calls('late')).toEqual({ first: 1, second: 0 });
  });

  test('and then fails is answered by another account behind the same pings', async () => {
    moved.upstream.on('late', (response, seen) =>
      (seen.account === 'first' ? late(OVERLOADED) : events(WHOLE))(response, seen),
    );
    const body = ask('late', { stream: true });
    const reply = await send('/v1/messages', { key: moved.key, body });
    expect([reply.status, reply.text]).toEqual([200, PING + WHOLE]);
    expect(reply.text.match(/event: message_start/g)).toHaveLength(1);
    expect(await owner.row(reply)).toMatchObject({
      closing: 'completed',
      costNanos: USAGE_NANOS,
      attempts: [{ outcome: 'overloaded' }, { outcome: 'answered' }],
    });
  });

  test('and then fails, with no other account, ends in the upstream’s own error', async () => {
    const { upstream, key } = lost;
    upstream.on('late', late(OVERLOADED), events(OVERLOADED));
    const reply = await send('/v1/messages', { key, body: ask('late', { stream: true }) });
    expect([reply.status, reply.text.slice(0, PING.length)]).toEqual([200, PING]);
    const [, data = ''] =
      /^event: error\ndata: (.*)\n\n$/.exec(reply.text.slice(PING.length)) ?? [];
    expect(JSON.parse(data)).toMatchObject({ type: 'error', error: { type: 'overloaded_error' } });
    expect(await owner.row(reply)).toMatchObject({ closing: 'upstream-failed', costNanos: 0 });
    expect(lost.calls('late')).toEqual({ first: 2 });
  });
});
