// People's money through its routes: reads, grants and adjustments, with real Ledger objects behind
// them. Refunds are in refund.workerd.test.ts, codes in ../codes/codes.workerd.test.ts.

import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { Somebody } from '../../../tests/workerd/control-world';
import {
  call,
  codeOf,
  newPerson,
  newServiceToken,
  read,
  withBearer,
} from '../../../tests/workerd/control-world';
import {
  admin,
  balanceOf,
  charged,
  cutOff,
  DOLLAR,
  flush,
  grant,
  ledgerOfPerson,
  withCredit,
} from '../../../tests/workerd/credit-world';
import { newId } from '../../domain/ids';
import { scheduled } from '../../jobs';
import type { Balance, Line } from '../contract/credits';

interface Page {
  readonly items: readonly Line[];
  readonly next: string | null;
}

async function waiting({ walletId }: Somebody): Promise<number> {
  const row = await env.DB.prepare(
    "SELECT count(*) AS n FROM outbox WHERE wallet_id = ? AND kind = 'credit'",
  )
    .bind(walletId)
    .first<{ n: number }>();
  return row?.n ?? -1;
}

describe('one’s own credit', () => {
  it('shows balance and budgets, with the alerts that each has passed', async () => {
    const who = await withCredit();
    const own = { budgets: [{ period: 'month', limitNanos: 4 * DOLLAR }] };
    const set = await who.call('PUT', '/api/credits/budgets', { body: own });
    expect(await read(set)).toEqual({ user: [], wallet: own.budgets });
    const percents = await who.call('PUT', '/api/credits/alerts', {
      body: { percents: [90, 25, 60, 25] },
    });
    expect(await read(percents)).toEqual({ percents: [25, 60, 90] });
    await charged(who, 2.5 * DOLLAR);
    const body = await read<Balance>(await who.call('GET', '/api/credits'));
    expect(body).toMatchObject({
      userId: who.userId,
      balanceNanos: 7.5 * DOLLAR,
      heldNanos: 0,
      availableNanos: 7.5 * DOLLAR,
      openRequests: [],
      alertPercents: [25, 60, 90],
    });
    expect(body.budgets).toMatchObject([
      { scope: 'wallet', period: 'month', family: null, usedPercent: 62, passedPercents: [25, 60] },
    ]);
  });

  it('holds by the budgets that were just set, beside an admin’s, which stay', async () => {
    const who = await withCredit();
    const limits = { budgets: [{ period: 'day', limitNanos: DOLLAR }] };
    const limited = await admin.call('PATCH', `/admin/users/${who.userId}`, {
      body: { limits, walletLimits: { concurrency: 3 } },
    });
    expect(limited.status).toBe(200);
    const generous = { budgets: [{ period: 'day', limitNanos: 900 * DOLLAR, family: 'opus' }] };
    await read(await who.call('PUT', '/api/credits/budgets', { body: generous }));
    expect(await read(await who.call('GET', '/api/credits/budgets'))).toEqual({
      user: limits.budgets,
      wallet: generous.budgets,
    });
    const held = (await ledgerOfPerson(who).balance()).limits;
    expect(held.map(({ scope, kind, limit }) => [scope, kind, limit])).toEqual([
      ['user', 'budget', DOLLAR],
      ['wallet', 'concurrency', 3],
      ['wallet', 'budget', 900 * DOLLAR],
    ]);
    await read(await who.call('PUT', '/api/credits/budgets', { body: { budgets: [] } }));
    expect((await ledgerOfPerson(who).balance()).limits).toHaveLength(2);
  });

  it('keeps the own budgets whatever an admin sets for the wallet, who can set none there', async () => {
    const who = await withCredit();
    const own = { budgets: [{ period: 'day', limitNanos: 3 * DOLLAR }] };
    await read(await who.call('PUT', '/api/credits/budgets', { body: own }));
    const path = `/admin/users/${who.userId}`;
    const change = (walletLimits: object) => admin.call('PATCH', path, { body: { walletLimits } });
    for (const budgets of [[], [{ period: 'day', limitNanos: 1 }]]) {
      const refused = await change({ budgets });
      expect([refused.status, await codeOf(refused)]).toEqual([400, 'not-valid']);
    }
    for (const walletLimits of [{ concurrency: 3 }, {}]) {
      const { wallet } = await read<{ wallet: object }>(await change(walletLimits));
      expect(wallet).toMatchObject({ limits: { ...walletLimits, ...own } });
      expect((await read<{ wallet: object }>(await admin.call('GET', path))).wallet).toEqual(
        wallet,
      );
    }
    expect((await ledgerOfPerson(who).balance()).limits).toMatchObject([
      { scope: 'wallet', kind: 'budget', limit: 3 * DOLLAR },
    ]);
  });

  it.each([
    ['budgets', { budgets: [{ period: 'day', limitNanos: -1 }] }],
    ['budgets', { budgets: [{ period: 'day', limitNanos: 1e16 }] }],
    ['budgets', { budgets: [{ period: 'year', limitNanos: 1 }] }],
    ['budgets', { budgets: [{ period: 'day', limitNanos: 1, family: '' }] }],
    ['budgets', { budgets: Array.from({ length: 17 }, () => ({ period: 'day', limitNanos: 1 })) }],
    ['budgets', { budgets: [], concurrency: 9 }],
    ['alerts', { percents: [0] }],
    ['alerts', { percents: [101] }],
    ['alerts', { percents: [1.5] }],
    ['alerts', { percents: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }],
  ])('refuses %s of %j', async (what, body) => {
    const who = await newPerson();
    const response = await who.call('PUT', `/api/credits/${what}`, { body });
    expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
  });

  it('is told line by line, in pages and as a file, with the balance after each', async () => {
    const who = await withCredit();
    await grant(who, 5);
    for (const cost of [1, 2, 3]) await charged(who, cost);
    const first = await read<Page>(await who.call('GET', '/api/credits/statement?limit=2'));
    expect(first.items).toHaveLength(2);
    const items = [...first.items];
    for (let { next } = first; next !== null;) {
      const path = `/api/credits/statement?limit=2&cursor=${next}`;
      const page: Page = await read<Page>(await who.call('GET', path));
      items.push(...page.items);
      next = page.next;
    }
    expect(items.map(({ amountNanos }) => amountNanos).toSorted((a, b) => a - b)).toEqual([
      -3,
      -2,
      -1,
      5,
      10 * DOLLAR,
    ]);
    expect(items[0]?.balanceNanos).toBe(await balanceOf(who));
    expect(items.at(-1)).toMatchObject({ reason: 'to start with', actor: null });
    const grants = await read<Page>(await who.call('GET', '/api/credits/statement?kind=grant'));
    expect(grants.items).toEqual(items.filter(({ kind }) => kind === 'grant'));
    const file = await who.call('GET', '/api/credits/statement?format=csv&limit=3');
    expect(file.headers.get('content-type')).toContain('text/csv');
    expect(file.headers.get('x-next-cursor')).not.toBeNull();
    const rows = (await file.text()).trimEnd().split('\r\n');
    expect(rows[0]).toContain('amount_nanos,balance_nanos');
    expect(rows).toHaveLength(4);
    for (const query of ['cursor=x', 'kind=x', 'limit=0', 'since=-1', 'keyId=1', 'x=1']) {
      const response = await who.call('GET', `/api/credits/statement?${query}`);
      expect([query, response.status]).toEqual([query, 400]);
    }
  });

  it('is 503 when its object cannot be reached', async () => {
    const { call: own } = await newPerson();
    for (const path of ['/api/credits', '/api/credits/statement']) {
      const response = await own('GET', path, { bindings: cutOff() });
      expect([response.status, await codeOf(response)]).toEqual([503, 'busy-ledger']);
    }
  });
});

describe('an admin', () => {
  it('grants and adjusts, and the balance has it at once', async () => {
    const who = await newPerson();
    const { entryId } = await grant(who, 7);
    expect(await balanceOf(who)).toBe(7);
    const body = { userId: who.userId, amountNanos: -10, reason: '=2+2' };
    await read(await admin.call('POST', '/admin/credits/adjust', { body }), 201);
    expect(await balanceOf(who)).toBe(-3);
    const path = `/admin/users/${who.userId}/credits`;
    expect(await read(await admin.call('GET', path))).toMatchObject({ balanceNanos: -3 });
    const told = await read<Page>(await admin.call('GET', `${path}/statement`));
    expect(told.items).toMatchObject([
      { kind: 'adjust', amountNanos: -10, balanceNanos: -3, actor: admin.userId },
      { kind: 'grant', amountNanos: 7, balanceNanos: 7, entryId },
    ]);
    const file = await admin.call('GET', `${path}/statement?format=csv`);
    expect(await file.text()).toContain(`,'=2+2,${admin.userId}`);
    const { results } = await env.DB.prepare(
      'SELECT action, actor_id, after FROM audit WHERE target_id = ? ORDER BY id',
    )
      .bind(who.userId)
      .all<{ action: string; actor_id: string; after: string }>();
    expect(results.map(({ action }) => action)).toEqual([
      'admin.credits.grant',
      'admin.credits.adjust',
    ]);
    expect(results[1]?.after).toContain('"amountNanos":-10');
  });

  it.each([0, -1, 0.5, 1e14 + 1, Number.MAX_SAFE_INTEGER, 1e300, '5', null])(
    'cannot grant %j',
    async (amountNanos) => {
      const { userId, ...who } = await newPerson();
      const body = { userId, amountNanos, reason: 'r' };
      const response = await admin.call('POST', '/admin/credits/grant', { body });
      expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
      expect(await balanceOf({ userId, ...who })).toBe(0);
    },
  );

  it('cannot bring a balance near the end of the safe integers', async () => {
    const who = await newPerson();
    const most = 1e14;
    await env.DB.prepare('INSERT INTO balances VALUES (?, ?, 1)')
      .bind(who.walletId, 4e15 - most)
      .run();
    await grant(who, most);
    await env.DB.prepare('UPDATE balances SET balance_nanos = ? WHERE wallet_id = ?')
      .bind(4e15, who.walletId)
      .run();
    const body = { userId: who.userId, amountNanos: 1, reason: 'r' };
    const response = await admin.call('POST', '/admin/credits/grant', { body });
    expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
    const less = { ...body, amountNanos: -most };
    expect((await admin.call('POST', '/admin/credits/adjust', { body: less })).status).toBe(201);
    expect(await balanceOf(who)).toBe(0);
  });

  it('grants once however often and however much at once the same call comes', async () => {
    const who = await newPerson();
    const first = await grant(who, 5, 'k1');
    expect(await grant(who, 5, 'k1')).toEqual({ ...first, replayed: true });
    const body = { userId: who.userId, amountNanos: 6, reason: 'to start with' };
    const headers = { 'idempotency-key': 'k1' };
    const other = await admin.call('POST', '/admin/credits/grant', { body, headers });
    expect([other.status, await codeOf(other)]).toEqual([409, 'key-reused']);
    const many = await Promise.all(Array.from({ length: 12 }, () => grant(who, 100, 'k2')));
    expect(new Set(many.map(({ entryId }) => entryId)).size).toBe(1);
    expect(await balanceOf(who)).toBe(105);
  });

  it('grants what a crash left between the batch and the push', async () => {
    const who = await newPerson();
    const body = { userId: who.userId, amountNanos: 9, reason: 'r' };
    const bindings = cutOff();
    await read(await admin.call('POST', '/admin/credits/grant', { body, bindings }), 201);
    expect([await balanceOf(who), await waiting(who)]).toEqual([0, 1]);
    await scheduled(env, Date.now() + 6_000);
    expect([await balanceOf(who), await waiting(who)]).toEqual([9, 0]);
    await scheduled(env, Date.now() + 12_000);
    expect(await balanceOf(who)).toBe(9);
  });

  it('lists balances as of the last batch, and finds people by a part of their name', async () => {
    const who = await newPerson({ email: `odd%_${Date.now()}@example.com` });
    await grant(who, 11);
    await flush(who);
    interface List {
      readonly items: readonly { readonly userId: string; readonly balanceNanos: number | null }[];
      readonly next: string | null;
    }
    const list = async (query: string) =>
      read<List>(await admin.call('GET', `/admin/credits?${query}`));
    expect((await list('search=odd%25_')).items).toMatchObject([
      { userId: who.userId, balanceNanos: 11 },
    ]);
    expect((await list('search=%25%25')).items).toEqual([]);
    const one = await list('limit=1');
    expect(one.items).toHaveLength(1);
    const two = await list(`limit=1&cursor=${one.next ?? ''}`);
    expect(two.items[0]?.userId).not.toBe(one.items[0]?.userId);
  });
});

describe('who may', () => {
  const body = { reason: 'r', amountNanos: 1 };

  it('see and move money is decided by role and scope', async () => {
    const [user, viewer] = [await newPerson(), await newPerson({ role: 'viewer' })];
    const tokens = await Promise.all(
      (['read:credits', 'write:credits', 'write:codes'] as const).map((scope) =>
        newServiceToken([scope]),
      ),
    );
    const callers = [user.call, viewer.call, admin.call, ...tokens.map(withBearer), call];
    const { userId } = user;
    const table: readonly (readonly [string, string, unknown, readonly number[]])[] = [
      ['GET', '/admin/credits', undefined, [403, 200, 200, 200, 200, 403, 401]],
      ['GET', `/admin/users/${userId}/credits`, undefined, [403, 200, 200, 200, 200, 403, 401]],
      [
        'GET',
        `/admin/users/${userId}/credits/statement`,
        undefined,
        [403, 200, 200, 200, 200, 403, 401],
      ],
      ['POST', '/admin/credits/grant', { userId, ...body }, [403, 403, 201, 403, 201, 403, 401]],
      ['POST', '/admin/credits/adjust', { userId, ...body }, [403, 403, 201, 403, 201, 403, 401]],
      ['GET', '/api/credits', undefined, [200, 200, 200, 403, 403, 403, 401]],
      ['GET', '/api/credits/statement', undefined, [200, 200, 200, 403, 403, 403, 401]],
      ['PUT', '/api/credits/alerts', { percents: [] }, [200, 403, 200, 403, 403, 403, 401]],
      ['PUT', '/api/credits/budgets', { budgets: [] }, [200, 403, 200, 403, 403, 403, 401]],
      ['POST', '/api/credits/redeem', { code: 'x' }, [404, 403, 404, 403, 403, 403, 401]],
    ];
    for (const [method, path, sent, expected] of table) {
      const answers = await Promise.all(
        callers.map((each) => each(method, path, sent === undefined ? {} : { body: sent })),
      );
      expect([path, ...answers.map(({ status }) => status)]).toEqual([path, ...expected]);
    }
  });

  it('ids of nobody are 404, other fields are refused', async () => {
    const nobody = newId('user', 1, new Uint8Array(10));
    const gone = await newPerson();
    await env.DB.prepare("UPDATE users SET status = 'deleted' WHERE id = ?")
      .bind(gone.userId)
      .run();
    for (const userId of [nobody, gone.userId]) {
      const sent = { body: { userId, ...body } };
      expect((await admin.call('POST', '/admin/credits/grant', sent)).status).toBe(404);
      expect((await admin.call('GET', `/admin/users/${userId}/credits`)).status).toBe(404);
    }
    expect((await admin.call('GET', "/admin/users/' OR 1=1--/credits")).status).toBe(404);
    for (const more of [{ walletId: gone.walletId }, { balanceNanos: 5 }, { entryId: 'x' }]) {
      const sent = { body: { userId: admin.userId, ...body, ...more } };
      expect((await admin.call('POST', '/admin/credits/grant', sent)).status).toBe(400);
    }
  });
});
