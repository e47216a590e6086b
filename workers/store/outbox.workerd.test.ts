// What must still reach an object: copies, credits and late closings, delivered at least once.

import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { ALWAYS, primary, runBatch } from './db';
import { loadCopies, putKey } from './keys';
import { replayLateSettles, writeLateSettle } from './late-settles';
import type { OutboxRow } from './outbox';
import {
  deliver,
  deliverStale,
  pushCredit,
  pushKey,
  pushSnapshot,
  pushUser,
  pushWallet,
  waitingFor,
} from './outbox';
import { raiseSnapshotVersion } from './snapshot';
import { putUser } from './users';
import { addWallet } from './wallets';
import type { KeyId, UserId, WalletId } from '../domain/ids';
import { newId } from '../domain/ids';
import type { CreditCall, SettleCall } from '../domain/ledger/calls';
import type { Copy } from '../domain/ledger/copies';
import { nanos } from '../domain/money';
import { ledgerOf } from '../platform/objects';
import { randomBytes } from '../platform/random';

const NOW = 1_795_000_000_000;
const region = 'weur';

interface Owner {
  readonly userId: UserId;
  readonly walletId: WalletId;
  readonly keyId: KeyId;
}

function id<K extends 'user' | 'wallet' | 'key' | 'request'>(kind: K) {
  return newId(kind, NOW, randomBytes(10));
}

/** A user with a wallet and a key in D1, and nothing in any outbox. */
async function owner(): Promise<Owner> {
  const [userId, walletId, keyId] = [id('user'), id('wallet'), id('key')];
  const db = primary(env.DB);
  const writing = { now: NOW, when: ALWAYS };
  const email = `${userId}@example.com`;
  const person = { email, name: 'N', role: 'user', password: '-', timeZone: 'UTC' } as const;
  const key = { id: keyId, walletId, userId, name: 'K', hash: 'h1', tagVersion: '1' };
  await runBatch(db, [
    putUser(db, { ...person, id: userId }, writing),
    addWallet(db, { id: walletId, userId, region }, writing),
    putKey(db, key, writing),
  ]);
  return { userId, walletId, keyId };
}

function grant(entryId: string, amount: number): CreditCall {
  return { entryId, kind: 'grant', amountNanos: nanos(amount), reason: 'test', actor: 'test' };
}

async function pushAll({ userId, walletId, keyId }: Owner, now = NOW): Promise<void> {
  const db = primary(env.DB);
  const writing = { now, when: ALWAYS };
  await runBatch(db, [
    pushUser(db, userId, writing),
    pushWallet(db, walletId, writing),
    pushKey(db, keyId, writing),
    pushCredit(db, { ...grant(`entry-${walletId}`, 5_000), walletId }, writing),
  ]);
}

async function waiting(): Promise<string[]> {
  const { results } = await env.DB.prepare('SELECT id FROM outbox').all<{ id: string }>();
  return results.map((row) => row.id);
}

async function balanceOf({ walletId, keyId }: Owner, hash = 'h1'): Promise<number | string> {
  const info = await ledgerOf(env, walletId, region).keyInfo({ keyId, keyHash: hash });
  return info.ok ? info.value.balanceNanos : info.error.kind;
}

/** Bindings whose Ledger objects note what they are told; `down` ones refuse it. */
function recording(down: readonly WalletId[] = []) {
  const told: { wallet: string; call: string; what: unknown }[] = [];
  const port = (wallet: string) => {
    const note = (call: string) => (what: unknown) => {
      if (down.some((name) => name === wallet)) return Promise.reject(new Error('object down'));
      told.push({ wallet, call, what });
      return Promise.resolve({ applied: true, balanceNanos: 0 });
    };
    return { apply: note('apply'), credit: note('credit'), settle: note('settle') };
  };
  // Only what platform/objects.ts calls.
  const LEDGER = { idFromName: (name: string) => name, get: port } as unknown as Env['LEDGER'];
  return { told, bindings: { ...env, LEDGER } };
}

beforeEach(async () => {
  await env.DB.batch([
    env.DB.prepare('DELETE FROM outbox'),
    env.DB.prepare('DELETE FROM late_settles'),
  ]);
});

describe('copies', () => {
  it('of a key are its own, its user’s and its wallet’s; an unknown key has none', async () => {
    const { userId, walletId, keyId } = await owner();
    expect(await loadCopies(env.DB, keyId)).toEqual([
      {
        kind: 'key',
        id: keyId,
        walletId,
        userId,
        name: 'K',
        hash: 'h1',
        previous: null,
        status: 'active',
        expiresAt: null,
        version: NOW,
        limits: {},
        whenClientLeaves: 'cancel',
      },
      { kind: 'user', id: userId, status: 'active', timeZone: 'UTC', version: NOW, limits: {} },
      { kind: 'wallet', id: walletId, userId, status: 'active', version: NOW, limits: {} },
    ] satisfies Copy[]);
    expect(await loadCopies(env.DB, id('key'))).toBeNull();
  });

  it('of a rotated, expiring key say until when the old one opens', async () => {
    const { keyId } = await owner();
    await env.DB.prepare(
      "UPDATE keys SET previous_hash = 'h0', previous_until = 7, expires_at = 8 WHERE id = ?",
    )
      .bind(keyId)
      .run();
    const [key] = (await loadCopies(env.DB, keyId)) ?? [];
    expect(key).toMatchObject({ previous: { hash: 'h0', until: 7 }, expiresAt: 8 });
  });

  it('pushed and loaded are the same', async () => {
    const made = await owner();
    await pushAll(made);
    const rows = await waitingFor(env.DB, [made.walletId]);
    const pushed = rows
      .filter((row) => row.kind !== 'credit')
      .map((row): unknown => JSON.parse(row.payload));
    const loaded = await loadCopies(env.DB, made.keyId);
    const byKind = (copies: readonly unknown[]) =>
      copies.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
    expect(byKind(pushed)).toEqual(byKind(loaded ?? []));
  });

  it('a change that did not happen leaves no outbox row', async () => {
    const { keyId } = await owner();
    const db = primary(env.DB);
    const never = { now: NOW, when: sql`false` };
    await runBatch(db, [pushKey(db, keyId, never), pushSnapshot(db, never)]);
    expect(await waiting()).toEqual([]);
  });
});

describe('delivering', () => {
  it('brings copies before credits and deletes the rows', async () => {
    const made = await owner();
    await pushAll(made);
    const { told, bindings } = recording();
    const delivery = await deliver(bindings, await waitingFor(env.DB, [made.walletId]));
    expect(delivery).toEqual({ delivered: 4, failures: [] });
    expect(told.map(({ call }) => call)).toEqual(['apply', 'credit']);
    expect(told[1]?.what).toEqual(grant(`entry-${made.walletId}`, 5_000));
    expect(await waiting()).toEqual([]);
  });

  it('to the real object grants once, however often it happens', async () => {
    const made = await owner();
    await pushAll(made);
    const rows = await waitingFor(env.DB, [made.walletId]);
    await deliver(env, rows);
    await deliver(env, rows);
    await pushAll(made);
    await deliver(env, await waitingFor(env.DB, [made.walletId]));
    expect(await balanceOf(made)).toBe(5_000);
  });

  it('makes a new hash hold at once, and an old push does not bring the old one back', async () => {
    const made = await owner();
    await pushAll(made);
    const old = await waitingFor(env.DB, [made.walletId]);
    await deliver(env, old);
    const db = primary(env.DB);
    const writing = { now: NOW, when: ALWAYS };
    const { keyId, userId, walletId } = made;
    const key = { id: keyId, walletId, userId, name: 'K', hash: 'h2', tagVersion: '1' };
    await runBatch(db, [putKey(db, key, writing), pushKey(db, keyId, writing)]);
    expect(await waiting()).toEqual([`key:${keyId}:${NOW + 1}`]);
    await deliver(env, await waitingFor(env.DB, [walletId]));
    await deliver(env, old);
    expect(await balanceOf(made, 'h2')).toBe(5_000);
    expect(await balanceOf(made, 'h1')).toBe('unauthenticated');
  });

  it('deletes its own rows only: a newer one written meanwhile stays', async () => {
    const made = await owner();
    await pushAll(made);
    const rows = await waitingFor(env.DB, [made.walletId]);
    const db = primary(env.DB);
    const newer = `newer-${made.walletId}`;
    const writing = { now: NOW, when: ALWAYS };
    await runBatch(db, [pushCredit(db, { ...grant(newer, 1), walletId: made.walletId }, writing)]);
    await deliver(recording().bindings, rows);
    expect(await waiting()).toEqual([`credit:${newer}`]);
  });

  it('one object that is down keeps its rows; the others get theirs', async () => {
    const [up, down] = [await owner(), await owner()];
    await pushAll(up);
    await pushAll(down);
    const rows = await waitingFor(env.DB, [up.walletId, down.walletId]);
    const delivery = await deliver(recording([down.walletId]).bindings, rows);
    expect(delivery.delivered).toBe(4);
    for (const { error } of delivery.failures) expect(String(error)).toBe('Error: object down');
    const failed = delivery.failures.flatMap(({ ids }) => ids);
    expect(failed.toSorted()).toEqual((await waiting()).toSorted());
    const left = await waitingFor(env.DB, [up.walletId, down.walletId]);
    expect(left.map((row) => row.walletId)).toEqual(Array(4).fill(down.walletId));
  });

  it('an entry or a copy that cannot be taken fails alone, by its id', async () => {
    const made = await owner();
    const { walletId } = made;
    await pushAll(made);
    const add =
      "INSERT INTO outbox SELECT ?1, ?2, 'x', ?3, 'weur', 1, ?4, 1 UNION ALL " +
      "SELECT ?1 || '2', ?2, 'x', ?3, 'weur', 1, ?4, ?5";
    for (const [name, kind, payload] of [
      ['credit:bad', 'credit', '{"entryId":"bad","kind":"grant","amountNanos":0.5}'],
      ['credit:worse', 'credit', '{'],
      ['key:bad', 'key', '{"kind":"key"}'],
    ]) {
      await env.DB.prepare(add).bind(name, kind, walletId, payload, NOW).run();
    }
    const { delivered, failures } = await deliver(env, await waitingFor(env.DB, [walletId]));
    expect(delivered).toBe(4);
    expect(await balanceOf(made)).toBe(5_000);
    const bad = ['credit:bad', 'credit:worse', 'key:bad'].flatMap((name) => [name, `${name}2`]);
    expect(failures.map(({ ids }) => ids.join()).toSorted()).toEqual(bad);
    expect((await waiting()).toSorted()).toEqual(bad);
  });

  it('an object that says itself that it is overloaded is not asked for every entry', async () => {
    const made = await owner();
    const { walletId } = made;
    const db = primary(env.DB);
    const writing = { now: NOW, when: ALWAYS };
    await runBatch(
      db,
      ['a', 'b', 'c'].map((name) => pushCredit(db, { ...grant(name, 1), walletId }, writing)),
    );
    let asked = 0;
    const credit = () => {
      asked += 1;
      return Promise.reject(Object.assign(new Error('too much'), { overloaded: true }));
    };
    // Only what platform/objects.ts calls.
    const LEDGER = { idFromName: () => 'id', get: () => ({ credit }) } as unknown as Env['LEDGER'];
    const rows = await waitingFor(env.DB, [walletId]);
    const { failures } = await deliver({ ...env, LEDGER }, rows);
    expect(asked).toBe(1);
    expect(failures.flatMap(({ ids }) => ids)).toEqual(rows.map((row) => row.id));
    expect(await waiting()).toHaveLength(3);
  });

  it('a row that cannot be read fails alone with its object', async () => {
    const made = await owner();
    const bad: OutboxRow = {
      id: 'bad',
      kind: 'key',
      subjectId: made.keyId,
      walletId: made.walletId,
      region,
      version: 1,
      payload: '{"kind":"key"}',
      createdAt: NOW,
    };
    const { told, bindings } = recording();
    expect((await deliver(bindings, [bad])).failures).toHaveLength(1);
    expect(told).toEqual([]);
  });

  it('a raised snapshot version reaches Pool and leaves', async () => {
    const db = primary(env.DB);
    await runBatch(db, raiseSnapshotVersion(db, NOW));
    const told: number[] = [];
    const port = () => ({ refresh: (version: number) => Promise.resolve(told.push(version)) });
    // Only what platform/objects.ts calls.
    const POOL = { idFromName: () => 'id', get: port } as unknown as Env['POOL'];
    expect((await deliverStale({ ...env, POOL }, NOW + 5_000)).delivered).toBe(1);
    expect(told[0]).toBeGreaterThanOrEqual(NOW);
    expect(await waiting()).toEqual([]);
  });
});

describe('what was left', () => {
  it('is delivered from five seconds on, not before', async () => {
    const made = await owner();
    await pushAll(made);
    expect((await deliverStale(env, NOW + 4_999)).delivered).toBe(0);
    expect((await deliverStale(env, NOW + 5_000)).delivered).toBe(4);
    expect(await balanceOf(made)).toBe(5_000);
  });

  it('more than a page is delivered, also behind a page that cannot be', async () => {
    const [stuck, fine] = [await owner(), await owner()];
    await env.DB.prepare(
      'INSERT INTO outbox WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n ' +
        "WHERE i < 130) SELECT ?1 || ':' || i, 'credit', 'e' || i, ?1, 'weur', 1, '{}', 1 FROM n",
    )
      .bind(stuck.walletId)
      .run();
    await pushAll(fine);
    const { bindings } = recording([stuck.walletId]);
    expect((await deliverStale(bindings, NOW + 5_000)).delivered).toBe(4);
    expect(await waiting()).toHaveLength(130);
  });
});

describe('late closings', () => {
  function settleOf({ keyId }: Owner, cost: number): SettleCall {
    return {
      seq: null,
      requestId: id('request'),
      keyId,
      closing: 'completed',
      certainty: 'reported',
      usage: { entries: [], flags: [] },
      costNanos: nanos(cost),
      admittedAt: NOW,
      model: 'claude-test',
      accountId: null,
      status: 200,
      attempts: [],
      timings: { admitMs: 1, firstByteMs: 2, totalMs: 3 },
    };
  }

  async function late(): Promise<number> {
    const { results } = await env.DB.prepare('SELECT request_id FROM late_settles').all();
    return results.length;
  }

  it('are charged once, however often they are replayed', async () => {
    const made = await owner();
    await pushAll(made);
    await deliver(env, await waitingFor(env.DB, [made.walletId]));
    const call = settleOf(made, 1_200);
    const written = { walletId: made.walletId, region, call, now: NOW } as const;
    await writeLateSettle(env.DB, written);
    expect(await replayLateSettles(env)).toEqual({ replayed: 1, failures: [] });
    await writeLateSettle(env.DB, written);
    expect(await replayLateSettles(env)).toEqual({ replayed: 1, failures: [] });
    expect(await late()).toBe(0);
    expect(await balanceOf(made)).toBe(3_800);
  });

  it('of an object that is down stay, the others are settled as they were written', async () => {
    const [up, down] = [await owner(), await owner()];
    const call = settleOf(up, 7);
    await writeLateSettle(env.DB, { walletId: up.walletId, region, call, now: NOW });
    const stuck = settleOf(down, 7);
    await writeLateSettle(env.DB, { walletId: down.walletId, region, call: stuck, now: NOW });
    const { told, bindings } = recording([down.walletId]);
    const replay = await replayLateSettles(bindings);
    expect(replay.replayed).toBe(1);
    expect(replay.failures.map((failure) => failure.id)).toEqual([stuck.requestId]);
    expect(told).toEqual([{ wallet: up.walletId, call: 'settle', what: call }]);
    expect(await late()).toBe(1);
  });

  it('written again before the replay, the later one counts', async () => {
    const made = await owner();
    const call = settleOf(made, 7);
    const place = { walletId: made.walletId, region, now: NOW } as const;
    await writeLateSettle(env.DB, { ...place, call: { ...call, certainty: 'estimated' } });
    await writeLateSettle(env.DB, { ...place, call });
    const { told, bindings } = recording();
    await replayLateSettles(bindings);
    expect(told.map(({ what }) => what)).toEqual([call]);
  });
});
