// A key or its user is put out of action while requests run: each of them ends at its next sign of
// life, at most 15 s later, in the client's protocol, and is paid for what it was. All wait
// together; besides, only the playground's stop waits for that long.

import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { parseKey } from '../../workers/domain/keys/format';
import { beginning, drip, hang, openStream, stall, textDelta } from '../support/answers';
import { ask, eventually, settledInfo, start } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import { FakeUpstream } from '../support/fake-upstream';
import { settledLine } from '../support/relay-log';
import { changeDatabase } from '../support/start-relay';

const relay = inject('relay');
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

const TEN_DOLLARS = 10_000_000_000;
const WRITE_NANOS = 5_000;
const OUTPUT_NANOS = 20_000;
/** What `beginning` reports of its input, priced. */
const INPUT_NANOS = 12 * 4_000 + 100 * WRITE_NANOS + 200 * 8_000 + 40_000 * 200;
const TEXT = 'one two three fünf';
const TEXT_NANOS = INPUT_NANOS + Math.ceil(Buffer.byteLength(TEXT) / 3) * OUTPUT_NANOS;

/** The key's row as its wallet's object is told of it. */
const KEY_COPY = `json_object('kind', 'key', 'id', id, 'walletId', wallet_id, 'userId', user_id,
  'name', name, 'hash', hash, 'previous', NULL, 'status', status, 'expiresAt', NULL,
  'version', version)`;
const USER_COPY = `json_object('kind', 'user', 'id', id, 'status', status, 'timeZone', time_zone,
  'version', version)`;

function changeKey(key: string, status: string): string {
  const parts = parseKey(key);
  return `
    UPDATE keys SET status = '${status}', version = version + 1 WHERE id = '${parts?.keyId}';
    INSERT INTO outbox SELECT 'key:' || id || ':' || version, 'key', id, wallet_id,
      '${parts?.region}', version, ${KEY_COPY}, 0 FROM keys WHERE id = '${parts?.keyId}';`;
}

function changeUser(key: string, status: string): string {
  const parts = parseKey(key);
  const owner = `(SELECT user_id FROM keys WHERE id = '${parts?.keyId}')`;
  return `
    UPDATE users SET status = '${status}', version = version + 1 WHERE id = ${owner};
    INSERT INTO outbox SELECT 'user:' || id || ':' || version, 'user', id, '${parts?.walletId}',
      '${parts?.region}', version, ${USER_COPY}, 0 FROM users WHERE id = ${owner};`;
}

/** A request that has reached its upstream, and its likely input. */
async function begin(key: string, answer: Answer, streamed = true) {
  marks += 1;
  // All of one length: they are part of what is paid.
  const mark = `stopped-${String(marks).padStart(2, '0')}`;
  upstream.on(mark, answer);
  const body = ask(mark, { stream: streamed });
  const { opened } = start('/v1/messages', { key, body });
  const likelyNanos = Math.ceil(Buffer.byteLength(body) / 2.6) * WRITE_NANOS;
  return { opened, likelyNanos, ...(await begun(mark)) };
}

type Begun = Awaited<ReturnType<typeof begin>>;
let marks = 0;

/** A stream that was ended in its client's protocol, after all that had been sent. */
async function expectEnded({ opened, left }: Begun): Promise<void> {
  const reply = await opened;
  const text = (await reply.whole).toString();
  expect(text.startsWith(beginning(TEXT))).toBe(true);
  const last = text.trimEnd().split('\n\n').at(-1) ?? '';
  expect(last).toMatch(/^event: error\ndata: \{/);
  const data: unknown = JSON.parse(last.slice('event: error\ndata: '.length));
  expect(data).toMatchObject({ type: 'error', error: REFUSAL });
  await left;
  const line = { closing: 'revoked', certainty: 'estimated', costNanos: TEXT_NANOS };
  expect(await settledLine(reply)).toMatchObject(line);
}

/** A request that had no header yet: refused, at its likely input. */
async function expectRefused({ opened, left, likelyNanos }: Begun): Promise<void> {
  const reply = await opened;
  expect([reply.status, reply.headers['x-should-retry']]).toEqual([403, 'false']);
  expect(JSON.parse((await reply.whole).toString())).toMatchObject({ error: REFUSAL });
  await left;
  const line = { closing: 'revoked', certainty: 'estimated', costNanos: likelyNanos };
  expect(await settledLine(reply)).toMatchObject(line);
}

const REFUSAL = { type: 'permission_error', details: { error_code: 'ended-revoked' } };

/** A client that listens to nothing of an answer that does not end. */
async function deaf(key: string): Promise<{ readonly left: Promise<number> }> {
  const mark = 'stopped-deaf';
  upstream.on(mark, async (response) => {
    openStream(response);
    response.write(beginning(TEXT));
    const more = textDelta('word '.repeat(10_000));
    while (!response.destroyed) {
      if (!response.write(more)) await once(response, 'drain').catch(() => undefined);
    }
  });
  const body = ask(mark, { stream: true });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const call = request(`${relay.url}/v1/messages`, { method: 'POST', headers });
  call.on('response', (response) => response.pause()).on('error', () => undefined);
  call.end(body);
  return begun(mark);
}

async function begun(mark: string) {
  await eventually(`${mark} has reached the upstream`, async () =>
    upstream.seen(mark).length > 0 ? true : null,
  );
  return { left: upstream.only(mark).left };
}

test('what runs of a key or user that is put out of action ends by itself, and is paid', async () => {
  const { revoking, deleting, suspending } = relay.keys;
  const keys = [revoking, deleting, suspending];
  const streams = await Promise.all(
    keys.flatMap((key) => [begin(key, stall(beginning(TEXT))), begin(key, drip(beginning(TEXT)))]),
  );
  const waiting = await Promise.all(
    keys.flatMap((key) => [begin(key, hang), begin(key, hang, false)]),
  );
  const unheard = await deaf(revoking);
  await changeDatabase(
    relay,
    [
      changeKey(revoking, 'disabled'),
      changeKey(deleting, 'deleted'),
      changeUser(suspending, 'suspended'),
    ].join(''),
  );
  await Promise.all([...streams.map(expectEnded), ...waiting.map(expectRefused), unheard.left]);

  await changeDatabase(
    relay,
    [
      changeKey(revoking, 'active'),
      changeKey(deleting, 'active'),
      changeUser(suspending, 'active'),
    ].join(''),
  );
  const inputsNanos = waiting.reduce((sum, { likelyNanos }) => sum + likelyNanos, 0);
  const eachNanos = 2 * TEXT_NANOS + inputsNanos / keys.length;
  for (const key of [deleting, suspending]) {
    const { wallet } = await settledInfo(key);
    expect(wallet.balance_nanos).toBe(TEN_DOLLARS - eachNanos);
  }
  expect((await settledInfo(revoking)).wallet.balance_nanos).toBeLessThan(TEN_DOLLARS - eachNanos);
});
