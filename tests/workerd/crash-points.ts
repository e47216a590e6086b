// Places at which a Ledger object can be made to die: before a call's first line, before and after
// each of its storage calls, before its answer leaves, and while it waits for D1. What the runtime
// then does is its own: an object that is aborted loses its memory and all that it wrote since it
// last gave way; an answer that has gone out waited for its writes.

import { runInDurableObject } from 'cloudflare:test';
import type { LedgerObject } from '../../workers/objects/ledger';

/** Where, counted from when it is armed. */
export type CrashPoint =
  /** Before the first line of the call. */
  | { readonly at: 'entry' }
  /** The call has written what it writes; nothing of it is safe yet. */
  | { readonly at: 'answer' }
  /** All that it wrote is safe; the answer is lost. */
  | { readonly at: 'answer-lost' }
  | { readonly at: 'storage'; readonly call: number; readonly when: 'before' | 'after' }
  /** The storage call fails and the object lives on, if it likes. */
  | { readonly at: 'storage-fails'; readonly call: number }
  /** The same for whichever object is called next: one that was evicted, as it wakes. */
  | { readonly at: 'waking'; readonly call: number }
  /** D1 is called; `after`: and has done what it was asked. */
  | { readonly at: 'database'; readonly when: 'before' | 'after' };

/** With words of the runtime that the pool keeps out of its output: these are no failures. */
const REASON = 'Instance disposed at a crash point';
const FAILURE = 'disconnected: operation canceled at a crash point';

/** What is needed of an object's own state. */
interface Context {
  readonly storage: DurableObjectStorage;
  abort(reason?: string): void;
}

interface Armed {
  /** null: any object's. */
  readonly ctx: Context | null;
  readonly point: CrashPoint;
  calls: number;
  hit: string | null;
}

let armed: Armed | null = null;
let isPatched = false;

/** Storage calls that were made, and where an object died, by name. */
export const seen = { storageCalls: 0, crashes: new Map<string, number>() };

/** The next call that reaches `point` in this object ends it there. */
export async function arm(stub: DurableObjectStub<LedgerObject>, point: CrashPoint): Promise<void> {
  await runInDurableObject(stub, (object, ctx) => {
    if (!isPatched) patch(object, ctx);
    armed = { ctx, point, calls: 0, hit: null };
  });
}

/**
 * The object loses its memory. The pool's own eviction is not used: it waits for calls that the
 * object has made to others, at times for longer than a test lasts.
 */
export async function loseMemory(stub: DurableObjectStub<LedgerObject>): Promise<void> {
  await runInDurableObject(stub, (_object, ctx) => ctx.abort(REASON)).catch(() => null);
}

/** The storage call of this number fails, made by whichever object; `arm` comes before it once. */
export function armWaking(call: number): void {
  armed = { ctx: null, point: { at: 'waking', call }, calls: 0, hit: null };
}

/** Nothing is ended any more; answers where the object died since `arm`, or null. */
export function disarm(): string | null {
  const hit = armed?.hit ?? null;
  armed = null;
  if (hit !== null) seen.crashes.set(hit, (seen.crashes.get(hit) ?? 0) + 1);
  return hit;
}

/** For what stands for D1: ends the object here if it is to die while it waits for D1. */
export function atDatabase(when: 'before' | 'after'): void {
  const { at } = armed?.point ?? {};
  if (armed === null || armed.hit !== null || at !== 'database') return;
  if (armed.point.at === 'database' && armed.point.when === when) die(armed, `database ${when}`);
}

const CALLS = ['admit', 'extend', 'progress', 'settle', 'credit', 'apply', 'alarm'] as const;

/** All objects of a class share its prototype, and those of storage theirs. */
function patch(object: LedgerObject, ctx: Context): void {
  isPatched = true;
  const { storage } = ctx;
  const state: object = Object.getPrototypeOf(ctx);
  replace(
    state,
    'abort',
    (real) =>
      function abort(this: object, reason: unknown): unknown {
        return real.call(this, `${REASON}: ${String(reason)}`);
      },
  );
  const calls: object = Object.getPrototypeOf(object);
  for (const name of CALLS) replace(calls, name, (real) => callOf(name, real));
  const tables: object = Object.getPrototypeOf(storage.sql);
  replace(tables, 'exec', (real) => storageCallOf('exec', real, ({ sql }) => sql));
  const own: object = Object.getPrototypeOf(storage);
  for (const name of ['transactionSync', 'setAlarm']) {
    replace(own, name, (real) => storageCallOf(name, real, (each) => each));
  }
}

type Method = (this: object, ...values: unknown[]) => unknown;

function replace(owner: object, name: string, change: (real: Method) => Method): void {
  const real: unknown = Reflect.get(owner, name);
  if (typeof real !== 'function') throw new Error(`no method ${name}`);
  // A method of the runtime or of the object, called with what it was called with.
  Reflect.defineProperty(owner, name, { value: change(real as Method), configurable: true });
}

function callOf(name: string, real: Method): Method {
  return async function call(this: object, ...values: unknown[]): Promise<unknown> {
    const crash = armed?.ctx === Reflect.get(this, 'ctx') ? armed : null;
    const isAt = (at: CrashPoint['at']): boolean => crash?.hit === null && crash.point.at === at;
    if (isAt('entry')) die(crash, `${name} entry`);
    const answer = real.apply(this, values);
    if (isAt('answer')) die(crash, `${name} answer`);
    const given = await answer;
    if (isAt('answer-lost')) {
      await crash?.ctx?.storage.sync();
      die(crash, `${name} answer-lost`);
    }
    return given;
  };
}

function storageCallOf(
  name: string,
  real: Method,
  ownerOf: (storage: DurableObjectStorage) => object,
): Method {
  const isOf = ({ ctx }: Armed, owner: object): boolean =>
    ctx === null || ownerOf(ctx.storage) === owner;
  return function call(this: object, ...values: unknown[]): unknown {
    const crash = armed;
    if (crash === null || crash.hit !== null || !isOf(crash, this)) {
      return real.apply(this, values);
    }
    seen.storageCalls += 1;
    crash.calls += 1;
    const { point, calls } = crash;
    const isHere = 'call' in point && point.call === calls;
    if (isHere && point.at !== 'storage' && name === 'exec') {
      crash.hit = `${point.at} ${name}`;
      throw new Error(FAILURE);
    }
    if (isHere && point.at === 'storage' && point.when === 'before') die(crash, `before ${name}`);
    const answer = real.apply(this, values);
    if (isHere && point.at === 'storage' && point.when === 'after') die(crash, `after ${name}`);
    return answer;
  };
}

function die(crash: Armed | null, where: string): never {
  if (crash !== null) crash.hit = where;
  crash?.ctx?.abort(where);
  throw new Error('an aborted object goes no further');
}
