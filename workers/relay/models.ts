// `GET /v1/models[/{id}]`: the union of what the accounts list that this key may use, of that what
// has a price here, each entry as it came. What no account lists the catalogue answers for.

import type { RelayError } from '../domain/errors';
import type { ModelRules } from '../domain/limits/scope';
import { isModelAllowed } from '../domain/limits/scope';
import { findPrice, resolveModel } from '../domain/pricing/find';
import type { Catalogue, PriceRow } from '../domain/pricing/catalogue';
import type { Candidate } from '../domain/scheduling/choose';
import { admit } from './admit';
import { errorAnswer, jsonAnswer } from './answer';
import { freeEnding } from './ending';
import type { Bearer, Journey, Visit } from './journey';
import type { ModelEntry } from './model-lists';
import { listedModels } from './model-lists';
import { conversationTag, scheduling } from './schedule';
import { REACHED_NOTHING, settle } from './settle';
import { currentSnapshot } from './snapshot';

/** Answers with the list, or with the one model that the path names. */
export async function listModels(visit: Visit, bearer: Bearer): Promise<Response> {
  const wanted = visit.operation === 'model' ? nameOf(visit.url.pathname) : null;
  const conversation = await conversationTag(visit, bearer, null);
  const request = { class: 'free', body: null, model: wanted, conversation } as const;
  const [lease, snapshot] = await Promise.all([
    admit(visit, bearer, request),
    currentSnapshot(visit),
  ]);
  if (!lease.ok) return errorAnswer(visit, lease.error);
  const admitMs = Date.now() - visit.receivedAt;
  const admitted = { ...visit, bearer, lease: lease.value, admitMs };
  if (!snapshot.ok) {
    visit.ctx.waitUntil(settle(admitted, freeEnding('void'), REACHED_NOTHING));
    return errorAnswer(visit, snapshot.error);
  }
  const way = { ...admitted, snapshot: snapshot.value, body: null };
  const entries = await entriesFor(way, conversation);
  visit.ctx.waitUntil(settle(way, freeEnding('completed'), REACHED_NOTHING));
  return wanted === null ? page(way, entries) : oneModel(way, wanted, entries);
}

function nameOf(pathname: string): string {
  const last = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** Every model that this key can use: as an upstream lists it, else as the catalogue has it. */
async function entriesFor(journey: Journey, conversation: string): Promise<readonly ModelEntry[]> {
  const { candidates } = await scheduling(journey, conversation).choice();
  const { catalogue } = journey.snapshot;
  const served = usableModels(catalogue, journey.lease.models).filter((price) =>
    candidates.some((candidate) => serves(candidate, price.model)),
  );
  const left = new Map(served.map((price) => [price.model, price]));
  const usable = new Set(left.keys());
  const listed = (await listedModels(journey, candidates)).filter(({ id }) => {
    const model = resolveModel(catalogue, id);
    if (model !== null) left.delete(model);
    return model !== null && usable.has(model);
  });
  return [...listed, ...[...left.values()].map(ownEntry)];
}

function serves({ account: { models } }: Candidate, model: string): boolean {
  return models === null || models.includes(model);
}

/** The Models API's paging. */
const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 1_000;

function page(journey: Journey, entries: readonly ModelEntry[]): Response {
  const query = journey.url.searchParams;
  const limit = Number(query.get('limit') ?? LIMIT_DEFAULT);
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    const message = `limit: must be a whole number from 1 to ${LIMIT_MAX}`;
    return errorAnswer(journey, { kind: 'bad-request', message });
  }
  const placeOf = (name: string): number => entries.findIndex(({ id }) => id === query.get(name));
  const before = placeOf('before_id');
  const data =
    before > 0 || query.has('before_id')
      ? entries.slice(0, Math.max(0, before)).slice(-limit)
      : entries.slice(placeOf('after_id') + 1).slice(0, limit);
  const [first, last] = [data[0], data.at(-1)];
  const isMore = query.has('before_id') ? first !== entries[0] : last !== entries.at(-1);
  const has_more = data.length > 0 && isMore;
  const ids = { first_id: first?.id ?? null, last_id: last?.id ?? null };
  return jsonAnswer(journey, { data, has_more, ...ids });
}

function oneModel(journey: Journey, wanted: string, entries: readonly ModelEntry[]): Response {
  const { catalogue } = journey.snapshot;
  const model = resolveModel(catalogue, wanted);
  const entry =
    entries.find(({ id }) => id === wanted) ??
    entries.find(({ id }) => model !== null && resolveModel(catalogue, id) === model);
  const unknown: RelayError = { kind: 'unknown-model', model: wanted };
  return entry === undefined ? errorAnswer(journey, unknown) : jsonAnswer(journey, entry);
}

/** The models that have a price now and that the rules of a key allow, in the catalogue's order. */
export function usableModels(catalogue: Catalogue, rules: ModelRules = {}): readonly PriceRow[] {
  const now = Date.now();
  const models = new Set(catalogue.rows.map((row) => row.model));
  return [...models]
    .filter((model) => isModelAllowed(rules, model))
    .map((model) => findPrice(catalogue, model, now))
    .filter((price) => price !== null);
}

/** The Models API's form; the epoch stands for a date that is not known, as the API says it may. */
function ownEntry(price: PriceRow): ModelEntry & Record<string, unknown> {
  return {
    type: 'model',
    id: price.model,
    display_name: price.displayName,
    created_at: '1970-01-01T00:00:00Z',
  };
}
