// One of each kind of secret is made, used, changed and sent to where it does not belong; then all
// that the relay has stored, written and answered is searched for it. A database or a log that gets
// into wrong hands opens nothing.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { inProject } from '../../scripts/lib/places.mjs';
import { run } from '../../scripts/lib/programs.mjs';
import { json, message } from '../support/answers';
import { ask, send } from '../support/client';
import { FakeUpstream } from '../support/fake-upstream';
import type { Place } from '../support/leaks';
import { leaksIn, placesBelow } from '../support/leaks';

const relay = inject('relay');
const folder = dirname(relay.logFile);
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

/** By what they are. */
const secrets: Record<string, string> = {};
/** Answers that may hold no secret at all. */
const answers: Place[] = [];
let admin = '';

interface Sent {
  readonly body?: unknown;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A call of the control plane; `shows`: its answer is the one place where a secret stands. */
async function call(method: string, path: string, { body, token, headers }: Sent, shows = false) {
  const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const text = body === undefined ? {} : { body: JSON.stringify(body) };
  const reply = await send(path, { method, headers: { ...type, ...bearer, ...headers }, ...text });
  if (!shows) answers.push({ name: `the answer of ${method} ${path}`, text: reply.text });
  return { ...reply, json: reply.text === '' ? null : JSON.parse(reply.text) };
}

async function logIn(email: string, password: string) {
  const body = { email, password, transport: 'bearer' };
  const { status, json } = await call('POST', '/api/auth/login', { body }, true);
  expect(status).toBe(200);
  return { access: String(json.tokens.access), refresh: String(json.tokens.refresh) };
}

beforeAll(async () => {
  const credentials = JSON.parse(readFileSync(join(folder, 'credentials.json'), 'utf8'));
  secrets['the admin’s password'] = credentials.admin.password;
  secrets['the user’s password'] = credentials.user.password;
  secrets['the first key'] = relay.firstKey;
  for (const [name, { key }] of Object.entries(relay.accounts)) secrets[`account ${name}`] = key;
  const environment = readFileSync(join(folder, 'secrets.env'), 'utf8');
  for (const [, name, value = ''] of environment.matchAll(/^(\w+)='(.*)'$/gm)) {
    secrets[`${name}`] = value.startsWith('{') ? Object.values(JSON.parse(value)).join('') : value;
  }
  const login = await logIn(credentials.admin.email, credentials.admin.password);
  admin = login.access;
  secrets['the admin’s access token'] = login.access;
  secrets['the admin’s refresh token'] = login.refresh;
});

test('a login leaves no password and no token behind, nor does a wrong one', async () => {
  const email = 'canary-person@relay.test';
  const password = (secrets['a password'] = 'canary password, the first');
  const body = { email, name: 'Canary', password };
  expect((await call('POST', '/admin/users', { body, token: admin })).status).toBe(201);
  const first = await logIn(email, password);
  secrets['an access token'] = first.access;
  secrets['a refresh token'] = first.refresh;
  const refreshed = await call(
    'POST',
    '/api/auth/refresh',
    { body: { refreshToken: first.refresh, transport: 'bearer' } },
    true,
  );
  secrets['a later refresh token'] = refreshed.json.tokens.refresh;
  const newPassword = (secrets['a new password'] = 'canary password, the second');
  const change = { currentPassword: password, newPassword };
  const token = first.access;
  const changed = await call('POST', '/api/auth/change-password', { body: change, token }, true);
  expect(changed.status).toBe(200);
  const wrong = (secrets['a wrong password'] = 'canary password, mistyped');
  const tried = await call('POST', '/api/auth/login', { body: { email, password: wrong } });
  expect(tried.status).toBe(401);
  // Where people put a password by mistake.
  const misplaced = { email: wrong, password: wrong };
  expect((await call('POST', '/api/auth/login', { body: misplaced })).status).toBe(400);
});

test('keys, invitations, codes and tokens are shown once, and not to who repeats the call', async () => {
  const shown: Readonly<Record<string, readonly [string, unknown, string]>> = {
    'a key': ['/api/tokens', { name: 'canary' }, 'key'],
    'an invitation': ['/admin/invites', {}, 'secret'],
    'a service token': ['/admin/service-tokens', { name: 'c', scopes: ['read:users'] }, 'token'],
  };
  for (const [name, [path, body, field]] of Object.entries(shown)) {
    const headers = { 'idempotency-key': `canary ${name}`.replaceAll(' ', '-') };
    const made = await call('POST', path, { body, token: admin, headers }, true);
    expect([name, made.status]).toEqual([name, 201]);
    secrets[name] = made.json[field];
    const again = await call('POST', path, { body, token: admin, headers });
    expect([name, again.json[field], again.json.replayed]).toEqual([name, null, true]);
  }
  const body = { name: 'canary', amountNanos: 1_000_000_000, count: 1 };
  const codes = await call('POST', '/admin/codes', { body, token: admin }, true);
  const code = (secrets['a code'] = codes.json.codes[0].code);
  const redeemed = await call('POST', '/api/credits/redeem', { body: { code }, token: admin });
  expect(redeemed.status).toBe(200);
  for (const path of ['/api/tokens', '/admin/keys', '/admin/invites', '/admin/service-tokens']) {
    expect((await call('GET', path, { token: admin })).status).toBe(200);
  }
  expect(
    (await call('GET', '/admin/users', { token: secrets['a service token'] ?? '' })).status,
  ).toBe(200);
});

test('a provider’s credential goes in and never comes out', async () => {
  const credential = (secrets['a credential'] = 'sk-upstream-canary-credential');
  const account = { name: 'canary', kind: 'anthropic-compatible', status: 'disabled' };
  const body = { ...account, baseUrl: 'http://127.0.0.1:9', credential };
  const made = await call('POST', '/admin/accounts', { body, token: admin });
  expect(made.status).toBe(201);
  const path = `/admin/accounts/${made.json.account.id}`;
  const next = (secrets['a later credential'] = 'sk-upstream-canary-later-credential');
  const changed = await call('PUT', `${path}/credential`, {
    body: { credential: next },
    token: admin,
  });
  expect(changed.status).toBe(200);
  for (const shown of [path, '/admin/accounts', '/admin/audit?limit=200', '/admin/summary']) {
    expect((await call('GET', shown, { token: admin })).status).toBe(200);
  }
});

test('a key that is used, or put where it does not belong, is written nowhere', async () => {
  upstream.on('canary', json(message('seen')));
  const key = secrets['a key'] ?? '';
  const words = (secrets['what was asked'] = 'canary words that only the model should read');
  const text = ask('canary', { messages: [{ role: 'user', content: words }] });
  expect((await send('/api/v1/messages', { key, body: text })).status).toBe(200);
  const forged = `${key.slice(0, -4)}1111`;
  secrets['a forged key'] = forged;
  for (const path of ['/api/v1/key-info', '/api/auth/me']) {
    await send(path, { key: forged });
    await send(path, { headers: { cookie: `__Host-access=${forged}` } });
  }
  await call('POST', '/api/auth/refresh', { body: { refreshToken: forged, transport: 'bearer' } });
  await call('POST', '/api/credits/redeem', { body: { code: forged.slice(0, 60) }, token: admin });
});

test('nothing of it is in the database, the objects, the log, the answers or the bundle', async () => {
  const stored = placesBelow(join(folder, 'wrangler'));
  const log = { name: 'the log', text: readFileSync(relay.logFile, 'utf8') };
  const wrangler = placesBelow(join(folder, 'logs'));
  // The search finds what is there: addresses are stored in the clear, requests are logged.
  const database = stored.find(({ name }) => /\/d1\/.*table users$/.test(name));
  expect(database?.text).toContain('canary-person@relay.test');
  expect(stored.some(({ name }) => /LedgerObject/.test(name))).toBe(true);
  expect(log.text).toContain('"event":"request"');
  expect(leaksIn([{ name: 'x', text: `a ${relay.firstKey} b` }], {})).toEqual(['an API key in x']);

  const bundle = await bundled();
  expect(bundle).not.toEqual([]);
  expect(leaksIn([...stored, log, ...wrangler, ...answers, ...bundle], secrets)).toEqual([]);
});

async function bundled(): Promise<Place[]> {
  const to = mkdtempSync(join(tmpdir(), 'cloud-relay-bundle-'));
  try {
    const { code, output } = await run({
      name: 'bundle',
      program: process.execPath,
      arguments: [
        inProject('node_modules', 'wrangler', 'bin', 'wrangler.js'),
        'deploy',
        '--dry-run',
        `--outdir=${to}`,
      ],
      environment: { ...process.env, WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: to },
    });
    expect([code, code === 0 ? '' : output]).toEqual([0, '']);
    // Its map is not uploaded, and holds the comments' examples.
    return placesBelow(to).filter(({ name }) => name.endsWith('.js'));
  } finally {
    rmSync(to, { recursive: true, force: true });
  }
}
