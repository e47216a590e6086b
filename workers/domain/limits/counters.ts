// What is counted for one holder of limits (a key, a user, a wallet): requests at once, what they
// hold, and the windows that its limits name. Folded from rows; budgets stand in their own book.

import type { Nanos } from '../money';
import { addNanos, ZERO_NANOS } from '../money';
import type { LimitSet, WindowKind, WindowLimit } from './limit-set';
import { WINDOW_KINDS } from './limit-set';
import type { WindowCounter, WindowEntry, WindowJson } from './window';
import { addToWindow, emptyAt, emptyWindow, sumAt, windowFromJson, windowToJson } from './window';

/** Mutable on purpose: one object, one writer, counted in place. */
export interface Counters {
  /** Metered requests that are open. */
  open: number;
  /** What they hold together. */
  heldTokens: number;
  heldNanos: Nanos;
  /** By `kind:spanMs`. */
  readonly windows: Map<string, WindowCounter>;
  /** The same by kind: counting goes through them at every request. */
  byKind: Readonly<Record<WindowKind, readonly WindowCounter[]>>;
  /** The limits that the windows were fitted to last; null: none yet. */
  fittedTo: LimitSet | null;
}

/** What a checkpoint keeps: the windows alone; open rows bring back the rest. */
export type CountersJson = readonly (readonly [string, WindowJson])[];

/** When it is dated (Unix ms of admit), and up to when the clock remembers (Unix ms). */
export interface CountedAt {
  readonly at: number;
  readonly seenAt: number;
}

/** One of the holder's windows, as it stands. */
export interface WindowFigure {
  readonly kind: WindowKind;
  /** Requests, tokens or nano-dollars. */
  readonly limit: number;
  readonly used: number;
  /** Unix ms at which it is empty if nothing else comes. */
  readonly resetsAt: number;
}

/** Nothing open, nothing counted, and a window for every limit of `limits`. */
export function emptyCounters(limits: LimitSet): Counters {
  const counters = countersWith(new Map());
  alignCounters(counters, limits);
  return counters;
}

/**
 * Fits the windows to changed limits: drops those that no limit names, adds those that one names
 * now. Answers the added ones, empty: what came before must be counted into them from the rows.
 */
export function alignCounters(
  counters: Counters,
  limits: LimitSet,
): readonly { readonly kind: WindowKind; readonly window: WindowCounter }[] {
  // A limit set never changes: other limits are another object.
  if (counters.fittedTo === limits) return NOTHING_ADDED;
  const added: { readonly kind: WindowKind; readonly window: WindowCounter }[] = [];
  const named = new Set<string>();
  for (const kind of WINDOW_KINDS) {
    for (const { spanMs } of limits[kind] ?? []) {
      const name = nameOf(kind, spanMs);
      named.add(name);
      if (counters.windows.has(name)) continue;
      const window = emptyWindow(spanMs);
      counters.windows.set(name, window);
      added.push({ kind, window });
    }
  }
  for (const name of counters.windows.keys()) {
    if (!named.has(name)) counters.windows.delete(name);
  }
  counters.byKind = sortedByKind(counters.windows);
  counters.fittedTo = limits;
  return added;
}

const NOTHING_ADDED = [] as const;

/** Counts a request that was admitted: one more at once, one more in every window of requests. */
export function countOpened(counters: Counters, when: CountedAt): void {
  counters.open += 1;
  const { at, seenAt } = when;
  addToAll(counters.byKind.requests, { amount: 1, at, seenAt });
}

/** Counts a request that ended. Its holds are given back by `countHeld`. */
export function countEnded(counters: Counters): void {
  if (counters.open <= 0) throw new Error('more requests ended than were open');
  counters.open -= 1;
}

/** Counts what open requests hold more, or (negative) less. */
export function countHeld(
  counters: Counters,
  change: { readonly tokens: number; readonly nanos: Nanos },
): void {
  counters.heldNanos = addNanos(counters.heldNanos, change.nanos);
  counters.heldTokens += change.tokens;
}

/** Counts what a closing used, or (negative) what a correction takes back. */
export function countUsed(
  counters: Counters,
  used: CountedAt & { readonly tokens: number; readonly costNanos: Nanos },
): void {
  const { tokens, costNanos, at, seenAt } = used;
  addToAll(counters.byKind.tokens, { amount: tokens, at, seenAt });
  addToAll(counters.byKind.cost, { amount: costNanos, at, seenAt });
}

/** The window that counts for a limit; one that is missing has counted nothing. */
export function windowOf(counters: Counters, kind: WindowKind, limit: WindowLimit): WindowCounter {
  const known = counters.byKind[kind].find(({ spanMs }) => spanMs === limit.spanMs);
  return known ?? emptyWindow(limit.spanMs);
}

/** Every window of `kind` that limits the holder, as it stands at `now` (Unix ms). */
export function windowFigures(
  { limits, counters }: { readonly limits: LimitSet; readonly counters: Counters },
  kind: WindowKind,
  now: number,
): readonly WindowFigure[] {
  return (limits[kind] ?? []).map((each) => {
    const window = windowOf(counters, kind, each);
    const resetsAt = emptyAt(window, now);
    return { kind, limit: each.limit, used: sumAt(window, now), resetsAt };
  });
}

/** The windows for a checkpoint. */
export function countersToJson({ windows }: Counters): CountersJson {
  return [...windows].map(([name, window]) => [name, windowToJson(window)] as const);
}

/** The counters that `countersToJson` wrote down, with nothing open and nothing held. */
export function countersFromJson(json: CountersJson): Counters {
  return countersWith(new Map(json.map(([name, window]) => [name, windowFromJson(window)])));
}

function countersWith(windows: Map<string, WindowCounter>): Counters {
  const held = { open: 0, heldTokens: 0, heldNanos: ZERO_NANOS };
  return { ...held, windows, byKind: sortedByKind(windows), fittedTo: null };
}

function sortedByKind(windows: ReadonlyMap<string, WindowCounter>): Counters['byKind'] {
  const of = (kind: WindowKind): readonly WindowCounter[] =>
    [...windows].filter(([name]) => name.startsWith(`${kind}:`)).map(([, window]) => window);
  return { requests: of('requests'), tokens: of('tokens'), cost: of('cost') };
}

function addToAll(windows: readonly WindowCounter[], entry: WindowEntry): void {
  for (const window of windows) addToWindow(window, entry);
}

function nameOf(kind: WindowKind, spanMs: number): string {
  return `${kind}:${spanMs}`;
}
