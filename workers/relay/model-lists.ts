// What upstreams list of their models, for `GET /v1/models`: asked of one account of each provider,
// kept in the isolate for some minutes. What a key may use of it is models.ts's to say.

import type { Candidate } from '../domain/scheduling/choose';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { withinMs } from '../platform/clock';
import { upstreamOf } from '../upstreams/registry';
import { tryAccount } from './attempt';
import { clientOf } from './client';
import type { Journey } from './journey';
import { NO_EARLY } from './patience';
import { atRest } from './progress';
import { readUpTo } from './read-up-to';
import { placeOf } from './schedule';

/** An entry of the Models API, with whatever else stands in it. */
export interface ModelEntry {
  readonly id: string;
}

const LIST_BYTES_MAX = 4 * 1024 * 1024;
/** Claude Code waits 3 s for the whole answer. */
const LIST_MS_MAX = 2 * SECOND_MS;
const KEPT_MS = 5 * MINUTE_MS;
/** A list that could not be had is not asked for again at once. */
const FAILED_MS = 30 * SECOND_MS;
const KEPT_MAX = 200;
const PROVIDERS_MAX = 6;

interface Kept {
  readonly until: number;
  readonly entries: readonly ModelEntry[];
}

const kept = new Map<string, Kept>();

/** The entries of all providers, each model once, in the order of the accounts. Never rejects. */
export async function listedModels(
  journey: Journey,
  candidates: readonly Candidate[],
): Promise<readonly ModelEntry[]> {
  const asked = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const { account, provider, standing } = candidate;
    const lists = upstreamOf(account.kind).operations.has('models');
    if (lists && standing === 'ready' && !asked.has(provider)) asked.set(provider, candidate);
  }
  const some = [...asked.values()].slice(0, PROVIDERS_MAX);
  const lists = await Promise.all(some.map(async (candidate) => listOf(journey, candidate)));
  const byId = new Map<string, ModelEntry>();
  for (const entry of lists.flat()) if (!byId.has(entry.id)) byId.set(entry.id, entry);
  return [...byId.values()];
}

async function listOf(journey: Journey, candidate: Candidate): Promise<readonly ModelEntry[]> {
  const { id } = candidate.account;
  const known = kept.get(id);
  if (known !== undefined && Date.now() < known.until) return known.entries;
  const leaving = new AbortController();
  const asking = ask(journey, candidate, leaving.signal).catch(() => null);
  const entries = await withinMs(asking, LIST_MS_MAX);
  leaving.abort();
  const isHad = entries !== null && entries !== 'late';
  if (kept.size >= KEPT_MAX) kept.clear();
  const list = isHad ? entries : (known?.entries ?? []);
  kept.set(id, { until: Date.now() + (isHad ? KEPT_MS : FAILED_MS), entries: list });
  return list;
}

async function ask(
  journey: Journey,
  candidate: Candidate,
  leaving: AbortSignal,
): Promise<readonly ModelEntry[] | null> {
  const url = new URL('/v1/models?limit=1000', journey.url);
  const client = clientOf(leaving, journey.lease);
  // What is kept for everybody must not depend on what one client sends along.
  const request = new Request(url, { headers: { 'anthropic-version': '2023-06-01' } });
  const own = { ...journey, url, request, operation: 'models' } as const;
  const via = placeOf(journey, candidate);
  const running = atRest();
  const tried = await tryAccount({
    journey: own,
    candidate,
    running,
    client,
    early: NO_EARLY,
    via,
  });
  if (tried.is !== 'answer') return null;
  const limits = { bytes: LIST_BYTES_MAX, ms: LIST_MS_MAX };
  const body = await readUpTo(tried.answer.rest, limits);
  if (body === null) return null;
  return entriesOf(JSON.parse(new TextDecoder().decode(body)));
}

function entriesOf(list: unknown): readonly ModelEntry[] | null {
  const data: unknown =
    typeof list === 'object' && list !== null ? Reflect.get(list, 'data') : null;
  return Array.isArray(data) ? data.filter(isEntry) : null;
}

function isEntry(value: unknown): value is ModelEntry {
  return (
    typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string'
  );
}
