// Somebody who is logged in asks a model, watches the relay while it answers, and stops what runs.

import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { LiveMessage } from '../../workers/domain/live';
import { beginning, drip, events, json, message, stream } from '../support/answers';
import { ask, eventually, open, send } from '../support/client';
import { FakeUpstream } from '../support/fake-upstream';
import type { Login } from '../support/login';
import { logInAdmin } from '../support/login';
import { settledLine } from '../support/relay-log';

const relay = inject('relay');
const upstream = new FakeUpstream(relay.accounts);
const PATH = '/api/relay/messages';
let login: Login;
let keyId: string;

beforeAll(async () => {
  await upstream.open();
  login = await logInAdmin(relay);
  const { userId } = login;
  const grant = { userId, amountNanos: 100_000_000_000, reason: 'journey' };
  await login.call('POST', '/admin/credits/grant', grant);
  const made = await login.call<{ token: { id: string } }>('POST', '/api/tokens', { name: 'J' });
  keyId = made.token.id;
});
afterAll(() => upstream.close());

/** As a page of the relay's own origin sends it: by cookie. */
function asBrowser(): Record<string, string> {
  return { cookie: `__Host-access=${login.token}; theme=dark`, origin: relay.url };
}

test('a stream comes as it was sent, and nothing of the login goes upstream', async () => {
  const text = stream('one two three fünf');
  upstream.on('playground-stream', events(text, 7));
  const body = ask('playground-stream', { stream: true });
  const headers = { ...asBrowser(), 'x-relay-key': keyId, 'anthropic-version': '2023-06-01' };
  const reply = await open(PATH, { body, headers });
  expect(reply.status).toBe(200);
  expect(reply.headers['content-type']).toBe('text/event-stream; charset=utf-8');
  expect((await reply.whole).toString()).toBe(text);
  const seen = upstream.only('playground-stream');
  expect(seen.body.toString()).toBe(body);
  expect(seen.url).toBe('/v1/messages');
  expect(seen.rawHeaders.join('\n')).not.toContain(login.token);
  expect(Object.keys(seen.headers)).not.toContain('cookie');
  expect(Object.keys(seen.headers)).not.toContain('x-relay-key');
  expect(await settledLine(reply)).toMatchObject({ closing: 'completed', key: keyId });
});

test('a page of another origin gets nothing', async () => {
  const headers = { ...asBrowser(), origin: 'http://127.0.0.1:1' };
  const { status, text } = await send(PATH, { body: ask('playground-evil'), headers });
  expect([status, JSON.parse(text)]).toMatchObject([
    403,
    { error: { code: 'origin-not-allowed' } },
  ]);
  expect(upstream.seen('playground-evil')).toEqual([]);
});

test('what runs is stopped by its id', async () => {
  const beginningText = beginning('one two');
  upstream.on('playground-stopped', drip(beginningText));
  const body = ask('playground-stopped', { stream: true });
  const headers = { authorization: `Bearer ${login.token}`, 'x-relay-key': keyId };
  const reply = await open(PATH, { body, headers });
  await reply.until(beginningText);
  const requestId = String(reply.headers['x-relay-request-id']);
  await login.call('POST', `/api/relay/requests/${requestId}/stop`, {});
  const whole = (await reply.whole).toString();
  expect(whole).toMatch(/event: error\ndata: \{.*"error_code":"ended-stopped".*\}\n\n$/);
  await upstream.only('playground-stopped').left;
  const stopped = { closing: 'stopped', certainty: 'estimated', key: keyId };
  expect(await settledLine(reply)).toMatchObject(stopped);
});

test('a request is told of to those who watch', async () => {
  const watching = await watch();
  const headers = { authorization: `Bearer ${login.token}` };
  // Known to the isolate with the first request that finds its snapshot 10 s old.
  upstream.on('playground-watched', json(message('seen')));
  const told = await eventually('a request is told of', async () => {
    await send(PATH, { body: ask('playground-watched'), headers });
    const heard = watching.heard.flatMap(({ events: all }) => all);
    const kinds = heard.map(({ kind }) => kind);
    return kinds.includes('started') && kinds.includes('finished') ? heard : null;
  });
  const who = { keyId, userId: login.userId };
  expect(told.find(({ kind }) => kind === 'started')).toMatchObject(who);
  const finished = { ...who, closing: 'completed', status: 200 };
  expect(told.find(({ kind }) => kind === 'finished')).toMatchObject(finished);
  watching.leave();
});

async function watch(): Promise<{ readonly heard: LiveMessage[]; readonly leave: () => void }> {
  const heard: LiveMessage[] = [];
  const url = `${relay.url.replace('http', 'ws')}/admin/live`;
  const headers = { authorization: `Bearer ${login.token}` };
  const socket = new WebSocket(url, { headers });
  socket.addEventListener('message', ({ data }) => {
    // The relay's own words.
    heard.push(JSON.parse(String(data)) as LiveMessage);
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('no socket')));
  });
  return { heard, leave: () => socket.close() };
}
