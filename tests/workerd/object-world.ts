// A wallet's object in a world that is out to harm it: calls whose answers are lost, crashes,
// evictions, alarms that fail. What is called and when is object-steps.ts; what must hold after
// each step, object-checks.ts.

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { vi } from 'vitest';
import type { KeyId, RequestId } from '../../workers/domain/ids';
import type { AdmitAnswer, ExtendAnswer, LedgerPort } from '../../workers/domain/ledger/calls';
import type { Copy } from '../../workers/domain/ledger/copies';
import type { WalletState } from '../../workers/domain/ledger/state';
import type { LimitSet } from '../../workers/domain/limits/limit-set';
import { MINUTE_MS } from '../../workers/domain/time';
import type { LedgerObject } from '../../workers/objects/ledger';
import { ledgerOf } from '../../workers/platform/objects';
import type { Owner } from '../support/ledger';
import type { CrashPoint } from './crash-points';
import { arm, armWaking, disarm, loseMemory } from './crash-points';
import type { Line, Sent } from './object-book';
import { distinct, isOpen, LOST, note, recovered } from './object-book';
import type { DatabaseCopy } from './unlucky-database';

/** The state in memory of the object that woke last. */
export interface Live {
  state: WalletState | null;
}

export interface World {
  readonly seed: number;
  readonly random: () => number;
  readonly owner: Owner;
  readonly keys: readonly KeyId[];
  /** Of user, wallet and keys at the beginning. */
  readonly limits: readonly LimitSet[];
  readonly live: Live;
  /** True usage stays under what is held for it. */
  readonly isTame: boolean;
  readonly lines: Line[];
  /** Credits that are there, by id; those of which it is not known are in `unsure`. */
  readonly credits: Map<string, number>;
  readonly unsure: Map<string, number>;
  /** Calls without an answer so far: they come again, at any time, in any order. */
  readonly waiting: Sent[];
  /** What the database has held for a copy, as JSON, by its id and version. */
  readonly history: Map<string, Map<number, string>>;
  /** Closings that wait in the database for the cron, by request. */
  readonly late: Map<RequestId, Extract<Sent, { do: 'settle' }>>;
  /** Versions that the object has answered for or shown, by id. */
  readonly versions: Map<string, number>;
  /** What D1 held at earlier times. */
  readonly earlier: DatabaseCopy[];
  /** Copies that the object held after the step before. */
  before: readonly Copy[];
  /** Unix ms of the true time, and how far the machine's clock is off. */
  time: number;
  skewMs: number;
  /** Latest time that a clock has shown. */
  highest: number;
  /** An alarm has failed: the runtime comes again by itself. */
  isAlarmOwed: boolean;
}

/** What goes wrong with one call. */
export type Fault = null | { readonly at: 'reply' } | { readonly at: 'eviction' } | CrashPoint;

/** A fresh stub: one whose object was aborted answers nothing more. */
export function stubOf({ owner }: World): DurableObjectStub<LedgerObject> {
  return env.LEDGER.get(env.LEDGER.idFromName(owner.walletId));
}

export function ledgerIn({ owner }: World): LedgerPort {
  return ledgerOf(env, owner.walletId, 'weur');
}

/** The true time goes on by `ms`; the clock shows it as wrongly as it does. */
export function pass(world: World, ms: number): void {
  world.time += Math.floor(ms);
  vi.setSystemTime(world.time + world.skewMs);
  world.highest = Math.max(world.highest, Date.now());
}

export function oneOf<T>({ random }: Pick<World, 'random'>, choices: readonly T[]): T | undefined {
  return choices[Math.floor(random() * choices.length)];
}

/** Half of all calls go well. */
export function anyFault(world: World): Fault {
  const { random } = world;
  const dice = random();
  const call = 1 + Math.floor(random() ** 2 * 6);
  const when = random() < 0.5 ? 'before' : 'after';
  if (dice < 0.5) return null;
  if (dice < 0.6) return { at: 'reply' };
  if (dice < 0.63) return { at: 'eviction' };
  if (dice < 0.67) return { at: 'entry' };
  if (dice < 0.72) return { at: 'answer' };
  if (dice < 0.76) return { at: 'answer-lost' };
  if (dice < 0.9) return { at: 'storage', call, when };
  if (dice < 0.97) return { at: 'storage-fails', call: Math.ceil(call / 2) };
  return { at: 'waking', call: call * 2 };
}

/** Makes the call, with what goes wrong, and writes into the book what can be known of it. */
export async function send(world: World, sent: Sent, fault = anyFault(world)): Promise<unknown> {
  const answer = await attempt(world, fault, () => calling(world, sent));
  if (sent.do === 'credit') noteCredit(world, sent.call, answer);
  else {
    note(sent, answer);
    if (answer !== LOST) learn(sent, answer);
  }
  if (answer === LOST && world.random() < 0.8) world.waiting.push(sent);
  return answer;
}

/** The answer, or LOST. Throws when the call fails without a reason. */
export async function attempt<T>(
  world: World,
  fault: Fault,
  action: () => Promise<T>,
): Promise<T | typeof LOST> {
  if (fault?.at === 'eviction' || fault?.at === 'waking') await evict(world);
  if (fault?.at === 'waking') armWaking(fault.call);
  else if (fault !== null && fault.at !== 'reply' && fault.at !== 'eviction') {
    await arm(stubOf(world), fault);
  }
  try {
    const answer = await action();
    return fault?.at === 'reply' ? LOST : answer;
  } catch (error) {
    if (disarm() === null) throw error;
    return LOST;
  } finally {
    disarm();
  }
}

/** What the client knows after an answer that reached it. */
export function learn(sent: Exclude<Sent, { do: 'credit' }>, answer: unknown): void {
  const { line } = sent;
  // Each of the type that the call's name says.
  if (sent.do === 'admit') {
    const admitted = answer as AdmitAnswer;
    if (!admitted.ok) return;
    line.lease = admitted.lease;
    line.upTo = Math.max(line.upTo, admitted.lease.hold?.heldOutputTokensUpTo ?? 0);
  } else if (sent.do === 'extend') {
    const extended = answer as ExtendAnswer;
    if (extended.state === 'held') line.upTo = Math.max(line.upTo, extended.heldOutputTokensUpTo);
  }
}

/** Makes the call, on a stub of its own. */
export async function calling(world: World, sent: Sent): Promise<unknown> {
  const ledger = ledgerIn(world);
  switch (sent.do) {
    case 'admit':
      return ledger.admit(sent.call);
    case 'settle':
      return ledger.settle(sent.call);
    case 'progress':
      return ledger.progress(sent.call);
    case 'extend':
      return ledger.extend(sent.call);
    case 'stop':
      return ledger.stop({ requestId: sent.line.call.requestId, actor: 'tester' });
    case 'credit':
      return ledger.credit(sent.call);
  }
}

/** Notes a credit and its answer. */
export function noteCredit(
  { credits, unsure }: Pick<World, 'credits' | 'unsure'>,
  { entryId, amountNanos }: { readonly entryId: string; readonly amountNanos: number },
  answer: unknown,
): void {
  if (credits.has(entryId)) {
    if (answer !== LOST && Reflect.get(Object(answer), 'applied') !== false) {
      throw new Error(`${entryId} was applied twice`);
    }
  } else if (answer === LOST) unsure.set(entryId, amountNanos);
  else {
    unsure.delete(entryId);
    credits.set(entryId, amountNanos);
  }
}

/** The object loses its memory, if it has any. */
export async function evict(world: World): Promise<void> {
  await loseMemory(stubOf(world));
}

/**
 * The alarm, whether its time has come or not; as the runtime does it, what fails is owed and comes
 * again. `times`: at once.
 */
export async function alarm(world: World, fault: Fault, times = 1): Promise<boolean> {
  const reached = Date.now();
  const ran = await attempt(world, fault, async () =>
    runInDurableObject(stubOf(world), async (object, { storage }) => {
      if ((await storage.getAlarm()) === null && !world.isAlarmOwed) return false;
      // In one turn with the alarm's first: if that dies, the alarm still stands.
      void storage.deleteAlarm();
      await Promise.all(Array.from({ length: times }, async () => object.alarm()));
      return true;
    }),
  );
  if (ran === true) world.isAlarmOwed = false;
  if (ran === LOST && fault?.at !== 'reply') world.isAlarmOwed = true;
  if (ran !== false) noteAlarm(world, { isSure: ran === true, reached });
  return ran !== false;
}

/** What ran out is closed: surely, if the alarm came to its end and nothing ran beside it. */
export function noteAlarm(
  { lines, highest }: World,
  { isSure, reached }: { readonly isSure: boolean; readonly reached: number },
): void {
  for (const line of lines) {
    const { row } = line;
    if (!isOpen(line)) continue;
    const likelyInputNanos = row?.opened?.likelyInputNanos ?? line.lease?.likelyInputNanos ?? 0;
    const leaseUntil = row?.leaseUntil ?? startOf(line);
    if (leaseUntil > highest) continue;
    const closed = line.could.map((facts) => recovered(facts, likelyInputNanos));
    line.could = isSure && leaseUntil <= reached ? closed : distinct([...line.could, ...closed]);
  }
}

function startOf({ lease }: Line): number {
  return lease === null ? 0 : lease.admittedAt + MINUTE_MS;
}
