// Who comes in: registration by its setting, invitations, and the tokens of programs.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Somebody } from '../../../tests/workerd/control-world';
import {
  call,
  codeOf,
  newApiKey,
  newPerson,
  newServiceToken,
  read,
  withBearer,
} from '../../../tests/workerd/control-world';
import { later, useFakeDate } from '../../../tests/workerd/fake-date';
import { freshAddress, newUser } from '../../../tests/workerd/logins';
import type { LoggedIn } from '../contract/auth';
import { ledgerOf } from '../../platform/objects';
import { sha256 } from '../../platform/digest';
import { primary, runBatch } from '../../store/db';
import { putSetting } from '../../store/settings';

useFakeDate();

const HOUR_MS = 3_600_000;
const PASSWORD = 'correct horse battery';
let emails = 0;

function freshEmail(): string {
  emails += 1;
  return `new-${emails}@example.com`;
}

async function setRegistration(value: unknown): Promise<void> {
  const db = primary(env.DB);
  const setting = { name: 'registration', value: JSON.stringify(value) } as const;
  await runBatch(db, [putSetting(db, setting, { now: Date.now() })]);
}

interface Made {
  readonly invite: { readonly id: string; readonly role: string };
  readonly secret: string | null;
}

async function invite(admin: Pick<Somebody, 'call'>, body: object = {}): Promise<Made> {
  return read<Made>(await admin.call('POST', '/admin/invites', { body }), 201);
}

function register(more: object = {}, address = freshAddress()): Promise<Response> {
  const body = {
    email: freshEmail(),
    password: PASSWORD,
    name: 'New',
    transport: 'bearer',
    ...more,
  };
  return call('POST', '/api/auth/register', { body, headers: { 'cf-connecting-ip': address } });
}

async function peopleNow(): Promise<number | undefined> {
  const row = await env.DB.prepare('SELECT count(*) AS n FROM users').first<{ n: number }>();
  return row?.n;
}

beforeEach(async () => {
  await env.DB.prepare("DELETE FROM settings WHERE name = 'registration'").run();
});

describe('registration', () => {
  it('by default needs an invitation, and makes who comes with one a user with a wallet', async () => {
    expect(await codeOf(await register())).toBe('invite-not-valid');
    const { secret } = await invite(await newPerson({ role: 'admin' }));
    const email = freshEmail();
    const response = await register({ email: ` ${email.toUpperCase()}`, invite: secret });
    const { user, tokens } = await read<LoggedIn>(response, 201);
    expect(user).toMatchObject({ email, role: 'user', timeZone: 'UTC', region: 'weur' });
    expect((await withBearer(tokens?.access ?? '')('GET', '/api/auth/me')).status).toBe(200);
    const login = await call('POST', '/api/auth/login', { body: { email, password: PASSWORD } });
    expect(login.status).toBe(200);
    // The wallet's object knows of both at once: a key of theirs is good.
    const { results } = await env.DB.prepare('SELECT * FROM outbox WHERE wallet_id = ?')
      .bind(user.walletId)
      .all();
    expect(results).toEqual([]);
    const { key, keyId } = await newApiKey({ userId: user.id, walletId: user.walletId });
    const known = { keyId, keyHash: await sha256(key) };
    const info = await ledgerOf(env, user.walletId, 'weur').keyInfo(known);
    expect(info.ok).toBe(true);
  });

  it('that is open makes users and nothing higher, ever more slowly from one address', async () => {
    await setRegistration('open');
    const address = freshAddress();
    for (let tries = 0; tries < 3; tries += 1) {
      const { user } = await read<LoggedIn>(await register({}, address), 201);
      expect(user.role).toBe('user');
    }
    const fourth = await register({}, address);
    expect([fourth.status, await codeOf(fourth)]).toEqual([429, 'too-many-attempts']);
    later(1_000);
    expect((await register({}, address)).status).toBe(201);
  });

  it('that is closed is closed, with an invitation too', async () => {
    const { secret } = await invite(await newPerson({ role: 'admin' }));
    await setRegistration('closed');
    expect(await codeOf(await register({ invite: secret }))).toBe('registration-closed');
  });

  it('with a setting that cannot be read is by invitation', async () => {
    await setRegistration('everybody');
    expect(await codeOf(await register())).toBe('invite-not-valid');
  });

  it.each([
    { role: 'admin' },
    { balanceNanos: 1 },
    { id: 'usr_x' },
    { walletId: 'wal_x' },
    { status: 'active' },
    { limits: {} },
    { email: 'no address' },
    { email: `${'a'.repeat(250)}@example.com` },
    { password: 'too short' },
    { password: 'x'.repeat(201) },
    { name: ' ' },
    { timeZone: 'Mars/Base' },
  ])('refuses %o and makes nobody', async (more) => {
    await setRegistration('open');
    const before = await peopleNow();
    const response = await register(more);
    expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
    expect(await peopleNow()).toBe(before);
  });

  it('refuses an address that is taken, in any spelling, and leaves the invitation good', async () => {
    const { email } = await newUser();
    const { secret } = await invite(await newPerson({ role: 'admin' }));
    const taken = await register({ email: email.toUpperCase(), invite: secret });
    expect([taken.status, await codeOf(taken)]).toEqual([409, 'address-taken']);
    expect((await register({ invite: secret })).status).toBe(201);
  });
});

describe('an invitation', () => {
  it('is good once, however many come with it at once', async () => {
    const { secret, invite: made } = await invite(await newPerson({ role: 'admin' }));
    const responses = await Promise.all(
      Array.from({ length: 6 }, () => register({ invite: secret })),
    );
    const statuses = responses.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([201, 403, 403, 403, 403, 403]);
    const row = await env.DB.prepare('SELECT used_by FROM invites WHERE id = ?')
      .bind(made.id)
      .first<{ used_by: string }>();
    const winner = responses.find(({ status }) => status === 201);
    if (winner === undefined) throw new Error('nobody came in');
    expect((await read<LoggedIn>(winner, 201)).user.id).toBe(row?.used_by);
    expect(await codeOf(await register({ invite: secret }))).toBe('invite-not-valid');
  }, 60_000);

  it('gives the role that it was made for, also an admin’s', async () => {
    const admin = await newPerson({ role: 'admin' });
    for (const role of ['viewer', 'admin']) {
      const { secret } = await invite(admin, { role });
      const { user } = await read<LoggedIn>(await register({ invite: secret }), 201);
      expect(user.role).toBe(role);
    }
  });

  it('that is for one address is for nobody else', async () => {
    const email = freshEmail();
    const admin = await newPerson({ role: 'admin' });
    const { secret } = await invite(admin, { email: email.toUpperCase() });
    expect(await codeOf(await register({ invite: secret }))).toBe('invite-not-valid');
    expect((await register({ email, invite: secret })).status).toBe(201);
  });

  it('ends when it says, to the second, or when it is taken back', async () => {
    const admin = await newPerson({ role: 'admin' });
    const [one, two, three] = [
      await invite(admin, { validForMs: HOUR_MS }),
      await invite(admin, { validForMs: HOUR_MS }),
      await invite(admin),
    ];
    const path = `/admin/invites/${three.invite.id}`;
    expect((await admin.call('DELETE', path)).status).toBe(204);
    expect((await admin.call('DELETE', path)).status).toBe(404);
    expect(await codeOf(await register({ invite: three.secret }))).toBe('invite-not-valid');
    later(HOUR_MS - 1_000);
    expect((await register({ invite: one.secret })).status).toBe(201);
    later(2_000);
    expect(await codeOf(await register({ invite: two.secret }))).toBe('invite-not-valid');
    const used = `/admin/invites/${one.invite.id}`;
    const again = await newPerson({ role: 'admin' });
    expect((await again.call('DELETE', used)).status).toBe(404);
  });

  it('for an admin or a viewer is worth nothing once its maker is no admin', async () => {
    const admin = await newPerson({ role: 'admin' });
    const high = [await invite(admin, { role: 'admin' }), await invite(admin, { role: 'viewer' })];
    const low = await invite(admin);
    await env.DB.prepare("UPDATE users SET role = 'user' WHERE id = ?").bind(admin.userId).run();
    for (const { secret } of high) {
      expect(await codeOf(await register({ invite: secret }))).toBe('invite-not-valid');
    }
    expect((await register({ invite: low.secret })).status).toBe(201);
  });

  it('that is guessed, cut or of another opens nothing, and guessing gets slow', async () => {
    const admin = await newPerson({ role: 'admin' });
    const [one, two] = [await invite(admin), await invite(admin)];
    const [secret, other] = [one.secret ?? '', two.secret ?? ''];
    const mixed = `${secret.slice(0, 27)}${other.slice(27)}`;
    const address = freshAddress();
    for (const [text, status] of [
      [mixed, 403],
      [secret.slice(0, -1), 403],
      ["inv_' OR 1=1--", 403],
      [secret, 429],
    ] as const) {
      expect((await register({ invite: text }, address)).status).toBe(status);
    }
    expect((await register({ invite: secret })).status).toBe(201);
  });

  it('is listed without its text, which is shown once and stored as its SHA-256', async () => {
    // Later than what the other tests made.
    later(HOUR_MS);
    const admin = await newPerson({ role: 'admin' });
    const sent = { body: { role: 'viewer' }, headers: { 'idempotency-key': 'invite-one' } };
    const first = await read<Made>(await admin.call('POST', '/admin/invites', sent), 201);
    const again = await read<Made>(await admin.call('POST', '/admin/invites', sent), 201);
    expect(again).toEqual({ ...first, secret: null, replayed: true });
    expect(first.secret).toMatch(/^inv_\w{22}\.[\w-]{43}$/);
    const viewer = await newPerson({ role: 'viewer' });
    const list = await read<{ items: Made['invite'][]; next: string | null }>(
      await viewer.call('GET', '/admin/invites?limit=1'),
    );
    expect(list.items).toEqual([first.invite]);
    const rest = await viewer.call('GET', `/admin/invites?cursor=${list.next}`);
    expect(JSON.stringify(await rest.json())).not.toContain(first.invite.id);
    const value = first.secret?.slice(27) ?? '';
    const stored = await Promise.all(
      ['invites', 'audit', 'idempotency'].map((table) =>
        env.DB.prepare(`SELECT * FROM ${table}`).all(),
      ),
    );
    expect(JSON.stringify(stored)).not.toContain(value);
  });

  it.each([
    { validForMs: HOUR_MS - 1 },
    { validForMs: 30 * 24 * HOUR_MS + 1 },
    { validForMs: 0.5 },
    { role: 'owner' },
    { usedBy: null },
  ])('with %o is not made', async (body) => {
    const admin = await newPerson({ role: 'admin' });
    expect((await admin.call('POST', '/admin/invites', { body })).status).toBe(400);
  });

  it('is made by admins and tokens with the scope; one for an admin or a viewer by admins alone', async () => {
    for (const role of ['user', 'viewer'] as const) {
      const person = await newPerson({ role });
      const response = await person.call('POST', '/admin/invites', { body: {} });
      expect(await codeOf(response)).toBe('role-too-low');
    }
    const program = { call: withBearer(await newServiceToken(['write:invites'])) };
    expect((await invite(program)).invite.role).toBe('user');
    for (const role of ['admin', 'viewer']) {
      const high = await program.call('POST', '/admin/invites', { body: { role } });
      expect([role, high.status, await codeOf(high)]).toEqual([role, 403, 'beyond-own-rights']);
    }
  });
});

describe('a service token', () => {
  const PATH = '/admin/service-tokens';
  interface Token {
    readonly serviceToken: { readonly id: string; readonly scopes: string[] };
    readonly token: string | null;
  }
  const make = async (admin: Somebody, body: object) =>
    read<Token>(await admin.call('POST', PATH, { body: { name: 'CI', ...body } }), 201);

  it('opens what its scopes say until it is revoked', async () => {
    const admin = await newPerson({ role: 'admin' });
    const { token, serviceToken } = await make(admin, { scopes: ['read:invites'] });
    expect(token).toMatch(/^svc_\w{22}_[\w-]{43}$/);
    const program = withBearer(token ?? '');
    expect((await program('GET', '/admin/invites')).status).toBe(200);
    const write = await program('POST', '/admin/invites', { body: {} });
    expect(await codeOf(write)).toBe('scope-missing');
    for (const [method, path] of [
      ['GET', '/api/auth/me'],
      ['GET', PATH],
      ['POST', '/api/auth/logout-all'],
    ] as const) {
      expect([path, await codeOf(await program(method, path))]).toEqual([path, 'role-too-low']);
    }
    expect((await admin.call('DELETE', `${PATH}/${serviceToken.id}`)).status).toBe(204);
    expect(await codeOf(await program('GET', '/admin/invites'))).toBe('token-not-valid');
    expect((await admin.call('DELETE', `${PATH}/${serviceToken.id}`)).status).toBe(404);
  });

  it('ends when it says, to the second', async () => {
    const admin = await newPerson({ role: 'admin' });
    const { token } = await make(admin, { scopes: ['read:invites'], validForMs: HOUR_MS });
    const program = withBearer(token ?? '');
    later(HOUR_MS - 1_000);
    expect((await program('GET', '/admin/invites')).status).toBe(200);
    later(2_000);
    expect(await codeOf(await program('GET', '/admin/invites'))).toBe('token-not-valid');
  });

  it('is shown once, stored as its SHA-256, and listed for admins', async () => {
    later(HOUR_MS);
    const admin = await newPerson({ role: 'admin' });
    const body = { name: 'CI', scopes: ['read:usage', 'read:usage', 'write:codes'] };
    const sent = { body, headers: { 'idempotency-key': 'token-one' } };
    const first = await read<Token>(await admin.call('POST', PATH, sent), 201);
    expect(first.serviceToken.scopes).toEqual(['read:usage', 'write:codes']);
    const again = await read<Token>(await admin.call('POST', PATH, sent), 201);
    expect(again).toEqual({ ...first, token: null, replayed: true });
    const list = await read<{ items: unknown[] }>(await admin.call('GET', `${PATH}?limit=1`));
    expect(list.items).toEqual([first.serviceToken]);
    const stored = await Promise.all(
      ['service_tokens', 'audit', 'idempotency'].map((table) =>
        env.DB.prepare(`SELECT * FROM ${table}`).all(),
      ),
    );
    expect(JSON.stringify(stored)).not.toContain(first.token?.slice(27));
  });

  it('is made by an admin in person alone', async () => {
    const body = { name: 'CI', scopes: ['read:users'] };
    const program = withBearer(await newServiceToken(['write:tokens', 'write:users']));
    const callers = [(await newPerson({ role: 'viewer' })).call, (await newPerson()).call, program];
    for (const caller of callers) {
      expect(await codeOf(await caller('POST', PATH, { body }))).toBe('role-too-low');
      expect(await codeOf(await caller('GET', PATH))).toBe('role-too-low');
    }
  });

  it.each([
    { scopes: [] },
    { scopes: ['read:everything'] },
    { scopes: ['admin'] },
    { scopes: ['read:users'], validForMs: 365 * 24 * HOUR_MS + 1 },
    { scopes: ['read:users'], createdBy: 'usr_x' },
  ])('with %o is not made', async (body) => {
    const admin = await newPerson({ role: 'admin' });
    const response = await admin.call('POST', PATH, { body: { name: 'CI', ...body } });
    expect(response.status).toBe(400);
  });
});
