// What limits count, as folds over rows: windows, requests at once and holds of each holder of
// limits, and the budget book. A window that no limit named when its requests came is counted from
// the stored rows once one does. It refuses nothing; limits/limits.ts does.

import type { BudgetBook, BudgetPosting } from '../limits/budget';
import { postToBook, rezoned } from '../limits/budget';
import type { Counters, CountersJson } from '../limits/counters';
import {
  alignCounters,
  countEnded,
  countersFromJson,
  countersToJson,
  countHeld,
  countOpened,
  countUsed,
  emptyCounters,
} from '../limits/counters';
import type { LimitSet, WindowKind } from '../limits/limit-set';
import type { WindowCounter } from '../limits/window';
import { addToWindow, pruneWindow } from '../limits/window';
import type { Nanos } from '../money';
import { nanos, subtractNanos, ZERO_NANOS } from '../money';
import { totalCounts } from '../usage/tokens';
import { heldBy } from './held';
import type { Closed, Correction, Opened, RequestRow } from './row';

/** The wallet among the holders of limits: a state has one. Keys and users go by their ids. */
export const THE_WALLET = 'wallet';

/**
 * More windows (as JSON) are left out of a checkpoint, and the rows bring them back at their use:
 * some 300 full ones, far more than a wallet's limits name.
 */
const WINDOWS_CHARACTERS_MAX = 4_000_000;

/** The part of a wallet's state that limits are decided on. */
export interface Counted {
  /** By holder. */
  readonly counters: Map<string, Counters>;
  book: BudgetBook;
  /** Unix ms. */
  lastSeenAt: number;
}

/** The counters of a holder; of one that is not known, with nothing counted. */
export function countersOf({ counters }: Pick<Counted, 'counters'>, holder: string): Counters {
  const known = counters.get(holder);
  if (known !== undefined) return known;
  const fresh = emptyCounters({});
  counters.set(holder, fresh);
  return fresh;
}

/** An open row, first or changed. `before`: as it was, null when it was not open in memory. */
export function countRow(
  counted: Counted,
  row: RequestRow,
  was: { readonly before: RequestRow | null; readonly isNew: boolean },
): void {
  const { before, isNew } = was;
  const nanosMore = subtractNanos(heldBy(row), before === null ? ZERO_NANOS : heldBy(before));
  const tokensMore = heldTokens(row) - (before === null ? 0 : heldTokens(before));
  postToBook(counted.book, { ...postingOf(row), heldNanos: nanosMore });
  for (const holder of holdersOf(row)) {
    const counters = countersOf(counted, holder);
    if (isNew) countOpened(counters, whenOf(counted, row));
    else if (before === null) counters.open += 1;
    countHeld(counters, { tokens: tokensMore, nanos: nanosMore });
  }
}

/** A row's first closing. Throws RangeError, with nothing counted, when a sum cannot hold it. */
export function countClosed(
  counted: Counted,
  row: RequestRow,
  was: { readonly before: RequestRow | null; readonly isNew: boolean },
): void {
  const { before, isNew } = was;
  const costNanos = row.outcome?.costNanos ?? ZERO_NANOS;
  const freed = nanos(before === null ? 0 : -heldBy(before));
  const tokensFreed = before === null ? 0 : -heldTokens(before);
  postToBook(counted.book, { ...postingOf(row), spentNanos: costNanos, heldNanos: freed });
  const when = whenOf(counted, row);
  for (const holder of holdersOf(row)) {
    const counters = countersOf(counted, holder);
    if (isNew) countOpened(counters, when);
    if (isNew || before !== null) countEnded(counters);
    countHeld(counters, { tokens: tokensFreed, nanos: freed });
    countUsed(counters, { ...when, tokens: usedTokens(row), costNanos });
  }
}

/** What a correction changes, at the date of its request. */
export function countCorrected(counted: Counted, { before, after }: Correction): void {
  const cost = ({ known }: RequestRow): Nanos => known?.costNanos ?? ZERO_NANOS;
  const costNanos = subtractNanos(cost(after), cost(before));
  const tokens = usedTokens(after) - usedTokens(before);
  postToBook(counted.book, { ...postingOf(before), spentNanos: costNanos });
  for (const holder of holdersOf(before)) {
    countUsed(countersOf(counted, holder), { ...whenOf(counted, before), tokens, costNanos });
  }
}

/** What windows need of a row. */
export interface CountedRow extends Pick<RequestRow, 'keyId' | 'admittedAt'> {
  readonly opened: Pick<Opened, 'userId'> | null;
  readonly closed: Pick<Closed, 'usage'> | null;
  readonly known: { readonly costNanos: Nanos } | null;
}

/** What the object knows of limits now. */
export interface LimitsInForce {
  /** Limit sets by holder. */
  readonly limits: readonly (readonly [holder: string, LimitSet])[];
  /** IANA name. */
  readonly timeZone: string;
  /** Unix ms. */
  readonly now: number;
  /** All rows admitted after `since` (Unix ms), asked for once and only when a window is new. */
  readonly rowsSince: (since: number) => Iterable<CountedRow>;
}

/** Fits windows and book to the limits and the zone in force. Before each decision and answer. */
export function alignTo(
  counted: Counted & { readonly open: ReadonlyMap<number, RequestRow> },
  { limits, timeZone, now: shown, rowsSince }: LimitsInForce,
): void {
  // A reading that is not remembered must not decide what is forgotten.
  const now = Math.min(shown, counted.lastSeenAt);
  const added = limits.flatMap(([holder, set]) =>
    alignCounters(countersOf(counted, holder), set).map((each) => ({ ...each, holder })),
  );
  if (added.length > 0) fill(counted, added, (spanMs) => rowsSince(now - spanMs));
  if (counted.book.timeZone === timeZone) return;
  // What runs may still ask the budgets of its own day for more.
  const running = [...counted.open.values()].map(({ admittedAt }) => admittedAt);
  const since = Math.min(now, ...running);
  counted.book = rezoned(counted.book, timeZone, { since, until: shown });
  for (const row of counted.open.values()) {
    postToBook(counted.book, { ...postingOf(row), heldNanos: heldBy(row) });
  }
}

/** Forgets what has left its window: those of a holder that rests are looked at by nobody else. */
export function forgetPast({ counters, lastSeenAt }: Pick<Counted, 'counters' | 'lastSeenAt'>) {
  for (const { windows } of counters.values()) {
    for (const window of windows.values()) pruneWindow(window, lastSeenAt);
  }
}

/** Leaves out all windows; the rows bring back each one that a limit names. */
export function forgetWindows({ counters }: Pick<Counted, 'counters'>): void {
  for (const each of counters.values()) alignCounters(each, {});
}

interface AddedWindow {
  readonly holder: string;
  readonly kind: WindowKind;
  readonly window: WindowCounter;
}

/** Counts what came before into new windows, whoever's they are, in one pass over the rows. */
function fill(
  counted: Counted,
  added: readonly AddedWindow[],
  rowsOfLast: (spanMs: number) => Iterable<CountedRow>,
): void {
  // An entry leaves with its bucket.
  const longestMs = Math.max(...added.map(({ window }) => window.spanMs + window.bucketMs));
  try {
    for (const row of rowsOfLast(longestMs)) {
      const holders = holdersOf(row);
      for (const { holder, kind, window } of added) {
        if (!holders.includes(holder)) continue;
        addToWindow(window, { amount: amountOf(row, kind), ...whenOf(counted, row) });
      }
    }
  } catch (error) {
    // No window is left that looks counted: the next use reads again.
    for (const { holder } of added) alignCounters(countersOf(counted, holder), {});
    throw error;
  }
}

/** Windows by holder, for a checkpoint. */
export function countersForCheckpoint({
  counters,
}: Pick<Counted, 'counters'>): readonly (readonly [string, CountersJson])[] {
  const saved: (readonly [string, CountersJson])[] = [];
  let characters = 0;
  for (const [holder, each] of counters) {
    if (each.windows.size === 0) continue;
    const json = countersToJson(each);
    characters += JSON.stringify(json).length;
    if (characters > WINDOWS_CHARACTERS_MAX) break;
    saved.push([holder, json]);
  }
  return saved;
}

/** The counters of a checkpoint; of an older one without any, none. */
export function countersFromCheckpoint(
  saved: readonly (readonly [string, CountersJson])[] | undefined,
): Map<string, Counters> {
  return new Map((saved ?? []).map(([holder, json]) => [holder, countersFromJson(json)]));
}

/** A request of which its user is not known counts for its key and the wallet. */
function holdersOf({ keyId, opened }: Pick<CountedRow, 'keyId' | 'opened'>): readonly string[] {
  return opened === null ? [keyId, THE_WALLET] : [keyId, opened.userId, THE_WALLET];
}

function postingOf(row: RequestRow): Pick<BudgetPosting, 'holders' | 'family' | 'at'> {
  const family = row.opened?.price.family ?? null;
  return { holders: holdersOf(row), family, at: row.admittedAt };
}

function whenOf({ lastSeenAt }: Counted, { admittedAt }: Pick<CountedRow, 'admittedAt'>) {
  return { at: admittedAt, seenAt: lastSeenAt };
}

function heldTokens({ hold }: RequestRow): number {
  return hold === undefined ? 0 : hold.inputTokens + hold.parts.heldOutputTokensUpTo;
}

function usedTokens({ closed }: Pick<CountedRow, 'closed'>): number {
  if (closed === null) return 0;
  const { webSearches: _calls, ...tokens } = totalCounts(closed.usage);
  return Object.values(tokens).reduce((sum, count) => sum + count, 0);
}

function amountOf(row: CountedRow, kind: WindowKind): number {
  switch (kind) {
    case 'requests':
      return 1;
    case 'tokens':
      return usedTokens(row);
    case 'cost':
      return row.known?.costNanos ?? ZERO_NANOS;
  }
}
