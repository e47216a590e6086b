// Keys, user and wallet of a simulated wallet as the database has them: how they change, and the
// ways by which the object learns of it: pushed at once, by the cron, or by its own load.

import { env } from 'cloudflare:workers';
import type { KeyId, RequestId } from '../../workers/domain/ids';
import type { Copy } from '../../workers/domain/ledger/copies';
import type { LimitSet } from '../../workers/domain/limits/limit-set';
import { nanos } from '../../workers/domain/money';
import { MINUTE_MS, SECOND_MS } from '../../workers/domain/time';
import { scheduled } from '../../workers/jobs';
import { ALWAYS, primary, runBatch } from '../../workers/store/db';
import { loadCopies } from '../../workers/store/keys';
import { writeLateSettle } from '../../workers/store/late-settles';
import { deliver, pushKey, pushUser, pushWallet, waitingFor } from '../../workers/store/outbox';
import { HASH } from '../support/ledger';
import type { Sent } from './object-book';
import { LOST, note } from './object-book';
import type { Fault, World } from './object-world';
import { attempt, ledgerIn, oneOf } from './object-world';
import { quietly } from './unlucky-database';

const NONE: LimitSet = {};

/** Limits that a key, a user or a wallet has from its beginning to its end. */
export const LIMITS: readonly LimitSet[] = [
  NONE,
  { requests: [{ limit: 4, spanMs: MINUTE_MS }], concurrency: 3 },
  {
    requests: [{ limit: 2, spanMs: 10 * SECOND_MS }],
    tokens: [{ limit: 9_000, spanMs: MINUTE_MS }],
  },
  { cost: [{ limit: 70_000_000, spanMs: 5 * MINUTE_MS }] },
  { budgets: [{ period: 'total', limitNanos: nanos(150_000_000) }] },
  { budgets: [{ period: 'total', limitNanos: nanos(90_000_000), family: 'opus' }], concurrency: 2 },
];

/** Puts user, wallet and keys into the database; the first key and those of `pushed` are known. */
export async function settleIn(world: World, limits: readonly LimitSet[]): Promise<void> {
  const { userId, walletId } = world.owner;
  const [ofUser, ofWallet, ...ofKeys] = limits.map((each) => JSON.stringify(each));
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO users (id, email, name, role, password, status, time_zone, version, created_at,
        limits) VALUES (?1, ?1, 'n', 'user', 'p', 'active', 'UTC', 1, 1, ?2)`,
    ).bind(userId, ofUser),
    env.DB.prepare(
      `INSERT INTO wallets (id, user_id, region, status, version, created_at, limits)
        VALUES (?, ?, 'weur', 'active', 1, 1, ?)`,
    ).bind(walletId, userId, ofWallet),
    ...world.keys.map((keyId, index) =>
      env.DB.prepare(
        `INSERT INTO keys (id, wallet_id, user_id, name, hash, tag_version, status, version,
          created_at, limits) VALUES (?, ?, ?, 'k', ?, '1', 'active', 1, 1, ?)`,
      ).bind(keyId, walletId, userId, HASH, ofKeys[index]),
    ),
  ]);
  for (const keyId of world.keys) await remember(world, keyId);
  const [first] = world.keys;
  const copies = first === undefined ? null : await loadCopies(env.DB, first);
  await ledgerIn(world).apply(copies ?? []);
}

/** What the database now holds for the copies of a key. */
async function remember({ history }: World, keyId: KeyId): Promise<readonly Copy[]> {
  const copies = (await loadCopies(env.DB, keyId)) ?? [];
  for (const copy of copies) {
    const known = history.get(copy.id) ?? new Map<number, string>();
    history.set(copy.id, known.set(copy.version, JSON.stringify(copy)));
  }
  return copies;
}

/** An admin changes a key, the user or the wallet; the change waits in the outbox for its push. */
export async function change(world: World, times: number): Promise<void> {
  await quietly(async () => {
    for (let done = 0; done < times; done += 1) await changeOne(world);
  });
}

async function changeOne(world: World): Promise<void> {
  const { random, keys, owner } = world;
  const [, fixed = owner.keyId, ...others] = keys;
  const writing = { now: Date.now(), when: ALWAYS };
  const db = primary(env.DB);
  const dice = random();
  if (dice < 0.1) {
    await update('users', owner.userId, 'status', random() < 0.7 ? 'active' : 'suspended');
    await runBatch(db, [pushUser(db, owner.userId, writing)]);
  } else if (dice < 0.2) {
    await update('wallets', owner.walletId, 'status', random() < 0.8 ? 'active' : 'suspended');
    await runBatch(db, [pushWallet(db, owner.walletId, writing)]);
  } else {
    const keyId = oneOf(world, others) ?? fixed;
    const status = random();
    const word = status < 0.7 ? 'active' : status < 0.9 ? 'disabled' : 'deleted';
    if (random() < 0.5) await update('keys', keyId, 'status', word);
    else await update('keys', keyId, 'limits', JSON.stringify(oneOf(world, LIMITS) ?? NONE));
    await runBatch(db, [pushKey(db, keyId, writing)]);
  }
  for (const keyId of keys) await remember(world, keyId);
}

/** User and wallet may be used again. */
export async function reinstate(world: World): Promise<void> {
  const { owner, keys } = world;
  const writing = { now: Date.now(), when: ALWAYS };
  await update('users', owner.userId, 'status', 'active');
  await update('wallets', owner.walletId, 'status', 'active');
  const db = primary(env.DB);
  await runBatch(db, [
    pushUser(db, owner.userId, writing),
    pushWallet(db, owner.walletId, writing),
  ]);
  for (const keyId of keys) await remember(world, keyId);
}

async function update(table: string, id: string, what: string, value: string): Promise<void> {
  await env.DB.prepare(
    `UPDATE ${table} SET ${what} = ?, version = max(version + 1, ?) WHERE id = ? ` +
      "AND status <> 'deleted'",
  )
    .bind(value, Date.now(), id)
    .run();
}

/** Pushes what waits, as whoever wrote it does at once; it may be lost on any way. */
export async function push(world: World, fault: Fault): Promise<void> {
  await quietly(async () => {
    const rows = await waitingFor(env.DB, [world.owner.walletId]);
    if (world.random() < 0.3) {
      // An older one comes late, and again.
      const late = oneOf(world, rows);
      if (late !== undefined) rows.push(late);
    }
    const delivery = await attempt(world, fault, async () => {
      const { failures, delivered } = await deliver(env, rows);
      for (const { error } of failures) throw error;
      return delivered;
    });
    if (delivery === LOST) return;
    for (const { kind, subjectId, version } of rows) {
      if (kind !== 'credit') acknowledge(world, subjectId, version);
    }
  });
}

/** From here on the object must know this version or a later one. */
export function acknowledge({ versions }: World, id: string, version: number): void {
  versions.set(id, Math.max(version, versions.get(id) ?? 0));
}

/** A closing that could not arrive is written down for the cron. */
export async function keepLate(world: World, sent: Extract<Sent, { do: 'settle' }>): Promise<void> {
  const { walletId } = world.owner;
  const late = { walletId, region: 'weur', call: sent.call, now: Date.now() } as const;
  await writeLateSettle(env.DB, late);
  world.late.set(sent.call.requestId, sent);
}

/** The cron's minute: pushes what waits in the outbox, replays late closings. */
export async function cron(world: World, fault: Fault): Promise<void> {
  await attempt(world, fault, async () => scheduled(env, Date.now(), () => null));
  for (const sent of world.late.values()) note(sent, LOST);
  const waiting = await env.DB.prepare(
    'SELECT request_id AS id FROM late_settles WHERE wallet_id = ?',
  )
    .bind(world.owner.walletId)
    .all<{ id: RequestId }>();
  const left = new Set(waiting.results.map(({ id }) => id));
  for (const id of world.late.keys()) if (!left.has(id)) world.late.delete(id);
}
