// A wallet's Ledger object in a workerd test: a fresh one a test, its stub, what it has stored.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import type { AdmitCall, KeyInfo, Lease, LedgerPort } from '../../workers/domain/ledger/calls';
import type { KeyCopy } from '../../workers/domain/ledger/copies';
import type { RequestId } from '../../workers/domain/ids';
import type { LedgerObject } from '../../workers/objects/ledger';
import { ledgerOf } from '../../workers/platform/objects';
import type { Owner } from '../support/ledger';
import {
  admitCall,
  creditCall,
  HASH,
  idOf,
  keyCopy,
  ownerOf,
  userCopy,
  walletCopy,
} from '../support/ledger';

export interface Wallet {
  readonly owner: Owner;
  readonly ledger: LedgerPort;
  readonly stub: DurableObjectStub<LedgerObject>;
}

let made = 0;

/** A request id that no other test of this file has. */
export function newRequest(): RequestId {
  made += 1;
  return idOf('request', made);
}

/** A wallet of which its object knows nothing. */
export function unknownWallet(): Wallet {
  made += 1;
  return walletOf(ownerOf(made));
}

/** With fresh stubs: those of an object that was reset answer nothing more. */
export function walletOf(owner: Owner): Wallet {
  const stub = env.LEDGER.get(env.LEDGER.idFromName(owner.walletId));
  return { owner, stub, ledger: ledgerOf(env, owner.walletId, 'weur') };
}

/** A wallet whose key was pushed, with ten dollars. */
export async function newWallet(key: Partial<KeyCopy> = {}): Promise<Wallet> {
  const wallet = unknownWallet();
  const { owner, ledger } = wallet;
  await ledger.apply([keyCopy(owner, key), userCopy(owner), walletCopy(owner)]);
  await ledger.credit(creditCall('txn_first'));
  return wallet;
}

/** The lease of a request; throws when it is refused. */
export async function admitted(wallet: Wallet, differs?: Partial<AdmitCall>): Promise<Lease> {
  const call = admitCall(wallet.owner.keyId, newRequest(), differs);
  const answer = await wallet.ledger.admit(call);
  if (!answer.ok) throw new Error(`refused: ${answer.error.kind}`);
  return answer.lease;
}

export async function infoOf({ ledger, owner }: Wallet): Promise<KeyInfo> {
  const info = await ledger.keyInfo({ keyId: owner.keyId, keyHash: HASH });
  if (!info.ok) throw new Error(`refused: ${info.error.kind}`);
  return info.value;
}

/** The object loses its memory; the next call finds it as storage has it. */
export async function evict({ stub }: Wallet): Promise<void> {
  await evictDurableObject(stub);
}

/** Rows of the object's own tables, by table. */
export async function storedRows({ stub }: Wallet): Promise<Readonly<Record<string, number>>> {
  return runInDurableObject(stub, (_instance, { storage }) => {
    const tables = ['copies', 'documents', 'requests', 'entries'];
    const count = (table: string): number =>
      storage.sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).one().n;
    return Object.fromEntries(tables.map((table) => [table, count(table)]));
  });
}

/** Rows that `action` makes the object write (the alarm's own apart). */
export async function rowsWrittenBy(
  { stub }: Wallet,
  action: () => Promise<unknown>,
): Promise<number> {
  const before = await runInDurableObject(stub, (object) => object.counters().rowsWritten);
  await action();
  return (await runInDurableObject(stub, (object) => object.counters().rowsWritten)) - before;
}
