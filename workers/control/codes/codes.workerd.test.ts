// Codes from making to redeeming and revoking, with the money that they are worth.

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
import { admin, balanceOf, cutOff } from '../../../tests/workerd/credit-world';
import { newId } from '../../domain/ids';
import { scheduled } from '../../jobs';
import type { Batch } from '../contract/codes';

const AMOUNT = 2_000_000_000;

interface Made {
  readonly batch: Batch;
  readonly codes: readonly { readonly id: string; readonly code: string }[] | null;
  readonly replayed?: true;
}

async function make(differs: Record<string, unknown> = {}, key?: string): Promise<Response> {
  const body = { name: 'spring', amountNanos: AMOUNT, count: 1, ...differs };
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  return admin.call('POST', '/admin/codes', { body, headers });
}

/** A batch, and the texts of its codes. */
async function made(differs: Record<string, unknown> = {}) {
  const { batch, codes } = await read<Made>(await make(differs), 201);
  const [first] = codes ?? [];
  if (codes === null || first === undefined) throw new Error('no codes');
  return { batch, codes, code: first.code, codeId: first.id };
}

async function redeem(who: Somebody, code: string, key?: string): Promise<Response> {
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  return who.call('POST', '/api/credits/redeem', { body: { code }, headers });
}

async function outcome(who: Somebody, code: string): Promise<string> {
  const response = await redeem(who, code);
  return response.status === 200 ? 'redeemed' : codeOf(response);
}

async function batchNow({ id }: Batch): Promise<Batch> {
  return (await read<{ batch: Batch }>(await admin.call('GET', `/admin/codes/${id}`))).batch;
}

describe('a batch of codes', () => {
  it('is shown once, as a list or a file, and stored as digests', async () => {
    const { codes, batch } = await made({ count: 25, usesPerCode: 3, usesPerUser: 2 });
    expect(new Set(codes.map(({ code }) => code)).size).toBe(25);
    for (const { code } of codes) expect(code).toMatch(/^CR(-[0-9A-HJKMNP-TV-Z]{4}){4}$/);
    expect(batch).toMatchObject({ count: 25, uses: 0, usesPerCode: 3, usesPerUser: 2 });
    expect(await batchNow(batch)).toEqual(batch);
    const file = await admin.call('POST', '/admin/codes?format=csv', {
      body: { name: 'f', amountNanos: 1, count: 3 },
    });
    expect([file.status, file.headers.get('content-type')]).toEqual([
      201,
      'text/csv; charset=utf-8; header=present',
    ]);
    const [header, ...rows] = (await file.text()).trimEnd().split('\r\n');
    expect([header, rows.length]).toEqual(['code', 3]);
    const tables = ['code_batches', 'codes', 'audit', 'idempotency', 'outbox'];
    const stored = await Promise.all(
      tables.map(async (table) => (await env.DB.prepare(`SELECT * FROM ${table}`).all()).results),
    );
    const everything = JSON.stringify(stored);
    for (const text of [...rows, ...codes.map(({ code }) => code)]) {
      expect(everything).not.toContain(text.slice(3));
    }
  });

  it('is made once by a repeated call, which is not shown the codes again', async () => {
    const first = await read<Made>(await make({}, 'b1'), 201);
    const again = await read<Made>(await make({}, 'b1'), 201);
    expect(again).toEqual({ batch: first.batch, codes: null, replayed: true });
    const other = await make({ count: 2 }, 'b1');
    expect([other.status, await codeOf(other)]).toEqual([409, 'key-reused']);
  });

  it('has up to a thousand codes, paged', async () => {
    const { batch } = await made({ count: 1_000 });
    interface Page {
      readonly codes: { readonly items: readonly unknown[]; readonly next: string | null };
    }
    const seen: unknown[] = [];
    for (let next: string | null = ''; next !== null;) {
      const cursor: string = next === '' ? '' : `&cursor=${next}`;
      const path = `/admin/codes/${batch.id}?limit=200${cursor}`;
      const { codes } = await read<Page>(await admin.call('GET', path));
      seen.push(...codes.items);
      next = codes.next;
    }
    expect(seen).toHaveLength(1_000);
  });

  it('is listed newest first', async () => {
    const { batch } = await made({ name: 'the newest' });
    interface Page {
      readonly items: readonly Batch[];
      readonly next: string | null;
    }
    const page = await read<Page>(await admin.call('GET', '/admin/codes?limit=1'));
    expect(page.items).toEqual([batch]);
    const rest = await admin.call('GET', `/admin/codes?limit=1&cursor=${page.next ?? ''}`);
    expect((await read<Page>(rest)).items[0]?.id).not.toBe(batch.id);
  });

  it.each([
    { amountNanos: 0 },
    { amountNanos: -1 },
    { amountNanos: 1e13 + 1 },
    { amountNanos: 0.5 },
    { count: 0 },
    { count: 1_001 },
    { usesPerCode: 0 },
    { usesPerUser: 1_001 },
    { expiresAt: 1 },
    { name: '' },
    { codes: ['CR-0000-0000-0000-0000'] },
  ])('is not made with %j', async (differs) => {
    const response = await make(differs);
    expect([response.status, await codeOf(response)]).toEqual([400, 'not-valid']);
  });
});

describe('a code', () => {
  it('gives its money, however it is typed, and tells who got it', async () => {
    const { code, codeId, batch } = await made();
    const who = await newPerson();
    const typed = ` ${code.toLowerCase().replaceAll('-', ' ')} `;
    const answer = await read<{ entryId: string }>(await redeem(who, typed));
    expect(answer).toMatchObject({ amountNanos: AMOUNT });
    expect(await balanceOf(who)).toBe(AMOUNT);
    expect(await batchNow(batch)).toMatchObject({ uses: 1 });
    const path = `/admin/codes/${batch.id}/redemptions`;
    expect(await read(await admin.call('GET', path))).toMatchObject({
      items: [{ codeId, use: 1, userId: who.userId, entryId: answer.entryId }],
      next: null,
    });
    const line = { kind: 'redeem', amountNanos: AMOUNT, reason: 'Code of spring' };
    expect(await read(await who.call('GET', '/api/credits/statement'))).toMatchObject({
      items: [line],
    });
    expect(await outcome(who, code)).toBe('code-used');
    expect(await outcome(await newPerson(), code)).toBe('code-not-valid');
  });

  it(
    'of one use gives it once among 500 tries of 50 people at once',
    { timeout: 60_000 },
    async () => {
      const { code, batch } = await made();
      const people = await Promise.all(Array.from({ length: 50 }, async () => newPerson()));
      const tries = Array.from({ length: 10 }, () => people).flat();
      const outcomes = await Promise.all(tries.map(async (who) => outcome(who, code)));
      expect(outcomes.filter((each) => each === 'redeemed')).toHaveLength(1);
      for (const each of outcomes) {
        expect(['redeemed', 'code-not-valid', 'code-used', 'too-many-attempts']).toContain(each);
      }
      const balances = await Promise.all(people.map(async (who) => balanceOf(who)));
      expect(balances.reduce((sum, each) => sum + each, 0)).toBe(AMOUNT);
      expect(await batchNow(batch)).toMatchObject({ uses: 1 });
    },
  );

  it('of several uses gives as many, of a batch no more to one person than it says', async () => {
    const { codes } = await made({ count: 3, usesPerCode: 2, usesPerUser: 2 });
    const [one = '', two = '', three = ''] = codes.map(({ code }) => code);
    const [a, b, c] = [await newPerson(), await newPerson(), await newPerson()];
    expect(await Promise.all([outcome(a, one), outcome(a, two)])).toEqual(['redeemed', 'redeemed']);
    expect(await outcome(a, three)).toBe('code-used');
    expect(await outcome(b, one)).toBe('redeemed');
    expect(await outcome(c, one)).toBe('code-not-valid');
    expect(await outcome(c, three)).toBe('redeemed');
    expect(await Promise.all([a, b, c].map(balanceOf))).toEqual([2 * AMOUNT, AMOUNT, AMOUNT]);
    const parallel = await made({ count: 1, usesPerCode: 9, usesPerUser: 1 });
    const d = await newPerson();
    await Promise.all(Array.from({ length: 3 }, async () => outcome(d, parallel.code)));
    expect(await balanceOf(d)).toBe(AMOUNT);
  });

  it('looks unknown once it is used up, expired or revoked, alone or with its batch', async () => {
    const who = await newPerson();
    const expired = await made({ expiresAt: Date.now() + 60_000 });
    await env.DB.prepare('UPDATE code_batches SET expires_at = 1 WHERE id = ?')
      .bind(expired.batch.id)
      .run();
    const alone = await made({ count: 2 });
    const path = `/admin/codes/${alone.batch.id}`;
    expect((await admin.call('DELETE', `${path}/codes/${alone.codeId}`)).status).toBe(204);
    const answers = [];
    for (const code of [expired.code, alone.code]) answers.push(await redeem(who, code));
    expect(await outcome(who, alone.codes[1]?.code ?? '')).toBe('redeemed');
    const other = await newPerson();
    const revoked = await made();
    expect((await admin.call('DELETE', `/admin/codes/${revoked.batch.id}`)).status).toBe(204);
    expect((await admin.call('DELETE', `/admin/codes/${revoked.batch.id}`)).status).toBe(204);
    for (const code of [revoked.code, 'CR-0000-0000-0000-0000']) {
      answers.push(await redeem(other, code));
    }
    answers.push(await redeem(await newPerson(), 'no code at all'));
    const bodies = await Promise.all(
      answers.map(async (answer) => {
        const { error } = await answer.json<{ error: { code: string; message: string } }>();
        return [answer.status, error.code, error.message];
      }),
    );
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(bodies[0]?.[1]).toBe('code-not-valid');
  });

  it('is redeemed once by a repeated call, and by one that a crash cut off', async () => {
    const { codes } = await made({ count: 3, usesPerUser: 3 });
    const [one = '', two = '', three = ''] = codes.map(({ code }) => code);
    const who = await newPerson();
    const first = await read<object>(await redeem(who, one, 'r1'));
    expect(await read(await redeem(who, one, 'r1'))).toEqual({ ...first, replayed: true });
    expect(await codeOf(await redeem(who, two, 'r1'))).toBe('key-reused');
    const many = await Promise.all(Array.from({ length: 3 }, async () => redeem(who, two, 'r2')));
    expect(many.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await balanceOf(who)).toBe(2 * AMOUNT);
    const [body, bindings] = [{ code: three }, cutOff()];
    const cut = await who.call('POST', '/api/credits/redeem', { body, bindings });
    expect(cut.status).toBe(200);
    expect(await balanceOf(who)).toBe(2 * AMOUNT);
    await scheduled(env, Date.now() + 6_000);
    expect(await balanceOf(who)).toBe(3 * AMOUNT);
  });

  it('is guessed ever more slowly', async () => {
    const who = await newPerson();
    const outcomes = [];
    for (let tries = 0; tries < 5; tries += 1) outcomes.push(await outcome(who, 'CR-1'));
    expect(outcomes.at(0)).toBe('code-not-valid');
    expect(outcomes.at(-1)).toBe('too-many-attempts');
  });
});

describe('who may', () => {
  it('make, see and revoke codes is decided by role and scope', async () => {
    const [user, viewer] = [await newPerson(), await newPerson({ role: 'viewer' })];
    const tokens = await Promise.all(
      (['read:codes', 'write:codes', 'write:credits'] as const).map((scope) =>
        newServiceToken([scope]),
      ),
    );
    const callers = [user.call, viewer.call, admin.call, ...tokens.map(withBearer), call];
    const { batch, codeId } = await made();
    const path = `/admin/codes/${batch.id}`;
    const body = { name: 'n', amountNanos: 1, count: 1 };
    const table: readonly (readonly [string, string, unknown, readonly number[]])[] = [
      ['GET', '/admin/codes', undefined, [403, 200, 200, 200, 200, 403, 401]],
      ['GET', path, undefined, [403, 200, 200, 200, 200, 403, 401]],
      ['GET', `${path}/redemptions`, undefined, [403, 200, 200, 200, 200, 403, 401]],
      ['POST', '/admin/codes', body, [403, 403, 201, 403, 201, 403, 401]],
      ['DELETE', `${path}/codes/${codeId}`, undefined, [403, 403, 204, 403, 204, 403, 401]],
      ['DELETE', path, undefined, [403, 403, 204, 403, 204, 403, 401]],
    ];
    for (const [method, address, sent, expected] of table) {
      const answers = await Promise.all(
        callers.map((each) => each(method, address, sent === undefined ? {} : { body: sent })),
      );
      expect([address, ...answers.map(({ status }) => status)]).toEqual([address, ...expected]);
    }
  });

  it('what is not there is 404, a code of another batch too', async () => {
    const [one, other] = [await made(), await made()];
    const nobody = newId('codeBatch', 1, new Uint8Array(10));
    const paths = [
      ['GET', `/admin/codes/${nobody}`],
      ['GET', '/admin/codes/x'],
      ['GET', `/admin/codes/${nobody}/redemptions`],
      ['DELETE', `/admin/codes/${nobody}`],
      ['DELETE', `/admin/codes/${one.batch.id}/codes/${other.codeId}`],
      ['DELETE', `/admin/codes/${one.batch.id}/codes/x`],
    ] as const;
    for (const [method, path] of paths) {
      const response = await admin.call(method, path);
      expect([path, response.status]).toEqual([path, 404]);
    }
    expect(await outcome(await newPerson(), other.code)).toBe('redeemed');
    for (const cursor of ['x', `${other.codeId}.x`, `${other.codeId}.1.1`]) {
      const path = `/admin/codes/${one.batch.id}/redemptions?cursor=${cursor}`;
      expect((await admin.call('GET', path)).status).toBe(400);
    }
  });
});
