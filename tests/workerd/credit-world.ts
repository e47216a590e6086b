// People with money in a workerd test of the control plane: an admin who grants, requests that are
// over, and Ledger objects that cannot be reached.

import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import type { KeyId, RequestId } from '../../workers/domain/ids';
import { ID_RANDOM_BYTES, newId } from '../../workers/domain/ids';
import type { LedgerPort } from '../../workers/domain/ledger/calls';
import { nanos } from '../../workers/domain/money';
import { ledgerOf } from '../../workers/platform/objects';
import { randomBytes } from '../../workers/platform/random';
import { settleCall } from '../support/ledger';
import type { Somebody } from './control-world';
import { newPerson, read } from './control-world';

export const DOLLAR = 1_000_000_000;

export const admin = await newPerson({ role: 'admin' });

/** What a grant, an adjustment and a refund answer. */
export interface Entry {
  readonly entryId: string;
  readonly amountNanos: number;
  readonly replayed?: true;
}

/** Gives somebody credit; `key`: an Idempotency-Key. */
export async function grant(
  who: Somebody,
  amountNanos = 10 * DOLLAR,
  key?: string,
): Promise<Entry> {
  const body = { userId: who.userId, amountNanos, reason: 'to start with' };
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  return read<Entry>(await admin.call('POST', '/admin/credits/grant', { body, headers }), 201);
}

/** Somebody new with ten dollars. */
export async function withCredit(): Promise<Somebody> {
  const who = await newPerson();
  await grant(who);
  return who;
}

export function ledgerOfPerson({ walletId }: Somebody): LedgerPort {
  return ledgerOf(env, walletId, 'weur');
}

export async function balanceOf(who: Somebody): Promise<number> {
  return (await ledgerOfPerson(who).balance()).balanceNanos;
}

/** A request of somebody that is over. */
export async function charged(who: Somebody, costNanos: number): Promise<RequestId> {
  const now = Date.now();
  const requestId = newId('request', now, randomBytes(ID_RANDOM_BYTES));
  const keyId: KeyId = newId('key', now, randomBytes(ID_RANDOM_BYTES));
  const facts = { costNanos: nanos(costNanos), admittedAt: now };
  await ledgerOfPerson(who).settle(settleCall({ seq: null, requestId, keyId }, facts));
  return requestId;
}

/** Brings what happened in somebody's wallet to D1. */
export async function flush({ walletId }: Somebody): Promise<void> {
  await runDurableObjectAlarm(env.LEDGER.get(env.LEDGER.idFromName(walletId)));
}

/** Bindings whose Ledger objects cannot be reached. */
export function cutOff(): Env {
  const broken = () => Promise.reject(new Error('no object'));
  const port = () => ({ apply: broken, credit: broken, balance: broken, statement: broken });
  // Only what platform/objects.ts calls.
  return { ...env, LEDGER: { idFromName: () => 'id', get: port } as unknown as Env['LEDGER'] };
}
