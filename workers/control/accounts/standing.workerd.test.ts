// How accounts stand, what they did by day, and sealing them anew, through the routes. Pool is the
// true object where its rules matter, and one that answers as it is told where its failures do.

import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { codeOf, newPerson, read } from '../../../tests/workerd/control-world';
import type { AccountDays } from '../contract/account-days';
import type { Account, AccountWithState } from '../contract/account-fields';
import type { Summary } from '../contract/usage';
import type { AccountState, Mark, ResetCall } from '../../domain/health/calls';
import type { AccountId } from '../../domain/ids';
import { nanos } from '../../domain/money';
import { configOf } from '../../platform/env';
import { poolOf } from '../../platform/objects';
import { unseal } from '../../platform/seal';
import { loadSnapshot } from '../../store/snapshot';

const SECRET = 'sk-ant-api03-Zk3Vd9QmT7wXrB5n';
const NEW = { name: 'N', kind: 'anthropic', credential: SECRET };
const admin = await newPerson({ role: 'admin' });

async function made(more: object = {}): Promise<Account> {
  const response = await admin.call('POST', '/admin/accounts', { body: { ...NEW, ...more } });
  return (await read<{ account: Account }>(response, 201)).account;
}

/** The bindings with a Pool that says this of accounts' health. */
function withPool(health: {
  readonly states: () => Promise<readonly AccountState[]>;
  readonly reset?: (call: ResetCall) => Promise<void>;
}): Env {
  const pool = { ...health, snapshot: async () => poolOf(env).snapshot(null) };
  return { ...env, POOL: { idFromName: () => 'pool', get: () => pool } as unknown as Env['POOL'] };
}

function stateOf(accountId: AccountId, marks: readonly Mark[]): AccountState {
  const load = { inFlight: 2, dayNanos: nanos(5), monthNanos: nanos(70) };
  return { accountId, state: marks[0]?.state ?? 'ready', marks, load };
}

describe('how an account stands', () => {
  it('is told in words, the whole of it before a part, with when it ends', async () => {
    const { id: accountId } = await made();
    const marks: Mark[] = [
      {
        subject: { of: 'family', accountId, family: 'opus' },
        state: 'cooling',
        reason: 'throttled',
        since: 1,
        until: 9,
      },
      {
        subject: { of: 'account', accountId },
        state: 'out',
        reason: 'spend-limit',
        since: 2,
        until: null,
      },
      {
        subject: { of: 'colo', accountId, colo: 'HKG' },
        state: 'elsewhere',
        reason: 'something-new',
        since: 3,
        until: 4,
      },
    ];
    const state = { ...stateOf(accountId, marks), state: 'out' } as const;
    const bindings = withPool({ states: async () => [state] });
    const path = `/admin/accounts/${accountId}`;
    const told = await read<AccountWithState>(await admin.call('GET', path, { bindings }));
    expect(told).toMatchObject({
      state: 'out',
      load: { inFlight: 2, dayNanos: 5, monthNanos: 70 },
      reasons: [
        {
          of: 'account',
          subject: null,
          failure: 'spend-limit',
          reason: 'Its spend limit at the provider is reached; it comes back with the month.',
          until: null,
        },
        { of: 'family', subject: 'opus', reason: 'It said to wait (429).', since: 1, until: 9 },
        { of: 'colo', subject: 'HKG', reason: 'something new', state: 'elsewhere', until: 4 },
      ],
    });
    const { items } = await read<{ items: AccountWithState[] }>(
      await admin.call('GET', '/admin/accounts', { bindings }),
    );
    expect(items.find(({ id }) => id === accountId)).toEqual(told);
    expect(items.filter(({ state }) => state === null)).toHaveLength(items.length - 1);
    const summary = await read<Summary>(await admin.call('GET', '/admin/summary', { bindings }));
    expect(summary.accountStates.find(({ id }) => id === accountId)).toMatchObject({
      state: 'out',
      reasons: told.reasons,
    });
  });

  it('is not known while Pool does not answer, and no page fails for it', async () => {
    const { id } = await made();
    const bindings = withPool({ states: async () => Promise.reject(new Error('overloaded')) });
    for (const path of ['/admin/accounts', `/admin/accounts/${id}`, '/admin/summary']) {
      expect((await admin.call('GET', path, { bindings })).status).toBe(200);
    }
    const told = await admin.call('GET', `/admin/accounts/${id}`, { bindings });
    expect(await read(told)).toMatchObject({ state: null, reasons: [], load: null });
  });

  it('is ready with the true Pool, is out when Pool was told so, and ready again after a reset', async () => {
    const { id: accountId } = await made();
    const path = `/admin/accounts/${accountId}`;
    expect(await read(await admin.call('GET', path))).toMatchObject({
      state: 'ready',
      reasons: [],
    });
    const since = Date.now();
    const mark: Mark = {
      subject: { of: 'account', accountId },
      state: 'out',
      reason: 'unauthenticated',
      since,
      until: null,
    };
    await poolOf(env).report({
      isolate: 'a',
      n: 1,
      tallies: [],
      marks: [mark],
      probes: [],
      inFlight: {},
      healthVersion: null,
    });
    const reasons = [{ of: 'account', reason: 'It refused the credential (401).', until: null }];
    expect(await read(await admin.call('GET', path))).toMatchObject({ state: 'out', reasons });
    const after = await read(await admin.call('POST', `${path}/reset`));
    expect(after).toMatchObject({ id: accountId, state: 'ready', reasons: [] });
    const { results } = await env.DB.prepare(
      "SELECT before FROM audit WHERE target_id = ? AND action = 'admin.accounts.reset'",
    )
      .bind(accountId)
      .all<{ before: string }>();
    expect(results.map(({ before }) => JSON.parse(before))).toMatchObject([
      { state: 'out', reasons },
    ]);
  });

  it('cannot be reset while Pool does not answer, and that is said', async () => {
    const { id } = await made();
    const failing = async () => Promise.reject(new Error('overloaded'));
    const bindings = withPool({ states: failing, reset: failing });
    const response = await admin.call('POST', `/admin/accounts/${id}/reset`, { bindings });
    expect([response.status, await codeOf(response)]).toEqual([503, 'busy-pool']);
    const nobody = '/admin/accounts/acc_1111111111111111111111/reset';
    expect((await admin.call('POST', nobody)).status).toBe(404);
  });
});

const DAY_MS = 86_400_000;
/** Of an account that was deleted. */
const GONE = 'acc_1111111111111111111111';
const FIRST = Date.UTC(2025, 4, 10);

interface Usage {
  readonly slot: number;
  readonly accountId: string;
  readonly closing?: string;
  readonly counts?: readonly number[];
  readonly costNanos?: number;
}

async function use(...rows: readonly Usage[]): Promise<void> {
  await env.DB.batch(
    rows.map(({ slot, accountId, closing = 'completed', counts = [0, 0, 0, 0], costNanos = 0 }) =>
      env.DB.prepare(
        'INSERT INTO rollups (slot, user_id, key_id, model, account_id, closing, requests, ' +
          'input_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, ' +
          'output_tokens, web_searches, cost_nanos, total_histogram, first_byte_histogram) ' +
          "VALUES (?, 'usr_1', 'key_1', 'm', ?, ?, 1, ?, ?, ?, ?, 0, 0, ?, '[]', '[]')",
      ).bind(slot, accountId, closing, ...counts, costNanos),
    ),
  );
}

async function lose(day: number, accountId: string, figures: readonly number[]): Promise<void> {
  await env.DB.prepare('INSERT INTO account_days VALUES (?, ?, 1, ?, ?, ?, ?, ?)')
    .bind(day, accountId, ...figures)
    .run();
}

describe('the days of accounts', () => {
  it('hold what users paid beside moves, absorbed cost and what the account is said to have cost', async () => {
    const [one, other] = [await made({ name: 'One' }), await made({ name: 'Other' })];
    await use(
      { slot: FIRST, accountId: one.id, counts: [10, 20, 10, 360], costNanos: 7_000 },
      { slot: FIRST + DAY_MS - 900_000, accountId: one.id, closing: 'upstream-failed' },
      { slot: FIRST + DAY_MS, accountId: other.id, counts: [5, 0, 0, 0], costNanos: 50 },
      { slot: FIRST + DAY_MS, accountId: '', closing: 'no-upstream' },
      { slot: FIRST + 5 * DAY_MS, accountId: one.id, costNanos: 1 },
    );
    await lose(FIRST, one.id, [3, 900, 2, 40, 6_500]);
    await lose(FIRST + DAY_MS, GONE, [0, 0, 1, 8, 0]);
    const range = `from=${FIRST + 5}&to=${FIRST + DAY_MS + 5}`;
    const days = await read<AccountDays>(await admin.call('GET', `/admin/accounts/days?${range}`));
    expect([days.from, days.to]).toEqual([FIRST, FIRST + 2 * DAY_MS]);
    const tokens = { input: 10, cacheWrite5m: 20, cacheWrite1h: 10, cacheRead: 360 };
    expect(days.items).toEqual([
      expect.objectContaining({ day: '2025-05-11', name: 'Other', cacheHitShare: 0 }),
      expect.objectContaining({
        accountId: GONE,
        name: null,
        requests: 0,
        absorbedAttempts: 1,
        absorbedNanos: 8,
        cacheHitShare: null,
      }),
      {
        day: '2025-05-10',
        accountId: one.id,
        name: 'One',
        requests: 2,
        failures: 1,
        tokens: { ...tokens, output: 0, webSearches: 0 },
        cacheHitShare: 0.9,
        costNanos: 7_000,
        accountNanos: 6_500,
        moves: 3,
        movedNanos: 900,
        absorbedAttempts: 2,
        absorbedNanos: 40,
      },
    ]);
    expect(days.totals).toMatchObject({
      requests: 3,
      failures: 1,
      costNanos: 7_050,
      moves: 3,
      movedNanos: 900,
      absorbedNanos: 48,
      accountNanos: 6_500,
      cacheHitShare: 0.8889,
    });
    const own = await read<AccountDays>(
      await admin.call('GET', `/admin/accounts/${one.id}/days?${range}`),
    );
    expect(own.items).toEqual(days.items.slice(2));
    const asked = `/admin/accounts/days?${range}&accountId=${one.id}`;
    expect(await read(await admin.call('GET', asked))).toEqual(own);
  });

  it('are the last thirty where nothing is said', async () => {
    const days = await read<AccountDays>(await admin.call('GET', '/admin/accounts/days'));
    expect(days.to - days.from).toBe(30 * DAY_MS);
    expect(days.to).toBeGreaterThan(Date.now());
    expect(days.to % DAY_MS).toBe(0);
  });

  it.each([
    `from=${FIRST}&to=${FIRST}`,
    `from=${FIRST + DAY_MS}&to=${FIRST}`,
    `from=${FIRST}&to=${FIRST + 93 * DAY_MS}`,
    'from=yesterday',
    'accountId=acc_1',
    'to=1&to=2',
    'x=1',
  ])('are refused for %s', async (query) => {
    const response = await admin.call('GET', `/admin/accounts/days?${query}`);
    expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
  });
});

describe('sealing anew', () => {
  const KEYS = { '1': 'test-master-key-number-one', '2': 'test-master-key-number-two' };
  const bindingsOf = (keys: object) => ({ ...env, MASTER_KEYS: JSON.stringify(keys) });

  interface Resealed {
    readonly keyVersion: string;
    readonly resealed: number;
    readonly remaining: number;
    readonly unreadable: readonly { readonly id: string; readonly name: string }[];
  }

  async function reseal(keys: object): Promise<Resealed> {
    const bindings = bindingsOf(keys);
    return read<Resealed>(await admin.call('POST', '/admin/accounts/reseal', { bindings }));
  }

  it('leaves every account open under the new key alone, and Pool knows at once', async () => {
    const { id } = await made({ weight: 5 });
    const before = await loadSnapshot(env.DB);
    const answer = await reseal(KEYS);
    expect(answer).toMatchObject({ keyVersion: '2', remaining: 0, unreadable: [] });
    expect(answer.resealed).toBe(before.accounts.length);
    expect(await reseal(KEYS)).toMatchObject({ resealed: 0, remaining: 0 });
    const after = await loadSnapshot(env.DB);
    expect(after.version).toBeGreaterThan(before.version);
    const masterKeys = { '2': KEYS['2'] };
    for (const [index, account] of after.accounts.entries()) {
      const was = before.accounts[index];
      if (was === undefined) throw new Error('an account came out of nowhere');
      expect({ ...account, credential: null }).toEqual({ ...was, credential: null });
      const context = { accountId: account.id };
      const now = await unseal(account.credential, { ...context, masterKeys });
      const then = await unseal(was.credential, { ...context, masterKeys: KEYS });
      expect(now.reveal()).toBe(then.reveal());
    }
    const snapshot = await poolOf(env).snapshot(null);
    if (!snapshot.ok || snapshot.value === 'unchanged') throw new Error('Pool has no snapshot');
    const held = snapshot.value.accounts.find((account) => account.id === id);
    expect(held).toMatchObject({ weight: 5, credential: { keyVersion: '2' } });
    const { results } = await env.DB.prepare(
      "SELECT before, after FROM audit WHERE target_id = ? AND action = 'admin.accounts.reseal'",
    )
      .bind(id)
      .all();
    expect(results).toHaveLength(1);
    expect(JSON.stringify(results)).not.toContain(SECRET);
    // With the old key dropped it goes on, as far as a call to the upstream.
    const config = configOf(bindingsOf(masterKeys));
    if (!config.ok || held === undefined) throw new Error('nothing to open');
    const opened = { masterKeys: config.value.masterKeys, accountId: held.id };
    expect((await unseal(held.credential, opened)).reveal()).toBe(SECRET);
  });

  it('names those that it cannot open, and seals the others', async () => {
    const lost = await made({ name: 'Lost' });
    await reseal({ '3': 'test-master-key-number-three', ...KEYS });
    await env.DB.prepare("UPDATE accounts SET credential_key_version = '9' WHERE id = ?")
      .bind(lost.id)
      .run();
    const answer = await reseal({
      '4': 'test-master-key-number-four',
      '3': 'test-master-key-number-three',
      ...KEYS,
    });
    expect(answer.resealed).toBeGreaterThan(0);
    expect(answer.remaining).toBe(1);
    expect(answer.unreadable).toEqual([{ id: lost.id, name: 'Lost', credentialKeyVersion: '9' }]);
  });
});
