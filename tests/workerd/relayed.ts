// The whole relay in a workerd test: a true key, its wallet's real object, and a script in place of
// every account. What the network does to bytes and connections is not in it: the journeys are for
// that.

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { vi } from 'vitest';
import type { Certainty, Closing, KeyInfo } from '../../workers/domain/ledger/calls';
import type { KeyCopy } from '../../workers/domain/ledger/copies';
import type { RequestId } from '../../workers/domain/ids';
import type { Opened } from '../../workers/domain/ledger/row';
import type { Nanos } from '../../workers/domain/money';
import { nanosFromDollars } from '../../workers/domain/money';
import { mintKey } from '../../workers/platform/digest';
import { configOf } from '../../workers/platform/env';
import { relay } from '../../workers/relay/relay';
import { creditCall, keyCopy, userCopy, walletCopy } from '../support/ledger';
import type { Wallet } from './wallet-object';
import { unknownWallet } from './wallet-object';

/** A wallet whose key opens the relay. */
export interface RelayedWallet extends Wallet {
  readonly key: string;
  /** Its key as it was pushed; a change is this with a higher version. */
  readonly copy: KeyCopy;
}

/** With a thousand dollars, or as many. */
export async function relayedWallet(
  differs: Partial<KeyCopy> = {},
  amountNanos: Nanos = nanosFromDollars(1_000),
): Promise<RelayedWallet> {
  const wallet = unknownWallet();
  const { owner, ledger } = wallet;
  const config = configOf(env);
  if (!config.ok) throw new Error('the test environment is not valid');
  const order = { walletId: owner.walletId, keyId: owner.keyId, region: 'weur' } as const;
  const { key, hash } = await mintKey(order, config.value.keyTagSecrets);
  const copy = keyCopy(owner, { hash, ...differs });
  await ledger.apply([copy, userCopy(owner), walletCopy(owner)]);
  await ledger.credit(creditCall('txn_first', { amountNanos }));
  return { ...wallet, key, copy };
}

/** One call upstream. */
export interface Called {
  readonly body: string;
  /** Aborted when the relay no longer wants the answer. */
  readonly signal: AbortSignal;
}

export type Script = (called: Called) => Response | Promise<Response>;

const wait = scheduler.wait.bind(scheduler);
/** What waits for longer is behind an answer: a report of the accounts' health. */
const REAL_WAIT_MS_MAX = 1_000;

/** Long waits behind an answer are over at once. Taken back with all mocks. */
export function skipLongWaits(): void {
  vi.spyOn(scheduler, 'wait').mockImplementation(async (ms, options) => {
    if (ms <= REAL_WAIT_MS_MAX) await wait(ms, options);
  });
}

/**
 * Answers upstream calls whose body holds the mark; others fail. Without long waits. Taken back
 * with all mocks.
 */
export function scriptUpstream(scripts: ReadonlyMap<string, Script>): void {
  skipLongWaits();
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (_url, init) => {
    const body = new TextDecoder().decode(init?.body as Uint8Array);
    const [, script] = [...scripts].find(([mark]) => body.includes(`"${mark}"`)) ?? [];
    const signal = init?.signal;
    if (script === undefined || !signal) throw new Error('no test has scripted this call');
    return script({ body, signal });
  });
}

/** Rejects when the relay gives up the call, as a connection does. */
export function untilGivenUp(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const giveUp = (): void => reject(new Error('given up'));
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}

/** An answer's body, said piece by piece; it breaks off when the relay gives up the call. */
export function spoken(signal: AbortSignal) {
  let controller: ReadableByteStreamController | null = null;
  let isOver = false;
  const body = new ReadableStream({
    type: 'bytes',
    start: (given) => {
      controller = given;
    },
  });
  const end = (how: () => void): void => {
    if (!isOver) how();
    isOver = true;
  };
  untilGivenUp(signal).catch((error: unknown) => end(() => controller?.error(error)));
  return {
    body,
    say: (bytes: Uint8Array): void => {
      if (!isOver && bytes.byteLength > 0) controller?.enqueue(bytes.slice());
    },
    close: (): void => end(() => controller?.close()),
  };
}

/** A request under way. */
export interface Sent {
  readonly response: Promise<Response>;
  /** The client goes away. */
  readonly leave: () => void;
  /** Resolves when nothing more is done for it. */
  readonly finished: () => Promise<void>;
}

export interface Asked {
  readonly body: string;
  /** Names its row. */
  readonly session: string;
}

/** Sends a Messages request as a client does. */
export function send({ key }: RelayedWallet, { body, session }: Asked): Sent {
  const client = new AbortController();
  const behind: Promise<unknown>[] = [];
  const request = new Request('https://relay.test/v1/messages', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': String(new TextEncoder().encode(body).byteLength),
      'x-claude-code-session-id': session,
    },
    body,
    signal: client.signal,
  });
  const response = relay(request, env, { waitUntil: (work) => void behind.push(work) });
  const finished = async (): Promise<void> => {
    await response;
    await Promise.all(behind);
  };
  return { response, leave: () => client.abort(), finished };
}

/** A row of the wallet's object. */
export interface Row {
  readonly closing: Closing | null;
  readonly certainty: Certainty | null;
  readonly costNanos: number | null;
}

/** The wallet's rows by their session. */
export async function rowsBySession(wallet: Wallet): Promise<ReadonlyMap<string, Row>> {
  return new Map(
    (await recordsOf(wallet)).map((record) => {
      // Written by the object from these types.
      const opened = JSON.parse(String(record['opened'])) as Opened;
      const row = {
        closing: record['closing'] as Row['closing'],
        certainty: record['known_certainty'] as Row['certainty'],
        costNanos: record['known_nanos'] as Row['costNanos'],
      };
      return [opened.tags.session ?? '', row];
    }),
  );
}

/** The wallet's first request, by whatever number it has. */
export async function firstRequestOf(wallet: Wallet): Promise<RequestId> {
  const [record] = await recordsOf(wallet);
  if (record === undefined) throw new Error('the wallet has no request');
  return record['id'] as RequestId;
}

async function recordsOf({ stub }: Wallet): Promise<Record<string, string | number | null>[]> {
  return runInDurableObject(stub, (_object, { storage }) =>
    storage.sql
      .exec<Record<string, string | number | null>>('SELECT * FROM requests ORDER BY seq')
      .toArray(),
  );
}

/** What the key's holder may know. */
export async function infoOfKey({ ledger, owner, copy }: RelayedWallet): Promise<KeyInfo> {
  const info = await ledger.keyInfo({ keyId: owner.keyId, keyHash: copy.hash });
  if (!info.ok) throw new Error(`refused: ${info.error.kind}`);
  return info.value;
}
