// Folds the usage objects of one answer into priced entries: later figures overwrite, nothing is
// ever added up (they are cumulative), and what a hostile or broken upstream sends can only be
// flagged, never throw and never go below zero. It reads no events and knows no prices.

import type { RequestSizes } from '../../domain/ledger/calls';
import type { TokenCounts, Usage, UsageEntry, UsageFlag } from '../../domain/usage/tokens';
import { NO_TOKENS } from '../../domain/usage/tokens';

/** No answer has more tokens than this; a larger count is cut to it and flagged. */
export const COUNT_MAX = 10_000_000;
const ITERATIONS_MAX = 1_000;
const WORD_LENGTH_MAX = 256;

/** The figures of one attempt, null where nothing was said. */
interface Figures {
  input: number | null;
  /** Tokens written to the cache, both lifetimes together. */
  cacheWrites: number | null;
  /** The part of them whose lifetime was said. */
  cacheWrites5m: number | null;
  cacheWrites1h: number | null;
  cacheRead: number | null;
  output: number | null;
}

interface Iteration extends Figures {
  readonly type: string;
  readonly model: string | null;
}

/** What an answer has reported so far. */
export interface UsageDraft extends Figures {
  webSearches: number | null;
  speed: string | null;
  geo: string | null;
  tier: string | null;
  iterations: readonly Iteration[];
  readonly flags: Set<UsageFlag>;
}

/** What the figures must be read with. */
interface UsageContext {
  /** The model that was sent upstream: compaction is priced at it. */
  readonly askedModel: string;
  /** The model that serves the answer. */
  readonly servedModel: string;
  readonly cacheTtl: RequestSizes['cacheTtl'];
  readonly stopReason: string | null;
  readonly deliveredBytes: number;
}

/** Any JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** `value` as an object, or null. */
export function objectOf(value: unknown): JsonObject | null {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as JsonObject) : null;
}

/** `value` as a string of at most `lengthMax` characters (longer ones are cut), or null. */
export function textOf(value: unknown, lengthMax = WORD_LENGTH_MAX): string | null {
  return typeof value === 'string' ? value.slice(0, lengthMax) : null;
}

/** Nothing reported yet. */
export function newUsageDraft(): UsageDraft {
  return {
    ...noFigures(),
    webSearches: null,
    speed: null,
    geo: null,
    tier: null,
    iterations: [],
    flags: new Set(),
  };
}

/** Overwrites with every field of a `usage` object that is present and not null. */
export function mergeUsage(draft: UsageDraft, raw: unknown): void {
  const usage = objectOf(raw);
  if (usage === null) return;
  mergeFigures(draft, usage, draft.flags);
  const searches = objectOf(usage['server_tool_use'])?.['web_search_requests'];
  draft.webSearches = readCount(searches, draft.webSearches, draft.flags);
  draft.speed = textOf(usage['speed']) ?? draft.speed;
  draft.geo = textOf(usage['inference_geo']) ?? draft.geo;
  draft.tier = textOf(usage['service_tier']) ?? draft.tier;
  if (Array.isArray(usage['iterations'])) {
    draft.iterations = readIterations(usage['iterations'], draft.flags);
  }
}

/** The priced entries so far; null when nothing was reported at all. */
export function usageOf(draft: UsageDraft, context: UsageContext): Usage | null {
  const isEmpty = draft.input === null && draft.output === null && draft.iterations.length === 0;
  if (isEmpty) return null;
  const entries = draft.iterations.length > 0 ? iterationEntries(draft, context) : [];
  if (draft.iterations.length === 0 && !isDeclined(draft, context)) {
    const { servedModel: model, cacheTtl } = context;
    entries.push({ model, counts: countsOf(draft, cacheTtl), terms: termsOf(draft) });
  }
  return { entries: withSearches(entries, draft, context), flags: [...draft.flags] };
}

/**
 * Entry by entry at its own model: the top level covers only the attempt that gave the answer.
 * An attempt that declined before any output costs nothing.
 */
function iterationEntries(draft: UsageDraft, context: UsageContext): UsageEntry[] {
  const { iterations } = draft;
  const terms = termsOf(draft);
  const lastFallback = iterations.findLastIndex(({ type }) => type === 'fallback_message');
  const isRefusal = context.stopReason === 'refusal';
  const entries: UsageEntry[] = [];
  for (const [index, iteration] of iterations.entries()) {
    const isAnswer = iteration.type === 'message' || iteration.type === 'fallback_message';
    const wasPassedOver = isRefusal || index < lastFallback;
    if (isAnswer && wasPassedOver && (iteration.output ?? 0) === 0) continue;
    const counts = countsOf(iteration, context.cacheTtl);
    const unnamed = index < lastFallback ? context.askedModel : context.servedModel;
    const isCompaction = iteration.type === 'compaction';
    const model = isCompaction ? context.askedModel : (iteration.model ?? unnamed);
    entries.push({ model, counts, terms });
  }
  return entries;
}

/** Searches are told for the whole answer; they belong to the attempt that gave it. */
function withSearches(
  entries: readonly UsageEntry[],
  draft: UsageDraft,
  context: UsageContext,
): UsageEntry[] {
  const webSearches = draft.webSearches ?? 0;
  if (webSearches === 0) return [...entries];
  const last = entries.findLastIndex(({ model }) => model === context.servedModel);
  const index = last >= 0 ? last : entries.length - 1;
  if (index >= 0) {
    return entries.map((entry, at) =>
      at === index ? { ...entry, counts: { ...entry.counts, webSearches } } : entry,
    );
  }
  const counts = { ...NO_TOKENS, webSearches };
  return [{ model: context.servedModel, counts, terms: termsOf(draft) }];
}

/** A refusal before any output is not billed. */
function isDeclined(draft: UsageDraft, context: UsageContext): boolean {
  const isRefusal = context.stopReason === 'refusal';
  return isRefusal && draft.output === 0 && context.deliveredBytes === 0;
}

function countsOf(figures: Figures, cacheTtl: RequestSizes['cacheTtl']): TokenCounts {
  const said5m = figures.cacheWrites5m ?? 0;
  const said1h = figures.cacheWrites1h ?? 0;
  const writes = figures.cacheWrites ?? said5m + said1h;
  // What the split leaves open is charged at the lifetime asked for; the total rules.
  const open = Math.max(0, writes - said5m - said1h);
  const cacheWrite1h = Math.min(said1h + (cacheTtl === '1h' ? open : 0), writes);
  return {
    input: figures.input ?? 0,
    cacheWrite5m: writes - cacheWrite1h,
    cacheWrite1h,
    cacheRead: figures.cacheRead ?? 0,
    output: figures.output ?? 0,
    webSearches: 0,
  };
}

function termsOf(draft: UsageDraft): UsageEntry['terms'] {
  return { speed: draft.speed, geo: draft.geo, tier: draft.tier };
}

function readIterations(raw: readonly unknown[], flags: Set<UsageFlag>): Iteration[] {
  if (raw.length > ITERATIONS_MAX) flags.add('usage-absurd');
  const iterations: Iteration[] = [];
  for (const item of raw.slice(0, ITERATIONS_MAX)) {
    const entry = objectOf(item);
    if (entry === null) {
      flags.add('usage-missing');
      continue;
    }
    const figures = noFigures();
    mergeFigures(figures, entry, flags);
    if (figures.input === null || figures.output === null) flags.add('usage-missing');
    iterations.push({
      ...figures,
      type: textOf(entry['type']) ?? '',
      model: textOf(entry['model']),
    });
  }
  return iterations;
}

function noFigures(): Figures {
  return {
    input: null,
    cacheWrites: null,
    cacheWrites5m: null,
    cacheWrites1h: null,
    cacheRead: null,
    output: null,
  };
}

function mergeFigures(into: Figures, usage: JsonObject, flags: Set<UsageFlag>): void {
  const split = objectOf(usage['cache_creation']);
  const writes5m = split?.['ephemeral_5m_input_tokens'];
  const writes1h = split?.['ephemeral_1h_input_tokens'];
  into.input = readCount(usage['input_tokens'], into.input, flags);
  into.cacheWrites = readCount(usage['cache_creation_input_tokens'], into.cacheWrites, flags);
  into.cacheWrites5m = readCount(writes5m, into.cacheWrites5m, flags);
  into.cacheWrites1h = readCount(writes1h, into.cacheWrites1h, flags);
  into.cacheRead = readCount(usage['cache_read_input_tokens'], into.cacheRead, flags);
  into.output = readCount(usage['output_tokens'], into.output, flags);
}

/** Whether `value` can be a number of tokens; not whether it can be believed. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

/** A count that cannot be read leaves the earlier one standing, or is 0, and is flagged. */
function readCount(value: unknown, before: number | null, flags: Set<UsageFlag>): number | null {
  if (value === undefined || value === null) return before;
  if (typeof value === 'number' && value > COUNT_MAX) {
    flags.add('usage-absurd');
    return COUNT_MAX;
  }
  if (isCount(value)) return value + 0;
  flags.add('usage-negative');
  return before ?? 0;
}
