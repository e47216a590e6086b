// The setup door, through its routes, with real objects behind it.

import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { controlRoutes } from './routes';
import type { KeyInfo } from '../domain/ledger/calls';
import type { RelayError } from '../domain/errors';
import { newId } from '../domain/ids';
import { parseKey } from '../domain/keys/format';
import { nanosFromDollars } from '../domain/money';
import type { Result } from '../domain/result';
import { scheduled } from '../jobs';
import { sha256, verifyKeyTag } from '../platform/digest';
import { ledgerOf } from '../platform/objects';
import { verifyPassword } from '../platform/password';
import { randomBytes } from '../platform/random';
import { loadCopies } from '../store/keys';
import type { SetupClaim } from '../store/setup';
import { claimSetup } from '../store/setup';

const SECRET = 'setup-secret-setup-secret';
const TAG_SECRETS = { '1': 'tag-secret-tag-secret-tag' };
const ten = nanosFromDollars(10);

/** The bindings with secrets of this file's own. */
const OPEN = {
  ...env,
  RELAY_ENVIRONMENT: 'development',
  CORS_ORIGINS: '',
  KEY_TAG_SECRETS: JSON.stringify(TAG_SECRETS),
  MASTER_KEYS: '{"1":"master-key-master-key-one"}',
  CONVERSATION_SECRET: 'conversation-secret-of-test',
  SETUP_SECRET: SECRET,
};

const control = controlRoutes();

interface Call {
  readonly secret?: string | null;
  readonly bindings?: Env;
  readonly path?: string;
  readonly cf?: { readonly continent: string };
}

function bodyFor(setupId: string) {
  const admin = { email: 'Admin@Example.com', password: 'admin password one' };
  const user = { email: 'user@example.com', password: 'user password one' };
  return { setupId, admin, user };
}

async function post(body: unknown, call: Call = {}): Promise<Response> {
  const { secret = SECRET, bindings = OPEN, path = '/admin/setup', cf } = call;
  const headers = new Headers({ 'content-type': 'application/json' });
  if (secret !== null) headers.set('authorization', `Bearer ${secret}`);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const request = new Request(`https://relay.example${path}`, {
    method: 'POST',
    headers,
    body: text,
    ...(cf === undefined ? {} : { cf }),
  });
  return control.request(request, undefined, bindings, createExecutionContext());
}

interface Made {
  readonly key: string;
  readonly adminId: string;
  readonly userId: string;
  readonly relay: string;
}

async function made(response: Response): Promise<Made> {
  expect(response.status).toBe(200);
  return response.json<Made>();
}

async function errorOf(response: Response): Promise<{ code: string; message: string }> {
  const body = await response.json<{ error: { code: string; message: string } }>();
  expect(Object.keys(body)).toEqual(['error']);
  const known = ['code', 'fields', 'message', 'requestId'];
  expect(known).toEqual(expect.arrayContaining(Object.keys(body.error)));
  return body.error;
}

async function infoOf(key: string): Promise<Result<KeyInfo, RelayError>> {
  const parts = parseKey(key);
  if (parts === null) throw new Error('not a key');
  const ledger = ledgerOf(env, parts.walletId, parts.region);
  return ledger.keyInfo({ keyId: parts.keyId, keyHash: await sha256(key) });
}

async function rowsOf<T>(query: string): Promise<T[]> {
  return (await env.DB.prepare(query).all<T>()).results;
}

async function count(table: string): Promise<number> {
  const [row] = await rowsOf<{ n: number }>(`SELECT count(*) AS n FROM ${table}`);
  return row?.n ?? -1;
}

beforeEach(async () => {
  const tables = ['users', 'wallets', 'keys', 'settings', 'outbox', 'audit'];
  await env.DB.batch(tables.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
});

describe('the open door', () => {
  it('makes admin, user, wallets and a key with ten dollars that works at once', async () => {
    const answer = await made(await post(bodyFor('setup-happy-1'), { cf: { continent: 'AS' } }));
    expect(answer.relay).toBe('https://relay.example');
    expect(await verifyKeyTag(answer.key, TAG_SECRETS)).toBe(true);
    expect(parseKey(answer.key)?.region).toBe('apac');
    const users = await rowsOf<{ id: string; email: string; role: string; password: string }>(
      'SELECT id, email, role, password FROM users ORDER BY role',
    );
    expect(users).toMatchObject([
      { id: answer.adminId, email: 'admin@example.com', role: 'admin' },
      { id: answer.userId, email: 'user@example.com', role: 'user' },
    ]);
    expect(await verifyPassword('admin password one', users[0]?.password ?? '')).toBe(true);
    expect(await verifyPassword('user password one', users[1]?.password ?? '')).toBe(true);
    expect(await count('wallets')).toBe(2);
    const info = await infoOf(answer.key);
    expect(info).toMatchObject({ ok: true, value: { balanceNanos: ten, status: 'active' } });
    expect(await count('outbox')).toBe(0);
  });

  it('stores neither the key nor a password', async () => {
    const { key } = await made(await post(bodyFor('setup-secret-1')));
    const tables = ['users', 'wallets', 'keys', 'settings', 'outbox', 'audit'];
    const rows = await Promise.all(tables.map((table) => rowsOf(`SELECT * FROM ${table}`)));
    const everything = JSON.stringify(rows);
    expect(everything).not.toContain(key.split('_')[4]);
    expect(everything).not.toContain('password one');
  });

  it('leaves what could not be pushed to the cron, which brings it', async () => {
    const broken = () => ({
      apply: () => Promise.reject(new Error('no object')),
      credit: () => Promise.reject(new Error('no object')),
    });
    const namespace = { idFromName: () => 'id', get: broken };
    // Only what platform/objects.ts calls.
    const LEDGER = namespace as unknown as Env['LEDGER'];
    const { key } = await made(
      await post(bodyFor('setup-cut-1'), { bindings: { ...OPEN, LEDGER } }),
    );
    expect(await count('outbox')).toBe(6);
    await scheduled(env, Date.now() + 6_000);
    const kinds = await rowsOf<{ kind: string }>(
      "SELECT kind FROM outbox WHERE kind <> 'snapshot'",
    );
    expect(kinds).toEqual([]);
    expect(await infoOf(key)).toMatchObject({ ok: true, value: { balanceNanos: ten } });
  });
});

describe('the same setup again, unconfirmed', () => {
  it('gives a new key, kills the old one, keeps the people and grants nothing twice', async () => {
    const first = await made(await post(bodyFor('setup-again-1')));
    expect(await infoOf(first.key)).toMatchObject({ ok: true });
    const again = bodyFor('setup-again-1');
    again.user.password = 'user password two';
    const second = await made(await post(again, { cf: { continent: 'AS' } }));
    expect(second).toMatchObject({ adminId: first.adminId, userId: first.userId });
    expect(second.key).not.toBe(first.key);
    expect(parseKey(second.key)?.walletId).toBe(parseKey(first.key)?.walletId);
    expect(await infoOf(second.key)).toMatchObject({ ok: true, value: { balanceNanos: ten } });
    const dead = { ok: false, error: { kind: 'unauthenticated', why: 'unknown' } };
    expect(await infoOf(first.key)).toMatchObject(dead);
    expect([await count('users'), await count('wallets'), await count('keys')]).toEqual([2, 2, 1]);
    const [user] = await rowsOf<{ password: string }>(
      "SELECT password FROM users WHERE role = 'user'",
    );
    expect(await verifyPassword('user password two', user?.password ?? '')).toBe(true);
    expect(await verifyPassword('user password one', user?.password ?? '')).toBe(false);
  });

  it('raises the version of every row that it changes', async () => {
    const first = await made(await post(bodyFor('setup-version-1')));
    const keyId = parseKey(first.key)?.keyId;
    if (keyId === undefined) throw new Error('not a key');
    const before = (await loadCopies(env.DB, keyId)) ?? [];
    await made(await post(bodyFor('setup-version-1')));
    const after = (await loadCopies(env.DB, keyId)) ?? [];
    const risen = after.map((copy, index) => copy.version > (before[index]?.version ?? 0));
    expect(after.map((copy) => copy.kind)).toEqual(['key', 'user', 'wallet']);
    // The wallet's row did not change.
    expect(risen).toEqual([true, true, false]);
  });

  it('asked twice at the same time, one answer’s key works and one grant is given', async () => {
    const body = bodyFor('setup-twice-1');
    const answers = await Promise.all([post(body), post(body)]);
    const keys: string[] = [];
    for (const answer of answers) keys.push((await made(answer)).key);
    const infos = await Promise.all(keys.map(infoOf));
    expect(infos.filter((info) => info.ok)).toHaveLength(1);
    expect(infos.find((info) => info.ok)).toMatchObject({ value: { balanceNanos: ten } });
    expect(await count('users')).toBe(2);
  });
});

describe('the closed door', () => {
  it('refuses another setup and changes nothing', async () => {
    const first = await made(await post(bodyFor('setup-mine-1')));
    const refused = await post(bodyFor('setup-other-1'));
    expect(refused.status).toBe(409);
    expect((await errorOf(refused)).code).toBe('conflict');
    expect(await infoOf(first.key)).toMatchObject({ ok: true, value: { balanceNanos: ten } });
    expect(await count('users')).toBe(2);
  });

  it('is shut by confirming: the same setup is refused and its key goes on working', async () => {
    const body = bodyFor('setup-confirm-1');
    const { key } = await made(await post(body));
    const confirm = { setupId: body.setupId };
    const path = '/admin/setup/confirm';
    expect(await (await post(confirm, { path })).json()).toEqual({ confirmed: true });
    expect(await (await post(confirm, { path })).json()).toEqual({ confirmed: true });
    expect((await post(body)).status).toBe(409);
    expect(await infoOf(key)).toMatchObject({ ok: true, value: { balanceNanos: ten } });
  });

  it('another setup cannot confirm, nor can anyone before there is one', async () => {
    const path = '/admin/setup/confirm';
    expect((await post({ setupId: 'setup-none-1' }, { path })).status).toBe(409);
    const body = bodyFor('setup-unshut-1');
    await made(await post(body));
    expect((await post({ setupId: 'setup-strange-1' }, { path })).status).toBe(409);
    await made(await post(body));
  });

  it('stays shut while any admin exists, even a deleted one', async () => {
    await made(await post(bodyFor('setup-deleted-1')));
    await env.DB.batch([
      env.DB.prepare("UPDATE users SET status = 'deleted'"),
      env.DB.prepare("DELETE FROM settings WHERE name = 'setup'"),
    ]);
    expect((await post(bodyFor('setup-deleted-2'))).status).toBe(409);
    expect((await post(bodyFor('setup-deleted-1'))).status).toBe(409);
  });

  it('an address that a registered user has is a conflict, and no admin is made', async () => {
    await env.DB.prepare(
      'INSERT INTO users VALUES ' +
        "('usr_x', 'user@example.com', 'X', 'user', '-', 'active', 'UTC', 1, 1, '{}', '[]')",
    ).run();
    const refused = await post(bodyFor('setup-taken-1'));
    expect(refused.status).toBe(409);
    expect((await errorOf(refused)).message).toContain('e-mail');
    expect([await count('users'), await count('settings')]).toEqual([1, 0]);
  });
});

describe('the audit', () => {
  it('has a line of each time somebody came in, and one of the door’s shutting', async () => {
    const { adminId } = await made(await post(bodyFor('setup-told-1')));
    await made(await post(bodyFor('setup-told-1')));
    for (const setupId of ['setup-told-2', 'setup-told-1', 'setup-told-1']) {
      await post({ setupId }, { path: '/admin/setup/confirm' });
    }
    expect((await post(bodyFor('setup-told-1'))).status).toBe(409);
    const lines = await rowsOf<object>(
      "SELECT actor_id AS by, action, after ->> '$.admin.id' AS admin FROM audit ORDER BY id",
    );
    const open = { by: 'setup', action: 'setup.open', admin: adminId };
    expect(lines).toEqual([open, open, { by: 'setup', action: 'setup.confirm', admin: null }]);
  });
});

describe('two setups at once', () => {
  it('exactly one wins, and only its people exist', async () => {
    const ids = ['setup-race-a', 'setup-race-b', 'setup-race-c'];
    const answers = await Promise.all(ids.map((id) => post(bodyFor(id))));
    const statuses = answers.map((answer) => answer.status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, 409, 409]);
    const winner = answers.find((answer) => answer.status === 200);
    if (winner === undefined) throw new Error('nobody won');
    const { key, adminId } = await made(winner);
    expect(await rowsOf("SELECT id FROM users WHERE role = 'admin'")).toEqual([{ id: adminId }]);
    expect([await count('users'), await count('keys')]).toEqual([2, 1]);
    expect(await infoOf(key)).toMatchObject({ ok: true, value: { balanceNanos: ten } });
  });

  it('the batch decides: a claim prepared at the open door changes nothing later', async () => {
    const claims = [claimFor('claim-race-a'), claimFor('claim-race-b')];
    const results = await Promise.all(claims.map((claim) => claimSetup(env.DB, claim)));
    expect(results.filter((won) => won)).toHaveLength(1);
    expect([await count('users'), await count('keys'), await count('outbox')]).toEqual([2, 1, 6]);
    const loser = claims.find((_, index) => results[index] === false);
    const before = await rowsOf('SELECT * FROM outbox');
    if (loser === undefined) throw new Error('both won');
    expect(await claimSetup(env.DB, loser)).toBe(false);
    expect(await rowsOf('SELECT * FROM outbox')).toEqual(before);
  });

  function claimFor(setupId: string): SetupClaim {
    const now = Date.now();
    const id = <K extends 'user' | 'wallet' | 'key'>(kind: K) => newId(kind, now, randomBytes(10));
    return {
      setupId,
      people: {
        adminId: id('user'),
        adminWalletId: id('wallet'),
        userId: id('user'),
        userWalletId: id('wallet'),
        keyId: id('key'),
        region: 'weur',
      },
      admin: { email: `a-${setupId}@example.com`, name: 'A', password: '-' },
      user: { email: `${setupId}@example.com`, name: 'U', password: '-' },
      key: { name: 'k', hash: 'h', tagVersion: '1' },
      grant: {
        entryId: `setup:${setupId}`,
        kind: 'grant',
        amountNanos: ten,
        reason: 'test',
        actor: 'test',
      },
      line: {
        id: newId('audit', now, randomBytes(10)),
        at: now,
        actorId: 'setup',
        sessionId: null,
        address: '',
        action: 'setup.open',
        targetId: 'setup',
        before: null,
        after: null,
        requestId: newId('request', now, randomBytes(10)),
      },
      now,
    };
  }
});

describe('who may knock', () => {
  it.each([
    ['no secret', null],
    ['a wrong secret', 'setup-secret-setup-secreT'],
    ['a part of the secret', 'setup-secret'],
    ['the secret and more', `${SECRET}x`],
  ])('%s gets 401 and nothing is made', async (_, secret) => {
    for (const path of ['/admin/setup', '/admin/setup/confirm']) {
      const refused = await post(bodyFor('setup-knock-1'), { secret, path });
      expect(refused.status).toBe(401);
      expect((await errorOf(refused)).code).toBe('setup-secret-wrong');
      expect(refused.headers.get('cache-control')).toBe('no-store');
    }
    expect(await count('users')).toBe(0);
  });

  it('without SETUP_SECRET there is no door', async () => {
    const { SETUP_SECRET: _, ...bindings } = OPEN;
    for (const secret of [null, '', 'undefined', SECRET]) {
      const refused = await post(bodyFor('setup-none-2'), { secret, bindings });
      expect(refused.status).toBe(404);
    }
    const empty = { ...OPEN, SETUP_SECRET: '' };
    expect((await post(bodyFor('setup-none-3'), { secret: '', bindings: empty })).status).toBe(404);
  });

  it('a secret of fewer than 22 characters never opens', async () => {
    const short = 'only-21-characters-ab';
    const bindings = { ...OPEN, SETUP_SECRET: short };
    const refused = await post(bodyFor('setup-short-1'), { secret: short, bindings });
    expect(refused.status).toBe(500);
    expect(await errorOf(refused)).toMatchObject({ code: 'bad-environment' });
    expect(await count('users')).toBe(0);
  });

  it.each([
    ['no JSON', 'x'],
    ['another field', { ...bodyFor('setup-field-1'), role: 'admin' }],
    ['no setup id', { ...bodyFor('setup-field-1'), setupId: undefined }],
    ['a setup id of other characters', bodyFor('setup id 1')],
    [
      'a short password',
      { ...bodyFor('setup-field-1'), admin: { email: 'a@b.co', password: 'x' } },
    ],
    [
      'one address for two people',
      { ...bodyFor('setup-field-1'), user: { ...bodyFor('').admin, email: 'admin@example.COM' } },
    ],
  ])('%s is a bad request', async (_, body) => {
    const refused = await post(body);
    expect(refused.status).toBe(400);
    expect((await errorOf(refused)).code).toBe('not-valid');
    expect(await count('users')).toBe(0);
  });

  it('a body beyond 64 kB is too large, another method or path is named', async () => {
    expect((await post('x'.repeat(70_000))).status).toBe(413);
    const get = await control.request('/admin/setup', {}, OPEN);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    const nowhere = await control.request('/admin/nowhere', {}, OPEN);
    expect([nowhere.status, (await errorOf(nowhere)).code]).toEqual([404, 'not-found']);
  });
});
