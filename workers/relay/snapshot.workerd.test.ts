// The isolate's copy of the snapshot, and how the accounts are, which comes with it.

import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { markOf, reportOf } from '../../tests/support/health';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import { journeyOf } from '../../tests/workerd/journey';
import type { Mark, Subject } from '../domain/health/calls';
import type { PoolPort } from '../domain/snapshot';
import { poolOf } from '../platform/objects';
import { healthView, heldHealthVersion } from './health';
import { currentSnapshot } from './snapshot';

useFakeDate();

function playPool(snapshot: PoolPort['snapshot']): void {
  // The one method that is called.
  const stub = { snapshot } as unknown as ReturnType<typeof env.POOL.get>;
  vi.spyOn(env.POOL, 'get').mockReturnValue(stub);
}

function markNow(subject: Subject): Mark | null {
  return healthView(Date.now()).markOf(subject);
}

// One isolate lives through all of them, in this order.
describe('how the accounts are', () => {
  it('is not known from an object of before, which is asked for it and answers without', async () => {
    const asked: unknown[] = [];
    const { snapshot } = journeyOf();
    playPool(async (...versions) => {
      asked.push(versions);
      return { ok: true, value: snapshot };
    });
    expect(await currentSnapshot(journeyOf())).toEqual({ ok: true, value: snapshot });
    expect(asked).toEqual([[null, null]]);
    expect(heldHealthVersion()).toBeNull();
  });

  it('comes with the snapshot, is asked for by its version, and outlives a Pool that is down', async () => {
    later(60_001);
    const first = await currentSnapshot(journeyOf());
    if (!first.ok) throw new Error('no snapshot');
    const [account] = first.value.accounts;
    if (account === undefined) throw new Error('no account');
    const version = heldHealthVersion();
    expect(version).not.toBeNull();
    const mark = markOf({ subject: { of: 'account', accountId: account.id } });
    await poolOf(env).report(reportOf(1, { marks: [mark] }));
    // Another isolate's word: this one does not know yet, and asks before it uses what is too old.
    expect(markNow(mark.subject)).toBeNull();
    later(60_001);
    await currentSnapshot(journeyOf());
    expect(markNow(mark.subject)).toEqual(mark);
    expect(heldHealthVersion()).not.toBe(version);
    later(60_001);
    const asked: unknown[] = [];
    playPool(async (...versions) => {
      asked.push(versions);
      throw new Error('Pool is down');
    });
    expect(await currentSnapshot(journeyOf())).toEqual(first);
    expect(asked).toEqual([[first.value.version, heldHealthVersion()]]);
    expect(markNow(mark.subject)).toEqual(mark);
  });

  it('is what it was, when Pool gives no answer', async () => {
    later(60_001);
    const first = await currentSnapshot(journeyOf());
    expect(first.ok).toBe(true);
    later(60_001);
    playPool(() => new Promise(() => undefined));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: Date.now() });
    const asked = currentSnapshot(journeyOf());
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await Promise.race([asked, Promise.resolve('hangs')])).toEqual(first);
  });

  it('is renewed behind the answer when it is older than ten seconds', async () => {
    later(10 * 60_000);
    const fresh = await currentSnapshot(journeyOf());
    const accountId = (fresh.ok ? fresh.value.accounts[0]?.id : undefined) ?? 'acc_none';
    const behind: Promise<unknown>[] = [];
    const ctx = { waitUntil: (work: Promise<unknown>) => void behind.push(work) };
    const subject = { of: 'family', accountId, family: 'opus' } as const;
    const until = Date.now() + 60_000;
    const mark = markOf({ subject, state: 'cooling', since: Date.now(), until });
    await poolOf(env).report(reportOf(1, { isolate: 'another', marks: [mark] }));
    later(10_000);
    await currentSnapshot({ ...journeyOf(), ctx });
    expect(behind).toHaveLength(0);
    later(1);
    await currentSnapshot({ ...journeyOf(), ctx });
    expect(markNow(subject)).toBeNull();
    await Promise.all(behind);
    expect(markNow(subject)).toEqual(mark);
  });
});
