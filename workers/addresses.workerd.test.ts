// Addresses that lead elsewhere, through the whole relay as it runs in production: at save, at use
// after somebody has changed the row, and by a redirect. A server counts who comes to it.

import { env } from 'cloudflare:workers';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { FORBIDDEN, formsAt } from '../tests/support/address-forms';
import type { Somebody } from '../tests/workerd/control-world';
import { newPerson, newSession, read } from '../tests/workerd/control-world';
import { later, useFakeDate } from '../tests/workerd/fake-date';
import { far, told } from '../tests/workerd/far';
import type { RelayedWallet } from '../tests/workerd/relayed';
import { relayedWallet } from '../tests/workerd/relayed';
import type { Account } from './control/contract/account-fields';
import type { Trial } from './control/contract/accounts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from './domain/time';
import { poolOf } from './platform/objects';
import { relay } from './relay/relay';
import { ALWAYS, primary, runBatch } from './store/db';
import { raiseSnapshotVersion } from './store/snapshot';

useFakeDate();

const FORMS = [...formsAt(far.evilPort), ...FORBIDDEN];
const SECRET = 'sk-upstream-canary-of-addresses';
const HERE = `http://127.0.0.1:${far.evilPort}`;
const production = { ...env, RELAY_ENVIRONMENT: 'production' };

let days = 0;
let admin: Pick<Somebody, 'userId' | 'call'>;
let wallet: RelayedWallet;

async function made(baseUrl: string): Promise<Account> {
  const body = { name: 'Main', kind: 'anthropic-compatible', baseUrl, credential: SECRET };
  // Another login each time: the date moves on by hours.
  const { call } = await newSession(admin.userId, 'admin');
  const response = await call('POST', '/admin/accounts', { body });
  return (await read<{ account: Account }>(response, 201)).account;
}

/** As a hand in the database would: the row alone, and the isolates hear of a new version. */
async function moved(id: string, baseUrl: string): Promise<void> {
  const db = primary(env.DB);
  // So far that versions rise, and that no isolate goes on with what it has.
  later(MINUTE_MS + SECOND_MS);
  await env.DB.prepare('UPDATE accounts SET base_url = ? WHERE id = ?').bind(baseUrl, id).run();
  await runBatch(db, [...raiseSnapshotVersion(db, Date.now(), ALWAYS)]);
  await poolOf(env).refresh(Date.now());
}

async function ask(bindings: Env): Promise<Response> {
  const behind: Promise<unknown>[] = [];
  const headers = { 'x-api-key': wallet.key, 'content-type': 'application/json' };
  const messages = [{ role: 'user', content: 'Hello' }];
  const body = JSON.stringify({ model: 'claude-opus-5-5', max_tokens: 10, messages });
  const request = new Request('https://relay.example/v1/messages', {
    method: 'POST',
    headers,
    body,
  });
  const ctx = { waitUntil: (work: Promise<unknown>) => void behind.push(work) };
  const response = await relay(request, bindings, ctx);
  const text = await response.text();
  await Promise.all(behind);
  return new Response(text, response);
}

async function isRefused(response: Response): Promise<boolean> {
  const { error } = await response.json<{ error?: { fields?: object } }>();
  return response.status === 400 && 'baseUrl' in (error?.fields ?? {});
}

beforeEach(async () => {
  // Never back: what the isolate holds of the accounts would seem fresh.
  days += 1;
  later(days * 24 * HOUR_MS);
  admin = await newPerson({ role: 'admin' });
  wallet = await relayedWallet();
  // Only what a test makes itself is called.
  await poolOf(env).ping();
  await env.DB.prepare("UPDATE accounts SET status = 'disabled'").run();
});
afterAll(() => env.DB.prepare('DELETE FROM accounts').run());

describe('an address that leads elsewhere', () => {
  it(`is never stored: ${FORMS.length} forms of a new account, or of one that is changed`, async () => {
    const before = await told('evil');
    const { id } = await made('https://upstream.example.com');
    const stored: string[] = [];
    for (const baseUrl of FORMS) {
      const body = { name: 'Main', kind: 'anthropic-compatible', baseUrl, credential: SECRET };
      const sent = { body, bindings: production };
      const created = await admin.call('POST', '/admin/accounts', sent);
      if (!(await isRefused(created))) stored.push(`new at ${baseUrl}`);
    }
    // A change asks the same question: a share of the forms tells.
    for (const baseUrl of FORMS.filter((_, index) => index % 8 === 0)) {
      const sent = { body: { baseUrl }, bindings: production };
      const changed = await admin.call('PATCH', `/admin/accounts/${id}`, sent);
      if (!(await isRefused(changed))) stored.push(`changed to ${baseUrl}`);
    }
    expect(stored).toEqual([]);
    expect(await told('evil')).toBe(before);
  }, 120_000);

  it('is not called by a test of the account after its row was changed', async () => {
    const before = await told('evil');
    const { id } = await made('https://upstream.example.com');
    const called: string[] = [];
    // The rule has them all (platform/address.workerd.test.ts); a share shows that it is asked.
    for (const baseUrl of FORMS.filter((_, index) => index % 3 === 0)) {
      await env.DB.prepare('UPDATE accounts SET base_url = ? WHERE id = ?').bind(baseUrl, id).run();
      const sent = { body: { model: 'claude-haiku-5-5' }, bindings: production };
      const trial = await read<Trial>(await admin.call('POST', `/admin/accounts/${id}/test`, sent));
      if (trial.failure !== 'address-not-allowed') called.push(`${baseUrl}: ${trial.failure}`);
    }
    expect(called).toEqual([]);
    expect(await told('evil')).toBe(before);
  }, 120_000);

  it('is not called by a request after its row was changed', async () => {
    const before = await told('evil');
    const statuses = new Set<number>();
    const forms = formsAt(far.evilPort).filter((form) => !form.startsWith('https'));
    for (const baseUrl of forms.filter((_, index) => index % 2 === 0)) {
      // One of its own for each: what the relay thinks of the last one is not in the way.
      const { id } = await made('https://upstream.example.com');
      await moved(id, baseUrl);
      statuses.add((await ask(production)).status);
      await env.DB.prepare('DELETE FROM accounts WHERE id = ?').bind(id).run();
    }
    expect([...statuses]).toEqual([502]);
    expect(await told('evil')).toBe(before);
  }, 120_000);

  it('is counted where it may be called: plain loopback, in development', async () => {
    const before = await told('evil');
    const { id } = await made('https://upstream.example.com');
    await moved(id, HERE);
    expect((await ask(env)).status).toBe(200);
    expect(await told('evil')).toBe(before + 1);
  });
});

describe('a redirect to another server', () => {
  it.each([301, 302, 303, 307, 308])(
    'of %i is not followed, by a request or by a test',
    async (status) => {
      const before = await told('evil');
      const seen = (await told('kept')).length;
      const { id } = await made(`${far.url}/redirect/${status}`);
      later(MINUTE_MS + SECOND_MS);
      const response = await ask(env);
      expect([response.status, response.headers.get('location')]).toEqual([502, null]);
      expect(await response.text()).toContain('upstream_redirect');
      const body = { model: 'claude-haiku-5-5' };
      const { call } = await newSession(admin.userId, 'admin');
      const trial = await call('POST', `/admin/accounts/${id}/test`, { body });
      expect(await read(trial)).toMatchObject({ status, failure: 'redirect' });
      // The credential has gone to the account's own host, once a call, and nowhere else.
      const kept = (await told('kept')).slice(seen);
      expect(kept.map(({ rawHeaders }) => rawHeaders.includes(SECRET))).toEqual([true, true]);
      expect(await told('evil')).toBe(before);
    },
  );
});
