// Refunds through their route: never more than a request cost, whatever comes at once.

import { describe, expect, it } from 'vitest';
import { codeOf, read } from '../../../tests/workerd/control-world';
import {
  admin,
  balanceOf,
  charged,
  DOLLAR,
  flush,
  withCredit,
} from '../../../tests/workerd/credit-world';
import type { Line } from '../contract/credits';

interface Page {
  readonly items: readonly Line[];
}

describe('a refund', () => {
  async function refund(requestId: string, more: Record<string, unknown> = {}, key?: string) {
    const body = { requestId, reason: 'it broke', ...more };
    const headers = key === undefined ? {} : { 'idempotency-key': key };
    return admin.call('POST', '/admin/credits/refund', { body, headers });
  }

  it('gives back what a request cost, in parts, and never more', async () => {
    const who = await withCredit();
    const requestId = await charged(who, 1_000);
    const { walletId } = who;
    const unknown = await refund(requestId);
    expect([unknown.status, await codeOf(unknown)]).toEqual([404, 'not-found']);
    await read(await refund(requestId, { walletId, amountNanos: 300 }), 201);
    await flush(who);
    const tooMuch = await refund(requestId, { amountNanos: 701 });
    expect([tooMuch.status, await codeOf(tooMuch)]).toEqual([409, 'not-refundable']);
    expect(await read(await refund(requestId), 201)).toMatchObject({
      entryId: `refund:${requestId}:2`,
      amountNanos: 700,
      walletId,
    });
    const again = await refund(requestId);
    expect([again.status, await codeOf(again)]).toEqual([409, 'not-refundable']);
    expect(await balanceOf(who)).toBe(10 * DOLLAR);
    const page = await read<Page>(await who.call('GET', '/api/credits/statement?kind=refund'));
    expect(page.items.map(({ amountNanos }) => amountNanos)).toEqual([700, 300]);
  });

  it('has one effect among many at once, and each part fits', async () => {
    const who = await withCredit();
    const { walletId } = who;
    const requestId = await charged(who, 1_000);
    const whole = await Promise.all(
      Array.from({ length: 10 }, () => refund(requestId, { walletId })),
    );
    expect(whole.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 9 }, () => 409),
    ]);
    expect(await balanceOf(who)).toBe(10 * DOLLAR);
    const other = await charged(who, 1_000);
    const parts = await Promise.all(
      Array.from({ length: 5 }, () => refund(other, { walletId, amountNanos: 400 })),
    );
    expect(parts.filter(({ status }) => status === 201)).toHaveLength(2);
    expect(await balanceOf(who)).toBe(10 * DOLLAR - 200);
    const key = await Promise.all(
      Array.from({ length: 3 }, () => refund(other, { walletId }, 'r1')),
    );
    expect(key.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(await balanceOf(who)).toBe(10 * DOLLAR);
  });

  it('is of the wallet that paid, of a cost above nothing', async () => {
    const [who, other] = [await withCredit(), await withCredit()];
    const requestId = await charged(who, 10);
    const elsewhere = await refund(requestId, { walletId: other.walletId });
    expect(elsewhere.status).toBe(404);
    await flush(who);
    expect((await refund(requestId, { walletId: other.walletId })).status).toBe(404);
    const nothing = await charged(who, 0);
    expect((await refund(nothing, { walletId: who.walletId })).status).toBe(409);
    expect((await refund(requestId, { amountNanos: 0 })).status).toBe(400);
    expect((await refund(requestId, { amountNanos: -5 })).status).toBe(400);
    expect([await balanceOf(who), await balanceOf(other)]).toEqual([10 * DOLLAR - 10, 10 * DOLLAR]);
  });
});
