// A hundred users at once on the same few accounts: nothing of one shows in another's answer, in
// another's request or on another's bill; and what one of them gets wrong is nobody else's trouble.

import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { errorBody, json, message, stream, USAGE_NANOS } from '../support/answers';
import { ask, send, settledInfo } from '../support/client';
import { FakeUpstream } from '../support/fake-upstream';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

const relay = inject('relay');
const upstream = new FakeUpstream(relay.accounts);
let owner: Owner;
let own: Own;
beforeAll(async () => {
  await upstream.open();
  owner = await ownerOfAccounts();
  own = await owner.own(['first', 'second'], { priority: 100 });
  await owner.known();
});
afterAll(async () => {
  await upstream.close();
  await owner.end();
});

interface Run {
  readonly key: string;
  readonly canary: string;
  readonly text: string;
}

const RUNS: readonly Run[] = relay.crowd.map((key, index) => {
  const canary = `canary-${index}-${createHash('sha256').update(`user ${index}`).digest('hex')}`;
  return { key, canary, text: stream(`${canary} `.repeat(20)) };
});

test('a hundred users’ streams, interleaved piece by piece, keep to themselves', async () => {
  expect(new Set(RUNS.map(({ key }) => key)).size).toBe(100);
  // All of them run before any goes on: their pieces come in turn.
  const all = Promise.withResolvers<void>();
  let begun = 0;
  for (const { canary, text } of RUNS) {
    upstream.on(canary, async (response, seen) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const half = text.indexOf('content_block_delta');
      response.write(text.slice(0, half));
      begun += 1;
      if (begun === RUNS.length) all.resolve();
      await all.promise;
      for (let at = half; at < text.length; at += 199) {
        response.write(text.slice(at, at + 199));
        await setImmediate();
      }
      response.end();
      expect(seen.body.toString().match(/canary-\d+-[0-9a-f]+/g)).toEqual([canary, canary]);
    });
  }
  const before = await Promise.all(RUNS.map(({ key }) => settledInfo(key)));
  const replies = await Promise.all(
    RUNS.map(({ key, canary }) => {
      const body = ask(canary, { stream: true, metadata: { user_id: canary } });
      return send('/api/v1/messages', { key, body });
    }),
  );
  for (const [index, { canary, text }] of RUNS.entries()) {
    expect([canary, replies[index]?.text === text]).toEqual([canary, true]);
    const { body } = upstream.only(canary);
    expect(body.toString().match(/canary-\d+-[0-9a-f]+/g)).toEqual([canary, canary]);
  }
  const after = await Promise.all(RUNS.map(({ key }) => settledInfo(key)));
  for (const [index, { wallet, key }] of after.entries()) {
    const spent = (before[index]?.wallet.balance_nanos ?? 0) - wallet.balance_nanos;
    expect([index, spent, key.requests]).toEqual([index, USAGE_NANOS, 1]);
  }
});

const BAD_REQUESTS = 1_000;
const AT_ONCE = 20;
/** What a client alone is to blame for, as an upstream says it; some of it speaks of models. */
const REFUSALS = [
  [400, 'invalid_request_error', 'messages: at least one message is required'],
  [400, 'invalid_request_error', 'Unexpected value `Your credit balance is too low`'],
  [403, 'permission_error', 'Your API key does not have permission to use this resource.'],
  [404, 'not_found_error', 'model: not-a-model'],
  [413, 'request_too_large', 'Request exceeds the maximum size'],
] as const;

test('a thousand bad requests of one user close no account to anybody', async () => {
  own.upstream.on('bad-request', (response, seen) => {
    const index = Number(/bad-request (\d+)/.exec(seen.body.toString())?.[1] ?? 0);
    const [status, type, words] = REFUSALS[index % REFUSALS.length] ?? REFUSALS[0];
    return json(errorBody(type, words), status)(response, seen);
  });
  own.upstream.on('good-request', json(message('fine')));
  const statuses: number[] = [];
  for (let sent = 0; sent < BAD_REQUESTS; sent += AT_ONCE) {
    const replies = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) =>
        send('/v1/messages', { key: own.key, body: ask(`bad-request ${sent + index}`) }),
      ),
    );
    statuses.push(...replies.map(({ status }) => status));
  }
  const expected = Array.from({ length: BAD_REQUESTS }, (_, index) => {
    const [status] = REFUSALS[index % REFUSALS.length] ?? REFUSALS[0];
    return status;
  });
  expect(statuses).toEqual(expected);
  // A report that is heard after all of these: nothing in them was held against anybody.
  const fence = await owner.own(['only']);
  await owner.known();
  fence.upstream.on('fence', json({}, 401));
  await send('/v1/messages', { key: fence.key, body: ask('fence') });
  await expect.poll(async () => (await fence.account('only')).state).toBe('out');
  for (const name of ['first', 'second']) {
    expect(await own.account(name)).toMatchObject({ state: 'ready', reasons: [] });
  }
  for (let index = 0; index < AT_ONCE; index += 1) {
    const body = ask('good-request', { metadata: { user_id: `after ${index}` } });
    const reply = await send('/v1/messages', { key: own.key, body });
    expect(reply.status).toBe(200);
  }
});
